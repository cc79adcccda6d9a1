package execute_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
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

// An attempt that has come further than all before it has the first pause before it again; no
// step waits for longer than all pauses together.
func TestRun_copyAnswersNowAndThen(t *testing.T) {
	const pause = time.Minute
	for name, test := range map[string]struct {
		came []int64 // how far each attempt comes, of 100
		// from is where each attempt begins, of a step that tells only what is left then
		from  []int64
		want  recovery.Result
		waits []time.Duration
	}{
		"each comes further":              {[]int64{1, 2, 3, 4, 5, 6, 7, 8, 9}, nil, recovery.ResultFailed, []time.Duration{pause, pause, pause, pause, pause, pause, pause}},
		"one comes further, and it ends":  {[]int64{5, 5, 6, 100}, nil, recovery.ResultPassed, []time.Duration{pause, 2 * pause, pause}},
		"none comes further":              {[]int64{5, 5, 4, 5, 5}, nil, recovery.ResultFailed, []time.Duration{pause, 2 * pause, 4 * pause}},
		"one comes as far as one before":  {[]int64{5, 3, 5, 4, 5}, nil, recovery.ResultFailed, []time.Duration{pause, 2 * pause, 4 * pause}},
		"the last pause is what is left":  {[]int64{5, 5, 6, 6, 6, 6, 6}, nil, recovery.ResultFailed, []time.Duration{pause, 2 * pause, pause, 2 * pause, pause}},
		"none moves anything":             {[]int64{0, 0, 0, 0, 0}, nil, recovery.ResultFailed, []time.Duration{pause, 2 * pause, 4 * pause}},
		"each goes on where one has been": {[]int64{5, 2, 1, 1, 0, 0, 0}, []int64{0, 5, 7, 8, 9, 9, 9}, recovery.ResultFailed, []time.Duration{pause, pause, pause, pause, 2 * pause, pause}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				attempt := 0
				read := kind{"read", func(_ context.Context, e recovery.Env, _ recovery.Step) (recovery.Outcome, error) {
					from := int64(0)
					if test.from != nil {
						from = test.from[attempt]
					}
					e.Meter().Phase("look", 0, recovery.NoUnit)
					e.Meter().Phase("read", 100-from, recovery.InBytes)
					e.Meter().Add(test.came[attempt])
					e.Meter().Phase("prove", 0, recovery.NoUnit)
					if attempt++; test.came[attempt-1] == 100 {
						return recovery.Outcome{}, nil
					}
					return recovery.Outcome{}, storage.ErrUnavailable
				}}
				var began []time.Time
				r := newRig(t, []recovery.Kind{read}, func(_ *recovery.Plan, o *execute.Options) {
					o.Unattended, o.Pauses = true, []time.Duration{pause, 2 * pause, 4 * pause}
					o.Event = func(e recovery.Event) {
						if e.Type == (recovery.StepStarted{}).EventType() {
							began = append(began, e.At)
						}
					}
				}, step("a", "read"))
				s := r.run(t)
				var waits []time.Duration
				for i := range began[1:] {
					waits = append(waits, began[i+1].Sub(began[i]))
				}
				if s.Result != test.want || !slices.Equal(waits, test.waits) {
					t.Errorf("ended as %s after pauses of %s, want %s: %s", s.Result, waits, test.waits, s.Says)
				}
				if last := strings.Contains(r.journal(t), "for the last time"); last != (test.want == recovery.ResultFailed) {
					t.Errorf("told that it is the last time: %v", last)
				}
			})
		})
	}
}

// Who takes up a run goes by the pauses that its journal tells of.
func TestRun_patienceOfARunThatWasTakenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		read := kind{"read", func(_ context.Context, e recovery.Env, _ recovery.Step) (recovery.Outcome, error) {
			tries++
			e.Meter().Phase("read", 0, recovery.InBytes)
			e.Meter().Add(1)
			return recovery.Outcome{}, storage.ErrUnavailable
		}}
		began := time.Now()
		r := newRig(t, []recovery.Kind{read}, func(p *recovery.Plan, o *execute.Options) {
			o.Unattended, o.Pauses = true, []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute}
			for _, e := range []recovery.Payload{recovery.RunStarted{Run: p.Run, System: p.System, Mode: p.Mode, Unattended: true}, recovery.StepStarted{Step: "a", Attempt: 1},
				recovery.StepFailed{Step: "a", Error: "no answer"}, recovery.Decided{Step: "a", Choice: recovery.ChooseRetry, By: recovery.Program},
				recovery.RunResumed{Unattended: true}} {
				past(t, o, began, e)
			}
		}, step("a", "read"))
		s := r.run(t)
		if took := time.Since(began).Truncate(time.Minute); s.Result != recovery.ResultFailed || tries != 3 || took != 6*time.Minute {
			t.Errorf("ended as %s after %d attempts and %s", s.Result, tries, took)
		}
	})
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
