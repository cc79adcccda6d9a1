package isolation

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Process is a process of anybody's, held by a descriptor: its number may be another's when
// it has ended, the descriptor never is.
type Process struct {
	PID int
	fd  int
}

// OpenProcess takes hold of the process that has a number now. Where none has it the error
// is os.ErrProcessDone. Whether it is the one that was meant is looked at after that, and
// holds from then on.
func OpenProcess(pid int) (*Process, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil, os.ErrProcessDone
	}
	if err != nil {
		return nil, fmt.Errorf("hold process %d: %w", pid, err)
	}
	return &Process{PID: pid, fd: fd}, nil
}

// Close lets it go.
func (p *Process) Close() error { return unix.Close(p.fd) }

// Kill kills it, unless it has ended.
func (p *Process) Kill() error {
	if err := unix.PidfdSendSignal(p.fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill process %d: %w", p.PID, err)
	}
	return nil
}

// Forever is a wait without an end.
const Forever time.Duration = -1

// Wait waits until it has ended, for so long, and reports whether it has.
func (p *Process) Wait(within time.Duration) (ended bool, err error) {
	deadline := time.Now().Add(within)
	for {
		wait := -1
		if within != Forever {
			wait = int(max(0, time.Until(deadline)).Milliseconds())
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}, wait)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return false, fmt.Errorf("wait for process %d: %w", p.PID, err)
		}
		return n > 0, nil
	}
}

// dies waits until it has ended, because it was killed.
func (p *Process) dies(deadline time.Time) error {
	ended, err := p.Wait(max(0, time.Until(deadline)))
	if err == nil && !ended {
		err = fmt.Errorf("it was killed %s ago and has not ended", dying)
	}
	return err
}

// stat is what /proc/PID/stat says of a process, as far as it is asked for here.
type stat struct {
	name  string
	state string
	// group and session are the numbers of their leaders.
	group, session int
}

// ended says that only its number is left.
func (s stat) ended() bool { return s.state == "Z" || s.state == "X" }

// readStat reads what is said of a process; ok is false where it has ended.
func readStat(pid int) (s stat, ok bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, false
	}
	return parseStat(string(text))
}

// parseStat reads a line as proc_pid_stat(5) has it: the program's name is in parentheses
// and may hold any of them itself.
func parseStat(text string) (s stat, ok bool) {
	end := strings.LastIndexByte(text, ')')
	_, s.name, ok = strings.Cut(text[:max(end, 0)], "(")
	fields := strings.Fields(text[end+1:])
	if !ok || len(fields) < 4 {
		return stat{}, false
	}
	s.state = fields[0]
	var errGroup, errSession error
	s.group, errGroup = strconv.Atoi(fields[2])
	s.session, errSession = strconv.Atoi(fields[3])
	if errGroup != nil || errSession != nil {
		return stat{}, false
	}
	return s, true
}
