package main

import (
	"bufio"
	"context"
	"fmt"
	"os"

	"comeback/recovery"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// readUnseen asks for a value on a terminal that does not show what is typed,
// from before the question is there: a person may be quicker than the program. An interrupt
// ends the question.
func (a *app) readUnseen(ctx context.Context, in *os.File, question string) ([]byte, error) {
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
	b, err := answered(ctx, func() ([]byte, error) { return term.ReadPassword(fd) })
	fmt.Fprintln(a.err)
	return b, err
}

// readLine reads the answer to a question. An interrupt ends the question.
func readLine(ctx context.Context, in *bufio.Reader) (string, error) {
	return answered(ctx, func() (string, error) { return in.ReadString('\n') })
}

// answered is what somebody answers, or the error that somebody has interrupted the question:
// then nobody waits any more for what is read.
func answered[T any](ctx context.Context, read func() (T, error)) (answer T, err error) {
	type given struct {
		answer T
		err    error
	}
	typed := make(chan given, 1)
	go func() {
		answer, err := read()
		typed <- given{answer, err}
	}()
	select {
	case g := <-typed:
		return g.answer, g.err
	case <-ctx.Done():
		return answer, recovery.Errorf("", "%w", context.Cause(ctx)).WithExit(recovery.Interrupted)
	}
}
