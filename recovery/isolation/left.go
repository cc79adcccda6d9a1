package isolation

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// EndLeft kills what is left of a session whose leader has died, of the processes that were
// started with one of some variables, "NAME=value", and returns when it is gone. What has
// begun a session of its own, as daemons do, is not of it. Nothing is done while the leader
// lives: then the number is another's.
func EndLeft(session int, variables []string) error {
	if session <= 1 || alive(session) {
		return nil
	}
	deadline := time.Now().Add(dying)
	for { // until none is found: each may have started others before it was killed
		names, err := filepath.Glob("/proc/[0-9]*")
		if err != nil {
			return err
		}
		found := false
		for _, name := range names {
			pid, err := strconv.Atoi(filepath.Base(name))
			if err != nil {
				continue
			}
			killed, err := endOne(pid, session, variables, deadline)
			if err != nil {
				return fmt.Errorf("end process %d, which is left of what process %d started: %w", pid, session, err)
			}
			found = found || killed
		}
		if !found {
			return nil
		}
	}
}

// endOne kills a process if it is one of EndLeft's, and waits until it has ended.
func endOne(pid, session int, variables []string, deadline time.Time) (killed bool, err error) {
	if !isLeft(pid, session, variables) {
		return false, nil
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	if !isLeft(pid, session, variables) {
		return false, nil // it has ended, and the number may be another's
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return false, err
	}
	return true, awaitFile(fd, deadline)
}

// isLeft says whether a process has not ended, is of a session and was started with one of
// the variables.
func isLeft(pid, session int, variables []string) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 4 || strings.Contains("ZX", fields[0]) || fields[3] != strconv.Itoa(session) {
		return false
	}
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	return err == nil && slices.ContainsFunc(strings.Split(string(environ), "\x00"), func(v string) bool { return slices.Contains(variables, v) })
}

// alive says whether a process has not ended.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	state, _ := parseStat(string(stat))
	return err == nil && !strings.Contains("ZX", state)
}
