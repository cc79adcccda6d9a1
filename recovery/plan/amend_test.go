package plan_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/plan"
	"comeback/runbooks"
	"comeback/storage"
)

// tape is an engine as real ones are: it copies a backup into its target and
// goes on in there, to a point.
type tape struct{ name string }

func (e tape) Schema() recovery.Schema {
	return recovery.Schema{Engine: e.name, Kind: recovery.Postgres}
}
func (e tape) Kinds() []recovery.Kind { return nil }

func (e tape) Survey(context.Context, recovery.Component, recovery.Copy, storage.Store) (recovery.Survey, error) {
	return recovery.Survey{}, nil
}

func (e tape) Resolve(context.Context, recovery.Survey, recovery.Want, storage.Store) (recovery.Point, error) {
	return recovery.Point{}, nil
}

func (e tape) Plan(c recovery.Component, p recovery.Point, t recovery.Target) ([]recovery.Step, error) {
	load := recovery.NewStep("copy", e.name+".copy", "copy "+c.Name, p.Copy+" "+p.Backup.ID)
	replay := recovery.NewStep("replay", e.name+".replay", "replay "+c.Name, p.Time)
	replay.After = []string{"copy"}
	load.Writes, replay.Writes = []recovery.TargetID{t.ID}, []recovery.TargetID{t.ID}
	if e.name == "dump" { // one step more, and other names
		load.ID, replay.ID, replay.After = "cluster", "restore", []string{"cluster"}
		settle := recovery.NewStep("settle", "dump.settle", "settle "+c.Name, p.Time)
		settle.After, settle.Writes = []string{"restore"}, []recovery.TargetID{t.ID}
		return []recovery.Step{load, replay, settle}, nil
	}
	return []recovery.Step{load, replay}, nil
}

const amended = `---
comeback: 1
system: shop
rpo: 5m
rto: 30m
people: [{role: lead, reach: x, key: ` + approverKey + `}]
needs: {DATABASE_URL: x, STATS_URL: x}
copies:
  nearby: {url: "file:///nearby"}
  offsite: {url: "file:///offsite"}
components:
  database: {kind: postgres, url: "${DATABASE_URL}"}
  stats: {kind: postgres, url: "${STATS_URL}"}
---
## Stop
- [ ] Writes are stopped

## Restore
` + "```yaml\nrestore: database\n```\n\n## Approve\n```yaml\napprove: lead\n```\n" +
	"\n## Stats\n```yaml\nrestore: stats\n```\n" +
	"\n## Check\n```sql\n-- check: orders\n-- on: database\n-- expect: rows\nselect 1\n```\n" +
	"```sql\n-- wait: index\n-- on: stats\n-- expect: rows\nselect 1\n```\n" +
	"```sh\n# run: smoke\n# in: both\ntrue\n```\n- [ ] It looks right\n"

// to is where a plan of the tests goes.
type to struct {
	minute       int // of the moment
	engine, copy string
	stats        string // the copy of the second component
}

func planTo(t *testing.T, rb *runbooks.Runbook, w to) *recovery.Plan {
	t.Helper()
	when := at.Add(time.Duration(w.minute) * time.Minute)
	m := recovery.Moment{Want: recovery.Want{Kind: recovery.WantTime, Time: when, Text: when.Format(time.RFC3339)}, Anchor: "database", Points: []recovery.Point{
		{Component: "database", Copy: w.copy, Engine: w.engine, Time: when, Backup: recovery.Backup{ID: "nightly"}},
		{Component: "stats", Copy: w.stats, Engine: "pitr", Time: at, Backup: recovery.Backup{ID: "nightly"}}}}
	p, err := plan.Make(plan.Options{Runbook: rb, Source: recovery.Source{Path: "/shop.md", SHA256: "aa"}, Mode: recovery.Rehearsal, Moment: m,
		Engines: []recovery.Engine{tape{"dump"}, tape{"pitr"}}, Run: "7c31", Number: 4, Scratch: "/var/tmp", Created: at,
		Expected: func(recovery.Step) time.Duration { return time.Duration(w.minute) * time.Second }})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// progress folds what a run does, a second at a time.
type progress struct {
	t *testing.T
	recovery.State
	now time.Time
}

func begin(t *testing.T, p *recovery.Plan) *progress {
	t.Helper()
	b, err := plan.Encode(p)
	if err != nil {
		t.Fatal(err)
	}
	if p, err = plan.Decode(b); err != nil { // as a run that was resumed has it
		t.Fatal(err)
	}
	r := &progress{t: t, State: recovery.NewState(p), now: at}
	r.fold(recovery.RunStarted{Run: p.Run, Mode: p.Mode, System: p.System, Number: p.Number, PlanSHA256: "p1"})
	return r
}

func (r *progress) fold(payloads ...recovery.Payload) {
	r.t.Helper()
	for _, p := range payloads {
		r.now = r.now.Add(time.Second)
		e, err := recovery.NewEvent(r.now, p)
		if err != nil {
			r.t.Fatal(err)
		}
		e.Seq = r.Seq + 1
		r.State = recovery.Fold(r.State, e)
		if len(r.Unknown) > 0 {
			r.t.Fatalf("not understood: %v", r.Unknown)
		}
	}
}

func (r *progress) start(id string) {
	r.t.Helper()
	r.fold(recovery.StepStarted{Step: id, Attempt: r.Step(id).Attempts + 1})
}

// do lets steps end well.
func (r *progress) do(ids ...string) *progress {
	r.t.Helper()
	for _, id := range ids {
		r.start(id)
		r.fold(recovery.StepFinished{Step: id})
	}
	return r
}

// says is where the steps stand, those that are to do again or new first.
func (r *progress) says() string {
	var list []string
	for _, st := range r.Steps {
		list = append(list, st.ID+" "+string(st.State))
	}
	return strings.Join(list, "\n")
}

var everything = []string{"1.1.ticks", "database.copy", "database.replay", "3.1.approval", "stats.copy", "stats.replay", "5.1.check", "5.2.wait", "5.3.run", "5.4.ticks"}

func TestAmend(t *testing.T) {
	rb := parse(t, amended)
	first := to{0, "pitr", "nearby", "nearby"}
	restored := []string{"1.1.ticks", "stats.copy", "stats.replay", "database.copy", "database.replay"}
	late := []string{"3.1.approval", "5.1.check", "5.2.wait", "5.3.run", "5.4.ticks"}
	for _, c := range []struct {
		name string
		do   func(*progress)
		to   to
		says string
		why  string
		// todo lists the steps that are to do afterwards; those of late always are.
		todo, skipped []string
	}{
		{"another moment before anything has run", func(*progress) {}, to{-5, "pitr", "nearby", "nearby"},
			"go to 2026-11-23T02:36:05Z", "another moment: carts", everything[:6], nil},
		{"another moment after the copy", func(r *progress) { r.do("1.1.ticks", "database.copy", "stats.copy") }, to{5, "pitr", "nearby", "nearby"},
			"go to 2026-11-23T02:46:05Z", "another moment: carts", []string{"database.replay", "stats.replay"}, nil},
		{"another moment after the replay, which has spoilt the copy", func(r *progress) { r.do(restored...) }, to{5, "pitr", "nearby", "nearby"},
			"go to 2026-11-23T02:46:05Z", "another moment: carts", []string{"database.copy", "database.replay"}, nil},
		{"the clock was put back before the replay", func(r *progress) {
			r.do(restored[:4]...)
			r.now = r.now.Add(-time.Hour)
			r.do("database.replay")
		}, to{5, "pitr", "nearby", "nearby"}, "go to 2026-11-23T02:46:05Z", "another moment: carts", []string{"database.copy", "database.replay"}, nil},
		{"another moment after everything", func(r *progress) { r.do(everything...) }, to{5, "pitr", "nearby", "nearby"},
			"go to 2026-11-23T02:46:05Z", "another moment: carts", []string{"database.copy", "database.replay"}, nil},
		{"another copy after the first refused", func(r *progress) {
			r.do("1.1.ticks", "stats.copy", "stats.replay")
			r.start("database.copy")
			r.fold(recovery.StepFailed{Step: "database.copy", Error: "access denied"}, recovery.Waiting{Step: "database.copy", For: recovery.WaitDecision})
		}, to{0, "pitr", "offsite", "nearby"}, "restore database from offsite", "another copy: carts", []string{"database.copy", "database.replay"}, nil},
		{"another copy while one waits for credentials", func(r *progress) {
			r.do("1.1.ticks")
			r.start("stats.copy")
			r.fold(recovery.Waiting{Step: "stats.copy", For: recovery.WaitCredentials, Cause: "expired"})
		}, to{0, "pitr", "nearby", "offsite"}, "restore stats from offsite", "another copy: carts", everything[1:6], nil},
		{"the other component does not begin again", func(r *progress) { r.do(restored...) }, to{0, "pitr", "nearby", "offsite"},
			"restore stats from offsite", "another copy: carts", []string{"stats.copy", "stats.replay"}, nil},
		{"another engine", func(r *progress) { r.do("1.1.ticks", "stats.copy", "stats.replay", "database.copy") }, to{-60, "dump", "offsite", "nearby"},
			"go to 2026-11-23T01:41:05Z, restore database from offsite", "another moment: carts",
			[]string{"database.cluster", "database.restore", "database.settle"}, []string{"database.replay"}},
		{"while a person decides about a check", func(r *progress) {
			r.do(restored...)
			r.do("3.1.approval")
			r.start("5.1.check")
			r.fold(recovery.StepFailed{Step: "5.1.check", Error: "0 rows"}, recovery.Waiting{Step: "5.1.check", For: recovery.WaitDecision})
		}, to{-1, "pitr", "nearby", "nearby"}, "go to 2026-11-23T02:40:05Z", "another moment: carts", []string{"database.copy", "database.replay"}, nil},
		{"while a person ticks", func(r *progress) {
			r.do(restored...)
			r.do("3.1.approval", "5.1.check", "5.2.wait", "5.3.run")
			r.start("5.4.ticks")
			r.fold(recovery.Waiting{Step: "5.4.ticks", For: recovery.WaitTicks}, recovery.Ticked{Step: "5.4.ticks", How: recovery.TickDone})
		}, to{-1, "pitr", "nearby", "nearby"}, "go to 2026-11-23T02:40:05Z", "another moment: carts", []string{"database.copy", "database.replay"}, nil},
		{"after a replay that was cut off", func(r *progress) {
			r.do("1.1.ticks", "stats.copy", "stats.replay", "database.copy")
			r.start("database.replay")
			r.fold(recovery.RunResumed{Reason: "its runner had died"})
		}, to{-1, "pitr", "nearby", "nearby"}, "go to 2026-11-23T02:40:05Z", "another moment: carts", []string{"database.copy", "database.replay"}, nil},
		{"what was passed over is asked again", func(r *progress) {
			r.do(restored...)
			r.start("3.1.approval")
			r.fold(recovery.Waiting{Step: "3.1.approval", For: recovery.WaitApproval}, recovery.Decided{Step: "3.1.approval", Choice: recovery.ChooseContinue, Reason: "asleep"})
		}, to{-1, "pitr", "nearby", "nearby"}, "go to 2026-11-23T02:40:05Z", "another moment: carts", []string{"database.copy", "database.replay"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := planTo(t, rb, first)
			r := begin(t, p)
			c.do(r)
			a, err := plan.Amend(r.State, p, planTo(t, rb, c.to), "ops1", "carts")
			if err != nil {
				t.Fatal(err)
			}
			if a.Says != c.says || a.Why != c.why || a.By != "ops1" {
				t.Errorf("says %q because %q", a.Says, a.Why)
			}
			r.fold(a)
			var todo, skipped []string
			for _, st := range r.Steps {
				switch st.State {
				case recovery.ToDo:
					todo = append(todo, st.ID)
				case recovery.Skipped:
					skipped = append(skipped, st.ID)
				case recovery.Done:
				default:
					t.Errorf("%s is %s", st.ID, st.State)
				}
			}
			want := slices.Concat(c.todo, late)
			slices.Sort(want)
			want = slices.Compact(want)
			slices.Sort(todo)
			if !slices.Equal(todo, want) || !slices.Equal(skipped, c.skipped) {
				t.Errorf("to do %v, want %v; left out %v; of\n%s", todo, want, skipped, r.says())
			}
			for _, s := range planTo(t, rb, c.to).Steps {
				st := r.Step(s.ID)
				if st == nil || data(t, st.Step) != data(t, s) {
					t.Errorf("%s is not as the fresh plan has it", s.ID)
				}
			}
		})
	}
}

// A second amendment does not undo what was made since the first.
func TestAmend_again(t *testing.T) {
	rb := parse(t, amended)
	p := planTo(t, rb, to{0, "pitr", "nearby", "nearby"})
	r := begin(t, p)
	r.do(everything...)
	for _, minute := range []int{5, 6} {
		a, err := plan.Amend(r.State, p, planTo(t, rb, to{minute, "pitr", "nearby", "nearby"}), "ops1", "")
		if err != nil {
			t.Fatal(err)
		}
		r.fold(a)
		if minute == 5 {
			r.do("database.copy")
		}
	}
	if st := r.Step("database.copy"); st.State != recovery.Done {
		t.Errorf("the copy that was made for it is %s", st.State)
	}
	if st := r.Step("database.replay"); st.State != recovery.ToDo || st.Attempts != 1 {
		t.Errorf("the replay is %s", st.State)
	}
}

// What an earlier plan had made, and a later one has replaced, spoils nothing.
func TestAmend_afterAnotherEngine(t *testing.T) {
	rb := parse(t, amended)
	p := planTo(t, rb, to{0, "pitr", "nearby", "nearby"})
	r := begin(t, p)
	r.do(everything...)
	for i, next := range []to{{0, "dump", "nearby", "nearby"}, {0, "dump", "nearby", "offsite"}} {
		a, err := plan.Amend(r.State, p, planTo(t, rb, next), "ops1", "")
		if err != nil {
			t.Fatal(err)
		}
		r.fold(a)
		if i == 0 {
			r.do("database.cluster", "database.restore", "database.settle")
		}
	}
	for _, id := range []string{"database.cluster", "database.restore", "database.settle", "1.1.ticks"} {
		if st := r.Step(id); st.State != recovery.Done {
			t.Errorf("%s is %s", id, st.State)
		}
	}
	if st := r.Step("stats.copy"); st.State != recovery.ToDo {
		t.Errorf("stats.copy is %s", st.State)
	}
}

// data is what a step does.
func data(t *testing.T, s recovery.Step) string {
	t.Helper()
	s.Expected = 0
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAmend_refuses(t *testing.T) {
	rb := parse(t, amended)
	first := to{0, "pitr", "nearby", "nearby"}
	for _, c := range []struct {
		name       string
		do         func(*progress)
		to         to
		change     func(*recovery.Plan)
		says, hint string
	}{
		{"nothing changes", nil, first, nil, "goes to 2026-11-23T02:41:05Z from there already", "another moment"},
		{"a step under way", func(r *progress) { r.start("database.copy") }, to{0, "pitr", "offsite", "nearby"}, nil, `"copy database" is under way and cannot change now`, "stop the run"},
		{"a step under way that would go", func(r *progress) { r.start("database.copy") }, to{0, "dump", "nearby", "nearby"}, nil, `"copy database" is under way`, "wait until"},
		{"a step under way in what is spoilt", func(r *progress) { r.do("stats.copy"); r.start("stats.replay") }, to{0, "pitr", "nearby", "offsite"}, nil, `"replay stats" is under way`, "wait until"},
		{"the end", func(r *progress) { r.fold(recovery.RunEnded{Result: recovery.ResultFailed}) }, to{1, "pitr", "nearby", "nearby"}, nil, "run 7c31 has ended", "another run"},
		{"cleaning up", func(r *progress) { r.fold(recovery.CleanupStarted{}) }, to{1, "pitr", "nearby", "nearby"}, nil, "run 7c31 is cleaning up", "another run"},
		{"stopping", func(r *progress) { r.fold(recovery.StopAsked{}) }, to{1, "pitr", "nearby", "nearby"}, nil, "run 7c31 is being stopped", "another run"},
		{"another run", nil, to{1, "pitr", "nearby", "nearby"}, func(p *recovery.Plan) { p.Run = "beef" }, "it is of another run", "another run"},
		{"other components", nil, to{1, "pitr", "nearby", "nearby"}, func(p *recovery.Plan) { p.Moment.Points = p.Moment.Points[:1] }, "other components come back", "another run"},
		{"another runbook", nil, to{1, "pitr", "nearby", "nearby"}, func(p *recovery.Plan) { p.Runbook.SHA256 = "bb" }, "the runbook is not the one", "another run"},
		{"other places", nil, to{1, "pitr", "nearby", "nearby"}, func(p *recovery.Plan) { p.Targets[0].Place = "/srv" }, "it writes to other places", "another run"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, fresh := planTo(t, rb, first), planTo(t, rb, c.to)
			r := begin(t, p)
			if c.do != nil {
				c.do(r)
			}
			if c.change != nil {
				c.change(fresh)
			}
			_, err := plan.Amend(r.State, p, fresh, "ops1", "")
			if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(recovery.HintOf(err), c.hint) || recovery.ExitOf(err) != recovery.Refused {
				t.Errorf("%v (hint %q)", err, recovery.HintOf(err))
			}
		})
	}
	t.Run("not because of a step that stays", func(t *testing.T) {
		p := planTo(t, rb, first)
		r := begin(t, p)
		r.start("stats.copy")
		if _, err := plan.Amend(r.State, p, planTo(t, rb, to{1, "pitr", "nearby", "nearby"}), "ops1", ""); err != nil {
			t.Error(err)
		}
	})
}

// What came back of a component that is live, or may be, or was handed over, stays as it is;
// the components that have not come so far can still come back otherwise.
func TestAmend_delivered(t *testing.T) {
	rb := parse(t, amended)
	claim := recovery.Resource{Kind: recovery.Exchanged, ID: "db1/shop"}
	exchanged := func(r *progress) {
		r.do("database.copy", "database.replay")
		r.start("database.exchange")
		r.fold(recovery.ClaimMade{Step: "database.exchange", Resource: claim})
	}
	opened := func(r *progress) {
		exchanged(r)
		r.fold(recovery.StepFinished{Step: "database.exchange"})
		r.start("database.open")
		r.fold(recovery.StepFinished{Step: "database.open", Outcome: recovery.Outcome{Adopted: []recovery.Resource{claim}}})
	}
	for _, c := range []struct {
		name       string
		do         func(*progress)
		to         to
		says, hint string // none where it is taken
	}{
		{"open", opened, to{1, "pitr", "nearby", "nearby"}, "what came back of database is live and open", "switch back: comeback switch-back 7c31"},
		{"open, from another copy", opened, to{0, "pitr", "offsite", "nearby"}, "what came back of database is live and open", "switch back: comeback switch-back 7c31"},
		{"exchanged", exchanged, to{1, "pitr", "nearby", "nearby"}, "what came back of database is in the place of what was live", "stop the run"},
		{"an exchange that failed", func(r *progress) {
			exchanged(r)
			r.fold(recovery.StepFailed{Step: "database.exchange", Error: "it was cut off"}, recovery.Waiting{Step: "database.exchange", For: recovery.WaitDecision})
		}, to{1, "pitr", "nearby", "nearby"}, "what came back of database is in the place of what was live", "stop the run"},
		{"handed over", func(r *progress) {
			r.do("database.copy", "database.replay")
			r.start("database.exchange")
			r.fold(recovery.StepFinished{Step: "database.exchange", Outcome: recovery.Outcome{HandedOver: []recovery.HandedOver{{Component: "database", Place: "/var/tmp/a"}}}})
		}, to{1, "pitr", "nearby", "nearby"}, "what came back of database was handed over", "comeback expire 7c31"},
		{"not yet exchanged", func(r *progress) { r.do("database.copy", "database.replay") }, to{1, "pitr", "nearby", "nearby"}, "", ""},
		{"given back", func(r *progress) {
			exchanged(r)
			r.fold(recovery.StepFailed{Step: "database.exchange", Error: "refused"}, recovery.ClaimReleased{Resource: claim}, recovery.Waiting{Step: "database.exchange", For: recovery.WaitDecision})
		}, to{1, "pitr", "nearby", "nearby"}, "", ""},
		{"another component", opened, to{0, "pitr", "nearby", "offsite"}, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, fresh := planTo(t, rb, to{0, "pitr", "nearby", "nearby"}), planTo(t, rb, c.to)
			for _, p := range []*recovery.Plan{p, fresh} {
				exchange, open := recovery.NewStep("database.exchange", "live.exchange", "exchange database", nil), recovery.NewStep("database.open", "live.open", "open database", nil)
				exchange.Component, exchange.Phase, exchange.After, exchange.Writes = "database", recovery.Exchange, []string{"database.replay"}, []recovery.TargetID{"live/database"}
				open.Component, open.Phase, open.After, open.Writes = "database", recovery.Open, []string{exchange.ID}, exchange.Writes
				p.Steps = append(p.Steps, exchange, open)
			}
			r := begin(t, p)
			c.do(r)
			a, err := plan.Amend(r.State, p, fresh, "ops1", "")
			if c.says == "" {
				if err != nil || slices.Contains(a.Redo, "database.open") {
					t.Errorf("%v, again %v", err, a.Redo)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(recovery.HintOf(err), c.hint) || recovery.ExitOf(err) != recovery.Refused {
				t.Errorf("%v (hint %q)", err, recovery.HintOf(err))
			}
		})
	}
}
