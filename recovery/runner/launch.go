package runner

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"comeback/recovery"
)

// Launch starts a process for a prepared run, or for one whose runner died.
type Launch struct {
	Home Home
	Run  string
	// Exe is this program, Args its words before the act and the run's id,
	// Env its environment.
	Exe  string
	Args []string
	Env  []string
	// Act is "start" or "resume".
	Act        string
	Unattended bool
	// Confirm is the name of the plan's target as a person has typed it.
	Confirm string
	// Outage says since when the outage is, where somebody has said it; a short run may
	// have ended before it could be told.
	Outage recovery.OutageNoted
	// MaxDisk is how many bytes the run may take on the disk of its scratch, MinMemory how
	// many had to be free before it began; 0 is no limit.
	MaxDisk, MinMemory int64
	// Tether is a process that the run must not outlive; 0 is none. It is
	// for demonstrations.
	Tether int
}

// The acts of a runner process.
const (
	ActStart  = "start"
	ActResume = "resume"
)

// Began is what a runner process says, as one line of JSON on its standard
// output, when the run has begun or cannot.
type Began struct {
	OK   bool          `json:"ok"`
	What string        `json:"what,omitempty"`
	Hint string        `json:"hint,omitempty"`
	Exit recovery.Exit `json:"exit,omitempty"`
}

// Spawn starts the process in a session of its own, so that the end of a
// terminal does not reach it, and returns when the run has begun: its first
// event is durable and its socket answers. Where logind would end the process
// with the login, it is started in a scope of the user's service manager.
func (l Launch) Spawn(ctx context.Context) error {
	args := append(append([]string{}, l.Args...), l.Act, l.Run)
	if l.Unattended {
		args = append(args, "--unattended")
	}
	if l.Confirm != "" {
		args = append(args, "--confirm", l.Confirm)
	}
	if l.Outage.How != "" {
		outage, err := json.Marshal(l.Outage)
		if err != nil {
			return fmt.Errorf("start the runner: %w", err)
		}
		args = append(args, "--outage", string(outage))
	}
	for _, limit := range []struct {
		flag  string
		bytes int64
	}{{"--max-disk", l.MaxDisk}, {"--min-memory", l.MinMemory}} {
		if limit.bytes > 0 {
			args = append(args, limit.flag, fmt.Sprintf("%dB", limit.bytes))
		}
	}
	if l.Tether > 0 {
		args = append(args, "--tether", strconv.Itoa(l.Tether))
	}
	dir := l.Home.LiveDir(l.Run)
	if err := l.Home.mkdirAll(dir); err != nil {
		return recovery.Errorf("set COMEBACK_STATE to a directory that you may write to", "start the runner: %w", err)
	}
	log, err := os.OpenFile(filepath.Join(dir, logName), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if errors.Is(err, fs.ErrPermission) {
		return refused(l.Run, filepath.Join(dir, logName), err)
	}
	if err != nil {
		return fmt.Errorf("start the runner: %w", err)
	}
	defer log.Close()
	var failed error
	for _, command := range l.ways(args) {
		began, err := l.spawn(ctx, command, log)
		switch {
		case err == nil && began.OK:
			return nil
		case err == nil:
			return recovery.Errorf(began.Hint, "%s", began.What).WithExit(began.Exit)
		}
		failed = errors.Join(failed, err)
		if ctx.Err() != nil {
			break
		}
	}
	words, _ := os.ReadFile(log.Name()) // they are an addition
	if len(words) > 2000 {
		words = words[len(words)-2000:]
	}
	return recovery.Errorf("see comeback status "+l.Run, "start the runner of run %s: %w\n%s", l.Run, failed, words)
}

// ways are the command lines to try.
func (l Launch) ways(args []string) [][]string {
	own := append([]string{l.Exe}, args...)
	env := environment(l.Env)
	if l.Tether > 0 || !env.killsAtLogout("/") {
		return [][]string{own}
	}
	if scope := env.scope("comeback-" + l.Run); scope != nil {
		return [][]string{append(scope, own...), own}
	}
	return [][]string{own}
}

// spawn starts one command line and hears what it says.
func (l Launch) spawn(ctx context.Context, command []string, log *os.File) (Began, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return Began{}, err
	}
	defer r.Close()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = l.Env, w, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = errors.Join(cmd.Start(), w.Close())
	if err != nil {
		return Began{}, err
	}
	// It is reaped while we live; when we are gone it is init's.
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	said := make(chan Began, 1)
	silent := make(chan error, 1)
	go func() {
		line, err := bufio.NewReader(r).ReadBytes('\n')
		var b Began
		if err == nil {
			err = json.Unmarshal(line, &b)
		}
		if err != nil {
			silent <- err
			return
		}
		said <- b
	}()
	select {
	case b := <-said:
		return b, nil
	case err := <-silent:
		if errors.Is(err, io.EOF) {
			err = errors.New("it ended before the run began")
			if exit := <-exited; exit != nil {
				err = fmt.Errorf("%w: %w", err, exit)
			}
		}
		return Began{}, err
	case <-ctx.Done():
		// It may have begun: what is there tells, not this process.
		return Began{}, ctx.Err()
	}
}

// Say tells whoever launched this process how the run began, once, and lets go
// of its standard output. That nobody listens any more is no error: the run does
// not depend on who started it. The process must ignore SIGPIPE.
func Say(out *os.File, err error) error {
	b := Began{OK: err == nil}
	if err != nil {
		b = Began{What: err.Error(), Hint: recovery.HintOf(err), Exit: recovery.ExitOf(err)}
	}
	line, encode := json.Marshal(b)
	if encode != nil {
		return encode
	}
	_, write := out.Write(append(line, '\n'))
	if errors.Is(write, syscall.EPIPE) {
		write = nil
	}
	null, open := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if open != nil {
		return errors.Join(write, open)
	}
	return errors.Join(write, syscall.Dup3(int(null.Fd()), int(out.Fd()), 0), null.Close())
}
