//go:build !race

package main

import "testing"

// plainly says that this is the program without the race detector.
func plainly(*testing.T) bool { return false }
