package execute_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/execute"
)

const plan1 = "aa11" // the digest of the plan of the runs below

// after is a run whose journal holds events already and whose runner died.
func after(t *testing.T, change func(*recovery.Plan, *execute.Options), past ...recovery.Payload) func(*recovery.Plan, *execute.Options) {
	return func(p *recovery.Plan, o *execute.Options) {
		t.Helper()
		if change != nil {
			change(p, o)
		}
		started := recovery.RunStarted{Run: p.Run, System: p.System, Mode: p.Mode, Operator: "ops1", PlanSHA256: plan1, BootID: "b1"}
		past = append([]recovery.Payload{started}, past...)
		if _, resumed := past[len(past)-1].(recovery.RunResumed); !resumed {
			past = append(past, recovery.RunResumed{By: "ops1", BootID: "b1", Reason: "its runner had died"})
		}
		for _, payload := range past {
			e, err := recovery.NewEvent(time.Now(), payload)
			if err == nil {
				_, err = o.Journal.Append(e)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

func begun(step string) recovery.Payload {
	return recovery.StepStarted{Step: step, Attempt: 1}
}

func done(step string) recovery.Payload {
	return recovery.StepFinished{Step: step, Outcome: recovery.Outcome{Says: "ok"}}
}

// living is a kind whose effect must be brought back.
type living struct {
	kind
	revive func(ctx context.Context, id string, rebooted bool) error
}

func (l living) Revive(ctx context.Context, _ recovery.Env, s recovery.Step, _ recovery.Outcome, rebooted bool) error {
	return l.revive(ctx, s.ID, rebooted)
}

// cleaned is a kind whose claims must be removed before another attempt.
type cleaned struct{ kind }

func (cleaned) Restart() recovery.Restart { return recovery.Clean }

// things are resources that remember what became of them.
type things struct {
	mu   sync.Mutex
	log  []string
	fail int // how often a release fails
}

func (*things) Resource() recovery.ResourceKind { return "thing" }

func (th *things) Release(_ context.Context, r recovery.Resource) error {
	th.mu.Lock()
	defer th.mu.Unlock()
	if th.fail > 0 {
		th.fail--
		return errors.New("it is in use")
	}
	th.log = append(th.log, "released "+r.ID)
	return nil
}

func (th *things) note(what string) {
	th.mu.Lock()
	defer th.mu.Unlock()
	th.log = append(th.log, what)
}

// noted is a kind that notes that it was done.
func (th *things) noted(name string) kind {
	return kind{name, func(_ context.Context, _ recovery.Env, s recovery.Step) (recovery.Outcome, error) {
		th.note("did " + s.ID)
		return recovery.Outcome{Says: "ok"}, nil
	}}
}

func (th *things) said() string {
	th.mu.Lock()
	defer th.mu.Unlock()
	return strings.Join(th.log, ", ")
}

func thing(id string) recovery.Resource { return recovery.Resource{Kind: "thing", ID: id} }

// What an interrupted step has left is removed before it begins again if its
// kind says so, and only that; where it cannot be, the step does not begin.
func TestResume_restart(t *testing.T) {
	run := func(t *testing.T, k recovery.Kind, th *things, unattended bool) recovery.State {
		r := newRig(t, []recovery.Kind{k}, after(t, func(_ *recovery.Plan, o *execute.Options) {
			o.Unattended, o.Releasers = unattended, []recovery.Releaser{th}
		}, begun("1"), recovery.ClaimMade{Step: "1", Resource: thing("a")}, recovery.ClaimMade{Step: "0", Resource: thing("b")}),
			step("0", "k"), step("1", "k"))
		root := filepath.Join(r.scratch, "comeback-7c31")
		if err := os.MkdirAll(root, 0o700); err != nil {
			t.Fatal(err)
		}
		return r.run(t)
	}
	t.Run("clean", func(t *testing.T) {
		th := &things{}
		s := run(t, cleaned{th.noted("k")}, th, true)
		if i, j := strings.Index(th.said(), "released a"), strings.Index(th.said(), "did 1"); i < 0 || j < i || s.Result != recovery.ResultPassed {
			t.Errorf("%s; ended as %s: %s", th.said(), s.Result, s.Says)
		}
	})
	t.Run("repeat", func(t *testing.T) {
		th := &things{}
		s := run(t, th.noted("k"), th, true)
		if i, j := strings.Index(th.said(), "released a"), strings.Index(th.said(), "did 1"); j < 0 || i < j || s.Result != recovery.ResultPassed {
			t.Errorf("%s; ended as %s: %s", th.said(), s.Result, s.Says)
		}
	})
	t.Run("cannot be cleaned", func(t *testing.T) {
		th := &things{fail: 3}
		s := run(t, cleaned{th.noted("k")}, th, true)
		if s.Step("1").State != recovery.FailedAt || !strings.Contains(s.Step("1").Error, "it is in use") || strings.Contains(th.said(), "did 1") {
			t.Errorf("%s; step %s: %s", th.said(), s.Step("1").State, s.Step("1").Error)
		}
	})
}

// An attempt after a crash has another number, so that what it writes does not
// collide with what was left.
func TestResume_artifacts(t *testing.T) {
	log := kind{"log", func(_ context.Context, e recovery.Env, _ recovery.Step) (recovery.Outcome, error) {
		e.Meter().Log("again")
		return recovery.Outcome{}, nil
	}}
	shell := recovery.NewStep("2.1", recovery.KindShell, "run", recovery.ShellArgs{Name: "x", Script: "echo hi\n"})
	r := newRig(t, []recovery.Kind{log}, after(t, unattended, begun("1"), begun("2.1"),
		recovery.RunResumed{BootID: "b1"}, recovery.StepStarted{Step: "1", Attempt: 2}), step("1", "log"), shell)
	dir := filepath.Join(r.dir, "artifacts")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	left := []string{"1.log", "1.2.log", "2.1.log", "2.1.sh"}
	for _, name := range left {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("left"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := r.run(t)
	if s.Result != recovery.ResultPassed || s.Step("1").Attempts != 3 || s.Step("2.1").Attempts != 2 {
		t.Errorf("ended as %s: %s; attempts %d, %d", s.Result, s.Says, s.Step("1").Attempts, s.Step("2.1").Attempts)
	}
	for _, name := range left {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(b) != "left" {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	var names []string
	for _, st := range s.Steps {
		for _, a := range st.Outcome.Artifacts {
			names = append(names, a.Name)
		}
	}
	slices.Sort(names)
	if got := strings.Join(names, " "); got != "1.3.log 2.1.2.log 2.1.2.sh" {
		t.Errorf("artifacts: %s", got)
	}
}

// A person who was about to be asked is asked; what was decided stays decided.
func TestResume_people(t *testing.T) {
	approval := recovery.NewStep("a", recovery.KindApproval, "approve", recovery.ApprovalArgs{Role: "boss", Key: "k"})
	tick := func(i int) recovery.Payload {
		return recovery.Ticked{Step: "t", Item: i, How: recovery.TickDone, By: "ops1"}
	}
	failed := recovery.StepFailed{Step: "1", Error: "no"}
	for name, test := range map[string]struct {
		step       recovery.Step
		past       []recovery.Payload
		unattended bool
		mode       recovery.Mode
		asks       recovery.WaitFor // "" is nothing: the run ends by itself
		result     recovery.Result
	}{
		"ticks not asked yet":           {step: ticks("one", "two"), past: []recovery.Payload{begun("t"), tick(0)}, asks: recovery.WaitTicks},
		"ticks all ticked":              {step: ticks("one", "two"), past: []recovery.Payload{begun("t"), tick(0), tick(1)}, result: recovery.ResultPassed},
		"ticks asked":                   {step: ticks("one"), past: []recovery.Payload{begun("t"), recovery.Waiting{Step: "t", For: recovery.WaitTicks}}, asks: recovery.WaitTicks},
		"ticks asked and all ticked":    {step: ticks("one"), past: []recovery.Payload{begun("t"), recovery.Waiting{Step: "t", For: recovery.WaitTicks}, tick(0)}, result: recovery.ResultPassed},
		"ticks, nobody there now":       {step: ticks("one"), past: []recovery.Payload{begun("t"), recovery.Waiting{Step: "t", For: recovery.WaitTicks}}, unattended: true, result: recovery.ResultPassed},
		"ticks of a recovery, nobody":   {step: ticks("one"), past: []recovery.Payload{begun("t"), recovery.Waiting{Step: "t", For: recovery.WaitTicks}}, unattended: true, mode: recovery.Recovery, result: recovery.ResultExceptions},
		"approval not asked yet":        {step: approval, past: []recovery.Payload{begun("a")}, asks: recovery.WaitApproval},
		"approval given":                {step: approval, past: []recovery.Payload{begun("a"), recovery.Waiting{Step: "a", For: recovery.WaitApproval}, recovery.Approved{Step: "a", PlanSHA256: plan1}}, result: recovery.ResultPassed},
		"approval of another plan":      {step: approval, past: []recovery.Payload{begun("a"), recovery.Approved{Step: "a", PlanSHA256: "bb22"}}, asks: recovery.WaitApproval},
		"approval, nobody there now":    {step: approval, past: []recovery.Payload{begun("a"), recovery.Waiting{Step: "a", For: recovery.WaitApproval}}, unattended: true, mode: recovery.Recovery, result: recovery.ResultRefused},
		"failed, not asked yet":         {step: step("1", "ok"), past: []recovery.Payload{begun("1"), failed}, asks: recovery.WaitDecision},
		"failed, nobody there now":      {step: step("1", "ok"), past: []recovery.Payload{begun("1"), failed, recovery.Waiting{Step: "1", For: recovery.WaitDecision}}, unattended: true, result: recovery.ResultFailed},
		"failed, to try again":          {step: step("1", "ok"), past: []recovery.Payload{begun("1"), failed, recovery.Decided{Step: "1", Choice: recovery.ChooseRetry, By: "ops1"}}, result: recovery.ResultPassed},
		"failed, to stop":               {step: step("1", "ok"), past: []recovery.Payload{begun("1"), failed, recovery.Decided{Step: "1", Choice: recovery.ChooseStop, By: "ops1"}}, result: recovery.ResultFailed},
		"credentials, nobody there now": {step: step("1", "ok"), past: []recovery.Payload{begun("1"), recovery.Waiting{Step: "1", For: recovery.WaitCredentials, Cause: "expired"}}, unattended: true, result: recovery.ResultPassed},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, []recovery.Kind{kind{"ok", ok}}, after(t, func(p *recovery.Plan, o *execute.Options) {
				o.Unattended = test.unattended
				if test.mode != "" {
					p.Mode = test.mode
				}
			}, test.past...), test.step)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			if test.asks != "" {
				asked := func() bool {
					s := r.State()
					w := s.Waits()
					return len(w) == 1 && w[0].WaitsFor == test.asks
				}
				go func() {
					defer cancel()
					for !asked() {
						select {
						case <-r.waiting:
						case <-ctx.Done():
							return
						}
					}
				}()
				s, err := r.Run(ctx)
				if err != nil || s.Result != recovery.ResultInterrupted || !errors.Is(ctx.Err(), context.Canceled) {
					t.Errorf("ended as %s: %s, %v", s.Result, s.Says, err)
				}
				return
			}
			if s, err := r.Run(ctx); err != nil || s.Result != test.result || len(s.Unknown) != 0 {
				t.Errorf("ended as %s: %s, unknown %v, %v", s.Result, s.Says, s.Unknown, err)
			}
		})
	}
}

// A failed check waited for a decision and nobody is there any more: what is
// beside it is still done, and the run ends.
func TestResume_unattendedBesideAFailure(t *testing.T) {
	check := step("1", "ok")
	check.MayPass = true
	s := newRig(t, []recovery.Kind{kind{"ok", ok}}, after(t, unattended, begun("1"), recovery.StepFailed{Step: "1", Error: "no"},
		recovery.Waiting{Step: "1", For: recovery.WaitDecision}), check, step("2", "ok")).run(t)
	if s.Result != recovery.ResultFailed || s.Step("2").State != recovery.Done {
		t.Errorf("ended as %s, beside it %s", s.Result, s.Step("2").State)
	}
}

// What was stopped before the crash is not begun again; of the cleaning only the
// rest is done.
func TestResume_ending(t *testing.T) {
	for name, past := range map[string][]recovery.Payload{
		"stopping": {recovery.StopAsked{By: "ops1", Reason: "enough"}},
		"cleaning": {recovery.StopAsked{By: "ops1", Reason: "enough"}, recovery.CleanupStarted{}},
	} {
		t.Run(name, func(t *testing.T) {
			th := &things{}
			claims := []recovery.Payload{begun("1"), recovery.ClaimMade{Step: "1", Resource: thing("a")}, recovery.ClaimMade{Step: "1", Resource: thing("b")}}
			past = append(append(claims, past...), recovery.ClaimReleased{Resource: thing("b")})
			s := newRig(t, []recovery.Kind{th.noted("k")}, after(t, func(_ *recovery.Plan, o *execute.Options) { o.Releasers = []recovery.Releaser{th} }, past...),
				step("1", "k"), step("2", "k", "1")).run(t)
			if th.said() != "released a" || s.Result != recovery.ResultInterrupted || len(s.Held()) != 0 || s.Step("1").State != recovery.Skipped {
				t.Errorf("%s; ended as %s, held %v, step %s", th.said(), s.Result, s.Held(), s.Step("1").State)
			}
		})
	}
}

// What ended well is brought back, or done again with all that came after it.
func TestResume_revive(t *testing.T) {
	past := []recovery.Payload{begun("1"), done("1"), begun("2"), done("2"), begun("3"), done("3")}
	steps := []recovery.Step{step("1", "server"), step("2", "k", "1"), step("3", "k"), step("4", "k", "2", "3")}
	for name, test := range map[string]struct {
		revive error
		panics bool
		want   string
	}{
		"still there":          {want: "did 4"},
		"gone":                 {revive: fmt.Errorf("no such directory: %w", recovery.ErrGone), want: "did 1, did 2, did 4"},
		"could not be started": {revive: errors.New("no port is free"), want: "did 1, did 2, did 4"},
		"a mistake":            {panics: true, want: "did 1, did 2, did 4"},
	} {
		t.Run(name, func(t *testing.T) {
			th := &things{}
			server := living{th.noted("server"), func(context.Context, string, bool) error {
				if test.panics {
					panic("index out of range")
				}
				return test.revive
			}}
			s := newRig(t, []recovery.Kind{server, th.noted("k")}, after(t, unattended, past...), steps...).run(t)
			if th.said() != test.want || s.Result != recovery.ResultPassed {
				t.Errorf("%s; ended as %s: %s", th.said(), s.Result, s.Says)
			}
		})
	}
}

// A reboot counts for all that had ended before it, also when the run is taken
// up twice after it, and for nothing that was done since.
func TestResume_rebooted(t *testing.T) {
	got := map[string]bool{}
	server := living{kind{"server", ok}, func(_ context.Context, id string, rebooted bool) error { got[id] = rebooted; return nil }}
	newRig(t, []recovery.Kind{server}, after(t, unattended, begun("1"), done("1"),
		recovery.RunResumed{BootID: "b2", Reason: "the host was started again"}, begun("2"), done("2"),
		recovery.RunResumed{BootID: "b2"}), step("1", "server"), step("2", "server")).run(t)
	if !got["1"] || got["2"] {
		t.Errorf("rebooted: %v", got)
	}
}

// Which of two came first is told by the order of events: the clock was an hour ahead
// until the host was started again, and the runner died before it had asked.
func TestResume_rebootedByAWrongClock(t *testing.T) {
	got := map[string]bool{}
	server := living{kind{"server", ok}, func(_ context.Context, id string, rebooted bool) error { got[id] = rebooted; return nil }}
	three := time.Now().Truncate(time.Hour)
	newRig(t, []recovery.Kind{server}, func(p *recovery.Plan, o *execute.Options) {
		o.Unattended = true
		for _, past := range []struct {
			at time.Time
			recovery.Payload
		}{
			{three.Add(-time.Minute), recovery.RunStarted{Run: p.Run, System: p.System, Mode: p.Mode, Operator: "ops1", BootID: "b1"}},
			{three.Add(-time.Minute), begun("1")}, {three, done("1")},
			{three.Add(-54 * time.Minute), recovery.RunResumed{BootID: "b2", Reason: "the host was started again"}},
			{three.Add(time.Minute), recovery.RunResumed{BootID: "b2"}},
		} {
			e, err := recovery.NewEvent(past.at, past.Payload)
			if err == nil {
				_, err = o.Journal.Append(e)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}, step("1", "server")).run(t)
	if !got["1"] {
		t.Error("the host was started again after step 1 had ended")
	}
}

// A run can be stopped while it looks what is still there.
func TestResume_stoppedWhileReviving(t *testing.T) {
	looking := make(chan struct{})
	server := living{kind{"server", ok}, func(ctx context.Context, _ string, _ bool) error {
		close(looking)
		<-ctx.Done()
		return ctx.Err()
	}}
	th := &things{}
	r := newRig(t, []recovery.Kind{server, th.noted("k")}, after(t, nil, begun("1"), done("1")), step("1", "server"), step("2", "k", "1"))
	go func() {
		<-looking
		if err := r.Do(recovery.Command{Kind: recovery.DoStop, By: "ops1", Text: "enough"}); err != nil {
			t.Error(err)
		}
	}()
	if s := r.run(t); s.Result != recovery.ResultInterrupted || s.Step("1").State != recovery.Done || th.said() != "" {
		t.Errorf("ended as %s: %s; step %s; %s", s.Result, s.Says, s.Step("1").State, th.said())
	}
}

// Before another attempt it is looked whether what the step comes after is still
// there; what builds on the same and is under way is cut off and done again.
func TestRetry_revives(t *testing.T) {
	th := &things{}
	gone, slow := make(chan struct{}), make(chan struct{})
	server := living{th.noted("server"), func(context.Context, string, bool) error { return recovery.ErrGone }}
	tries := 0
	check := kind{"check", func(context.Context, recovery.Env, recovery.Step) (recovery.Outcome, error) {
		if tries++; tries == 1 {
			<-slow
			return recovery.Outcome{}, errors.New("connection refused")
		}
		return recovery.Outcome{}, nil
	}}
	long := kind{"long", func(ctx context.Context, e recovery.Env, s recovery.Step) (recovery.Outcome, error) {
		e.Meter().Log("long")
		select {
		case <-gone:
			return recovery.Outcome{}, nil
		default:
		}
		close(gone)
		close(slow)
		<-ctx.Done()
		return recovery.Outcome{}, ctx.Err()
	}}
	r := newRig(t, []recovery.Kind{server, check, long}, nil, step("1", "server"), step("2", "check", "1"), step("3", "long", "1"))
	go func() {
		w := <-r.waiting
		if err := r.Do(recovery.Command{Kind: recovery.DoDecide, Step: w.Step, Choice: recovery.ChooseRetry, By: "ops1"}); err != nil {
			t.Error(err)
		}
	}()
	s := r.run(t)
	if s.Result != recovery.ResultPassed || th.said() != "did 1, did 1" || s.Step("3").Attempts != 2 || s.Step("2").State != recovery.Done {
		t.Errorf("ended as %s: %s; %s; attempts %d", s.Result, s.Says, th.said(), s.Step("3").Attempts)
	}
	if !strings.Contains(r.journal(t), "cut off: it came after 1") {
		t.Error("the attempt that was cut off is not told of")
	}
}
