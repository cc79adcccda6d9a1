package isolation

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Fate is what is to become of a process that a dead one has left.
type Fate int

// Nobody can tell, it stays, it ends.
const (
	Unknown Fate = iota
	Stays
	Ends
)

// Left is a process that somebody has left.
type Left struct {
	PID  int
	Name string
}

// Own, "NAME=value", marks the environment of programs of our own that may end a while
// after us, as servers do that shut down.
const Own = "COMEBACK_OWN=1"

// settling is how long a process whose fate is unknown may take to end by itself or to be
// known: while it starts another program, and when it ends, it has no environment.
const settling = 2 * time.Second

// EndLeft kills what is left of a session whose leader has died and is to end by the
// environment that it was started with, and returns when it is gone. Those whose fate is
// unknown, because their environment says nothing or may not be read, it leaves, and
// returns. What has begun a session of its own, as daemons do, is not of it. Nothing is done
// while the leader lives: then the number is another's.
func EndLeft(session int, fate func(environ []string) Fate) (unknown []Left, err error) {
	if session <= 1 || alive(session) {
		return nil, nil
	}
	deadline, settled := time.Now().Add(dying), time.Now().Add(settling)
	for { // until none is found: each may have started others before it was killed
		names, err := filepath.Glob("/proc/[0-9]*")
		if err != nil {
			return nil, err
		}
		unknown = nil
		found := false
		for _, name := range names {
			pid, err := strconv.Atoi(filepath.Base(name))
			if err != nil {
				continue
			}
			program, is := fateOf(pid, session, fate)
			switch is {
			case Unknown:
				unknown = append(unknown, Left{PID: pid, Name: program})
			case Ends:
				found = true
				if err := endOne(pid, session, fate, deadline); err != nil {
					return nil, fmt.Errorf("end process %d, which is left of what process %d started: %w", pid, session, err)
				}
			}
		}
		switch {
		case found:
		case len(unknown) == 0 || !time.Now().Before(settled):
			return unknown, nil
		default:
			if err := glance(unknown[0].PID); err != nil {
				return nil, fmt.Errorf("wait for process %d, which is left of what process %d started: %w", unknown[0].PID, session, err)
			}
		}
	}
}

// endOne kills a process if it is one that is to end, and waits until it has ended.
func endOne(pid, session int, fate func(environ []string) Fate, deadline time.Time) error {
	p, err := OpenProcess(pid)
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	if err != nil {
		return err
	}
	defer p.Close()
	if _, is := fateOf(pid, session, fate); is != Ends {
		return nil // it has ended, and the number may be another's
	}
	if err := p.Kill(); err != nil {
		return err
	}
	return p.dies(deadline)
}

// glance waits until a process has ended, for a moment only.
func glance(pid int) error {
	p, err := OpenProcess(pid)
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	if err != nil {
		return err
	}
	defer p.Close()
	_, err = p.Wait(20 * time.Millisecond)
	return err
}

// fateOf is the fate of a process, and its name; one that has ended or is of another session
// stays.
func fateOf(pid, session int, fate func(environ []string) Fate) (program string, is Fate) {
	s, ok := readStat(pid)
	if !ok || s.ended() || s.session != session {
		return "", Stays
	}
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ESRCH):
		return s.name, Stays // it has ended
	case err != nil:
		return s.name, Unknown
	}
	return s.name, fate(strings.Split(string(environ), "\x00"))
}

// alive says whether a process has not ended.
func alive(pid int) bool {
	s, ok := readStat(pid)
	return ok && !s.ended()
}
