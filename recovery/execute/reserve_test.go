package execute_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/execute"
	"comeback/recovery/room"
)

// A step that asks for room while it writes is refused what a disk does not have; and of one
// that something lives on, what must stay free for that.
func TestExecutor_roomOfATarget(t *testing.T) {
	live := t.TempDir()
	for name, test := range map[string]struct {
		change    func(*recovery.Plan)
		keeps     bool
		hint, not string
	}{
		"scratch": {func(*recovery.Plan) {}, false, "--scratch", "leave it out"},
		"scratch on the disk of a component": {func(p *recovery.Plan) {
			p.Components = []recovery.Component{{Name: "uploads", Kind: recovery.Files, Settings: recovery.Settings{"path": {live}}}}
		}, true, "--scratch", "leave it out"},
		"what is not there": {func(p *recovery.Plan) {
			p.Production = []string{filepath.Join(live, "nothing")}
		}, false, "--scratch", "leave it out"},
		"becomes live": {func(p *recovery.Plan) {
			p.Components = []recovery.Component{{Name: "uploads", Kind: recovery.Files}}
			p.Targets[0].Component, p.Targets[0].BecomesLive = "uploads", true
		}, true, "leave it out of the switch", "--scratch"},
	} {
		t.Run(name, func(t *testing.T) {
			fill := func(ctx context.Context, env recovery.Env, _ recovery.Step) (recovery.Outcome, error) {
				h, err := env.Target(ctx, "scratch/db")
				if err != nil {
					return recovery.Outcome{}, err
				}
				free, _, err := room.Free(h.Dir)
				if err != nil {
					return recovery.Outcome{}, err
				}
				if err := h.Room(free / 2); err != nil {
					t.Errorf("half of what is free is refused: %v", err)
				}
				// The disk is in use meanwhile, by less than this.
				err = h.Room(free - 128<<20)
				if refused := err != nil && strings.Contains(err.Error(), "must stay free for what lives on that disk"); refused != test.keeps {
					t.Errorf("all but 128 MB: %v", err)
				}
				return recovery.Outcome{}, h.Room(free + 128<<20)
			}
			s := step("a", "fill")
			s.Writes = []recovery.TargetID{"scratch/db"}
			r := newRig(t, []recovery.Kind{kind{"fill", fill}}, func(p *recovery.Plan, o *execute.Options) {
				p.Production = nil
				test.change(p)
				o.Unattended = true
			}, s)
			end := r.run(t)
			st := end.Step("a")
			if end.Result != recovery.ResultRefused || !strings.Contains(st.Error, "there is") || !strings.Contains(st.Hint, test.hint) || strings.Contains(st.Hint, test.not) {
				t.Errorf("ended as %s: %s (%s)", end.Result, st.Error, st.Hint)
			}
			if err := os.RemoveAll(filepath.Join(r.scratch, "comeback-7c31")); err != nil {
				t.Error(err)
			}
		})
	}
}
