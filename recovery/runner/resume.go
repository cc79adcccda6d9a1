package runner

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"comeback/recovery"
	"comeback/recovery/execute"
	"comeback/recovery/journal"
)

// Resume goes on, in this process, with a run whose runner died. It refuses
// while a runner lives, on another host than the one that it was begun on, and as another
// user than the one who began it. With a stop reason the run is not gone on with: all that
// it claimed is given back, by whomever, and its report is written.
func Resume(ctx context.Context, o Options, stop string) (*Run, error) {
	if o.Confirmed != "" {
		if err := execute.CheckName(o.Plan, o.Confirmed); err != nil {
			return nil, err
		}
	}
	l, err := o.find(stop)
	if err != nil {
		return nil, err
	}
	if l.state.Result != "" {
		return nil, o.endedAlready(l)
	}
	first, err := o.goesOn(l, stop)
	if err != nil {
		return nil, l.letGo(err)
	}
	return begin(ctx, o, l.journal, l.held, l.events, first...)
}

// left is a run as its dead runner has left it. Its journal is held by this process.
type left struct {
	dir     string
	held    *os.File
	journal *journal.Journal
	events  []recovery.Event
	state   recovery.State
}

// letGo lets others take the run up, because of an error.
func (l *left) letGo(err error) error { return errors.Join(err, l.journal.Close(), l.held.Close()) }

// find holds the journal of a run whose runner died, and reads what it says.
func (o *Options) find(stop string) (*left, error) {
	l := &left{dir: o.Home.RunDir(o.Plan.Run), state: recovery.NewState(o.Plan)}
	path := filepath.Join(l.dir, journal.Name)
	if err := o.createMissing(path); err != nil {
		return nil, err
	}
	// Before the lock is held nothing may be changed, the torn end of a line
	// that a living runner is writing least of all.
	var err error
	if l.held, err = lock(path); err != nil {
		return nil, refused(o.Plan.Run, path, err)
	}
	if stop == "" {
		if err := o.ours(l.held); err != nil {
			return nil, errors.Join(err, l.held.Close())
		}
	}
	if l.journal, l.events, err = journal.Open(path, o.Plan.Runbook.SHA256); err != nil {
		return nil, errors.Join(err, l.held.Close())
	}
	if err := samePlan(l.dir, l.events); err != nil {
		return nil, l.letGo(err)
	}
	for _, e := range l.events {
		l.state = recovery.Fold(l.state, e)
	}
	return l, nil
}

// createMissing makes the journal of a run whose runner died before it began.
func (o *Options) createMissing(path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return nil // who opens it finds out
	}
	j, err := journal.Create(path, o.Plan.Runbook.SHA256)
	if errors.Is(err, fs.ErrExist) { // another process takes it up too
		return nil
	}
	if err == nil {
		err = errors.Join(j.Close(), o.Home.open(path, 0o640))
	}
	return err
}

// endedAlready refuses a run that has ended, and finishes what its runner could not after that.
func (o *Options) endedAlready(l *left) error {
	if err := errors.Join(l.journal.Close(), o.report(l.dir), o.Home.vanish(o.Plan.Run, true), l.held.Close()); err != nil {
		return err
	}
	return recovery.Errorf("read its report: comeback report show "+o.Plan.Run, "run %s has ended already", o.Plan.Run).WithExit(recovery.Usage)
}

// goesOn are the payloads with which a run goes on, or begins where it never has.
func (o *Options) goesOn(l *left, stop string) ([]recovery.Payload, error) {
	first, err := o.takesUp(l, stop)
	switch {
	case err != nil:
		return nil, err
	case stop != "":
		return append(first, recovery.StopAsked{By: o.Operator, Reason: stop}), nil
	case o.Unattended:
		return first, o.confirmed(l.state, first)
	}
	return first, nil
}

// takesUp are the payloads that tell that a run is taken up.
func (o *Options) takesUp(l *left, stop string) ([]recovery.Payload, error) {
	if len(l.events) == 0 {
		b, err := os.ReadFile(filepath.Join(l.dir, recovery.PlanFile))
		if err != nil {
			return nil, err
		}
		return o.first(b), nil
	}
	if err := o.here(&l.state, stop); err != nil {
		return nil, err
	}
	artifacts, err := leftovers(l.dir, l.events)
	if err != nil {
		return nil, err
	}
	why, err := whyInterrupted(&l.state, stop)
	if err != nil {
		return nil, err
	}
	first := []recovery.Payload{recovery.RunResumed{PID: os.Getpid(), BootID: bootID(), Reason: why, Version: o.Version, By: o.Operator,
		Unattended: o.Unattended, Artifacts: artifacts}}
	if o.Confirmed != "" {
		first = append(first, recovery.Confirmed{Name: o.Confirmed, PlanSHA256: l.state.PlanSHA256, By: o.Operator, Loss: l.state.Gone()})
	}
	return first, nil
}

// whyInterrupted says why nobody ran the run, and ends what its blocks have left running. What
// it cannot judge of that it refuses to go on with; a stop does not wait for it.
func whyInterrupted(s *recovery.State, stop string) (string, error) {
	if s.BootID != bootID() {
		return "the host was started again", nil
	}
	why := "its runner had died"
	unknown, err := execute.EndBlocks(s)
	switch {
	case err != nil && stop != "":
		return why + "; " + err.Error(), nil
	case err != nil:
		return "", err
	case stop == "":
		return why, execute.Unjudged(s, unknown)
	case len(unknown) > 0: // nothing is run again, and what is live cannot wait
		return why + "; it has left " + execute.Named(unknown), nil
	}
	return why, nil
}

// confirmed refuses what could not change live once these payloads are recorded.
func (o *Options) confirmed(s recovery.State, first []recovery.Payload) error {
	for _, p := range first {
		e, err := recovery.NewEvent(o.Now(), p)
		if err != nil {
			return err
		}
		e.Seq = s.Seq + 1
		s = recovery.Fold(s, e)
	}
	return execute.Confirmed(o.Plan, &s)
}

// samePlan refuses a plan that is not, byte for byte, the one that the run began
// with.
func samePlan(dir string, events []recovery.Event) error {
	if len(events) == 0 {
		return nil
	}
	p, _ := events[0].Payload()
	started, ok := p.(recovery.RunStarted)
	if !ok {
		return recovery.Errorf("look at it with the version of comeback that wrote it", "the journal begins with %q, not with the run's start", events[0].Type)
	}
	b, err := os.ReadFile(filepath.Join(dir, recovery.PlanFile))
	if err != nil {
		return fmt.Errorf("read the plan: %w", err)
	}
	if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != started.PlanSHA256 {
		return recovery.Errorf("find out who changed it", "refused: plan.json is not what run %s began with: its SHA-256 is %x, the journal says %s",
			started.Run, sum, started.PlanSHA256).WithExit(recovery.Refused)
	}
	return nil
}
