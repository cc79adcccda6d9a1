package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/recovery/exclusive"
	"comeback/recovery/isolation"
	"comeback/recovery/limits"
	"comeback/recovery/runner"
	"comeback/storage"
)

// runnerCommand is what this program executes itself as, to carry out a run
// that has no terminal.
func (a *app) runnerCommand() *cobra.Command {
	var o serving
	var outage string
	cmd := &cobra.Command{
		Use: "runner start|resume RUN", Short: "Carry out a prepared run (started by comeback itself)", Hidden: true,
		Args: cobra.ExactArgs(2), Example: "  comeback runner resume 7c31",
		RunE: func(cmd *cobra.Command, args []string) error {
			o.act, o.run = args[0], args[1]
			if outage != "" {
				if err := json.Unmarshal([]byte(outage), &o.outage); err != nil {
					return usage("it is given by comeback itself", "--outage is no JSON: %w", err)
				}
			}
			return a.serve(cmd.Context(), o)
		},
	}
	cmd.Flags().BoolVar(&o.unattended, "unattended", false, "nobody can be asked")
	cmd.Flags().StringVar(&o.confirm, "confirm", "", "the `NAME` of the target, as a person has typed it")
	cmd.Flags().StringVar(&outage, "outage", "", "since when the outage is, as `JSON`")
	sizeVar(cmd.Flags(), &o.limits.Disk, "max-disk", "stop when it takes more of the disk than `SIZE`")
	sizeVar(cmd.Flags(), &o.limits.Memory, "min-memory", "stop when less than half of `SIZE` of memory is free")
	cmd.Flags().IntVar(&o.tether, "tether", 0, "stop when the process `PID` has ended")
	return cmd
}

// serving is what a runner process was started for.
type serving struct {
	act, run   string
	unattended bool
	confirm    string
	outage     recovery.OutageNoted
	limits     limits.Limits
	tether     int
}

// serve is the whole life of a runner process. What happens to it after it has
// said that the run began is told by the journal.
func (a *app) serve(ctx context.Context, o serving) error {
	// No terminal is its own: the end of one means nothing to it.
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT)
	// A service of the operator's shell is another server's address, and is read
	// even where the address of a restored one leaves nothing open.
	if err := os.Unsetenv("PGSERVICE"); err != nil {
		return fmt.Errorf("forget PGSERVICE: %w", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if o.tether > 0 {
		ended, err := afterProcess(o.tether)
		if err != nil {
			return err
		}
		go func() {
			<-ended
			cancel(fmt.Errorf("interrupted by the end of process %d", o.tether))
		}()
	}
	run, told, err := a.beginRun(ctx, o)
	if err == nil && o.limits != (limits.Limits{}) {
		go o.limits.Watch(ctx, ownScratch(run.Plan()), cancel)
	}
	if out, ok := a.out.(*os.File); ok {
		err = errors.Join(err, runner.Say(out, err))
	}
	if err != nil {
		return errors.Join(err, a.fileRefused(context.WithoutCancel(ctx), o.run))
	}
	s, err := run.Wait()
	err = errors.Join(err, a.fileHead(context.WithoutCancel(ctx), run.Dir(), run.Plan(), s))
	if <-told; err != nil {
		return err
	}
	if s.Exit != recovery.CameBack {
		return &exitError{s.Exit}
	}
	return nil
}

// beginRun takes the sole right to the live targets of a run and begins it; they are
// given back with its end. told is closed when the copies have been told of that, too.
func (a *app) beginRun(ctx context.Context, asked serving) (run *runner.Run, told <-chan struct{}, err error) {
	r, err := a.load(asked.run)
	if err != nil {
		return nil, nil, err
	}
	o, err := a.runnerOptions(r.Plan, a.secrets.For(r.Plan.Needs))
	if err != nil {
		return nil, nil, err
	}
	o.Unattended, o.Serve, o.Confirmed = asked.unattended, true, asked.confirm
	o.Outage = asked.outage
	hold, err := a.hold(ctx, o)
	if err != nil {
		if asked.act == runner.ActStart && recovery.ExitOf(err) == recovery.Refused {
			err = errors.Join(err, runner.Refuse(o, err))
		}
		return nil, nil, err
	}
	o.Hold = hold.Check
	release := func() error { return hold.Release(context.WithoutCancel(ctx)) }
	o.Release = release
	restores := a.restores(o)
	remarks := append(hold.Remarks(), restores.Remarks(restores.Say(ctx, r.State.Moment.Points))...)
	switch asked.act {
	case runner.ActStart:
		run, err = runner.Begin(ctx, o)
	case runner.ActResume:
		run, err = runner.Resume(ctx, o, "")
	default:
		err = usage("it is started by comeback itself", "a runner starts or resumes, it does not %q", asked.act)
	}
	if err != nil {
		if asked.act == runner.ActStart { // else another process may be at work on it
			restores.End(context.WithoutCancel(ctx))
		}
		return nil, nil, errors.Join(err, release())
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		restores.Follow(context.WithoutCancel(ctx), run)
	}()
	for _, text := range remarks {
		if err := run.Do(ctx, recovery.Command{Kind: recovery.DoNote, By: recovery.Program, Text: text}); err != nil {
			break // the run has ended already, for a reason of its own
		}
	}
	return run, over, nil
}

// restores tells the copies what a run restores from them.
func (a *app) restores(o runner.Options) *backup.Restores {
	return backup.NewRestores(backup.RestoresOptions{Plan: o.Plan, Host: o.Host, State: o.Home.Dir, OpenStore: o.OpenStore, Now: a.now})
}

// hold takes the sole right to work on a plan's live targets, on this host and,
// where a copy allows it, on all.
func (a *app) hold(ctx context.Context, o runner.Options) (*exclusive.Hold, error) {
	p := o.Plan
	if slices.ContainsFunc(p.GivesBack, func(r recovery.Resource) bool { return r.Kind.Closes() }) {
		parent, err := a.load(p.Parent)
		if err != nil {
			return nil, err
		}
		p = parent.Plan // nobody else may be at work on what is opened
	}
	targets := exclusive.Targets(p, o.Host)
	var stores []storage.Store
	for _, c := range p.Copies {
		if len(targets) == 0 {
			break
		}
		// A copy that cannot be opened keeps nobody out; the steps that need
		// it say what is wrong with it.
		if s, err := o.OpenStore(ctx, c); err == nil {
			stores = append(stores, storage.Current(s))
		}
	}
	return exclusive.Take(ctx, targets, exclusive.Options{Dir: filepath.Join(o.Home.Dir, "locks"), Stores: stores, Now: a.now,
		Holder: exclusive.Holder{Run: o.Plan.Run, Operator: o.Operator, Host: o.Host, PID: os.Getpid()}})
}

// afterProcess is closed when a process has ended.
func afterProcess(pid int) (<-chan struct{}, error) {
	ended := make(chan struct{})
	p, err := isolation.OpenProcess(pid)
	if errors.Is(err, os.ErrProcessDone) {
		close(ended)
		return ended, nil
	}
	if err != nil {
		return nil, err
	}
	go func() {
		defer close(ended)
		defer p.Close()
		_, _ = p.Wait(isolation.Forever) // what cannot be waited for is taken to have ended
	}()
	return ended, nil
}

// start prepares a plan's run and starts a process for it, as a launch says that leaves the
// run open.
func (a *app) start(ctx context.Context, b *book, p *recovery.Plan, terminal string, l runner.Launch) (attached, error) {
	home, err := a.home()
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err // nothing was begun
	}
	if err := runner.Prepare(home, p, b.bytes); err != nil {
		return nil, err
	}
	l.Home, l.Run, l.Act = home, p.Run, runner.ActStart
	return a.launch(ctx, l, terminal, nil)
}

// attached is a hold on a run that this program has started.
type attached interface {
	recovery.Session
	Close()
}

// pastRun is a run that had ended before anybody could attach to it.
type pastRun struct{ recovery.Session }

func (pastRun) Close() {}

// launch starts a process for a run and attaches to it. Values are secrets that
// were typed in. A short run may have ended before that: then it is what it has
// written.
func (a *app) launch(ctx context.Context, l runner.Launch, terminal string, values map[string]string) (attached, error) {
	env := a.with("COMEBACK_STATE", l.Home.Dir)
	for name, v := range values {
		env = append(env, name+"="+v)
	}
	exe, err := filepath.Abs(executable())
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	l.Exe, l.Args, l.Env, l.Tether = exe, []string{"runner"}, env, a.tether
	ctx, done := beginning(ctx)
	defer done()
	if err := l.Spawn(ctx); err != nil {
		return nil, err
	}
	if a.spawned != nil {
		a.spawned()
	}
	client, err := l.Home.Dial(ctx, l.Run, a.viewer(terminal))
	if err == nil {
		return client, nil
	}
	r, errPast := a.load(l.Run)
	switch {
	case errPast != nil || r.State.Result == "":
		return nil, err
	case r.Alive: // its report is being written
		return pastRun{r.Follow(err)}, nil
	}
	return pastRun{r.Replay()}, nil
}

// patience is how long an interruption waits for a run to begin.
const patience = 30 * time.Second

// beginning is a context for the beginning of a run. It goes on for a while when that of
// the command has ended: a run that has begun must be asked to stop, and can be only by
// who is attached to it; else it would go on without anybody.
func beginning(ctx context.Context) (context.Context, func()) {
	begins, cancel := context.WithCancel(context.WithoutCancel(ctx))
	left := context.AfterFunc(ctx, func() {
		wait := time.NewTimer(patience)
		defer wait.Stop()
		select {
		case <-wait.C:
			cancel()
		case <-begins.Done():
		}
	})
	return begins, func() { left(); cancel() }
}

// with is the program's environment with one variable set.
func (a *app) with(name, value string) []string {
	env := slices.DeleteFunc(slices.Clone(a.environ), func(kv string) bool { return strings.HasPrefix(kv, name+"=") })
	return append(env, name+"="+value)
}

func (a *app) viewer(terminal string) runner.Viewer {
	return runner.Viewer{Operator: a.operator(), Terminal: terminal}
}

// session is a hold on a run, however it stands: on a living one by its runner,
// or by its journal where the runner does not understand us; on any other by
// what it has written.
func (a *app) session(ctx context.Context, id, terminal string) (recovery.Session, error) {
	home, err := a.home()
	if err != nil {
		return nil, err
	}
	// The journal of a living run may be long, and its runner knows it.
	r, err := home.Look(id)
	if err == nil {
		err = r.Problem
	}
	if err != nil {
		return nil, err
	}
	var why error
	if r.Alive {
		client, err := home.Dial(ctx, id, a.viewer(terminal))
		if err == nil {
			return client, nil
		}
		why = err
	}
	// It has ended, perhaps just now, or died, or speaks otherwise.
	if r, err = a.load(id); err != nil {
		return nil, err
	}
	if r.Alive && why != nil {
		return r.Follow(why), nil
	}
	return r.Replay(), nil
}
