package execute_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/execute"
	"comeback/recovery/room"
)

// A plan is refused beforehand, and a step before it begins, where what must stay free for
// what lives on the disk would not; elsewhere all of the disk may be taken.
func TestCheckPlan_staysFree(t *testing.T) {
	live := t.TempDir()
	for name, test := range map[string]struct {
		lives []string
		want  recovery.Result
	}{
		"something lives there": {[]string{live}, recovery.ResultRefused},
		"nothing does":          {nil, recovery.ResultPassed},
	} {
		t.Run(name, func(t *testing.T) {
			done := func(context.Context, recovery.Env, recovery.Step) (recovery.Outcome, error) {
				return recovery.Outcome{}, nil
			}
			free, _, err := room.Free(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			s := step("a", "fill")
			s.Guards = []recovery.Guard{{Kind: recovery.GuardRoom, Target: "scratch/db", Bytes: free - 128<<20}} // the disk is in use meanwhile, by less than this
			var plan *recovery.Plan
			r := newRig(t, []recovery.Kind{kind{"fill", done}}, func(p *recovery.Plan, o *execute.Options) {
				p.Production, plan, o.Unattended = test.lives, p, true
			}, s)
			end := r.run(t)
			if end.Result != test.want {
				t.Errorf("ended as %s: %s", end.Result, end.Says)
			}
			_, err = execute.CheckPlan(plan)
			if (err != nil) != (test.want == recovery.ResultRefused) || err != nil && (recovery.ExitOf(err) != recovery.Refused || !strings.Contains(err.Error(), "must stay free for what lives on that disk")) {
				t.Errorf("the plan: %v", err)
			}
		})
	}
}

// What may be needed and is not free is told, and refuses nothing; the plan stays as it is.
func TestCheckPlan_likely(t *testing.T) {
	for likely, told := range map[int64]bool{0: false, 2 << 10: false, 1 << 60: true} {
		s := step("a", "fill")
		s.Guards = []recovery.Guard{{Kind: recovery.GuardRoom, Target: "scratch/db", Bytes: 1 << 10, Likely: likely}}
		var plan *recovery.Plan
		newRig(t, []recovery.Kind{kind{"fill", ok}}, func(p *recovery.Plan, _ *execute.Options) { plan = p }, s)
		before := plan.Warnings
		warnings, err := execute.CheckPlan(plan)
		if err != nil {
			t.Errorf("likely %d: %v", likely, err)
		}
		if got := len(warnings) == 1 && strings.Contains(warnings[0], "at least 1.02 kB, and up to 1.15 EB") && strings.Contains(warnings[0], "--scratch"); got != told || !told && len(warnings) > 0 {
			t.Errorf("likely %d: %q", likely, warnings)
		}
		if !slices.Equal(plan.Warnings, before) {
			t.Errorf("likely %d: the plan warns of %q", likely, plan.Warnings)
		}
	}
}
