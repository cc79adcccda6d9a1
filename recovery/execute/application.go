package execute

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"comeback/recovery"
	"comeback/recovery/isolation"
)

// applications are those that run, by their names; nil is one that could not be
// shut off from production, and so was not started. It is safe for concurrent use, and ready
// as its zero value.
type applications struct {
	mu    sync.Mutex
	named map[string]*application
}

func (all *applications) of(name string) (*application, bool) {
	all.mu.Lock()
	defer all.mu.Unlock()
	a, ok := all.named[name]
	return a, ok
}

func (all *applications) keep(name string, a *application) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.named == nil {
		all.named = map[string]*application{}
	}
	all.named[name] = a
}

func (all *applications) forget(name string) {
	all.mu.Lock()
	defer all.mu.Unlock()
	delete(all.named, name)
}

// list gives those that run, in the order of their names.
func (all *applications) list() []*application {
	all.mu.Lock()
	defer all.mu.Unlock()
	var list []*application
	for _, name := range slices.Sorted(maps.Keys(all.named)) {
		if a := all.named[name]; a != nil {
			list = append(list, a)
		}
	}
	return list
}

// application is a program that runs beside the steps.
type application struct {
	name   string
	cancel context.CancelFunc
	door   *isolation.Door
	log    *stepsLog
	scribe *scribe // writes it
	last   *tailWriter
	// said is closed when a line has the text that was waited for, done when the
	// program and all that it started have ended; err is how.
	said, done chan struct{}
	err        error
	logged     error
}

// launch starts a block and returns when it runs. What it writes goes to an
// artifact of its own; until the step has ended it is shown, too.
func (x *Executor) launch(ctx context.Context, e *env, b block, s recovery.Step, lock, text string) (*application, error) {
	if err := b.script.verify(); err != nil {
		return nil, err
	}
	alive, err := lockFile(lock)
	if err != nil {
		return nil, err
	}
	defer alive.Close() // init has it
	a := &application{name: b.args.Name, last: &tailWriter{}, said: make(chan struct{}), done: make(chan struct{})}
	if a.door, err = isolation.NewDoor(); err != nil {
		return nil, err
	}
	if a.log, err = createLog(x.Dir, strings.TrimSuffix(logName(s.ID, e.meter.attempt), ".log")+".output.log", x.KeptOfLog); err != nil {
		return nil, errors.Join(err, a.door.Close())
	}
	var once sync.Once
	a.scribe = newScribe(x.Now, func() (logFile, error) { return a.log, nil }, func(lines ...string) {
		e.meter.show(lines...)
		if slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, text) }) {
			once.Do(func() { close(a.said) })
		}
	})
	out := newScreen(func(line string) {
		line = x.Secrets.Redact(line)
		a.last.add(line)
		a.scribe.say(line)
	}, nil)
	living, cancel := context.WithCancel(context.Background())
	a.cancel = cancel
	cmd := isolation.Command(living, recovery.Cmd{Path: b.interpreter(), Args: []string{"-eu", b.script.path}, Dir: "/", Env: b.environ})
	cmd.Stdout, cmd.Stderr = out, out
	box := e.Box()
	box.Processes, box.Door, box.Alive = true, a.door, alive
	others, err := x.passages(ctx, &box)
	if err != nil {
		cancel()
		return nil, errors.Join(err, a.log.Close(), os.Remove(filepath.Join(x.Dir, recovery.ArtifactsDir, a.log.name)), a.door.Close())
	}
	runs := make(chan error, 1)
	go func() {
		defer close(a.done)
		a.err = isolation.RunGroup(cmd, func() error {
			err := others.start(living, box, cmd)
			runs <- err
			return err
		})
		out.flush()
		a.scribe.end()
		a.logged = errors.Join(a.scribe.failed, others.close(), a.log.Close(), a.door.Close())
	}()
	if err := <-runs; err != nil {
		cancel()
		<-a.done
		return nil, errors.Join(err, os.Remove(filepath.Join(x.Dir, recovery.ArtifactsDir, a.log.name)))
	}
	return a, nil
}

// over reports whether the application has ended.
func (a *application) over() bool {
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}

// how says how it ended, with its last words.
func (a *application) how() string {
	how := "exit status 0"
	if a.err != nil {
		how = a.err.Error()
	}
	if said := shorten(a.last.String()); said != "" {
		how += ": " + said
	}
	return how
}

// kept is the record of what it has written, once it has ended.
func (a *application) kept() []recovery.Artifact { return []recovery.Artifact{a.log.record()} }

// end ends an application that runs in this process, in order and then by force,
// and returns when nothing of it is left.
func (x *Executor) end(name string) (*application, error) {
	a, ok := x.started.of(name)
	if !ok || a == nil {
		return nil, nil
	}
	a.cancel()
	<-a.done
	x.started.forget(name)
	if a.logged != nil {
		return a, fmt.Errorf("keep what %s has written: %w", name, a.logged)
	}
	return a, nil
}

// endApplication gives back applications. One of this process is stopped; one of a
// runner that died has ended with it, which the lock on its file proves.
type endApplication struct{ x *Executor }

func (endApplication) Resource() recovery.ResourceKind { return recovery.Application }

func (k endApplication) Release(ctx context.Context, r recovery.Resource) error {
	_, err := k.x.end(r.Details["name"])
	if err != nil {
		return err
	}
	return provenEnded(ctx, r.ID)
}

// giveBackApplication gives one back before its run ends.
func (x *Executor) giveBackApplication(ctx context.Context, r recovery.Resource) error {
	if err := (endApplication{x}).Release(ctx, r); err != nil {
		return err
	}
	return x.record(recovery.ClaimReleased{Resource: r})
}

// endings is how long the kernel may take to end what a dead runner had started.
const endings = 10 * time.Second

// provenEnded removes an application's file when nobody holds it any more.
func provenEnded(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, endings)
	defer cancel()
	for {
		f, err := lockFile(path)
		if err == nil {
			return errors.Join(os.Remove(path), f.Close())
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		select {
		case <-ctx.Done():
			return recovery.Errorf("look for it with: fuser "+path, "it still runs: %s is locked", path)
		case <-time.After(knocks):
		}
	}
}

// lockFile opens and locks an application's file.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, fs.FileMode(0o600))
	if err != nil {
		return nil, fmt.Errorf("lock an application's file: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock an application's file: %w", err), f.Close())
	}
	return f, nil
}
