// Package aftermath tells what runs have left behind, and what keeps it: the old data that
// a recovery put aside, what it left running, its to-dos, and the claims that it did not
// give back.
//
// It is pure: all of it follows from the journals of a run and of the runs that were its
// children. A run that cannot be read decides nothing. Whether something is still in its
// place the caller asks the place itself; nothing here says that it is. [Keeps] says that
// something may go only where no journal gives a reason why it stays: what people may have
// written into is never among that.
package aftermath
