package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// readUnseen asks for a value on a terminal that does not show what is typed,
// from before the question is there: a person may be quicker than the program.
func (a *app) readUnseen(in *os.File, question string) ([]byte, error) {
	fd := int(in.Fd())
	before, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, fmt.Errorf("ask on the terminal: %w", err)
	}
	silent := *before
	silent.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &silent); err != nil {
		return nil, fmt.Errorf("ask on the terminal: %w", err)
	}
	defer func() { _ = unix.IoctlSetTermios(fd, unix.TCSETS, before) }() // as it was; a terminal that is gone shows nothing
	fmt.Fprint(a.err, question)
	b, err := term.ReadPassword(fd)
	fmt.Fprintln(a.err)
	return b, err
}
