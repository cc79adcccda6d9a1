package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/journal"
	"comeback/recovery/runner"
	"comeback/shop/shoptest"
	"comeback/tui"
)

// ways are the two ways back for a database.
func ways(l *lost) map[string]struct {
	to   string
	want []digest
} {
	return map[string]struct {
		to   string
		want []digest
	}{
		"dump": {l.dump, l.atDump},
		"log":  {fmt.Sprintf("before-xid:%d", l.incident.Harm.XID), l.before},
	}
}

// soaking reports whether the exhaustive suites are asked for; make soak does.
func soaking() bool { return os.Getenv("COMEBACK_SOAK") != "" }

// sampled reports whether a case of a table is to run: make test takes those
// that are named, make soak all of them.
func sampled(name string, names ...string) bool { return soaking() || slices.Contains(names, name) }

// everyKind is a stage of every kind of step beside restores and checks.
const everyKind = "\n## Every kind\n\n- [ ] Somebody has looked\n\n```sh\n# run: a block\n# in: both\necho here\n```\n\n" +
	"```sh\n# wait: a condition\n# in: both\n# every: 1s\n# timeout: 1m\ntrue\n```\n\n" +
	"```sql\n-- wait: the orders\n-- on: database\n-- expect: > 0\n-- every: 1s\n-- timeout: 1m\nselect count(*) from orders;\n```\n"

// A rehearsal whose runner is killed at any journal entry, before or after it is
// written, so also between intent, effect and result, is resumed, ends with
// every check held on the same data, and tells of the interruption. make test
// takes a seeded sample, make soak all of them.
func TestResume_afterKillAtEveryEntry(t *testing.T) {
	t.Parallel()
	l := theShop(t)
	for name, way := range ways(l) {
		t.Run(name, func(t *testing.T) {
			book := runbook(t, fmt.Sprintf("{url: %q}", l.CopyURL()), way.want, everyKind)
			r := newRig(t)
			if got := r.run(t.Context(), "rehearse", book, "--plain", "--to", way.to); got.code != recovery.CameBack {
				t.Fatalf("undisturbed: exit %d\n%s%s", got.code, got.out, got.err)
			}
			entries := int(r.stateOf(t, filepath.Base(r.only(t))).Seq)
			var points []string
			for n := 1; n <= entries; n++ {
				points = append(points, fmt.Sprintf("before:%d", n), fmt.Sprintf("after:%d", n))
			}
			if !soaking() {
				sample := rand.New(rand.NewPCG(3, uint64(entries)))
				sample.Shuffle(len(points), func(i, j int) { points[i], points[j] = points[j], points[i] })
				points = points[:2]
			}
			for _, at := range points {
				t.Run(at, func(t *testing.T) { killAndResume(t, book, way.to, at) })
			}
		})
	}
}

// Killed again and again, a run still comes to its end.
func TestResume_afterManyKills(t *testing.T) {
	t.Parallel()
	l := theShop(t)
	for name, way := range ways(l) {
		t.Run(name, func(t *testing.T) {
			seeds, kills := uint64(1), 3
			if soaking() {
				seeds, kills = 20, 5
			}
			for seed := range seeds {
				random := rand.New(rand.NewPCG(seed, 7))
				var points []string
				for range kills {
					points = append(points, fmt.Sprintf("%s:%d", []string{"before", "after"}[random.IntN(2)], 2+random.IntN(8)))
				}
				killAndResume(t, runbook(t, fmt.Sprintf("{url: %q}", l.CopyURL()), way.want, ""), way.to, points...)
			}
		})
	}
}

// killAndResume rehearses with a runner that dies at the first point, resumes it
// with one that dies at the next, and in the end with one that lives.
func killAndResume(t *testing.T, book, to string, points ...string) {
	t.Helper()
	r := newRig(t)
	died := 0
	var id string
	for i, at := range append(points, "") {
		r.environ["COMEBACK_TEST_KILL"] = at
		args := []string{"rehearse", book, "--plain", "--to", to}
		if i > 0 {
			args = []string{"resume", id, "--plain", "--unattended"}
		}
		got := r.run(t.Context(), args...)
		if id == "" {
			id = filepath.Base(r.only(t))
		}
		switch got.code {
		case recovery.NotEnded, recovery.Failed: // it died, for its front end or before that could attach
			died++
			if at == "" {
				t.Fatalf("resumed for good: exit %d\n%s%s", got.code, got.out, got.err)
			}
			continue
		case recovery.CameBack:
		default:
			t.Fatalf("killed at %q: exit %d\n%s%s", at, got.code, got.out, got.err)
		}
		if r.stateOf(t, id).Result != "" {
			break
		}
	}
	delete(r.environ, "COMEBACK_TEST_KILL")
	state := r.stateOf(t, id)
	if state.Result == "" || state.Exit != recovery.CameBack || len(state.Held()) != 0 || len(state.Unknown) != 0 {
		t.Fatalf("ended as %q %q, holds %v, unknown %v", state.Result, state.Says, state.Held(), state.Unknown)
	}
	path := filepath.Join(r.state, "runs", id, journal.Name)
	if _, err := journal.Read(path, state.RunbookSHA256); err != nil {
		t.Errorf("the chain: %v", err)
	}
	// A runner that died before its first entry, or after its last, was not
	// interrupted in a run.
	if n := len(state.Interruptions); n > died || died == 1 && n == 0 && !strings.HasSuffix(points[0], ":1") && state.Result != recovery.ResultPassed {
		t.Errorf("%d interruptions after %d deaths", n, died)
	}
	var told struct {
		Passing bool              `json:"passing"`
		Breaks  []json.RawMessage `json:"interruptions"`
	}
	b, err := os.ReadFile(filepath.Join(r.state, "runs", id, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &told); err != nil {
		t.Fatal(err)
	}
	if !told.Passing || len(told.Breaks) != len(state.Interruptions) {
		t.Errorf("the report: passing %v, %d interruptions of %d", told.Passing, len(told.Breaks), len(state.Interruptions))
	}
	if left := shoptest.Processes(t, r.scratch); len(left) > 0 {
		t.Errorf("processes left: %v", left)
	}
	if left, err := filepath.Glob(filepath.Join(r.state, "live", "*")); err != nil || len(left) > 0 {
		t.Errorf("left of the living run: %v, %v", left, err)
	}
}

// attended starts a run that people are asked about, without a console.
func (r *rig) attended(t *testing.T, book, to string) attached {
	t.Helper()
	a := r.app(nil, nil)
	b, _, err := a.open(t.Context(), book)
	if err != nil {
		t.Fatal(err)
	}
	cat, err := a.survey(t.Context(), b, nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := a.plan(t.Context(), b, cat, choices{mode: recovery.Rehearsal, to: to})
	if err != nil {
		t.Fatal(err)
	}
	client, err := a.start(t.Context(), b, p, "test", runner.Launch{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// untilState follows a run until its state is as wanted.
func untilState(t *testing.T, s recovery.Session, want func(*recovery.State) bool) recovery.State {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	state := recovery.NewState(s.Plan())
	for e, err := range s.Events(ctx, 1) {
		if err != nil {
			t.Fatalf("%v; the run is at event %d and waits for %d steps:\n%s", err, state.Seq, len(state.Waits()), recovery.Status(s.Plan(), &state, true, time.Now()))
		}
		if state = recovery.Fold(state, e); want(&state) {
			return state
		}
	}
	if state.Result == "" {
		t.Fatalf("the run ended otherwise: %s %s", state.Result, state.Says)
	}
	return state
}

func waitsFor(step string, what recovery.WaitFor) func(*recovery.State) bool {
	return func(s *recovery.State) bool {
		st := s.Step(step)
		return st != nil && st.WaitsFor == what
	}
}

// untilEnd follows a run until its report is written.
func untilEnd(t *testing.T, s recovery.Session) recovery.State {
	t.Helper()
	return untilState(t, s, func(*recovery.State) bool { return false })
}

func do(t *testing.T, s recovery.Session, c recovery.Command) {
	t.Helper()
	if err := s.Do(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

// The restored server is killed while the run waits for a person. The check that
// follows fails, another attempt brings the server back, and all is as it was.
func TestRun_postgresKilled(t *testing.T) {
	l := theShop(t)
	for name, way := range ways(l) {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			check := fmt.Sprintf("\n## Again\n\n```sql\n-- check: %s once more\n-- on: database\n-- expect: = '%s'\n%s;\n```\n", way.want[0].table, way.want[0].value, way.want[0].query)
			book := runbook(t, fmt.Sprintf("{url: %q}", l.CopyURL()), way.want, "\n## Look\n\n- [ ] Somebody has looked\n"+check)
			s := r.attended(t, book, way.to)
			state := untilState(t, s, waitsFor("3.1.ticks", recovery.WaitTicks))
			for _, pid := range postmasters(t, &state) {
				if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
			}
			do(t, s, recovery.Command{Kind: recovery.DoTick, Step: "3.1.ticks", How: recovery.TickDone})
			state = untilState(t, s, waitsFor("4.1.check", recovery.WaitDecision))
			if st := state.Step("4.1.check"); !strings.Contains(st.Error, "the restored server of database") || st.Hint == "" {
				t.Errorf("the check says %q, next %q", st.Error, st.Hint)
			}
			do(t, s, recovery.Command{Kind: recovery.DoDecide, Step: "4.1.check", Choice: recovery.ChooseRetry})
			// A crash empties unlogged tables: a dump that has some is restored
			// again, and what came after it is asked again.
			state = untilState(t, s, func(s *recovery.State) bool {
				return s.Result != "" || s.Step("4.1.check").Gone != "" && s.Step("3.1.ticks").WaitsFor == recovery.WaitTicks
			})
			if again := state.Result == ""; again != (name == "dump") {
				t.Errorf("restored again: %v", again)
			} else if again {
				do(t, s, recovery.Command{Kind: recovery.DoTick, Step: "3.1.ticks", How: recovery.TickDone})
			}
			state = untilEnd(t, s)
			if state.Result != recovery.ResultPassed {
				t.Errorf("ended as %s: %s", state.Result, state.Says)
			}
		})
	}
}

// postmasters are the processes of the run's restored servers.
func postmasters(t *testing.T, s *recovery.State) []int {
	t.Helper()
	var pids []int
	for _, c := range s.Held() {
		if c.Kind != recovery.Cluster {
			continue
		}
		b, err := os.ReadFile(filepath.Join(c.ID, "postmaster.pid"))
		if err != nil {
			t.Fatal(err)
		}
		var pid int
		if _, err := fmt.Sscan(string(b), &pid); err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	if len(pids) == 0 {
		t.Fatal("the run holds no cluster")
	}
	return pids
}

// While a run waits, its runner is killed: what was decided stays decided, the
// restored data are served again, and another operator can go on.
func TestResume_byAnother(t *testing.T) {
	l, r := theShop(t), newRig(t)
	check := fmt.Sprintf("\n## Again\n\n```sql\n-- check: %s once more\n-- on: database\n-- expect: = '%s'\n%s;\n```\n", l.before[0].table, l.before[0].value, l.before[0].query)
	book := runbook(t, fmt.Sprintf("{url: %q}", l.CopyURL()), l.before, "\n## Look\n\n- [ ] One has looked\n- [ ] Another has looked\n"+check)
	s := r.attended(t, book, fmt.Sprintf("before-xid:%d", l.incident.Harm.XID))
	untilState(t, s, waitsFor("3.1.ticks", recovery.WaitTicks))
	do(t, s, recovery.Command{Kind: recovery.DoTick, Step: "3.1.ticks", Item: 0, How: recovery.TickDone})
	id := s.Plan().Run
	if err := syscall.Kill(r.stateOf(t, id).PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for _, err := range s.Events(t.Context(), 1) { // until the connection is lost
		if err != nil && !strings.Contains(err.Error(), "is gone") {
			t.Error(err)
		}
	}
	r.environ["USER"] = "ops2"
	a := r.app(nil, nil)
	again, err := a.launch(t.Context(), runner.Launch{Home: runner.Home{Dir: r.state}, Run: id, Act: runner.ActResume}, "test", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	state := untilState(t, again, func(s *recovery.State) bool { return len(s.Interruptions) == 1 })
	if state.Lease != "ops2" || state.Operator != "ops1" || state.Step("3.1.ticks").Ticks[0].By != "ops1" {
		t.Errorf("lease %s, operator %s, ticks %+v", state.Lease, state.Operator, state.Step("3.1.ticks").Ticks)
	}
	do(t, again, recovery.Command{Kind: recovery.DoTick, Step: "3.1.ticks", Item: 1, How: recovery.TickDone})
	state = untilEnd(t, again)
	if state.Result != recovery.ResultPassed {
		t.Errorf("ended as %s: %s", state.Result, state.Says)
	}
	for _, st := range state.Steps {
		if st.Attempts != 1 {
			t.Errorf("%s took %d attempts", st.ID, st.Attempts)
		}
	}
}

// The moment is changed while the run waits: only what follows from it is done
// again, under a new digest.
func TestRun_amended(t *testing.T) {
	l, r := theShop(t), newRig(t)
	book := runbook(t, fmt.Sprintf("{url: %q}", l.CopyURL()), l.before, "\n## Look\n\n- [ ] Somebody has looked\n")
	s := r.attended(t, book, fmt.Sprintf("after-xid:%d", l.incident.Harm.XID))
	state := untilState(t, s, func(s *recovery.State) bool {
		for _, st := range s.Steps {
			if strings.HasSuffix(st.ID, ".check") && st.State != recovery.Done && st.WaitsFor == "" {
				return false
			}
		}
		return true
	})
	amended, err := r.app(nil, nil).amendment(t.Context(), s, state, tui.Choice{Want: fmt.Sprintf("before-xid:%d", l.incident.Harm.XID)})
	if err != nil {
		t.Fatal(err)
	}
	do(t, s, recovery.Command{Kind: recovery.DoAmend, Amend: &amended})
	untilState(t, s, waitsFor("3.1.ticks", recovery.WaitTicks))
	do(t, s, recovery.Command{Kind: recovery.DoTick, Step: "3.1.ticks", How: recovery.TickDone})
	state = untilEnd(t, s)
	if state.Result != recovery.ResultPassed || len(state.Amendments) != 1 {
		t.Errorf("ended as %s: %s; amendments %v", state.Result, state.Says, state.Amendments)
	}
	if err := s.Do(t.Context(), recovery.Command{Kind: recovery.DoAmend, Amend: &amended}); err == nil {
		t.Error("a run that has ended was amended")
	}
}

// A runner that is killed in the middle of a step's work, not at an entry of its
// journal, is resumed just as well.
func TestResume_afterKillMidway(t *testing.T) {
	t.Parallel()
	l := theShop(t)
	for name, way := range ways(l) {
		t.Run(name, func(t *testing.T) {
			moments := []int{2}
			if soaking() {
				moments = []int{1, 2, 3, 4, 5, 6, 8, 10, 12, 15}
			}
			for _, samples := range moments {
				r := newRig(t)
				book := runbook(t, fmt.Sprintf("{url: %q}", l.CopyURL()), way.want, "")
				s := r.attended(t, book, way.to)
				n := 0
				for range s.Samples(t.Context()) { // each tells that a step works
					if n++; n == samples {
						if err := syscall.Kill(r.stateOf(t, s.Plan().Run).PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) { // else it has ended before
							t.Fatal(err)
						}
					}
				}
				for _, err := range s.Events(t.Context(), 1) { // until the loss is told
					if err == nil {
						continue
					}
					got := r.run(t.Context(), "resume", s.Plan().Run, "--plain", "--unattended")
					if got.code != recovery.CameBack {
						t.Errorf("after %d samples: exit %d\n%s%s", samples, got.code, got.out, got.err)
					}
				}
				if state := r.stateOf(t, s.Plan().Run); state.Result != recovery.ResultPassed {
					t.Errorf("after %d samples: ended as %s %s", samples, state.Result, state.Says)
				}
			}
		})
	}
}
