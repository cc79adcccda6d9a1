package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"comeback/recovery/isolation"
)

// ErrNotRunning: no server runs on the data directory.
var ErrNotRunning = errors.New("no server runs on it")

// runningServer is the pid of the server of a data directory. A postmaster.pid
// alone proves nothing, its number may be another program's by now.
func runningServer(data string) (int, error) {
	pid, err := readPID(data)
	if err != nil {
		return 0, fmt.Errorf("find the server of %s: %w", data, err)
	}
	if pid == 0 || !serves(pid, data) {
		return 0, fmt.Errorf("find the server of %s: %w", data, ErrNotRunning)
	}
	return pid, nil
}

// readPID reads the first line of postmaster.pid; 0 where there is none.
func readPID(data string) (int, error) {
	b, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	first, _, _ := bytes.Cut(b, []byte("\n"))
	pid, err := strconv.Atoi(strings.TrimSpace(string(first)))
	if err != nil || pid < 0 { // torn: the server died while it wrote
		return 0, nil
	}
	return pid, nil
}

// serves reports whether a process is a PostgreSQL server, or a part of one,
// of a data directory: its program is called postgres and it stands in the
// directory, as every process of a server does.
func serves(pid int, data string) bool {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	exe, err := os.Readlink(filepath.Join(proc, "exe"))
	if err != nil {
		return false
	}
	name := filepath.Base(strings.TrimSuffix(exe, " (deleted)"))
	if name != "postgres" && name != "postmaster" {
		return false
	}
	cwd, err := os.Readlink(filepath.Join(proc, "cwd"))
	if err != nil {
		return false
	}
	cwd = strings.TrimSuffix(cwd, " (deleted)")
	if cwd == filepath.Clean(data) {
		return true
	}
	real, err := filepath.EvalSymlinks(data)
	return err == nil && cwd == real
}

// zombie reports whether a child of this process has ended, be it reaped or not.
func zombie(pid int) bool {
	_, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "exe"))
	return errors.Is(err, fs.ErrNotExist)
}

// Processes lists the processes of a data directory's server, orphans included,
// whoever started it. Whoever is neither root nor the server's user sees none.
func Processes(data string) ([]int, error) { return serverProcesses(data) }

// serverProcesses lists every process of a data directory's server, orphans
// included.
func serverProcesses(data string) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && serves(pid, data) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// stopServer ends the server of a data directory, whoever started it, and
// returns when none of its processes is left, nor anything that they have started in a box
// of this host's.
func stopServer(ctx context.Context, data string, now func() time.Time) error {
	if err := stopProcesses(ctx, data, now); err != nil {
		return err
	}
	return isolation.EndCgroups(cgroupOf(data))
}

func stopProcesses(ctx context.Context, data string, now func() time.Time) error {
	pid, err := readPID(data)
	if err != nil {
		return err
	}
	for _, try := range []struct {
		signal  syscall.Signal
		wait    time.Duration
		orphans bool
	}{
		{syscall.SIGINT, fastShutdown, false},
		{syscall.SIGQUIT, immediateShutdown, true},
		{syscall.SIGKILL, immediateShutdown, true},
	} {
		pids, err := serverProcesses(data)
		if err != nil || len(pids) == 0 {
			return err
		}
		headless := !slices.Contains(pids, pid)
		if headless && !try.orphans {
			continue
		}
		for _, p := range pids {
			// The postmaster ends the others; without it they get the
			// signal themselves.
			if p == pid || try.orphans {
				_ = syscall.Kill(p, try.signal) // gone already is as good
			}
		}
		gone, err := waitGone(ctx, data, now, try.wait)
		if gone || err != nil {
			return err
		}
	}
	return errors.New("its processes do not end, not even by force")
}

// waitGone waits until no process of the server is left, for a time at most; a
// ctx that has ended cuts the wait short.
func waitGone(ctx context.Context, data string, now func() time.Time, wait time.Duration) (bool, error) {
	deadline := now().Add(wait)
	tick := time.NewTicker(poll)
	defer tick.Stop()
	done := ctx.Done()
	for {
		late := now().After(deadline)
		pids, err := serverProcesses(data)
		if err != nil || len(pids) == 0 {
			return err == nil, err
		}
		if late {
			return false, nil
		}
		select {
		case <-tick.C:
		case <-done:
			// Give what was signalled a moment, then go on to the next way.
			deadline = now().Add(time.Second)
			done = nil
		}
	}
}
