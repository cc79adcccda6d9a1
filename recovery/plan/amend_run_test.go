package plan_test

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/execute"
	"comeback/recovery/journal"
	"comeback/recovery/plan"
	"comeback/storage"
)

// act is a kind of step that writes down what it was told.
type act struct {
	name string
	do   func(recovery.Step) error
}

func (a act) Name() string            { return a.name }
func (act) Restart() recovery.Restart { return recovery.Repeat }
func (a act) Do(_ context.Context, _ recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	return recovery.Outcome{}, a.do(s)
}

// TestAmend_run changes a run under way in the real executor: a check does not
// hold, so the database is restored from another copy, and everything that
// looked at it looks again.
func TestAmend_run(t *testing.T) {
	rb := parse(t, strings.Replace(amended, "```sh\n# run: smoke\n# in: both\ntrue\n```\n", "", 1))
	p, fresh := planTo(t, rb, to{0, "pitr", "nearby", "nearby"}), planTo(t, rb, to{0, "pitr", "offsite", "nearby"})
	var mu sync.Mutex
	var did []string
	does := func(name string) recovery.Kind {
		return act{name, func(s recovery.Step) error {
			mu.Lock()
			defer mu.Unlock()
			what := s.ID
			var from string
			if json.Unmarshal(s.Args, &from) == nil && name == "pitr.copy" {
				what += " from " + from
			}
			did = append(did, what)
			if name == recovery.KindSQLCheck && !slices.Contains(did, "database.copy from offsite nightly") {
				return errors.New("expected rows, found no rows")
			}
			return nil
		}}
	}
	dir := t.TempDir()
	j, err := journal.Create(filepath.Join(dir, journal.Name), strings.Repeat("0", 64))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	waits := make(chan recovery.Waiting, 64)
	// What runs beside the check cannot change while it does: the wait, and then the items
	// to tick until they are asked for.
	beside, once := make(chan struct{}), sync.Once{}
	state := recovery.NewState(p)
	state.PlanSHA256 = "p1"
	x, err := execute.New(execute.Options{Plan: p, Dir: dir, Journal: j, State: state, Now: time.Now,
		Kinds:     []recovery.Kind{does("pitr.copy"), does("pitr.replay"), does(recovery.KindSQLCheck), does(recovery.KindSQLWait)},
		OpenStore: func(context.Context, recovery.Copy) (storage.Store, error) { return nil, errors.New("no store here") },
		Secrets:   execute.NewSecrets(func(string) (string, bool) { return "", false }, nil),
		Sample:    func(recovery.Sample) {},
		Event: func(e recovery.Event) {
			if p, ok := e.Payload(); ok {
				if w, ok := p.(recovery.Waiting); ok {
					waits <- w
					if w.Step == "5.3.ticks" {
						once.Do(func() { close(beside) })
					}
				}
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	answered := make(chan map[recovery.WaitFor]int, 1)
	go func() {
		count := map[recovery.WaitFor]int{}
		defer func() { answered <- count }()
		for {
			var w recovery.Waiting
			select {
			case w = <-waits:
			case <-ctx.Done():
				return
			}
			now := x.State()
			if now.Step(w.Step).WaitsFor != w.For {
				continue // the amendment has taken it back
			}
			count[w.For]++
			c := recovery.Command{Kind: recovery.DoTick, Step: w.Step, How: recovery.TickTalkedThrough, By: "ops1"}
			if w.For == recovery.WaitDecision {
				<-beside
				a, err := plan.Amend(x.State(), p, fresh, "ops1", "orders are missing")
				if err != nil {
					t.Error(err)
					cancel()
				}
				c = recovery.Command{Kind: recovery.DoAmend, Amend: &a, By: "ops1"}
			}
			if err := x.Do(c); err != nil {
				t.Errorf("%s %s: %v", c.Kind, w.Step, err)
				cancel()
			}
		}
	}()
	s, err := x.Run(ctx)
	cancel()
	if count := <-answered; err != nil || count[recovery.WaitDecision] != 1 || count[recovery.WaitApproval] != 2 || count[recovery.WaitTicks] < 2 {
		t.Errorf("asked for %v, %v", count, err)
	}
	for i := range s.Steps {
		if st := &s.Steps[i]; st.State != recovery.Done {
			t.Errorf("%s is %s: %s", st.ID, st.State, st.Error)
		}
	}
	if len(s.Unknown) > 0 || len(s.Amendments) != 1 || s.Amendments[0].Says != "restore database from offsite" || s.Moment.Points[0].Copy != "offsite" {
		t.Errorf("unknown %v, amendments %+v", s.Unknown, s.Amendments)
	}
	// The other component is restored side by side with all of this.
	if !slices.Contains(did, "database.copy from offsite nightly") {
		t.Fatalf("nothing was restored from offsite: %v", did)
	}
	after := slices.DeleteFunc(slices.Clone(did[slices.Index(did, "database.copy from offsite nightly"):]), func(what string) bool { return strings.HasPrefix(what, "stats.") })
	slices.Sort(after[min(2, len(after)):]) // the check and the wait are asked side by side
	if got, want := strings.Join(after, "\n"), "database.copy from offsite nightly\ndatabase.replay\n5.1.check\n5.2.wait"; got != want {
		t.Errorf("after the amendment it did\n%s\nwant\n%s\nand in all\n%s", got, want, strings.Join(did, "\n"))
	}
	for what, n := range map[string]int{"stats.copy from nearby nightly": 1, "stats.replay": 1, "database.copy from nearby nightly": 1} {
		if m := len(slices.DeleteFunc(slices.Clone(did), func(d string) bool { return d != what })); m != n {
			t.Errorf("%s: %d times, want %d", what, m, n)
		}
	}
}
