package push

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"comeback/recovery"
	"comeback/recovery/isolation"
	"comeback/recovery/pitr/walfile"
)

// ReceiveOptions say where the log comes from, for servers whose archive_command
// nobody may set.
type ReceiveOptions struct {
	Options
	// Server says how the server is reached. It is asked while what lies in Dir is
	// pushed, which needs no server.
	Server func(context.Context) (Server, error)
	// Slot is the replication slot that keeps the log until it is received.
	Slot string
	// Dir is where segments lie until the copies have them. What is flushed there
	// the server may forget: it must be on a disk that lasts.
	Dir string
	// Log is told what goes wrong on the way, and what the program says.
	Log func(text string)
	// Pushed is told of every segment that the copies have; it may be nil.
	Pushed func(name string)
}

// Server is how a server's log is received: by which pg_receivewal, which address and
// environment.
type Server struct {
	Program, Conninfo string
	Env               []string
	// Log asks what it sends. The slot is there.
	Log func(ctx context.Context, slot string) (Log, error)
}

// How often finished segments are looked for, how long is waited at most where the
// copies refuse them, and how long a receiver may take to end when it is asked to.
const (
	lookEach    = 500 * time.Millisecond
	lookAtLeast = 30 * time.Second
	receiveTime = 30 * time.Second
)

// pause is how long is waited before finished segments are looked for once more, after
// so many times in a row that copies refused them.
func pause(refused int) time.Duration { return min(lookAtLeast, lookEach<<min(refused, 10)) }

// Receive lets pg_receivewal follow a server through its slot, and pushes each
// segment that it has finished into the copies, as an archive_command would, until
// ctx ends. The newest finished segment stays in Dir, because pg_receivewal goes on
// from there. An interruption leaves segments in Dir that the next start pushes, also
// where the server does not answer any more: what was received may be all that there is.
// Where a server was restored to before what was received, that is put aside within Dir, never
// removed, and what the server writes now is received.
func Receive(ctx context.Context, o ReceiveOptions) error {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return fmt.Errorf("receive the log: %w", err)
	}
	hold, err := holdDir(o.Dir)
	if err != nil {
		return err
	}
	defer hold.Close()
	forgetMarks(o.Dir)
	receiving, stop := context.WithCancel(ctx)
	defer stop()
	pushing, enough := context.WithCancel(ctx)
	defer enough()
	ended := make(chan error, 1)
	var one sync.Mutex
	pushFinished := func(ctx context.Context) error {
		one.Lock()
		defer one.Unlock()
		return o.pushFinished(ctx)
	}
	go func() {
		ended <- o.follow(receiving, pushFinished)
		// Whoever starts it again receives beside pushing: a push under way does not hold
		// that up for long.
		late := time.NewTimer(receiveTime)
		defer late.Stop()
		select {
		case <-late.C:
			enough()
		case <-pushing.Done():
		}
	}()
	look, refused := time.NewTimer(0), 0
	defer look.Stop()
	for {
		select {
		case err := <-ended:
			stop()
			// What has come is pushed, also when no more does; the next start goes on with
			// what is left.
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), receiveTime)
			defer cancel()
			failed := pushFinished(last)
			if ctx.Err() == nil {
				failed = errors.Join(err, failed)
			}
			return failed
		case <-look.C:
			err := pushFinished(pushing)
			if refused++; err == nil {
				refused = 0
			} else if ctx.Err() == nil {
				o.Log(err.Error()) // the segment stays, and is pushed again
			}
			look.Reset(pause(refused))
		}
	}
}

// follow receives until the server or pg_receivewal ends it: it never ends without an
// error. Push pushes what is finished.
func (o ReceiveOptions) follow(ctx context.Context, push func(context.Context) error) error {
	s, err := o.Server(ctx)
	if err != nil {
		return err
	}
	if err := runProgram(s.command(ctx, "--create-slot", "--if-not-exists", "--slot", o.Slot), o.Log); err != nil {
		return recovery.Errorf("let the role replicate (alter role … replication), allow it in pg_hba.conf for replication, and let max_replication_slots have room",
			"make the slot %s: %w", o.Slot, err)
	}
	l, err := s.Log(ctx, o.Slot)
	if err != nil {
		return err
	}
	if err := o.leaveStrayed(ctx, l, push); err != nil {
		return err
	}
	err = runProgram(s.command(ctx, "--directory", o.Dir, "--slot", o.Slot, "--no-loop"), o.Log)
	return recovery.Errorf("see what it says; started again, it goes on where it was", "the receiver has ended: %w", orEnded(err))
}

func orEnded(err error) error {
	if err == nil {
		return errors.New("pg_receivewal ended by itself")
	}
	return err
}

// command runs pg_receivewal against the server.
func (s Server) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := isolation.Command(ctx, recovery.Cmd{Path: s.Program, Args: append([]string{"--dbname", s.Conninfo, "--no-password"}, args...), Env: s.Env, Dir: "/", Grace: receiveTime})
	isolation.EndBy(cmd, syscall.SIGINT) // on which it ends in order, on every major
	return cmd
}

// runProgram runs it to its end; the error has its last words.
func runProgram(cmd *exec.Cmd, log func(string)) error {
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	var last string
	read := make(chan struct{})
	go func() {
		defer close(read)
		b, rest := make([]byte, 4<<10), ""
		for {
			n, err := r.Read(b)
			rest += string(b[:n])
			for {
				line, more, found := strings.Cut(rest, "\n")
				if !found {
					break
				}
				last, rest = line, more
				log(line)
			}
			if err != nil {
				return
			}
		}
	}()
	err := isolation.RunGroup(cmd, nil)
	w.Close()
	<-read
	if err != nil && last != "" {
		return fmt.Errorf("%s (%w)", last, err)
	}
	return err
}

// pushFinished pushes what pg_receivewal has finished, the oldest first, and removes
// what the copies have, but for the newest segment.
func (o ReceiveOptions) pushFinished(ctx context.Context) error {
	entries, err := os.ReadDir(o.Dir)
	if err != nil {
		return fmt.Errorf("look for segments: %w", err)
	}
	names, newest := finished(entries)
	for _, name := range names {
		path := filepath.Join(o.Dir, name)
		mark := pushedMark(o.Dir, name)
		if _, err := os.Stat(mark); err != nil {
			if _, err := Push(ctx, o.Options, path); err != nil {
				return err
			}
			if err := os.WriteFile(mark, nil, 0o600); err != nil {
				return fmt.Errorf("note that %s was pushed: %w", name, err)
			}
			if o.Pushed != nil {
				o.Pushed(name)
			}
		}
		if name != newest {
			// The mark first: without it the segment is pushed again, and found there.
			err := os.Remove(mark)
			if err == nil {
				err = os.Remove(path)
			}
			if err != nil {
				return fmt.Errorf("remove a segment that the copies have: %w", err)
			}
		}
	}
	return nil
}

// finished are the files that pg_receivewal has come to the end of, the oldest first, and
// the newest segment of them.
func finished(entries []os.DirEntry) (names []string, newest string) {
	for _, e := range entries {
		f, ok := walfile.Parse(e.Name())
		if ok && (f.Kind == walfile.Segment || f.Kind == walfile.History) {
			names = append(names, e.Name())
			if f.Kind == walfile.Segment {
				newest = max(newest, e.Name())
			}
		}
	}
	slices.Sort(names)
	return names, newest
}

// pushedMark lies beside a file of a directory that the copies have.
func pushedMark(dir, name string) string { return filepath.Join(dir, "."+name+".pushed") }

// forgetMarks removes marks whose segments are gone, removed by hand: another cluster, or
// another recovery, may come to their names.
func forgetMarks(dir string) {
	marks, err := filepath.Glob(filepath.Join(dir, ".*.pushed"))
	if err != nil {
		return
	}
	for _, m := range marks {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(m), "."), ".pushed")
		if _, err := os.Lstat(filepath.Join(dir, name)); errors.Is(err, fs.ErrNotExist) {
			_ = os.Remove(m)
		}
	}
}

// holdDir keeps two receivers from one directory.
func holdDir(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("receive the log: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(recovery.Errorf("let that one go on", "refused: another receiver is at work in %s", dir).WithExit(recovery.Refused), f.Close())
	}
	return f, nil
}
