// Package provider is what engines have in common whose backups are a provider's: a
// service, an operator or a program lists backups and windows, and restores what is asked
// of it into something new. Such an engine reads no backup itself. It chooses among what is
// listed (Chooser), carries what it has learnt from the survey to the steps (Encode,
// Decode), makes steps that come one after the other (Chain), gives what is made a name that
// is the run's alone (Name), and lets people in through a session (Connect, Users).
//
// The package promises that a point is never after what was wanted, that of two backups
// which reach equally far the newer one is taken, and that every refusal says what can be
// restored instead. It asks nobody anything but a server that it is given the address of.
package provider
