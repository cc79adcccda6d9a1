// Package trees is how a recovery brings a restored directory live: the switcher
// of components of the kind files.
//
// The tree is restored beside the live directory, on its file system, and the two
// exchange their names in one step (package exchange), when all of the restored one is
// on disk; what was live is then called "uploads.old-7c31" and stays until its time has
// come. A directory that is not there yet, on a fresh host, is simply given its name.
//
// It promises that the live path names the old tree or the restored one, whole, at
// any moment, and that a run which ends before its switch is open gives the old one
// back. It cannot end the writes to a directory: what was written there after the
// moment is listed, and stays in the old data. What is older and not in the backup is
// listed, too, and an exception. Programs that hold on to the old directory itself are
// named when the switch is kept (users.go), and while it has anything that was written
// after the switch it stays. It removes an old tree only in a run that was made for
// that (expire.go), and nothing else.
//
// A restored tree that nothing switches, and the trees of kinds that nothing can switch
// (configuration, code), leave scratch with the last steps of a recovery (handover.go):
// each lies then in a directory that only the user of the run may enter, and stays
// there until people say that it goes. The commands that put one in live's place are told
// where it is a copy of just that (inplace.go), and of code where the live checkout has
// nothing more than the commit (onlylive.go).
package trees
