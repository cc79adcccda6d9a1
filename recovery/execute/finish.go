package execute

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"comeback/recovery"
	"comeback/recovery/mounts"
)

// finish ends a run whose steps have all ended: what did not run is skipped
// with its reason, what the run made is given back, and the result is recorded.
// Where nothing can be recorded nothing is given back either: the journal says
// that it is there, and whoever resumes the run goes on with it.
func (x *Executor) finish(ctx context.Context) {
	if x.journalError() != nil {
		return
	}
	for _, st := range x.State().Steps {
		switch {
		case st.State == recovery.ToDo || st.State == recovery.WaitsFor:
			x.note(recovery.StepSkipped{Step: st.ID, Why: x.whySkipped(st)})
		case st.State == recovery.Running:
			x.note(recovery.StepFailed{Step: st.ID, Error: cutShort, Exit: recovery.Interrupted})
		}
	}
	x.note(recovery.CleanupStarted{})
	x.release(ctx)
	s := x.State()
	end := Ending(&s, x.Plan)
	end.Watched = x.Watched != nil && x.Watched()
	end.Report = s.NextReportForm()
	x.note(end)
}

// cutShort is how the error of a step begins that was stopped while it was at work.
const cutShort = "stopped before it had ended"

func (x *Executor) whySkipped(st recovery.StepState) string {
	switch s := x.State(); {
	case s.Stop != nil && st.Interrupted:
		return "it was cut off when the runner died, and the run was stopped"
	case s.Stop != nil:
		return "the run was stopped"
	}
	return "a step before it failed"
}

// release gives back every claim, the newest first. A run that ends well and was asked to
// keeps them, but for applications: they would go on writing. What cannot be removed is
// recorded as kept; the others are still removed, unless it is an exchange or an
// opening: what was live may then lie in any of those that are older, and none of
// them is touched.
func (x *Executor) release(ctx context.Context) {
	s := x.State()
	keep := x.Plan.Keep && s.Stop == nil && !slices.ContainsFunc(s.Steps, func(st recovery.StepState) bool { return st.State == recovery.FailedAt })
	stuck := ""
	for _, c := range slices.Backward(s.Held()) {
		if x.journalError() != nil {
			return
		}
		if stuck != "" {
			x.note(recovery.ClaimKept{Resource: c.Resource, Why: "what was live may lie in it: " + stuck + " could not be given back"})
			continue
		}
		if keep && c.Kind != recovery.Application {
			x.note(recovery.ClaimKept{Resource: c.Resource, Why: "kept as asked", OnPurpose: true})
			continue
		}
		r, ok := x.releasers[c.Kind]
		var err error
		if !ok {
			err = fmt.Errorf("this version cannot remove a %s", c.Kind)
		} else {
			err = r.Release(ctx, c.Resource)
		}
		released := recovery.ClaimReleased{Resource: c.Resource}
		if spared, ok := errors.AsType[*recovery.Spared](err); ok {
			released.Spared, err = x.Secrets.Redact(spared.Says), nil
		}
		if err != nil {
			why := err.Error()
			if _, mounted := errors.AsType[*mounts.Mounted](err); mounted {
				why += "; unmount it, then: comeback stop " + x.Plan.Run
			}
			x.note(recovery.ClaimKept{Resource: c.Resource, Why: x.Secrets.Redact(why)})
			if c.Kind.Exchanges() || c.Kind.Opens() {
				stuck = fmt.Sprintf("the %s %s", c.Kind, c.ID)
			}
			continue
		}
		x.note(released)
	}
}

// Ending judges a run whose steps have ended and whose claims were given back.
// Passed means that every step was done, every check held and everything the
// run made is gone; it is never the default. A system that is open and could not be
// backed up again, because that failed or was stopped, came back all the same, with that
// exception. A run that was stopped before ends as interrupted, and by its exit code is
// cleaned up only where it is.
func Ending(s *recovery.State, p *recovery.Plan) recovery.RunEnded {
	v := verdict{state: s, plan: p, exit: recovery.Failed}
	v.steps()
	v.claims()
	v.rest()
	deliberate := slices.ContainsFunc(s.Steps, func(st recovery.StepState) bool { return stoppedAt(&st) })
	switch {
	case s.Stop != nil && s.Stop.By != recovery.Program && !deliberate && !s.CameBack():
		return v.interrupted()
	case len(v.failed) > 0 && v.exit == recovery.Refused:
		return recovery.RunEnded{Result: recovery.ResultRefused, Exit: v.exit, Says: v.failed[0] + v.spared}
	case len(v.failed) > 0:
		return recovery.RunEnded{Result: recovery.ResultFailed, Exit: v.exit, Says: v.failed[0] + v.spared}
	case len(s.Steps) == 0:
		return recovery.RunEnded{Result: recovery.ResultFailed, Exit: recovery.Failed, Says: "the plan has no steps"}
	case len(v.exceptions) > 0:
		says := "1 exception: " + v.exceptions[0]
		if n := len(v.exceptions); n > 1 {
			says = fmt.Sprintf("%d exceptions, the first: %s", n, v.exceptions[0])
		}
		return recovery.RunEnded{Result: recovery.ResultExceptions, Exit: recovery.WithExceptions, Says: says}
	}
	return v.passed()
}

// verdict is what a run has come to, gathered from its steps, its claims and what was not done.
type verdict struct {
	state *recovery.State
	plan  *recovery.Plan

	failed     []string // steps that have failed
	exit       recovery.Exit
	exceptions []string
	left       []string // what was not given back
	again      string   // what can be done about that
	spared     string   // what of live was not given back, because others have changed it since
}

// steps judges how the steps have ended.
func (v *verdict) steps() {
	for i := range v.state.Steps {
		st := &v.state.Steps[i]
		unprotected := st.Phase == recovery.Protect && (st.State == recovery.FailedAt || st.State == recovery.Skipped) && v.state.Opened()
		switch {
		case unprotected:
			v.except("not protected: " + st.Says + ": " + whyUnprotected(v.state, st))
		case st.State == recovery.Done:
			v.except(st.Outcome.Exceptions...)
			for _, what := range st.Outcome.Unprotected {
				v.except("not protected: " + what)
			}
		case st.State == recovery.Passed:
			v.except(st.Says + ": passed over, " + st.Why)
		case st.State == recovery.Skipped && stoppedAt(st): // and whoever recorded that died of it
			v.failed = append(v.failed, st.Says+": stopped while it waited")
		case st.State == recovery.Skipped:
			v.except(st.Says + ": " + st.Why)
		default:
			v.failed = append(v.failed, st.Says+": "+st.Error)
			if st.ExitCode == recovery.Refused {
				v.exit = recovery.Refused
			}
		}
	}
}

// claims judges what the run has made: what is still there, and what was left to others.
func (v *verdict) claims() {
	v.again = "for that: comeback stop " + v.state.Run
	for _, c := range v.state.Held() {
		v.left = append(v.left, fmt.Sprintf("%s %s", c.Kind, c.ID))
		if v.plan.OfLive(v.state, c) { // people may go on there, and no other run gives it back
			v.again = "what was made of what is live has to be put right by hand; see: comeback status " + v.state.Run
		}
		what := "could not be removed"
		if c.OnPurpose {
			what = "is still there"
		}
		v.except(fmt.Sprintf("%s %s %s: %s", c.Kind, c.ID, what, c.Kept))
	}
	for _, c := range v.state.Claims {
		if c.Spared != "" {
			v.spared += "; " + c.Spared
			v.except(c.Spared)
		}
	}
}

// rest judges what was not checked, and what nobody can know.
func (v *verdict) rest() {
	for _, n := range v.plan.NotExecuted {
		if n.Check {
			v.except(fmt.Sprintf("not checked: %s, because %s", n.What, n.Why))
		}
	}
	v.except(v.state.Unknown...)
	for _, c := range v.state.ClockSteps {
		v.except(c.Says())
	}
}

func (v *verdict) except(what ...string) { v.exceptions = append(v.exceptions, what...) }

// interrupted is the end of a run that somebody has stopped before it came to its own.
func (v *verdict) interrupted() recovery.RunEnded {
	end := recovery.RunEnded{Result: recovery.ResultInterrupted, Exit: recovery.Interrupted, Says: "stopped: " + v.state.Stop.Reason + v.spared}
	if len(v.left) > 0 {
		end.Exit = recovery.WithExceptions
		end.Says += fmt.Sprintf("; not given back: %s; %s", strings.Join(v.left, ", "), v.again)
	}
	return end
}

// passed is the end of a run of which nothing has to be said.
func (v *verdict) passed() recovery.RunEnded {
	says := fmt.Sprintf("every step done, %s, everything cleaned up", v.state.ChecksSay())
	switch {
	case v.plan.Expires != nil:
		says = "everything that was to go is gone"
	case v.plan.GivesBack != nil:
		says = "everything that run " + v.plan.Parent + " still held is given back"
	case v.plan.Mode == recovery.Recovery:
		says = "came back, " + v.state.ChecksSay()
	}
	for _, h := range v.state.HandedOver {
		says += "; " + h.Component + " " + h.Where()
	}
	return recovery.RunEnded{Result: recovery.ResultPassed, Exit: recovery.CameBack, Says: says}
}

// whyUnprotected says why a step did not back up again what is open.
func whyUnprotected(s *recovery.State, st *recovery.StepState) string {
	stopped := st.State == recovery.Skipped && !st.LeftOut || strings.HasPrefix(st.Error, cutShort)
	switch {
	case stopped && s.Stop != nil && s.Stop.By == recovery.Nobody:
		return "stopped: " + s.Stop.Reason
	case stopped && s.Stop != nil && s.Stop.By != recovery.Program && s.Stop.Reason != "":
		return "stopped by " + s.Stop.By + ": " + s.Stop.Reason
	case stopped && s.Stop != nil && s.Stop.By != recovery.Program:
		return "stopped by " + s.Stop.By
	case st.State == recovery.Skipped:
		return st.Why
	}
	return st.Error
}

// removeDirectory gives back directories that a run created. It follows no
// link, leaves a path alone that is too short to be a run's, and what something is mounted in.
type removeDirectory struct{}

func (removeDirectory) Resource() recovery.ResourceKind { return recovery.Directory }

func (removeDirectory) Release(_ context.Context, r recovery.Resource) error {
	if !filepath.IsAbs(r.ID) || filepath.Clean(r.ID) != r.ID || strings.Count(r.ID, "/") < 2 {
		return fmt.Errorf("remove directory %q: not a directory that a run creates", r.ID)
	}
	if info, err := os.Lstat(r.ID); err == nil && !info.IsDir() {
		return fmt.Errorf("remove directory %s: it is not a directory any more", r.ID)
	}
	if err := mounts.NothingIn(r.ID); err != nil {
		return fmt.Errorf("remove directory: %w", err)
	}
	err := os.RemoveAll(r.ID)
	if errors.Is(err, fs.ErrPermission) {
		// A restored tree may hold directories that their owner may not write to.
		err = errors.Join(openDirectories(r.ID), os.RemoveAll(r.ID))
	}
	if err != nil {
		return fmt.Errorf("remove directory: %w", err)
	}
	if _, err := os.Lstat(r.ID); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove directory %s: it is still there", r.ID)
	}
	return nil
}

// openDirectories lets the owner of a tree remove what is in it. Links are not
// followed.
func openDirectories(dir string) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		// A directory is told of before it is read.
		if e == nil || !e.IsDir() || err != nil {
			return err
		}
		return os.Chmod(path, 0o700)
	})
}

// stoppedAt reports whether a person has stopped the run at a step.
func stoppedAt(st *recovery.StepState) bool {
	n := len(st.Decisions)
	return n > 0 && st.Decisions[n-1].Choice == recovery.ChooseStop
}
