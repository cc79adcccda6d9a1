// Package runner keeps a run: its directory, its journal, the process that
// carries it out and the sessions that watch it. It never interprets steps.
//
// A run's directory is complete, with plan.json and runbook.md, before anything
// else happens. [Launch] then starts a process for it that belongs to no
// terminal; front ends hold on to it by a Unix socket and may come and go. The
// process holds a lock on the journal for as long as it lives, so that a second
// one cannot write to it and a dead one is noticed: [Resume] goes on with what
// the journal says.
package runner

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/execute"
	"comeback/recovery/journal"
	"comeback/storage"
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
	// Uptime is as in execute.Options.
	Uptime func() time.Duration
	// Unattended says that nobody can be asked.
	Unattended bool
	// Operator, Host and Asserted are what the environment says.
	Operator, Host string
	Asserted       map[string]string
	Version        string
	// VerifyApproval checks a signature over a plan's digest.
	VerifyApproval func(key, planSHA256, signature string) (fingerprint string, err error)
	// Hold is asked before each step that changes live. It may be nil.
	Hold func(context.Context) error
	// Identify reads the identity of a live target.
	Identify func(context.Context, recovery.Target) (recovery.Identity, error)
	// Confirmed is the name of the plan's target as a person has typed it
	// before the run began; empty where nobody has.
	Confirmed string
	// Outage says since when the outage is, where somebody has said it before the run
	// began.
	Outage recovery.OutageNoted
	// Serve says that front ends in other processes may hold on to the run.
	Serve bool
	// Intent and Event are told of every event before and after it is
	// written. They may be nil.
	Intent func(recovery.Payload)
	Event  func(recovery.Event)
	// Finish is called with the run's directory when its journal is closed:
	// it writes the report.
	Finish func(dir string) error
	// Release gives the live targets back when nothing of the run is at work any
	// more: whoever waits for its end finds them free. That it cannot is told by Wait
	// alone, for the run has ended all the same. It may be nil.
	Release func() error
}

// Run is a run in this process. It implements recovery.Session for whoever
// started it.
type Run struct {
	Options
	dir    string
	exec   *execute.Executor
	cast   *broadcast
	server *server // nil where nobody else is served
	lease  leaseLock
	done   chan struct{}

	state recovery.State // when done
	err   error
}

// Begin begins a prepared run in this process: it writes its first event.
func Begin(ctx context.Context, o Options) (*Run, error) {
	b, err := os.ReadFile(filepath.Join(o.Home.RunDir(o.Plan.Run), recovery.PlanFile))
	if err != nil {
		return nil, fmt.Errorf("begin run %s: %w", o.Plan.Run, err)
	}
	if o.Confirmed != "" {
		if err := execute.CheckName(o.Plan, o.Confirmed); err != nil {
			return nil, err
		}
	}
	path := filepath.Join(o.Home.RunDir(o.Plan.Run), journal.Name)
	j, err := journal.Create(path, o.Plan.Runbook.SHA256)
	if err != nil {
		return nil, err
	}
	if err := o.Home.open(path, 0o640); err != nil {
		return nil, errors.Join(err, j.Close())
	}
	held, err := lock(path)
	if err != nil {
		return nil, errors.Join(refused(o.Plan.Run, path, err), j.Close())
	}
	return begin(ctx, o, j, held, nil, o.first(b)...)
}

// first are the payloads that open a run's journal.
func (o *Options) first(planJSON []byte) []recovery.Payload {
	started := o.started(planJSON)
	first := []recovery.Payload{started}
	if o.Confirmed != "" {
		first = append(first, recovery.Confirmed{Name: o.Confirmed, PlanSHA256: started.PlanSHA256, By: o.Operator, Loss: o.Plan.Effects().Gone})
	}
	if o.Outage.How != "" {
		outage := o.Outage
		outage.By = o.Operator
		first = append(first, outage)
	}
	return first
}

func (o *Options) started(planJSON []byte) recovery.RunStarted {
	sum := sha256.Sum256(planJSON)
	p := o.Plan
	return recovery.RunStarted{Run: p.Run, System: p.System, Mode: p.Mode, Number: p.Number, PlanSHA256: hex.EncodeToString(sum[:]),
		RunbookSHA256: p.Runbook.SHA256, Version: o.Version, Operator: o.Operator, Host: o.Host, BootID: bootID(), PID: os.Getpid(),
		Asserted: o.Asserted, Unattended: o.Unattended}
}

// report writes the report of a run that died after its end, if it is not whole.
func (o *Options) report(dir string) error {
	if reported(dir) || o.Finish == nil {
		return nil
	}
	return o.finish(dir)
}

// finish writes the report and, in a shared state, lets the group read it.
func (o *Options) finish(dir string) error {
	if err := o.Finish(dir); err != nil || !o.Home.shared() {
		return err
	}
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return o.Home.open(path, 0o770|fs.ModeSetgid)
		}
		return o.Home.open(path, 0o640)
	})
}

// begin records the first events and starts the executor. It closes the journal
// and gives up its lock when the run has ended or could not begin.
func begin(ctx context.Context, o Options, j *journal.Journal, held *os.File, past []recovery.Event, first ...recovery.Payload) (*Run, error) {
	r := &Run{Options: o, dir: o.Home.RunDir(o.Plan.Run), cast: newBroadcast(past), done: make(chan struct{})}
	if err := r.prepare(j, past, first); err != nil {
		if r.server != nil {
			err = errors.Join(err, r.server.close())
		}
		return nil, errors.Join(err, j.Close(), held.Close())
	}
	if r.server != nil {
		r.server.serve()
	}
	go func() {
		defer close(r.done)
		r.carryOut(ctx, j, held)
	}()
	return r, nil
}

// prepare makes the run's socket, records its first events and makes its executor.
func (r *Run) prepare(j *journal.Journal, past []recovery.Event, first []recovery.Payload) error {
	if r.Serve {
		var err error
		if r.server, err = listen(r); err != nil {
			return err
		}
	}
	s := recovery.NewState(r.Options.Plan)
	for _, e := range past {
		s = recovery.Fold(s, e)
	}
	for _, p := range first {
		e, err := r.record(j, p)
		if err != nil {
			return recovery.Errorf("make room or repair the disk, then: comeback resume "+r.Options.Plan.Run, "record the run: %w", err)
		}
		s = recovery.Fold(s, e)
		r.tell(e)
	}
	var err error
	r.exec, err = r.executor(j, s)
	return err
}

// record makes an event durable that the run begins or goes on with.
func (r *Run) record(j *journal.Journal, p recovery.Payload) (recovery.Event, error) {
	if r.Intent != nil {
		r.Intent(p)
	}
	e, err := recovery.NewEvent(r.Now(), p)
	if err != nil {
		return e, err
	}
	e.Data = r.Secrets.RedactJSON(e.Data)
	return j.Append(e)
}

// tell tells everybody of an event that is recorded.
func (r *Run) tell(e recovery.Event) {
	r.cast.event(e)
	if r.Event != nil {
		r.Event(e)
	}
}

// executor makes what carries out the rest of the run.
func (r *Run) executor(j *journal.Journal, s recovery.State) (*execute.Executor, error) {
	o := r.Options
	return execute.New(execute.Options{Plan: o.Plan, Dir: r.dir, Journal: j, State: s, Kinds: o.Kinds, Releasers: o.Releasers,
		OpenStore: o.OpenStore, Secrets: o.Secrets, Hidden: []string{o.Home.live()}, Owner: o.Owner, Now: o.Now, Uptime: o.Uptime, Unattended: o.Unattended,
		VerifyApproval: o.VerifyApproval, Hold: o.Hold, Identify: o.Identify, Watched: func() bool { return len(r.cast.here()) > 0 },
		Intent: o.Intent, Event: r.tell, Sample: r.cast.sample})
}

// carryOut carries the run out to its end and its report, and lets everybody go.
func (r *Run) carryOut(ctx context.Context, j *journal.Journal, held *os.File) {
	r.state, r.err = r.exec.Run(ctx)
	r.err = errors.Join(r.err, j.Close())
	released := r.giveBack()
	if r.err == nil && r.Finish != nil {
		r.err = r.finish(r.dir)
	}
	// Whoever reads the end finds nothing that belongs to a living run.
	notReleased := <-released
	r.err = errors.Join(r.err, r.Home.vanish(r.Options.Plan.Run, r.state.Result != ""), held.Close())
	called := r.call()
	r.cast.end(r.err)
	r.err = errors.Join(r.err, notReleased)
	if r.server != nil {
		r.err = errors.Join(r.err, r.server.close())
	}
	<-called
}

// giveBack gives the live targets back while the report is written, and tells once how that
// went.
func (r *Run) giveBack() <-chan error {
	released := make(chan error, 1)
	go func() {
		var err error
		if r.Release != nil {
			err = r.Release()
		}
		released <- err
	}()
	return released
}

// lastCall is how long those who watch are kept to see how the call of the run's end goes.
const lastCall = 3 * time.Second

// call tells of the run's end by the runbook's notify command; what it gives is closed when
// that has ended. It returns earlier where that hangs: nobody waits for its end but the
// process itself.
func (r *Run) call() <-chan struct{} {
	called := make(chan struct{})
	go func() {
		defer close(called)
		r.exec.CallEnded()
	}()
	timer := time.NewTimer(lastCall)
	defer timer.Stop()
	select {
	case <-called:
	case <-timer.C:
	}
	return called
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
func (r *Run) Samples(ctx context.Context) <-chan recovery.Sample {
	return r.cast.samples(ctx, recovery.Watcher{Operator: r.Operator, Terminal: "runner", Since: r.Now()})
}

// Wait returns when the run has ended and its report is written, with how it
// ended.
func (r *Run) Wait() (recovery.State, error) {
	<-r.done
	return r.state, r.err
}

// Done is closed when the run has ended and its report is written.
func (r *Run) Done() <-chan struct{} { return r.done }

func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "" // not every container shows it; the journal then says nothing
	}
	return strings.TrimSpace(string(b))
}
