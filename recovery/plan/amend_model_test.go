package plan_test

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/plan"
)

// world is what steps make, as digests of all that went into it.
type world struct {
	t       *testing.T
	made    map[string]string            // by step
	targets map[recovery.TargetID]string // what lies there
	// found is what a step that writes found in its target when it began: it
	// tidies up after itself, and goes on from there.
	found map[string]string
}

func newWorld(t *testing.T) *world {
	return &world{t, map[string]string{}, map[recovery.TargetID]string{}, map[string]string{}}
}

// begin lets a step spoil its target.
func (w *world) begin(s recovery.Step, plan []recovery.Step) {
	for _, id := range s.Writes {
		if w.targets[id] != "part of "+s.ID {
			w.found[s.ID] = w.targets[id]
		}
		first := !slices.ContainsFunc(s.After, func(before string) bool {
			return slices.ContainsFunc(plan, func(b recovery.Step) bool { return b.ID == before && slices.Contains(b.Writes, id) })
		})
		if first {
			w.found[s.ID] = "" // it begins with an empty directory
		}
		w.targets[id] = "part of " + s.ID
	}
}

// end completes a step.
func (w *world) end(s recovery.Step) {
	in := data(w.t, s) + w.found[s.ID]
	for _, id := range s.After {
		in += w.made[id]
	}
	if len(s.Writes) == 0 && s.Component != "" {
		in += w.targets[recovery.TargetID("scratch/"+s.Component)]
	}
	w.made[s.ID] = fmt.Sprintf("%x", sha256.Sum256([]byte(in)))
	for _, id := range s.Writes {
		w.targets[id] = w.made[s.ID]
	}
}

// clean is what a run of a plan makes that nothing has disturbed.
func clean(t *testing.T, p *recovery.Plan) *world {
	w := newWorld(t)
	for _, s := range p.Steps { // restores stand before what asks them
		w.begin(s, p.Steps)
		w.end(s)
	}
	return w
}

// chance is a run that goes as chance will have it.
type chance struct {
	*progress
	*rand.Rand
	world *world
	plan  *recovery.Plan // the newest
	story []string
}

func (c *chance) steps() []recovery.Step { return c.plan.Steps }

// step lets one thing happen; false is that there is nothing to do.
func (c *chance) step(mishaps bool) bool {
	var ready []*recovery.StepState
	for i := range c.Steps {
		st := &c.Steps[i]
		open := st.State == recovery.ToDo || st.State == recovery.FailedAt || st.State == recovery.WaitsFor || st.State == recovery.Running
		if open && c.Ready(st) {
			ready = append(ready, st)
		}
	}
	if len(ready) == 0 {
		return false
	}
	st := ready[c.IntN(len(ready))]
	s, what := st.Step, c.IntN(10)
	if st.State != recovery.Running {
		c.story = append(c.story, "start "+s.ID)
		c.start(s.ID)
		c.world.begin(s, c.steps())
	}
	switch {
	case !mishaps || what < 6:
		c.story = append(c.story, "end "+s.ID)
		c.world.end(s)
		c.fold(recovery.StepFinished{Step: s.ID})
	case what == 6:
		c.story = append(c.story, "fail "+s.ID)
		c.fold(recovery.StepFailed{Step: s.ID, Error: "x"}, recovery.Waiting{Step: s.ID, For: recovery.WaitDecision})
	case what == 7:
		c.story = append(c.story, "die")
		c.fold(recovery.RunResumed{Reason: "x"})
	}
	return true
}

// TestAmend_chance amends runs in the middle of whatever can happen to them. In
// the end each must have made what an undisturbed run of its last plan makes,
// and its first amendment must not have asked for anything again that was good.
func TestAmend_chance(t *testing.T) {
	rb := parse(t, amended)
	var plans []*recovery.Plan
	for _, w := range []to{{0, "pitr", "nearby", "nearby"}, {5, "pitr", "nearby", "nearby"}, {0, "pitr", "offsite", "nearby"},
		{0, "dump", "nearby", "nearby"}, {-5, "dump", "offsite", "nearby"}, {0, "pitr", "nearby", "offsite"}, {5, "dump", "nearby", "offsite"}} {
		plans = append(plans, planTo(t, rb, w))
	}
	amendments := 0
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1))
		c := &chance{Rand: random, world: newWorld(t), plan: plans[random.IntN(len(plans))]}
		c.progress = begin(t, c.plan)
		for range 1 + random.IntN(3) {
			for range random.IntN(25) {
				c.step(true)
			}
			fresh := plans[random.IntN(len(plans))]
			a, err := plan.Amend(c.State, c.plan, fresh, "ops1", "")
			if err != nil {
				continue // a step is under way, or it is there already
			}
			amendments++
			c.story = append(c.story, "AMEND "+a.Says)
			before := c.State
			c.fold(a)
			if len(c.Amendments) == 1 {
				c.nothingNeedless(before, fresh)
			}
			c.plan = fresh
		}
		for c.step(false) {
		}
		want := clean(t, c.plan)
		for _, s := range c.plan.Steps {
			if st := c.Step(s.ID); st.State != recovery.Done || data(t, st.Step) != data(t, s) || c.world.made[s.ID] != want.made[s.ID] {
				t.Errorf("seed %d: %s is %s and has not made what it should", seed, s.ID, st.State)
			}
		}
		for id, content := range want.targets {
			if c.world.targets[id] != content {
				t.Errorf("seed %d: %s does not hold what it should", seed, id)
			}
		}
		if t.Failed() {
			t.Fatal(strings.Join(c.story, "\n"))
		}
	}
	if amendments < 150 {
		t.Errorf("only %d amendments were made", amendments)
	}
}

// nothingNeedless checks that what was good before an amendment stays.
func (c *chance) nothingNeedless(before recovery.State, fresh *recovery.Plan) {
	want := clean(c.t, fresh)
	for _, s := range fresh.Steps {
		was := before.Step(s.ID)
		if was == nil || was.State != recovery.Done || s.Kind == recovery.KindApproval || c.world.made[s.ID] != want.made[s.ID] {
			continue
		}
		spoilt := false
		for _, id := range s.Writes {
			// It is good while its target holds what a step of the plan made.
			spoilt = !slices.ContainsFunc(fresh.Steps, func(o recovery.Step) bool {
				return slices.Contains(o.Writes, id) && want.made[o.ID] == c.world.targets[id]
			})
		}
		excused := spoilt || slices.ContainsFunc(s.After, func(id string) bool {
			st := c.Step(id)
			return st.State == recovery.ToDo && st.Kind != recovery.KindApproval
		})
		if st := c.Step(s.ID); st.State != recovery.Done && !excused {
			c.t.Errorf("%s was good and is %s", s.ID, st.State)
		}
	}
}
