package tui

import (
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	tea "charm.land/bubbletea/v2"
	"golang.org/x/sys/unix"
)

// letGo is how long the terminal stays out of the library's hands at least: it
// stops its own clock a moment after it has let the terminal go, and a clock that
// is started again before that stands still for ever.
const letGo = 100 * time.Millisecond

// canSuspend reports whether a shell can take this process up again: whether it
// is a job of a shell in its session. Elsewhere the signal that suspends does
// nothing, and waiting for the one that continues would be for ever.
func canSuspend() bool {
	session, err := unix.Getsid(0)
	if err != nil || unix.Getpgrp() == session {
		return false
	}
	parents, err := unix.Getsid(os.Getppid())
	return err == nil && parents == session
}

// suspend stops the console until its shell continues it; the run goes on.
func suspend() tea.Cmd {
	return tea.Exec(suspension{}, func(error) tea.Msg { return nil })
}

type suspension struct{}

// Run returns when the process was continued.
func (suspension) Run() error {
	<-time.NewTimer(letGo).C
	continued := make(chan os.Signal, 1)
	signal.Notify(continued, syscall.SIGCONT)
	defer signal.Stop(continued)
	if err := syscall.Kill(0, syscall.SIGTSTP); err != nil {
		return err
	}
	<-continued
	return nil
}

// SetStdin, SetStdout and SetStderr are not needed.
func (suspension) SetStdin(io.Reader)  {}
func (suspension) SetStdout(io.Writer) {}
func (suspension) SetStderr(io.Writer) {}
