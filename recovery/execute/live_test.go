package execute_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/execute"
)

var shopIdentity = recovery.Identity{"host": "db1", "system identifier": "7301448812", "database oid": "16385"}

// confirmedBefore makes the plan one that changes live, whose name a person typed
// at a time.
func confirmedBefore(t *testing.T, p *recovery.Plan, o *execute.Options, name, by string, at time.Time) {
	t.Helper()
	livePlan(p, o)
	for _, payload := range []recovery.Payload{
		recovery.RunStarted{Run: p.Run, System: p.System, Mode: p.Mode, Operator: "ops1", PlanSHA256: "aa"},
		recovery.Confirmed{Name: name, PlanSHA256: "aa", By: by}} {
		past(t, o, at, payload)
	}
}

func past(t *testing.T, o *execute.Options, at time.Time, p recovery.Payload) {
	t.Helper()
	e, err := recovery.NewEvent(at, p)
	if err == nil {
		_, err = o.Journal.Append(e)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func livePlan(p *recovery.Plan, o *execute.Options) {
	p.Mode, p.Confirm = recovery.Recovery, "db1/shop"
	for i := range p.Targets {
		if p.Targets[i].ID == "live/db" {
			p.Targets[i].Identity, p.Targets[i].Name = shopIdentity, "db1/shop"
		}
	}
	p.Targets = append(p.Targets, recovery.Target{ID: "beside/db", Beside: true, Identity: shopIdentity})
	if o.Identify == nil {
		o.Identify = func(context.Context, recovery.Target) (recovery.Identity, error) { return shopIdentity, nil }
	}
}

func writes(id string, target recovery.TargetID, after ...string) recovery.Step {
	s := step(id, "k", after...)
	s.Writes = []recovery.TargetID{target}
	return s
}

// What changes live does so only when a person has typed its name, for this very
// plan, not long ago, and the target still is what it was. Everything else is a
// refusal that has changed nothing.
func TestLive_refused(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		change func(*testing.T, *recovery.Plan, *execute.Options)
		says   string
	}{
		"nobody typed it": {func(_ *testing.T, p *recovery.Plan, o *execute.Options) { livePlan(p, o) }, "nobody has typed its name"},
		"long ago, before its runner died": {func(t *testing.T, p *recovery.Plan, o *execute.Options) {
			confirmedBefore(t, p, o, "db1/shop", "ops1", now.Add(-31*time.Minute))
			past(t, o, now, recovery.RunResumed{By: "ops1", Reason: "its runner had died"})
		}, "typed 31m"},
		"somebody else": {func(t *testing.T, p *recovery.Plan, o *execute.Options) {
			confirmedBefore(t, p, o, "db1/shop", "ops2", now)
		}, "ops2 typed its name, and ops1 commands"},
		"another plan": {func(t *testing.T, p *recovery.Plan, o *execute.Options) {
			confirmedBefore(t, p, o, "db1/shop", "ops1", now)
			past(t, o, now, elsewhere(t))
		}, "the plan was changed after"},
		"another database of the same name": {func(t *testing.T, p *recovery.Plan, o *execute.Options) {
			confirmedBefore(t, p, o, "db1/shop", "ops1", now)
			o.Identify = func(context.Context, recovery.Target) (recovery.Identity, error) {
				return recovery.Identity{"host": "db1", "system identifier": "7301448812", "database oid": "16999"}, nil
			}
		}, "database oid was 16385 and is 16999"},
		"a copy on another host": {func(t *testing.T, p *recovery.Plan, o *execute.Options) {
			confirmedBefore(t, p, o, "db1/shop", "ops1", now)
			o.Identify = func(context.Context, recovery.Target) (recovery.Identity, error) {
				return recovery.Identity{"host": "db2", "system identifier": "7301448812", "database oid": "16385"}, nil
			}
		}, "host was db1 and is db2"},
		"cannot be read": {func(t *testing.T, p *recovery.Plan, o *execute.Options) {
			confirmedBefore(t, p, o, "db1/shop", "ops1", now)
			o.Identify = func(context.Context, recovery.Target) (recovery.Identity, error) {
				return nil, recovery.Errorf("start it", "the server is down").WithExit(recovery.Refused)
			}
		}, "the server is down"},
		"a plan without an identity": {func(t *testing.T, p *recovery.Plan, o *execute.Options) {
			confirmedBefore(t, p, o, "db1/shop", "ops1", now)
			for i := range p.Targets {
				p.Targets[i].Identity = nil
			}
		}, "does not say which"},
		"a rehearsal": {func(t *testing.T, p *recovery.Plan, o *execute.Options) {
			confirmedBefore(t, p, o, "db1/shop", "ops1", now)
			p.Mode = recovery.Rehearsal
		}, "this is a rehearsal"},
	} {
		t.Run(name, func(t *testing.T) {
			th := &things{}
			s := newRig(t, []recovery.Kind{th.noted("k")}, func(p *recovery.Plan, o *execute.Options) {
				o.Unattended = true
				c.change(t, p, o)
			}, writes("1", "live/db")).run(t)
			if s.Exit != recovery.Refused || !strings.Contains(s.Says, c.says) || th.said() != "" {
				t.Errorf("ended as %s: %s; %s", s.Result, s.Says, th.said())
			}
		})
	}
}

// What came after a name was typed is told by the order of the record, whatever the clock
// has done meanwhile.
func TestLive_clockPutBack(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		between recovery.Payload
		says    string
	}{
		"more is lost": {recovery.StepFinished{Step: "0", Outcome: recovery.Outcome{
			Loss: &recovery.Loss{Component: "db", Tables: []recovery.TableLoss{{Table: "orders", Inserted: 3}}}}}, "also rows of orders"},
		"its runner died": {recovery.RunResumed{By: "ops1", Reason: "its runner had died"}, "the clock was put back"},
	} {
		t.Run(name, func(t *testing.T) {
			th := &things{}
			s := newRig(t, []recovery.Kind{th.noted("k")}, func(p *recovery.Plan, o *execute.Options) {
				confirmedBefore(t, p, o, "db1/shop", "ops1", now.Add(time.Hour))
				p.Live = []recovery.Live{{Component: "db", Loss: &recovery.Loss{Component: "db"}}}
				o.Unattended = true
				past(t, o, now, c.between)
			}, step("0", "k"), writes("1", "live/db", "0")).run(t)
			if s.Exit != recovery.Refused || !strings.Contains(s.Says, c.says) || strings.Contains(th.said(), "did 1") {
				t.Errorf("ended as %s: %s; %s", s.Result, s.Says, th.said())
			}
		})
	}
}

// Where nobody can be asked, the name that was given at the start counts however long the
// restore before the first change of live takes; somebody who is there is asked again.
func TestLive_longRestore(t *testing.T) {
	for _, unattended := range []bool{true, false} {
		th := &things{}
		r := newRig(t, []recovery.Kind{th.noted("k")}, func(p *recovery.Plan, o *execute.Options) {
			confirmedBefore(t, p, o, "db1/shop", "ops1", time.Now().Add(-5*time.Hour))
			o.Unattended = unattended
		}, writes("1", "live/db"))
		if !unattended {
			go func() {
				if w := <-r.waiting; w.For != recovery.WaitName || !strings.Contains(w.Cause, "typed 5h") {
					t.Errorf("it waits for %s: %s", w.For, w.Cause)
				}
				if err := r.Do(recovery.Command{Kind: recovery.DoConfirm, By: "ops1", Text: "db1/shop"}); err != nil {
					t.Error(err)
				}
			}()
		}
		if s := r.run(t); s.Result != recovery.ResultPassed || th.said() != "did 1" {
			t.Errorf("unattended %v: ended as %s: %s; %s", unattended, s.Result, s.Says, th.said())
		}
	}
}

// A run that is held back asks for the name again before it changes anything live, also where
// it was given at the start and nobody was to be asked; and not in the middle of that change.
func TestLive_heldBack(t *testing.T) {
	for _, unattended := range []bool{true, false} {
		th := &things{}
		var r *rig
		hold := func() error { return r.Do(recovery.Command{Kind: recovery.DoHold, By: "ops1"}) }
		restore := kind{"restore", func(context.Context, recovery.Env, recovery.Step) (recovery.Outcome, error) {
			return recovery.Outcome{}, hold()
		}}
		first := step("0", "k")
		first.Kind = "restore"
		last := writes("2", "live/db", "1")
		last.Kind = "late"
		late := kind{"late", func(context.Context, recovery.Env, recovery.Step) (recovery.Outcome, error) {
			if err := hold(); err == nil || !strings.Contains(err.Error(), "being changed already") {
				t.Errorf("in the middle of the change: %v", err)
			}
			return recovery.Outcome{}, nil
		}}
		r = newRig(t, []recovery.Kind{th.noted("k"), restore, late}, func(p *recovery.Plan, o *execute.Options) {
			confirmedBefore(t, p, o, "db1/shop", "ops1", time.Now())
			o.Unattended = unattended
		}, first, writes("1", "live/db", "0"), last)
		go func() {
			if w := <-r.waiting; w.For != recovery.WaitName || w.Step != "1" || !strings.Contains(w.Cause, "ops1 holds the run before that") {
				t.Errorf("it waits for %s of %s: %s", w.For, w.Step, w.Cause)
			}
			if err := hold(); err == nil || !strings.Contains(err.Error(), "asks for the name") {
				t.Errorf("held back twice: %v", err)
			}
			if err := r.Do(recovery.Command{Kind: recovery.DoConfirm, By: "ops1", Text: "db1/shop"}); err != nil {
				t.Error(err)
			}
		}()
		if s := r.run(t); s.Result != recovery.ResultPassed || th.said() != "did 1" || s.HeldBackBy != "" {
			t.Errorf("unattended %v: ended as %s: %s; %s", unattended, s.Result, s.Says, th.said())
		}
	}
}

// Whoever takes the command of a run in which nobody was to be asked, is given it or changes
// its plan is there: they are asked for the name, and nothing is refused that they watch.
func TestLive_takenOver(t *testing.T) {
	amended := elsewhere(t)
	for name, c := range map[string]struct {
		command recovery.Command
		who     string
		says    string
	}{
		"taken over":  {recovery.Command{Kind: recovery.DoTakeOver, By: "ops2", Text: "my shift"}, "ops2", "ops1 typed its name, and ops2 commands"},
		"handed over": {recovery.Command{Kind: recovery.DoHandOver, By: "ops1", To: "ops2"}, "ops2", "ops1 typed its name, and ops2 commands"},
		"amended":     {recovery.Command{Kind: recovery.DoAmend, By: "ops1", Amend: &amended}, "ops1", "the plan was changed after"},
	} {
		t.Run(name, func(t *testing.T) {
			th := &things{}
			var r *rig
			first := step("0", "restore")
			restore := kind{"restore", func(context.Context, recovery.Env, recovery.Step) (recovery.Outcome, error) {
				return recovery.Outcome{}, r.Do(c.command)
			}}
			r = newRig(t, []recovery.Kind{th.noted("k"), restore}, func(p *recovery.Plan, o *execute.Options) {
				confirmedBefore(t, p, o, "db1/shop", "ops1", time.Now())
				o.Unattended = true
			}, first, writes("1", "live/db", "0"))
			ended := r.begin(t.Context(), t)
			select {
			case w := <-r.waiting:
				if w.For != recovery.WaitName || w.Step != "1" || !strings.Contains(w.Cause, c.says) {
					t.Errorf("it waits for %s of %s: %s", w.For, w.Step, w.Cause)
				}
			case s := <-ended:
				t.Fatalf("nobody was asked; ended as %s: %s", s.Result, s.Says)
			}
			if err := r.Do(recovery.Command{Kind: recovery.DoConfirm, By: c.who, Text: "db1/shop"}); err != nil {
				t.Error(err)
			}
			if s := <-ended; s.Result != recovery.ResultPassed || th.said() != "did 1" {
				t.Errorf("ended as %s: %s; %s", s.Result, s.Says, th.said())
			}
		})
	}
}

// Where nobody can be asked, a name that counted when the run was taken up counts on, however
// long the restore takes; one that would not is refused before anything begins.
func TestConfirmed(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		typed   time.Duration // before the run was taken up
		by      string        // who took it up
		between []recovery.Payload
		says    string
	}{
		"a moment ago":        {5 * time.Minute, "ops1", nil, ""},
		"too long ago":        {31 * time.Minute, "ops1", nil, "typed 31m"},
		"by another":          {5 * time.Minute, "ops2", nil, "ops1 typed its name, and ops2 commands"},
		"it has changed live": {5 * time.Hour, "ops2", []recovery.Payload{recovery.StepStarted{Step: "1", Attempt: 1}, recovery.StepFinished{Step: "1"}}, ""},
		"somebody holds it":   {5 * time.Hour, "ops2", []recovery.Payload{recovery.HeldBack{By: "ops1"}}, ""},
		"it is being stopped": {5 * time.Hour, "ops1", []recovery.Payload{recovery.StopAsked{By: recovery.Nobody, Reason: "interrupted"}}, ""},
		"another plan":        {time.Minute, "ops1", []recovery.Payload{elsewhere(t)}, "the plan was changed"},
	} {
		t.Run(name, func(t *testing.T) {
			th := &things{}
			r := newRig(t, []recovery.Kind{th.noted("k")}, func(p *recovery.Plan, o *execute.Options) {
				confirmedBefore(t, p, o, "db1/shop", "ops1", now.Add(-c.typed))
				for _, payload := range c.between {
					past(t, o, now.Add(-c.typed), payload)
				}
				past(t, o, now, recovery.RunResumed{By: c.by, Reason: "its runner had died", Unattended: true})
				o.Unattended, o.Now = true, func() time.Time { return now.Add(3 * time.Hour) }
			}, writes("1", "live/db"), writes("2", "live/db", "1"))
			state := r.State()
			err := execute.Confirmed(r.Plan, &state)
			if c.says != "" {
				if err == nil || recovery.ExitOf(err) != recovery.Refused || !strings.Contains(err.Error(), c.says) || !strings.Contains(recovery.HintOf(err), "--confirm db1/shop") {
					t.Errorf("taken up: %v (%s)", err, recovery.HintOf(err))
				}
				return
			}
			if err != nil {
				t.Fatalf("refused: %v", err)
			}
			if state.HeldBackBy != "" || state.Stop != nil {
				return // it asks them, or begins nothing
			}
			if s := r.run(t); s.Result != recovery.ResultPassed {
				t.Errorf("ended as %s: %s; %s", s.Result, s.Says, th.said())
			}
		})
	}
}

func elsewhere(t *testing.T) recovery.Amended {
	t.Helper()
	a, err := recovery.Amend("aa", recovery.Amended{Says: "go elsewhere", By: "ops1"})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// A run that somebody stops where it waits has not brought anything back, although nothing
// has failed in it.
func TestLive_stoppedWhereItWaits(t *testing.T) {
	th := &things{}
	r := newRig(t, []recovery.Kind{th.noted("k")}, func(p *recovery.Plan, o *execute.Options) { livePlan(p, o) }, step("0", "k"), writes("1", "live/db", "0"))
	go func() {
		w := <-r.waiting
		if err := r.Do(recovery.Command{Kind: recovery.DoDecide, Step: w.Step, Choice: recovery.ChooseStop, By: "ops1", Text: "the wrong database"}); err != nil {
			t.Error(err)
		}
	}()
	s := r.run(t)
	if want := "stopped while it waited for the name of the target: the wrong database"; s.Result != recovery.ResultFailed || s.Exit != recovery.Failed || !strings.HasSuffix(s.Says, want) ||
		s.Step("1").State != recovery.FailedAt || !strings.HasSuffix(s.Stop.Reason, want) || th.said() != "did 0" {
		t.Errorf("ended as %s %d: %s; %+v; %s", s.Result, s.Exit, s.Says, s.Stop, th.said())
	}
}

// So it is where the runner died before it could record that.
func TestEnding_stoppedWhereItWaits(t *testing.T) {
	p := &recovery.Plan{Mode: recovery.Recovery, Steps: []recovery.Step{writes("1", "live/db")}}
	s := recovery.NewState(p)
	s.Stop = &recovery.StopAsked{By: "ops1", Reason: "1 failed"}
	s.Steps[0].State, s.Steps[0].Why = recovery.Skipped, "the run was stopped"
	s.Steps[0].Decisions = []recovery.Decided{{Step: "1", Choice: recovery.ChooseStop, By: "ops1"}}
	if end := execute.Ending(&s, p); end.Result != recovery.ResultFailed || end.Exit != recovery.Failed {
		t.Errorf("ended as %s %d: %s", end.Result, end.Exit, end.Says)
	}
}

// What a stopped run has left of live is put right by hand: no other run gives it back. What
// only keeps people out of live is.
func TestEnding_heldOfLive(t *testing.T) {
	p := &recovery.Plan{Mode: recovery.Recovery, Targets: []recovery.Target{{ID: "live/db", Place: "db1/shop"}}, Steps: []recovery.Step{writes("1", "live/db")}}
	s := recovery.NewState(p)
	s.Run, s.Stop = "7c31", &recovery.StopAsked{By: "ops1", Reason: "enough"}
	for kind, want := range map[recovery.ResourceKind]string{
		recovery.Fenced:    "stopped: enough; not given back: fence db1/shop; for that: comeback stop 7c31",
		recovery.Exchanged: "stopped: enough; not given back: exchange db1/shop; what was made of what is live has to be put right by hand; see: comeback status 7c31",
	} {
		s.Claims = []recovery.ClaimState{{Resource: recovery.Resource{Kind: kind, ID: "db1/shop"}, Step: "1"}}
		if end := execute.Ending(&s, p); end.Exit != recovery.WithExceptions || end.Says != want {
			t.Errorf("ended with %d: %s", end.Exit, end.Says)
		}
	}
}

// Writing beside live needs no typed name, but the right server.
func TestLive_beside(t *testing.T) {
	for _, right := range []bool{true, false} {
		th := &things{}
		s := newRig(t, []recovery.Kind{th.noted("k")}, func(p *recovery.Plan, o *execute.Options) {
			livePlan(p, o)
			o.Unattended = true
			if !right {
				o.Identify = func(context.Context, recovery.Target) (recovery.Identity, error) {
					return recovery.Identity{"host": "db2"}, nil
				}
			}
		}, writes("1", "beside/db")).run(t)
		if right != (s.Result == recovery.ResultPassed) || right != (th.said() == "did 1") {
			t.Errorf("right %v: ended as %s: %s; %s", right, s.Result, s.Says, th.said())
		}
	}
}

// A step that lacks the typed name waits for it; a wrong one changes nothing, the
// right one goes on, and what it has begun needs no other one. A switch makes
// another target of it, and adopts what it has claimed.
func TestLive_typed(t *testing.T) {
	th := &things{}
	switched := recovery.Identity{"host": "db1", "system identifier": "7301448812", "database oid": "24001"}
	is := shopIdentity
	swap := kind{"swap", func(ctx context.Context, e recovery.Env, s recovery.Step) (recovery.Outcome, error) {
		h, err := e.Target(ctx, "live/db")
		if err == nil && h.Target.Name != "db1/shop" {
			err = errors.New("it is another target")
		}
		if err == nil {
			err = e.Claim(ctx, thing("a"))
		}
		if err == nil && len(e.Held()) != 1 {
			err = errors.New("it holds nothing")
		}
		is = switched
		return recovery.Outcome{Identities: map[recovery.TargetID]recovery.Identity{"live/db": switched},
			Adopted: []recovery.Resource{thing("a")}, Old: []recovery.Old{{Component: "db", Place: "shop_old_7c31"}}}, err
	}}
	first := writes("1", "live/db")
	first.Kind = "swap"
	r := newRig(t, []recovery.Kind{th.noted("k"), swap}, func(p *recovery.Plan, o *execute.Options) {
		o.Identify = func(context.Context, recovery.Target) (recovery.Identity, error) { return is, nil }
		livePlan(p, o)
		past(t, o, time.Now(), recovery.RunStarted{Run: p.Run, System: p.System, Mode: p.Mode, Operator: "ops1", PlanSHA256: "aa"})
	}, first, writes("2", "live/db", "1"))
	go func() {
		if w := <-r.waiting; w.For != recovery.WaitName || !strings.Contains(w.Hint, "db1/shop") {
			t.Errorf("it waits for %s: %s", w.For, w.Hint)
		}
		if err := r.Do(recovery.Command{Kind: recovery.DoConfirm, By: "ops1", Text: "db2/shop"}); recovery.ExitOf(err) != recovery.Refused {
			t.Errorf("a wrong name: %v", err)
		}
		if err := r.Do(recovery.Command{Kind: recovery.DoConfirm, By: "ops1", Text: "db1/shop", PlanSHA256: "aa of before"}); recovery.ExitOf(err) != recovery.Refused || !strings.Contains(err.Error(), "the plan was changed") {
			t.Errorf("typed for another plan: %v", err)
		}
		if err := r.Do(recovery.Command{Kind: recovery.DoConfirm, By: "ops1", Text: "db1/shop", PlanSHA256: "aa"}); err != nil {
			t.Error(err)
		}
	}()
	s := r.run(t)
	if s.Result != recovery.ResultPassed || th.said() != "did 2" || len(s.Held()) != 0 {
		t.Errorf("ended as %s: %s; %s; %v", s.Result, s.Says, th.said(), s.Held())
	}
	if len(s.Confirmations) != 1 || len(s.Old) != 1 || s.Identities["live/db"]["database oid"] != "24001" {
		t.Errorf("folded to %v, %v, %v", s.Confirmations, s.Old, s.Identities)
	}
	if !s.Claims[0].Adopted {
		t.Error("its claim is not adopted")
	}
}

// No change of the plan exchanges anew what is in the place of live already, whoever has made it.
func TestLive_amendedAfterTheExchange(t *testing.T) {
	th := &things{}
	exchange, check := writes("1", "live/db"), step("2", "fails", "1")
	exchange.Component, exchange.Phase = "db", recovery.Exchange
	fails := kind{"fails", func(context.Context, recovery.Env, recovery.Step) (recovery.Outcome, error) {
		return recovery.Outcome{}, errors.New("no pages")
	}}
	r := newRig(t, []recovery.Kind{th.noted("k"), fails}, func(p *recovery.Plan, o *execute.Options) {
		confirmedBefore(t, p, o, "db1/shop", "ops1", time.Now())
	}, exchange, check)
	go func() {
		w := <-r.waiting
		other := exchange
		other.Says = "exchange another"
		for name, a := range map[string]recovery.Amended{
			"again":   {Says: "go to latest", Redo: []string{"1"}},
			"another": {Says: "go to latest", Steps: []recovery.Step{other}},
		} {
			a, err := recovery.Amend(r.State().PlanSHA256, a)
			if err == nil {
				err = r.Do(recovery.Command{Kind: recovery.DoAmend, Amend: &a, By: "ops1"})
			}
			if recovery.ExitOf(err) != recovery.Refused || !strings.Contains(err.Error(), "cannot be brought back again by this run") {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := r.Do(recovery.Command{Kind: recovery.DoDecide, Step: w.Step, Choice: recovery.ChooseStop, By: "ops1"}); err != nil {
			t.Error(err)
		}
	}()
	if s := r.run(t); len(s.Amendments) > 0 || th.said() != "did 1" {
		t.Errorf("amended %v; %s", s.Amendments, th.said())
	}
}

// exchanges cannot be given back.
type exchanges struct{ kind recovery.ResourceKind }

func (e exchanges) Resource() recovery.ResourceKind { return e.kind }

func (exchanges) Release(context.Context, recovery.Resource) error {
	return errors.New("the server does not answer")
}

// Where an exchange or an opening cannot be given back, nothing older is removed: the
// old data, or what people wrote since, may lie in it.
func TestLive_exchangeStuck(t *testing.T) {
	for _, kind := range []recovery.ResourceKind{recovery.Exchanged, recovery.Exchanged + " of trees", recovery.Opened, recovery.Opened + " of clusters", "other"} {
		th := &things{}
		claims := claiming(kind)
		s := newRig(t, []recovery.Kind{claims}, func(_ *recovery.Plan, o *execute.Options) {
			o.Unattended, o.Releasers = true, []recovery.Releaser{th, exchanges{kind}}
		}, step("1", "claims")).run(t)
		removed := th.said() == "released a"
		if removed != (kind == "other") || len(s.Held()) == 0 {
			t.Errorf("%s: %s; holds %v", kind, th.said(), s.Held())
		}
	}
}

// claiming claims a thing, then an exchange.
func claiming(of recovery.ResourceKind) kind {
	return kind{"claims", func(ctx context.Context, e recovery.Env, _ recovery.Step) (recovery.Outcome, error) {
		return recovery.Outcome{}, errors.Join(e.Claim(ctx, thing("a")), e.Claim(ctx, recovery.Resource{Kind: of, ID: "live"}))
	}}
}

// A block of a recovery runs only when a person has typed the name for this very plan, however
// long ago: it keeps the order of the document. A plan without a name is of an earlier version.
func TestBlock_needsTheName(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		change func(*testing.T, *recovery.Plan, *execute.Options)
		says   string
	}{
		"nobody typed it": {func(_ *testing.T, p *recovery.Plan, o *execute.Options) { livePlan(p, o) }, "nobody has typed its name"},
		"another plan": {func(t *testing.T, p *recovery.Plan, o *execute.Options) {
			confirmedBefore(t, p, o, "db1/shop", "ops1", now)
			past(t, o, now, elsewhere(t))
		}, ""},
		"somebody else": {func(t *testing.T, p *recovery.Plan, o *execute.Options) {
			confirmedBefore(t, p, o, "db1/shop", "ops2", now)
		}, "ops2 typed its name, and ops1 commands"},
		"long ago": {func(t *testing.T, p *recovery.Plan, o *execute.Options) {
			confirmedBefore(t, p, o, "db1/shop", "ops1", now.Add(-5*time.Hour))
			past(t, o, now, recovery.RunResumed{By: "ops1", Reason: "its runner had died"})
		}, ""},
		"a plan of before": {func(_ *testing.T, p *recovery.Plan, o *execute.Options) { livePlan(p, o); p.Confirm = "" }, ""},
		"in a rehearsal's box": {func(_ *testing.T, p *recovery.Plan, o *execute.Options) {
			livePlan(p, o)
			p.Mode = recovery.Rehearsal
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil, func(p *recovery.Plan, o *execute.Options) {
				o.Unattended = true
				c.change(t, p, o)
			}, shellStep("echo it ran", nil))
			s := r.run(t)
			ran := strings.Contains(r.journal(t), `"says":"smoke ended well`)
			if ran != (c.says == "") || !ran && (s.Exit != recovery.Refused || !strings.Contains(s.Says, c.says)) {
				t.Errorf("it ran: %v; ended as %s: %s", ran, s.Result, s.Says)
			}
		})
	}
	// A run is not taken up for a block alone where the change that comes later would be refused.
	r := newRig(t, []recovery.Kind{(&things{}).noted("k")}, func(p *recovery.Plan, o *execute.Options) {
		confirmedBefore(t, p, o, "db1/shop", "ops1", now.Add(-5*time.Hour))
		past(t, o, now, recovery.RunResumed{By: "ops1", Reason: "its runner had died", Unattended: true})
	}, shellStep("true", nil), writes("1", "live/db", "s"))
	state := r.State()
	if err := execute.Confirmed(r.Plan, &state); err == nil || !strings.Contains(err.Error(), "its name was typed") {
		t.Errorf("taken up: %v", err)
	}
}

// What a rehearsal's step was done on in place of the real thing is recorded with it.
func TestStep_standIn(t *testing.T) {
	th := &things{}
	s := step("1", "k")
	s.StandIn = "scratch, in place of /srv/shop"
	state := newRig(t, []recovery.Kind{th.noted("k")}, unattended, s, step("2", "k")).run(t)
	for id, want := range map[string]string{"1": s.StandIn, "2": ""} {
		if got := state.Step(id).Outcome.Facts[recovery.FactStandIn]; got != want {
			t.Errorf("step %s was done on %q, want %q", id, got, want)
		}
	}
}
