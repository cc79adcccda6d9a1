package plan_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/plan"
	"comeback/runbooks"
)

// reel is a tape that pauses for a look before it comes to its end.
type reel struct{ tape }

func (e reel) Plan(c recovery.Component, p recovery.Point, t recovery.Target) ([]recovery.Step, error) {
	steps, err := e.tape.Plan(c, p, t)
	if err != nil || !p.Inclusive { // which stands for the wish here
		return steps, err
	}
	steps[0].Reads = []recovery.Ref{{Copy: p.Copy, Key: "base", Size: 13_100_000_000}}
	steps[1].Position = p.Stop
	look := recovery.NewStep("look", recovery.KindTicks, "look", recovery.TicksArgs{Items: []string{"looked at " + p.Stop.String()}})
	open := recovery.NewStep("open", "pitr.open", "open", p.Time)
	look.After, open.After, open.Writes = []string{"replay"}, []string{"look"}, []recovery.TargetID{t.ID}
	return append(steps, look, open), nil
}

const looked = "---\ncomeback: 1\nsystem: shop\nrpo: 5m\nrto: 30m\ncopies:\n  nearby: {url: \"file:///nearby\"}\n" +
	"components:\n  database: {kind: postgres}\n---\n## Restore\n```yaml\nrestore: database\n```\n" +
	"\n## Check\n```sql\n-- check: orders\n-- on: database\n-- expect: rows\nselect 1\n```\n"

// planLook is a plan with a look at a minute, which is a position too.
func planLook(t *testing.T, rb *runbooks.Runbook, minute int, timeline uint32) *recovery.Plan {
	t.Helper()
	when := at.Add(time.Duration(minute) * time.Minute)
	m := recovery.Moment{Want: recovery.Want{Kind: recovery.WantTime, Time: when, Text: when.Format(time.RFC3339), Look: true}, Anchor: "database",
		Points: []recovery.Point{{Component: "database", Copy: "nearby", Engine: "pitr", Time: when, Stop: recovery.LSN(1000 + minute), Inclusive: true,
			Timeline: timeline, Backup: recovery.Backup{ID: "nightly"}}}}
	p, err := plan.Make(plan.Options{Runbook: rb, Source: recovery.Source{Path: "/shop.md", SHA256: "aa"}, Mode: recovery.Rehearsal, Moment: m,
		Engines: []recovery.Engine{reel{tape{"pitr"}}}, Run: "7c31", Number: 4, Scratch: "/var/tmp", Created: at})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A later moment goes on from where people look; an earlier one, and one after
// the copy was opened, begins again and says what that costs.
func TestAmend_look(t *testing.T) {
	rb := parse(t, looked)
	const again, cost = "database.copy", ", reading 13.1 GB again"
	paused := func(r *progress) {
		r.do("database.copy", "database.replay")
		r.start("database.look")
		r.fold(recovery.Waiting{Step: "database.look", For: recovery.WaitTicks})
	}
	amend := func(t *testing.T, r *progress, p *recovery.Plan, minute int, timeline uint32) recovery.Amended {
		t.Helper()
		a, err := plan.Amend(r.State, p, planLook(t, rb, minute, timeline), "ops1", "")
		if err != nil {
			t.Fatal(err)
		}
		r.fold(a)
		return a
	}
	for _, c := range []struct {
		name     string
		do       func(*testing.T, *progress, *recovery.Plan)
		minute   int
		timeline uint32
		copies   bool
	}{
		{"later", func(_ *testing.T, r *progress, _ *recovery.Plan) { paused(r) }, 5, 1, false},
		{"earlier", func(_ *testing.T, r *progress, _ *recovery.Plan) { paused(r) }, -5, 1, true},
		{"another timeline", func(_ *testing.T, r *progress, _ *recovery.Plan) { paused(r) }, 5, 2, true},
		{"later, after it was opened", func(_ *testing.T, r *progress, _ *recovery.Plan) {
			paused(r)
			r.do("database.look", "database.open")
		}, 5, 1, true},
		{"later, while the opening has failed", func(_ *testing.T, r *progress, _ *recovery.Plan) {
			paused(r)
			r.do("database.look")
			r.start("database.open")
			r.fold(recovery.StepFailed{Step: "database.open", Error: "x"}, recovery.Waiting{Step: "database.open", For: recovery.WaitDecision})
		}, 5, 1, true},
		{"later and later", func(t *testing.T, r *progress, p *recovery.Plan) {
			paused(r)
			amend(t, r, p, 5, 1)
			r.do("database.replay")
		}, 6, 1, false},
		{"later, and earlier before it has gone on", func(t *testing.T, r *progress, p *recovery.Plan) {
			paused(r)
			amend(t, r, p, 5, 1)
		}, -5, 1, true},
		{"later, and earlier before it has gone on, by a clock that was put back", func(t *testing.T, r *progress, p *recovery.Plan) {
			r.do("database.copy")
			r.now = r.now.Add(-time.Hour)
			r.do("database.replay")
			r.start("database.look")
			r.fold(recovery.Waiting{Step: "database.look", For: recovery.WaitTicks})
			amend(t, r, p, 5, 1)
		}, -5, 1, true},
		{"later, and later before it has gone on", func(t *testing.T, r *progress, p *recovery.Plan) {
			paused(r)
			amend(t, r, p, 5, 1)
		}, 6, 1, false},
		{"earlier, and later after the copy", func(t *testing.T, r *progress, p *recovery.Plan) {
			paused(r)
			amend(t, r, p, -5, 1)
			r.do("database.copy")
		}, 6, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := planLook(t, rb, 0, 1)
			r := begin(t, p)
			c.do(t, r, p)
			a := amend(t, r, p, c.minute, c.timeline)
			if copies := r.Step(again).State == recovery.ToDo; copies != c.copies || strings.Contains(a.Says, cost) != c.copies {
				t.Errorf("the copy is %s; it says %q", r.Step(again).State, a.Says)
			}
			var todo []string
			for _, st := range r.Steps {
				if st.State == recovery.ToDo && st.ID != again {
					todo = append(todo, st.ID)
				}
			}
			if want := []string{"database.replay", "database.look", "database.open", "2.1.check"}; !slices.Equal(todo, want) {
				t.Errorf("to do %v, want %v", todo, want)
			}
		})
	}
}

// An engine that cannot pause says so before anything runs.
func TestMake_noLook(t *testing.T) {
	rb := parse(t, looked)
	m := recovery.Moment{Want: recovery.Want{Kind: recovery.WantLatest, Text: "latest", Look: true}, Anchor: "database",
		Points: []recovery.Point{{Component: "database", Copy: "nearby", Engine: "dump", Backup: recovery.Backup{ID: "nightly"}}}}
	p, err := plan.Make(plan.Options{Runbook: rb, Mode: recovery.Rehearsal, Moment: m, Engines: []recovery.Engine{tape{"dump"}}, Run: "7c31", Created: at})
	if err != nil || len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "comeback look 7c31") {
		t.Errorf("%v, the warnings are %q", err, p.Warnings)
	}
}
