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
	dir := o.Home.RunDir(o.Plan.Run)
	path := filepath.Join(dir, journal.Name)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) { // it died before it began
		j, err := journal.Create(path, o.Plan.Runbook.SHA256)
		if err == nil {
			err = errors.Join(j.Close(), o.Home.open(path, 0o640))
		}
		if err != nil && !errors.Is(err, fs.ErrExist) { // another process takes it up too
			return nil, err
		}
	}
	// Before the lock is held nothing may be changed, the torn end of a line
	// that a living runner is writing least of all.
	held, err := lock(path)
	if err != nil {
		return nil, refused(o.Plan.Run, path, err)
	}
	if stop == "" {
		if err := o.ours(held); err != nil {
			return nil, errors.Join(err, held.Close())
		}
	}
	j, events, err := journal.Open(path, o.Plan.Runbook.SHA256)
	if err != nil {
		return nil, errors.Join(err, held.Close())
	}
	if err := samePlan(dir, events); err != nil {
		return nil, errors.Join(err, j.Close(), held.Close())
	}
	s := recovery.NewState(o.Plan)
	for _, e := range events {
		s = recovery.Fold(s, e)
	}
	var first []recovery.Payload
	switch {
	case s.Result != "":
		err := errors.Join(j.Close(), o.report(dir), o.Home.vanish(o.Plan.Run, true), held.Close())
		if err == nil {
			err = recovery.Errorf("read its report: comeback report show "+o.Plan.Run, "run %s has ended already", o.Plan.Run).WithExit(recovery.Usage)
		}
		return nil, err
	case len(events) == 0:
		b, err := os.ReadFile(filepath.Join(dir, recovery.PlanFile))
		if err != nil {
			return nil, errors.Join(err, j.Close(), held.Close())
		}
		first = append(first, o.first(b)...)
	default:
		err := o.here(&s, stop)
		var left []recovery.Artifact
		if err == nil {
			left, err = leftovers(dir, events)
		}
		if err != nil {
			return nil, errors.Join(err, j.Close(), held.Close())
		}
		why := "its runner had died"
		if s.BootID != bootID() {
			why = "the host was started again"
		} else {
			unknown, err := execute.EndBlocks(&s)
			switch {
			case err != nil && stop != "":
				why, err = why+"; "+err.Error(), nil
			case err != nil:
			case stop == "":
				err = execute.Unjudged(&s, unknown)
			case len(unknown) > 0: // nothing is run again, and what is live cannot wait
				why += "; it has left " + execute.Named(unknown)
			}
			if err != nil {
				return nil, errors.Join(err, j.Close(), held.Close())
			}
		}
		first = append(first, recovery.RunResumed{PID: os.Getpid(), BootID: bootID(), Reason: why, Version: o.Version, By: o.Operator,
			Unattended: o.Unattended, Artifacts: left})
		if o.Confirmed != "" {
			first = append(first, recovery.Confirmed{Name: o.Confirmed, PlanSHA256: s.PlanSHA256, By: o.Operator, Loss: s.Gone()})
		}
	}
	if stop != "" {
		first = append(first, recovery.StopAsked{By: o.Operator, Reason: stop})
	} else if o.Unattended {
		if err := o.confirmed(s, first); err != nil {
			return nil, errors.Join(err, j.Close(), held.Close())
		}
	}
	return begin(ctx, o, j, held, events, first...)
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
