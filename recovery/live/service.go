package live

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"comeback/pattern"
	"comeback/recovery"
	"comeback/recovery/postgres"
)

// Service is how the server of a live data directory is stopped and started.
type Service struct {
	// Data is the live data directory.
	Data  string
	Tools postgres.Tools
	// StopCommand and StartCommand are the runbook's own, such as [systemctl,
	// stop, postgresql@15-main]: programs with their arguments, no shell. Where
	// they are empty it is pg_ctl, as the owner of the data directory.
	StopCommand, StartCommand []string
	// Environ is the environment of the runbook's commands.
	Environ []string
	// Before, where it is not nil, is called before the server is stopped or
	// started.
	Before func(ctx context.Context, what string) error `json:"-"`
}

// startLog is where pg_ctl lets a server write that has no log of its own, in its
// data directory.
const startLog = "pg_ctl.log"

// How long a server may take to stop and to start; a checkpoint is written at each
// of them.
const (
	stopWithin  = 10 * time.Minute
	startWithin = 10 * time.Minute
	servicePoll = 100 * time.Millisecond
)

// Check refuses, before anything is stopped, a server that could not be started
// again: pg_ctl alone does not know what Debian and others say on the command line.
func (s Service) Check() error {
	owner, _, err := ownerOf(s.Data)
	if err != nil {
		return err
	}
	if err := mayServe(owner, s.Data); err != nil {
		return err
	}
	if own, err := s.Own(); own || err != nil {
		return err
	}
	const hint = giveCommands
	if err := s.Tools.Need("pg_ctl"); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(s.Data, "postgresql.conf")); errors.Is(err, fs.ErrNotExist) {
		return recovery.Errorf(hint, "refused: the configuration of %s lies elsewhere, and pg_ctl would start it without", s.Data).WithExit(recovery.Refused)
	} else if err != nil {
		return fmt.Errorf("look at the server's configuration: %w", err)
	}
	opts, err := os.ReadFile(filepath.Join(s.Data, "postmaster.opts"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look at how the server was started: %w", err)
	}
	if more := extraOptions(string(opts)); more != "" {
		return recovery.Errorf(hint, "refused: the server was started with %s, which pg_ctl would leave out", more).WithExit(recovery.Refused)
	}
	return nil
}

const giveCommands = "give the component the commands that stop and start the server, such as [systemctl, stop, postgresql@15-main]"

// Own reports whether the runbook's own commands stop and start the server, and refuses one
// of them without the other.
func (s Service) Own() (bool, error) {
	if (len(s.StartCommand) > 0) != (len(s.StopCommand) > 0) {
		return false, recovery.Errorf(giveCommands, "refused: the runbook says only how the server is stopped, or only how it is started").WithExit(recovery.Refused)
	}
	return len(s.StartCommand) > 0, nil
}

var option = pattern.New(`"((?:[^"\\]|\\.)*)"`)

// extraOptions are the options in postmaster.opts beside the data directory.
func extraOptions(opts string) string {
	found := option.FindAllStringSubmatch(opts, -1)
	var more []string
	for i := 0; i < len(found); i++ {
		if found[i][1] == "-D" {
			i++
			continue
		}
		more = append(more, found[i][1])
	}
	return strings.Join(more, " ")
}

// Stopped reports whether no process of the server is left, and what its data
// directory says of its end: "shut down", or in what state it crashed.
func (s Service) Stopped(ctx context.Context) (stopped bool, state string, err error) {
	pids, err := postgres.Processes(s.Data)
	if err != nil || len(pids) > 0 {
		return false, "", err
	}
	control, err := postgres.ReadControl(ctx, s.Tools, s.Data)
	return err == nil, control.State, err
}

// Stop shuts the server down and proves it: no process of it is left, and its data
// directory says so. A server that had crashed already is left as it is; its state
// is returned. It may be repeated.
func (s Service) Stop(ctx context.Context, env recovery.Env) (state string, err error) {
	if err := s.Check(); err != nil {
		return "", err
	}
	stopped, state, err := s.Stopped(ctx)
	if err != nil || stopped {
		return state, err
	}
	owner, _, err := ownerOf(s.Data)
	if err != nil {
		return "", err
	}
	cmd := recovery.Cmd{Path: s.Tools.Program("pg_ctl"), Args: []string{"stop", "-D", s.Data, "-m", "fast", "-w", "-t", "600"}, Dir: "/", Env: serviceEnv, User: asUser(owner)}
	if err := s.act(ctx, env, "stop the live server", s.StopCommand, cmd); err != nil {
		return "", err
	}
	within, cancel := context.WithTimeout(ctx, stopWithin)
	defer cancel()
	tick := time.NewTicker(servicePoll)
	defer tick.Stop()
	for {
		if stopped, state, err = s.Stopped(ctx); err != nil {
			return "", err
		}
		if stopped {
			break
		}
		select {
		case <-tick.C:
		case <-within.Done():
			if ctx.Err() != nil {
				return "", context.Cause(ctx)
			}
			return "", recovery.Errorf("end it by hand, or find out who starts it again (systemd, patroni, a watchdog), then retry", "stop the live server: it runs on")
		}
	}
	if state != "shut down" {
		return state, recovery.Errorf("start and stop it by hand, so that it ends cleanly, then retry",
			"stop the live server: it has ended, but its data directory is %q", state)
	}
	return state, nil
}

// serviceEnv is the environment of pg_ctl, and so of the server that it starts.
var serviceEnv = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C.UTF-8", "HOME=/"}

// act runs the runbook's command, or another one where it has none.
func (s Service) act(ctx context.Context, env recovery.Env, what string, own []string, otherwise recovery.Cmd) error {
	if s.Before != nil {
		if err := s.Before(ctx, what); err != nil {
			return err
		}
	}
	cmd := otherwise
	if len(own) > 0 {
		cmd = recovery.Cmd{Path: own[0], Args: own[1:], Dir: "/", Env: s.Environ}
		if cmd.Env == nil {
			cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/"}
		}
	}
	env.Meter().Phase(what, 0, recovery.NoUnit)
	if err := env.Command(ctx, cmd); err != nil {
		return recovery.Errorf("read the step's log and the server's, then retry", "%s: %w", what, err)
	}
	return nil
}

// Start starts the server and returns when it answers at an address. One that runs
// already is waited for, and started where it ends instead: it may have been on its
// way down. It may be repeated.
func (s Service) Start(ctx context.Context, env recovery.Env, address string) error {
	pids, err := postgres.Processes(s.Data)
	if err != nil {
		return err
	}
	if len(pids) > 0 {
		env.Meter().Phase("wait for the server that runs already", 0, recovery.NoUnit)
		if ended, err := s.answers(ctx, address); !ended {
			return err
		}
	}
	owner, _, err := ownerOf(s.Data)
	if err != nil {
		return err
	}
	if err := mayServe(owner, s.Data); err != nil {
		return err
	}
	args := []string{"start", "-D", s.Data, "-l", filepath.Join(s.Data, startLog), "-w", "-t", "600", "-s"}
	cmd := recovery.Cmd{Path: s.Tools.Program("pg_ctl"), Args: args, Dir: "/", Env: serviceEnv, User: asUser(owner)}
	if err := s.act(ctx, env, "start the live server", s.StartCommand, cmd); err != nil {
		return errors.Join(err, s.lastWords())
	}
	ended, err := s.answers(ctx, address)
	if ended {
		err = errors.Join(err, s.lastWords())
	}
	return err
}

// answers waits until the server answers, or ends, which is an error too.
func (s Service) answers(ctx context.Context, address string) (ended bool, err error) {
	within, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	tick := time.NewTicker(servicePoll)
	defer tick.Stop()
	for {
		conn, _, err := dial(within, address)
		if err == nil {
			return false, conn.Close(ctx)
		}
		pids, gone := postgres.Processes(s.Data)
		if gone == nil && len(pids) == 0 {
			return true, recovery.Errorf("read the server's log, then retry, or switch back", "start the live server: it has ended: %w", err)
		}
		select {
		case <-tick.C:
		case <-within.Done():
			if ctx.Err() != nil {
				return false, context.Cause(ctx)
			}
			return false, fmt.Errorf("start the live server: %w", err)
		}
	}
}

// lastWords are the last lines of what a server has said that pg_ctl has started.
func (s Service) lastWords() error {
	b, err := os.ReadFile(filepath.Join(s.Data, startLog))
	if err != nil {
		return nil // its log is elsewhere
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return errors.New("its log ends with: " + strings.Join(lines[max(0, len(lines)-3):], " / "))
}
