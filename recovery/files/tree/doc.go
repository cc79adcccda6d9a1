// Package tree writes a restored tree, and knows where it stands.
//
// A [Writer] writes into its directory and nowhere else, whatever names and links say. It
// takes files from several goroutines, each whole and held against its
// size and digest, with owner, mode, times, holes and attributes; [Writer.Finish] makes the
// links and dresses the directories when all files are there, and may be repeated after any
// interruption. What this host or its file system does not let it keep it tells, and
// which files give rights to whoever runs them ([Writer.Remarks], [Writer.Tell]).
//
// A [Place] is where an engine restores: a directory in scratch with the tree and its ledger.
// Whoever finds a ledger believes it only of the tree that it was written for, so that no
// tree counts as whole which was taken away, or is half there. A tree that has become live
// stands all the same.
//
// It reads no backup, and removes nothing but what an earlier attempt of the same restore has
// left in the tree.
package tree
