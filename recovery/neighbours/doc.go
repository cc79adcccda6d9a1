// Package neighbours tells which systems keep their backups in the same copy, and lets a
// survey of one of them see none of the others'.
//
// It promises that of what a system's own manifests name nothing is hidden from it, whatever
// others have put there, and that where no other system has stored anything nothing but the
// names of the runbooks is read. A manifest is read once for all that look ([Once]), and once
// in a process where what was read is kept ([Cache]). One that may not be read hides nothing,
// and is counted.
//
// The order of work:
//
//	see.go         [See]: a copy as surveys of a component see it
//	once.go        one look for all surveys of a copy
//	neighbours.go  [In]: is there anybody else; [Read]: what their manifests name
//	told.go        what one manifest tells
//	cache.go       what is not read again
//
// It only reads. What is asked for by its key is there as ever: it keeps surveys from being
// mistaken, and nobody out.
package neighbours
