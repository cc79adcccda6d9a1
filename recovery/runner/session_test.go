package runner_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/runner"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// sameJSON holds two texts for the same that JSON does; a plan's are indented.
var sameJSON = cmp.FilterValues(func(a, b json.RawMessage) bool { return len(a)+len(b) > 0 }, cmp.Comparer(func(a, b json.RawMessage) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && cmp.Equal(x, y)
}))

// What comes through the socket is what the journal says, from any number on.
func TestClient_seesWhatTheJournalSays(t *testing.T) {
	home := runner.Home{Dir: t.TempDir()}
	run := serve(t, ticking(home, t.TempDir()))
	c := dial(t, home, "ops1")
	until(t, c, waiting)
	own, err := run.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	far, err := c.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(own, far, cmpopts.EquateEmpty(), sameJSON); d != "" {
		t.Errorf("the state in the runner, and here:\n%s", d)
	}
	ctx, cancel := context.WithCancel(t.Context())
	for _, from := range []uint64{0, 1, 3, own.Seq} {
		n := max(from, 1)
		for e, err := range c.Events(ctx, from) {
			if err != nil || e.Seq != n {
				t.Fatalf("from %d: event %d where %d was due, %v", from, e.Seq, n, err)
			}
			if n++; e.Seq == own.Seq {
				break
			}
		}
	}
	// A number that no event has yet is waited for, however large.
	future := make(chan error, 1)
	go func() {
		for e, err := range c.Events(ctx, 1<<63+1) {
			if err == nil {
				err = fmt.Errorf("event %d came", e.Seq)
			}
			future <- err
		}
	}()
	if err := c.Do(t.Context(), recovery.Command{Kind: recovery.DoNote, Text: "wake up"}); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-future; !errors.Is(err, context.Canceled) {
		t.Errorf("from the far future: %v", err)
	}
	tick(t, c, "")
	if s, err := run.Wait(); err != nil || s.Result != recovery.ResultPassed {
		t.Errorf("ended as %s, %v", s.Result, err)
	}
}

// Whatever has happened in a run, its state survives the way to a front end.
func TestState_throughJSON(t *testing.T) {
	for seed := range uint64(80) {
		r := rand.New(rand.NewPCG(seed, 3))
		o := ticking(runner.Home{}, "/tmp")
		p := o.Plan
		for i := range 4 {
			s := recovery.NewStep(fmt.Sprintf("s%d", i), "k", "does <b>&</b>", map[string]any{"a": 1 << 60})
			s.Budget = recovery.Duration(r.Int64N(int64(time.Hour)))
			p.Steps = append(p.Steps, s)
		}
		s := recovery.NewState(p)
		at := time.Date(2026, 11, 23, 2, 57, 20, 123456789, time.UTC)
		for n := range 40 {
			e, err := recovery.NewEvent(at.Add(time.Duration(n)*time.Millisecond), anything(r, s.PlanSHA256))
			if err != nil {
				t.Fatal(err)
			}
			e.Seq = uint64(n + 1)
			s = recovery.Fold(s, e)
		}
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var again recovery.State
		if err := json.Unmarshal(b, &again); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(s, again, cmpopts.EquateEmpty(), sameJSON); d != "" {
			t.Fatalf("seed %d:\n%s", seed, d)
		}
	}
}

func anything(r *rand.Rand, plan string) recovery.Payload {
	step := []string{"t", "s0", "s1", "s2", "s3", "unknown"}[r.IntN(6)]
	at := time.Date(2026, 11, 22, r.IntN(24), 0, 0, r.IntN(1e9), time.UTC)
	res := recovery.Resource{Kind: recovery.Directory, ID: "/tmp/" + step, Details: map[string]string{"a": "ü\n"}}
	lsn := recovery.LSN(r.Uint64())
	all := []recovery.Payload{
		recovery.RunStarted{Run: "7c31", System: "shop", Mode: recovery.Rehearsal, Operator: "ops1", PID: 7, Asserted: map[string]string{"USER": "x"}},
		recovery.RunResumed{PID: 8, BootID: step, By: "ops2", Reason: "died", Unattended: r.IntN(2) == 0},
		recovery.LeaseTaken{By: "ops2", From: "ops1", Reason: "x"}, recovery.LeaseHanded{By: "ops2", To: "ops1"},
		recovery.OutageNoted{Since: at, How: "known"}, recovery.ClockStepped{By: recovery.Duration(-time.Hour)},
		recovery.StepStarted{Step: step, Attempt: r.IntN(5)}, recovery.StepCheckpoint{Step: step, Text: "half"},
		recovery.StepFinished{Step: step, Outcome: recovery.Outcome{Says: "ok", Facts: map[string]string{"a": "b"}, Remarks: []string{"r"},
			Bindings: []recovery.Binding{{Component: "db", URL: "postgres:///x", Scratch: true}}, Artifacts: []recovery.Artifact{{Name: "a", Size: 1 << 60, SHA256: "x"}},
			Reached: &recovery.Reached{Component: "db", Time: at, LSN: lsn, XID: 81214, Timeline: 2, Evidence: []string{"e"}},
			Check:   &recovery.CheckResult{Name: "c", Held: true, Found: "1"}}},
		recovery.StepFailed{Step: step, Error: "no", Hint: "do", Exit: recovery.Refused, Outcome: recovery.Outcome{Says: "x"}},
		recovery.StepGone{Step: step, Why: "gone"}, recovery.StepSkipped{Step: step, Why: "why"},
		recovery.Waiting{Step: step, For: recovery.WaitCredentials, Cause: "expired", Hint: "log in"},
		recovery.Approved{Step: step, Role: "r", Fingerprint: "f", PlanSHA256: "p", Signature: "s", By: "b"},
		recovery.SecretGiven{Name: "n", By: "b"}, recovery.Notified{About: "a", Error: "e"},
		recovery.Ticked{Step: "t", Item: r.IntN(3), How: recovery.TickDone, By: "b", Note: "n"},
		recovery.Decided{Step: step, Choice: recovery.ChooseRetry, Reason: "r", By: "b"}, recovery.Noted{Text: "\u2028 t", By: "b"},
		recovery.ClaimMade{Step: step, Resource: res}, recovery.ClaimReleased{Resource: res}, recovery.ClaimKept{Resource: res, Why: "w", OnPurpose: true},
		recovery.StopAsked{By: "b", Reason: "r"}, recovery.CleanupStarted{},
		recovery.RunEnded{Result: recovery.ResultPassed, Exit: recovery.WithExceptions, Says: "s", Watched: true},
	}
	if n := r.IntN(len(all) + 1); n < len(all) {
		return all[n]
	}
	a, err := recovery.Amend(plan, recovery.Amended{Says: "s", Why: "w", By: "b", Skip: []string{"s0"}, Redo: []string{"s1"},
		Steps:  []recovery.Step{recovery.NewStep("s2", "k", "other", map[string]string{"x": "<>"})},
		Moment: &recovery.Moment{Want: recovery.Want{Kind: recovery.WantTime, Time: at, Text: "then"}, Anchor: "db", Points: []recovery.Point{{Component: "db", Time: at, Stop: lsn}}}})
	if err != nil {
		panic(err)
	}
	return a
}

// A viewer that never reads, one that goes away in the middle and many that
// read are all the same to the run; its end does not wait for long.
func TestServer_viewers(t *testing.T) {
	home := runner.Home{Dir: t.TempDir()}
	o := ticking(home, t.TempDir())
	ending, report := make(chan struct{}), make(chan struct{})
	o.Finish = func(string) error { close(ending); <-report; return nil }
	run := serve(t, o)
	c := dial(t, home, "ops1")
	until(t, c, waiting)

	t.Chdir(home.LiveDir("7c31"))
	deaf, err := net.Dial("unix", "socket")
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	if _, err := fmt.Fprint(deaf, "GET /events?from=1 HTTP/1.1\r\nHost: run\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	// More than any buffer of a socket holds.
	for range 30 {
		if err := c.Do(t.Context(), recovery.Command{Kind: recovery.DoNote, Text: strings.Repeat("x", 16<<10)}); err != nil {
			t.Fatal(err)
		}
	}
	for e, err := range dial(t, home, "ops9").Events(t.Context(), 1) {
		if err != nil || e.Seq == 5 {
			break // it hangs up
		}
	}
	var wait sync.WaitGroup
	states := make([]recovery.State, 5)
	for i := range states {
		viewer := dial(t, home, fmt.Sprintf("ops%d", i))
		wait.Go(func() { states[i] = until(t, viewer, over) })
	}
	tick(t, c, "")
	<-ending // its last event is written, its report is not
	late := until(t, dial(t, home, "ops9"), over)
	close(report)
	s, err := run.Wait()
	wait.Wait()
	if err != nil || s.Result != recovery.ResultPassed || len(s.Notes) != 30 {
		t.Fatalf("ended as %s with %d notes, %v", s.Result, len(s.Notes), err)
	}
	for i, seen := range append(states, late) {
		if seen.Seq != s.Seq {
			t.Errorf("viewer %d saw %d of %d events", i, seen.Seq, s.Seq)
		}
	}
	if _, err := os.Lstat(home.LiveDir("7c31")); !os.IsNotExist(err) {
		t.Errorf("the socket is still there: %v", err)
	}
	if _, err := home.Dial(t.Context(), "7c31", runner.Viewer{}); err == nil {
		t.Error("somebody attached to a run that has ended")
	}
}

// Everybody hears who comes and goes, and the end tells whether one watched.
func TestServer_presence(t *testing.T) {
	home := runner.Home{Dir: t.TempDir()}
	run := serve(t, ticking(home, t.TempDir()))
	one := dial(t, home, "ops1")
	heard := one.Samples(t.Context())
	here := func(want ...string) {
		t.Helper()
		deadline := time.After(20 * time.Second)
		for {
			select {
			case s := <-heard:
				var names []string
				for _, w := range s.Here {
					names = append(names, w.Operator+" at "+w.Terminal)
				}
				if strings.Join(names, ", ") == strings.Join(want, ", ") {
					return
				}
			case <-deadline:
				t.Fatalf("never heard of %q", want)
			}
		}
	}
	here("ops1 at console")
	ctx, leave := context.WithCancel(t.Context())
	other, err := home.Dial(ctx, "7c31", runner.Viewer{Operator: "ops2", Terminal: "pl\x1b[2Jain"})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for range other.Samples(ctx) {
		}
	}()
	here("ops1 at console", "ops2 at plain")
	leave()
	here("ops1 at console")
	tick(t, one, "")
	if s, err := run.Wait(); err != nil || !s.Watched {
		t.Errorf("watched %v, %v", s.Watched, err)
	}
}

// Nobody watches: the end says so.
func TestServer_unwatched(t *testing.T) {
	home := runner.Home{Dir: t.TempDir()}
	run := serve(t, ticking(home, t.TempDir()))
	tick(t, run, "ops1")
	if s, err := run.Wait(); err != nil || s.Watched {
		t.Errorf("watched %v, %v", s.Watched, err)
	}
}

// A state directory may lie deeper than a socket's address reaches, and a dead
// runner's socket is in nobody's way.
func TestServer_deepAndStale(t *testing.T) {
	home := runner.Home{Dir: filepath.Join(t.TempDir(), strings.Repeat("deep/", 50)+"state")}
	if err := os.MkdirAll(home.LiveDir("7c31"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home.LiveDir("7c31"), "socket"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	serve(t, ticking(home, t.TempDir()))
	c := dial(t, home, "ops1")
	if c.Hello.Protocol != runner.Protocol || c.Hello.Run != "7c31" || c.Hello.PID != os.Getpid() {
		t.Errorf("it says %+v", c.Hello)
	}
}
