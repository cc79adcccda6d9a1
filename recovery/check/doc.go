// Package check judges whether the copies of a system would save it tonight.
//
// It promises that a judgement follows from its evidence and from nothing else:
// Judge is pure, and [Evidence] is plain data that somebody has gathered, with
// what could not be seen in it as what it is. What was not seen is unknown, never
// met. Each finding says what to do.
//
// Canary tries on an object of its own whether a copy lets backups be deleted. The
// package never touches a backup.
package check
