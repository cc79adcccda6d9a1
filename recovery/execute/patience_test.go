package execute_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/execute"
	"comeback/storage"
)

// Where nobody can be asked, a step whose copy does not answer is done again after each pause,
// and nothing else is.
func TestRun_copyDoesNotAnswer(t *testing.T) {
	unanswered := fmt.Errorf("copy the dump: %w", &storage.Error{Op: "read", Kind: storage.ErrUnavailable})
	for name, test := range map[string]struct {
		err      error
		pauses   []time.Duration
		attended bool
		silent   int32 // how many attempts are not answered
		want     recovery.Result
		tries    int32
	}{
		"it comes back":               {unanswered, []time.Duration{1, 1, 1}, false, 2, recovery.ResultPassed, 3},
		"it comes back at last":       {unanswered, []time.Duration{1, 1, 1}, false, 3, recovery.ResultPassed, 4},
		"it stays away":               {unanswered, []time.Duration{1, 1, 1}, false, 100, recovery.ResultFailed, 4},
		"it is something else":        {errors.New("the dump is damaged"), []time.Duration{1, 1, 1}, false, 1, recovery.ResultFailed, 1},
		"a person is there and stops": {unanswered, []time.Duration{1, 1, 1}, true, 100, recovery.ResultFailed, 1},
		"a run that has no pauses":    {unanswered, []time.Duration{}, false, 1, recovery.ResultFailed, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var tries atomic.Int32
			read := kind{"read", func(context.Context, recovery.Env, recovery.Step) (recovery.Outcome, error) {
				if tries.Add(1) <= test.silent {
					return recovery.Outcome{}, test.err
				}
				return recovery.Outcome{Says: "read"}, nil
			}}
			r := newRig(t, []recovery.Kind{read}, func(_ *recovery.Plan, o *execute.Options) {
				o.Unattended, o.Pauses = !test.attended, test.pauses
			}, step("a", "read"))
			if test.attended {
				go func() {
					<-r.waiting
					_ = r.Do(recovery.Command{Kind: recovery.DoDecide, Step: "a", Choice: recovery.ChooseStop, By: "ops1"})
				}()
			}
			s := r.run(t)
			if s.Result != test.want || tries.Load() != test.tries {
				t.Errorf("ended as %s after %d attempts: %s", s.Result, tries.Load(), s.Says)
			}
			told := strings.Count(r.journal(t), "a copy did not answer, it is asked again at ")
			if want := int(test.tries) - 1; told != want {
				t.Errorf("%d pauses are told, want %d", told, want)
			}
			if last := strings.Contains(r.journal(t), "for the last time"); last != (test.tries == 4) {
				t.Errorf("told that it is the last time: %v", last)
			}
		})
	}
}

// A run that is stopped in a pause ends, and does not wait for its end.
func TestRun_stoppedInAPause(t *testing.T) {
	read := kind{"read", func(context.Context, recovery.Env, recovery.Step) (recovery.Outcome, error) {
		return recovery.Outcome{}, storage.ErrUnavailable
	}}
	pauses := make(chan struct{})
	r := newRig(t, []recovery.Kind{read}, func(_ *recovery.Plan, o *execute.Options) {
		o.Unattended, o.Pauses = true, []time.Duration{time.Hour}
		o.Event = func(e recovery.Event) {
			if e.Type == (recovery.Decided{}).EventType() {
				close(pauses)
			}
		}
	}, step("a", "read"))
	go func() {
		<-pauses
		_ = r.Do(recovery.Command{Kind: recovery.DoStop, Text: "the copy is gone", By: "ops1"})
	}()
	if s := r.run(t); s.Stop == nil || s.Stop.Reason != "the copy is gone" {
		t.Errorf("ended as %s: %s", s.Result, s.Says)
	}
}
