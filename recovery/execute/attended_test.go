package execute_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/execute"
	"comeback/storage"
)

// Who takes the command of a run in which nobody was to be asked is asked for all that a run
// can ask for, also about what had failed by then; a pause ends at once.
func TestAttended(t *testing.T) {
	fails := func(err error) func(context.Context, recovery.Env, recovery.Step) (recovery.Outcome, error) {
		return func(context.Context, recovery.Env, recovery.Step) (recovery.Outcome, error) {
			return recovery.Outcome{}, err
		}
	}
	held, approval := step("1", "fails", "0"), recovery.NewStep("1", recovery.KindApproval, "approve", recovery.ApprovalArgs{Role: "boss", Key: "k"})
	held.MayPass = true
	before := held
	before.After = nil
	at := func(s recovery.Step) recovery.Step {
		s.ID, s.After = "1", []string{"0"}
		return s
	}
	for name, c := range map[string]struct {
		step  recovery.Step
		err   error // of a step that fails
		waits recovery.WaitFor
		tries int
	}{
		"a check fails":               {held, errors.New("expected >= 1, found 0"), recovery.WaitDecision, 1},
		"a check had failed":          {before, errors.New("expected >= 1, found 0"), recovery.WaitDecision, 1},
		"a copy had not answered":     {before, storage.ErrUnavailable, recovery.WaitDecision, 2},
		"a copy does not answer":      {held, storage.ErrUnavailable, recovery.WaitDecision, 1},
		"credentials have expired":    {held, storage.ErrExpired, recovery.WaitCredentials, 1},
		"items":                       {at(ticks("one")), nil, recovery.WaitTicks, 1},
		"an approval":                 {at(approval), nil, recovery.WaitApproval, 1},
		"a program talks with people": {at(talkStep()), nil, recovery.WaitTerminal, 1},
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan struct{}, 2) // what may fail before somebody takes over
			var r *rig
			takes := kind{"takes", func(context.Context, recovery.Env, recovery.Step) (recovery.Outcome, error) {
				if len(c.step.After) == 0 {
					<-ended
				}
				return recovery.Outcome{}, r.Do(recovery.Command{Kind: recovery.DoTakeOver, By: "ops2", Text: "my shift"})
			}}
			r = newRig(t, []recovery.Kind{takes, kind{"fails", fails(c.err)}}, func(_ *recovery.Plan, o *execute.Options) {
				told := o.Event
				o.Unattended, o.Pauses = true, []time.Duration{time.Hour}
				o.Event = func(e recovery.Event) {
					if e.Type == (recovery.StepFailed{}).EventType() {
						ended <- struct{}{}
					}
					told(e)
				}
			}, step("0", "takes"), c.step)
			end := r.begin(t.Context(), t)
			select {
			case w := <-r.waiting:
				if s := r.State(); w.For != c.waits || w.Step != "1" || s.Stop != nil || s.Step("1").Attempts != c.tries {
					t.Errorf("it waits for %s of %s after %d attempts; it stops: %+v", w.For, w.Step, s.Step("1").Attempts, s.Stop)
				}
				if err := r.Do(recovery.Command{Kind: recovery.DoStop, By: "ops2", Text: "enough"}); err != nil {
					t.Error(err)
				}
			case s := <-end:
				t.Fatalf("nobody was asked; ended as %s: %s", s.Result, s.Says)
			}
			if s := <-end; s.Stop == nil || s.Stop.By != "ops2" {
				t.Errorf("ended as %s: %s", s.Result, s.Says)
			}
		})
	}
}
