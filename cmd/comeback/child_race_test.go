//go:build race

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// Under the race detector a program takes half a second to come up and twice the time
// to do anything, and these tests start hundreds. So runs that a test starts without a
// terminal are those of the same program without it, where make has built that. The
// journeys in a terminal stay under the detector, console and runner: what they start
// does not know of the other program.
func init() {
	if exe := os.Getenv("COMEBACK_CHILD"); exe != "" && unix.Access(exe, unix.X_OK) == nil {
		executable = func() string { return exe }
	}
}
