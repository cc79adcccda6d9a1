package execute_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/execute"
)

// A step of the clock while nothing is recorded is seen, whichever way it goes: the run knows
// no times, and says so. What a host sleeps, and what a clock is adjusted by, is no step.
func TestRun_clockStepped(t *testing.T) {
	for name, c := range map[string]struct {
		// set is by how much the clock is set in the step, slept how long the host then
		// sleeps; last says that both are when what the run made is given back.
		set, slept time.Duration
		last       bool
		says       string
	}{
		"back, in a long stretch": {-20 * time.Minute, 40 * time.Minute, false, "the clock was put back by 20m00 between events "},
		"forward":                 {2 * time.Hour, time.Minute, false, "the clock was put forward by 2h00m between events "},
		"at the end":              {2 * time.Hour, 0, true, "the clock was put forward by 2h00m between events "},
		"asleep":                  {0, 9 * time.Hour, false, ""},
		"adjusted":                {900 * time.Millisecond, time.Minute, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var set, slept atomic.Int64
			began := time.Now()
			move := func() {
				set.Add(int64(c.set))
				slept.Add(int64(c.slept))
			}
			works := kind{"works", func(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
				if !c.last {
					move()
				}
				return recovery.Outcome{Says: "did it"}, env.Claim(ctx, recovery.Resource{Kind: "thing", ID: "it"})
			}}
			s := newRig(t, []recovery.Kind{works}, func(p *recovery.Plan, o *execute.Options) {
				o.Unattended = true
				o.Now = func() time.Time { return time.Now().Add(time.Duration(set.Load() + slept.Load())) }
				o.Uptime = func() time.Duration { return time.Since(began) + time.Duration(slept.Load()) }
				o.Releasers = []recovery.Releaser{releases{func() {
					if c.last {
						move()
					}
				}}}
			}, step("1", "works")).run(t)
			if c.says == "" {
				if s.Result != recovery.ResultPassed || len(s.ClockSteps) > 0 || s.ReportForm != recovery.ReportForm-1 {
					t.Errorf("ended as %s: %s; %+v, form %d", s.Result, s.Says, s.ClockSteps, s.ReportForm)
				}
				return
			}
			if s.Result != recovery.ResultExceptions || !strings.Contains(s.Says, c.says) || len(s.ClockSteps) != 1 || !s.ClockSteps[0].Told || s.ReportForm != recovery.ReportForm || len(s.Unknown) > 0 {
				t.Errorf("ended as %s: %s; %+v, form %d", s.Result, s.Says, s.ClockSteps, s.ReportForm)
			}
		})
	}
}

// releases gives things back.
type releases struct{ do func() }

func (releases) Resource() recovery.ResourceKind { return "thing" }
func (r releases) Release(context.Context, recovery.Resource) error {
	r.do()
	return nil
}
