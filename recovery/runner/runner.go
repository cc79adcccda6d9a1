// Package runner keeps a run: its directory, its journal, the executor that
// carries it out and the sessions that watch it. It never interprets steps.
//
// A run's directory is made before anything else happens and holds plan.json
// and runbook.md before the first event. The runner holds a lock on the journal
// for as long as it lives, so that a second one cannot write to it and a dead
// one is noticed.
package runner

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"comeback/recovery"
	"comeback/recovery/execute"
	"comeback/recovery/journal"
	"comeback/recovery/plan"
	"comeback/storage"

	"golang.org/x/sys/unix"
)

// Options are what a run needs beside its plan.
type Options struct {
	Home Home
	// Plan's run has an id that Home chose.
	Plan *recovery.Plan
	// Runbook is the bytes that the plan was made from.
	Runbook   []byte
	Kinds     []recovery.Kind
	Releasers []recovery.Releaser
	OpenStore func(context.Context, recovery.Copy) (storage.Store, error)
	Secrets   *execute.Secrets
	Owner     recovery.User
	Now       func() time.Time
	// Unattended says that nobody can be asked.
	Unattended bool
	// Operator, Host and Asserted are what the environment says.
	Operator, Host string
	Asserted       map[string]string
	Version        string
	// Finish is called with the run's directory when its journal is closed:
	// it writes the report.
	Finish func(dir string) error
}

// Run is a run in this process. It implements recovery.Session.
type Run struct {
	Options
	dir  string
	exec *execute.Executor
	cast *broadcast
	done chan struct{}

	state recovery.State // when done
	err   error
}

// Start makes the run's directory complete, writes its first event and begins.
// The end of ctx interrupts the run, which then stops in order.
func Start(ctx context.Context, o Options) (*Run, error) {
	b, err := plan.Encode(o.Plan)
	if err != nil {
		return nil, err
	}
	if err := o.Home.reserve(o.Plan.Run); err != nil {
		return nil, err
	}
	dir := o.Home.RunDir(o.Plan.Run)
	for name, content := range map[string][]byte{"plan.json": b, "runbook.md": o.Runbook} {
		if err := writeFile(filepath.Join(dir, name), content); err != nil {
			return nil, recovery.Errorf("make room, or set COMEBACK_STATE to another directory", "record the run: %w", err)
		}
	}
	path := filepath.Join(dir, journal.Name)
	j, err := journal.Create(path, o.Plan.Runbook.SHA256)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b)
	started := recovery.RunStarted{Run: o.Plan.Run, System: o.Plan.System, Mode: o.Plan.Mode, Number: o.Plan.Number,
		PlanSHA256: hex.EncodeToString(sum[:]), RunbookSHA256: o.Plan.Runbook.SHA256, Version: o.Version,
		Operator: o.Operator, Host: o.Host, BootID: bootID(), PID: os.Getpid(), Asserted: o.Asserted}
	return begin(ctx, o, dir, j, recovery.NewState(o.Plan), nil, started)
}

// End ends a run whose runner died: everything that it claimed is given back
// and its report is written. It refuses while a runner lives.
func End(ctx context.Context, o Options, reason string) (*Run, error) {
	dir := o.Home.RunDir(o.Plan.Run)
	j, events, err := journal.Open(filepath.Join(dir, journal.Name), o.Plan.Runbook.SHA256)
	if err != nil {
		return nil, err
	}
	s := recovery.NewState(o.Plan)
	for _, e := range events {
		s = recovery.Fold(s, e)
	}
	if s.Result != "" {
		j.Close()
		return nil, recovery.Errorf("read its report: comeback report show "+o.Plan.Run, "run %s has ended already", o.Plan.Run).WithExit(recovery.Usage)
	}
	return begin(ctx, o, dir, j, s, events,
		recovery.RunResumed{PID: os.Getpid(), BootID: bootID(), Reason: "its runner had died"},
		recovery.StopAsked{By: o.Operator, Reason: reason})
}

// begin locks the journal, records the first events and starts the executor.
func begin(ctx context.Context, o Options, dir string, j *journal.Journal, s recovery.State, past []recovery.Event, first ...recovery.Payload) (*Run, error) {
	lock, err := lock(filepath.Join(dir, journal.Name))
	if err != nil {
		j.Close()
		return nil, recovery.Errorf("watch it with: comeback status "+o.Plan.Run, "run %s has a runner: %w", o.Plan.Run, err).WithExit(recovery.Refused)
	}
	r := &Run{Options: o, dir: dir, cast: newBroadcast(past), done: make(chan struct{})}
	for _, p := range first {
		e, err := recovery.NewEvent(o.Now(), p)
		if err == nil {
			e.Data = o.Secrets.RedactJSON(e.Data)
			e, err = j.Append(e)
		}
		if err != nil {
			return nil, errors.Join(err, j.Close(), lock.Close())
		}
		s = recovery.Fold(s, e)
		r.cast.event(e)
	}
	r.exec, err = execute.New(execute.Options{Plan: o.Plan, Dir: dir, Journal: j, State: s, Kinds: o.Kinds, Releasers: o.Releasers,
		OpenStore: o.OpenStore, Secrets: o.Secrets, Owner: o.Owner, Now: o.Now, Unattended: o.Unattended,
		Event: r.cast.event, Sample: r.cast.sample})
	if err != nil {
		return nil, errors.Join(err, j.Close(), lock.Close())
	}
	go func() {
		defer close(r.done)
		defer r.cast.end()
		r.state, r.err = r.exec.Run(ctx)
		r.err = errors.Join(r.err, j.Close())
		if r.err == nil && o.Finish != nil {
			r.err = o.Finish(dir)
		}
		r.err = errors.Join(r.err, lock.Close())
	}()
	return r, nil
}

// Plan is what the run executes.
func (r *Run) Plan() *recovery.Plan { return r.Options.Plan }

// Dir is the run's directory.
func (r *Run) Dir() string { return r.dir }

// State is what the run's events fold to so far.
func (r *Run) State(context.Context) (recovery.State, error) { return r.exec.State(), nil }

// Events yields the run's events from a sequence number on, until the run has
// ended and its report is written.
func (r *Run) Events(ctx context.Context, from uint64) iter.Seq2[recovery.Event, error] {
	return r.cast.events(ctx, from)
}

// Samples shows the running steps; what is not read in time is dropped.
func (r *Run) Samples(ctx context.Context) <-chan recovery.Sample { return r.cast.samples(ctx) }

// Do asks the run for something.
func (r *Run) Do(_ context.Context, c recovery.Command) error { return r.exec.Do(c) }

// Wait returns when the run has ended and its report is written, with how it
// ended.
func (r *Run) Wait() (recovery.State, error) {
	<-r.done
	return r.state, r.err
}

// Done is closed when the run has ended and its report is written.
func (r *Run) Done() <-chan struct{} { return r.done }

// writeFile makes a new file, durable when it returns.
func writeFile(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// lock holds a journal for this process; closing the file gives it up.
func lock(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock its journal: %w", err)
	}
	return f, nil
}

func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "" // not every container shows it; the journal then says nothing
	}
	return strings.TrimSpace(string(b))
}

// broadcast hands a run's events to any number of watchers, each at its own
// pace, and its samples to those who keep up.
type broadcast struct {
	mu      sync.Mutex
	all     []recovery.Event
	ended   bool
	more    chan struct{} // closed and replaced with every event
	viewers map[chan recovery.Sample]struct{}
}

func newBroadcast(past []recovery.Event) *broadcast {
	return &broadcast{all: past, more: make(chan struct{}), viewers: map[chan recovery.Sample]struct{}{}}
}

func (b *broadcast) event(e recovery.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = append(b.all, e)
	close(b.more)
	b.more = make(chan struct{})
}

func (b *broadcast) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	close(b.more)
	b.more = make(chan struct{})
	for v := range b.viewers {
		close(v)
	}
	clear(b.viewers)
}

func (b *broadcast) events(ctx context.Context, from uint64) iter.Seq2[recovery.Event, error] {
	return func(yield func(recovery.Event, error) bool) {
		next := max(from, 1)
		for {
			b.mu.Lock()
			var batch []recovery.Event
			if int(next) <= len(b.all) {
				batch = b.all[next-1:]
			}
			ended, more := b.ended, b.more
			b.mu.Unlock()
			for _, e := range batch {
				if !yield(e, nil) {
					return
				}
				next = e.Seq + 1
			}
			if len(batch) > 0 {
				continue
			}
			if ended {
				return
			}
			select {
			case <-more:
			case <-ctx.Done():
				yield(recovery.Event{}, ctx.Err())
				return
			}
		}
	}
}

// sampleBuffer is how many samples a slow viewer may be behind before it
// misses some.
const sampleBuffer = 64

func (b *broadcast) samples(ctx context.Context) <-chan recovery.Sample {
	v := make(chan recovery.Sample, sampleBuffer)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		close(v)
		return v
	}
	b.viewers[v] = struct{}{}
	context.AfterFunc(ctx, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if _, ok := b.viewers[v]; ok {
			delete(b.viewers, v)
			close(v)
		}
	})
	return v
}

func (b *broadcast) sample(s recovery.Sample) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for v := range b.viewers {
		select {
		case v <- s:
		default:
		}
	}
}
