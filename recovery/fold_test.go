package recovery_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
)

// journalOf numbers payloads as a journal would.
func journalOf(t *testing.T, payloads ...recovery.Payload) []recovery.Event {
	t.Helper()
	var events []recovery.Event
	for i, p := range payloads {
		e, err := recovery.NewEvent(now.Add(time.Duration(i)*time.Second), p)
		if err != nil {
			t.Fatal(err)
		}
		e.Seq = uint64(i + 1)
		events = append(events, e)
	}
	return events
}

func plan() *recovery.Plan {
	p := &recovery.Plan{Run: "7c31", System: "shop", Mode: recovery.Rehearsal, Stages: []recovery.Stage{{Name: "Restore"}, {Name: "Check"}}}
	ticks := recovery.NewStep("2.1", recovery.KindTicks, "2 items to tick", recovery.TicksArgs{Items: []string{"one", "two"}})
	ticks.Stage, ticks.After = 1, []string{"db.copy"}
	check := recovery.NewStep("2.2", recovery.KindSQLCheck, "check: orders", recovery.SQLCheckArgs{})
	check.Stage, check.After, check.MayPass = 1, []string{"2.1"}, true
	p.Steps = []recovery.Step{{ID: "db.copy", Kind: "pitr.copy", Says: "copy"}, ticks, check}
	return p
}

func fold(s recovery.State, events []recovery.Event) recovery.State {
	for _, e := range events {
		s = recovery.Fold(s, e)
	}
	return s
}

// A claim that is made anew holds for what stands in its place now, and is given back once.
func TestFold_claimAnew(t *testing.T) {
	claim := func(which string) recovery.Resource {
		return recovery.Resource{Kind: recovery.Directory, ID: "/a", Details: map[string]string{"inode": which}}
	}
	s := fold(recovery.State{}, journalOf(t, recovery.ClaimMade{Step: "s", Resource: claim("1")}, recovery.ClaimMade{Step: "s", Resource: claim("2")}))
	if held := s.Held(); len(held) != 1 || held[0].Details["inode"] != "2" {
		t.Errorf("held %+v", held)
	}
	if s = fold(s, journalOf(t, recovery.ClaimReleased{Resource: claim("2")})); len(s.Held()) != 0 {
		t.Errorf("given back, held %+v", s.Held())
	}
}

func TestFold_run(t *testing.T) {
	dir := recovery.Resource{Kind: recovery.Directory, ID: "/var/tmp/comeback-7c31"}
	events := journalOf(t,
		recovery.RunStarted{Run: "7c31", System: "shop", Mode: recovery.Rehearsal, Operator: "ops1", PID: 7},
		recovery.StepStarted{Step: "db.copy", Attempt: 1},
		recovery.ClaimMade{Step: "db.copy", Resource: dir},
		recovery.StepFailed{Step: "db.copy", Error: "no room"},
		recovery.Waiting{Step: "db.copy", For: "decision"},
		recovery.Decided{Step: "db.copy", Choice: recovery.ChooseRetry, By: "ops1"},
		recovery.StepStarted{Step: "db.copy", Attempt: 2},
		recovery.StepFinished{Step: "db.copy", Outcome: recovery.Outcome{Bindings: []recovery.Binding{{Component: "db", URL: "postgres:///shop"}}}},
		recovery.StepStarted{Step: "2.1", Attempt: 1},
		recovery.Waiting{Step: "2.1", For: "ticks"},
		recovery.Ticked{Step: "2.1", Item: 1, How: recovery.TickDone, By: "ops1"},
		recovery.Ticked{Step: "2.1", Item: 0, How: recovery.TickDone, By: "ops1"},
		recovery.StepFinished{Step: "2.1"},
		recovery.StepStarted{Step: "2.2", Attempt: 1},
		recovery.StepFinished{Step: "2.2", Outcome: recovery.Outcome{Check: &recovery.CheckResult{Held: true}}},
		recovery.ClaimReleased{Resource: dir},
		recovery.RunEnded{Result: recovery.ResultPassed},
	)
	at := func(n int) recovery.State { return fold(recovery.NewState(plan()), events[:n]) }
	if s := at(4); s.Stages[0].State != recovery.FailedAt || s.Step("db.copy").Error != "no room" {
		t.Errorf("after the failure: %+v", s.Stages[0])
	}
	if s := at(5); len(s.Waits()) != 1 || s.Stages[0].State != recovery.WaitsFor {
		t.Errorf("while it waits: %d waits, stage %s", len(s.Waits()), s.Stages[0].State)
	}
	if s := at(7); s.Step("db.copy").State != recovery.Running || s.Step("db.copy").Attempts != 2 || len(s.Waits()) != 0 {
		t.Errorf("after trying again: %+v", s.Step("db.copy"))
	}
	if s := at(8); !s.Ready(s.Step("2.1")) || s.Ready(s.Step("2.2")) {
		t.Error("after the copy the ticks are ready and the check is not")
	}
	s := at(len(events))
	held, total := s.Checks()
	if s.Result != recovery.ResultPassed || held != 1 || total != 1 || len(s.Held()) != 0 || len(s.Unknown) != 0 || s.PID != 7 {
		t.Errorf("at the end: %+v", s)
	}
	for _, stage := range s.Stages {
		if stage.State != recovery.Done {
			t.Errorf("stage %s is %s", stage.Name, stage.State)
		}
	}
	if b, ok := s.Binding("db"); !ok || b.URL != "postgres:///shop" {
		t.Errorf("binding: %+v", b)
	}
}

// Folding must not change a state that somebody else holds.
func TestFold_isPure(t *testing.T) {
	events := journalOf(t,
		recovery.RunStarted{Run: "7c31"}, recovery.StepStarted{Step: "2.1", Attempt: 1}, recovery.Waiting{Step: "2.1", For: "ticks"},
		recovery.Ticked{Step: "2.1", Item: 0, How: recovery.TickDone}, recovery.Ticked{Step: "2.1", Item: 1, How: recovery.TickDone},
		recovery.ClaimMade{Resource: recovery.Resource{ID: "/a"}}, recovery.ClaimReleased{Resource: recovery.Resource{ID: "/a"}},
		recovery.Noted{Text: "x"}, recovery.Decided{Step: "2.1", Choice: recovery.ChooseContinue, Reason: "y"},
		recovery.StepStarted{Step: "db.copy", Attempt: 1}, recovery.RunResumed{By: "ops2"}, recovery.StepGone{Step: "2.1", Why: "gone"},
		recovery.LeaseHanded{To: "ops1"}, recovery.Approved{Step: "2.1"}, recovery.Notified{About: "x"}, amend(t, "", recovery.Amended{Skip: []string{"2.1"}}))
	s := recovery.NewState(plan())
	for _, e := range events {
		before, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		next := recovery.Fold(s, e)
		after, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if string(before) != string(after) {
			t.Fatalf("folding %s changed the state before it", e.Type)
		}
		if !reflect.DeepEqual(next, recovery.Fold(s, e)) {
			t.Fatalf("folding %s twice gives two states", e.Type)
		}
		s = next
	}
}

func amend(t *testing.T, before string, a recovery.Amended) recovery.Amended {
	t.Helper()
	a, err := recovery.Amend(before, a)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// What was under way when the runner died is to do again; what a person has
// ticked stays.
func TestFold_resume(t *testing.T) {
	s := recovery.NewState(plan())
	for _, e := range journalOf(t,
		recovery.RunStarted{Run: "7c31", Operator: "ops1", BootID: "a"},
		recovery.StepStarted{Step: "db.copy", Attempt: 1},
		recovery.StepStarted{Step: "2.1", Attempt: 1}, recovery.Waiting{Step: "2.1", For: recovery.WaitTicks},
		recovery.Ticked{Step: "2.1", Item: 0, How: recovery.TickDone},
		recovery.RunResumed{By: "ops2", BootID: "b", Reason: "its runner had died"}) {
		s = recovery.Fold(s, e)
	}
	if st := s.Step("db.copy"); st.State != recovery.ToDo || !st.Interrupted || st.Attempts != 1 {
		t.Errorf("the copy is %s after %d attempts", st.State, st.Attempts)
	}
	if st := s.Step("2.1"); st.WaitsFor != recovery.WaitTicks || st.Ticks[0].How != recovery.TickDone {
		t.Errorf("the ticks: %+v", st)
	}
	if i := s.Interruptions; len(i) != 1 || !i[0].Rebooted || len(i[0].Steps) != 1 || s.Lease != "ops2" || s.Operator != "ops1" {
		t.Errorf("interruptions %+v, lease %s", i, s.Lease)
	}
}

// An amendment changes the digest, makes what it replaces to do again, and voids
// approvals; one of another plan is not taken.
// What failed and was passed over ends with the decision about it.
func TestFold_stageDecided(t *testing.T) {
	events := journalOf(t, recovery.StepStarted{Step: "2.2", Attempt: 1}, recovery.StepFailed{Step: "2.2", Error: "no"}, recovery.Waiting{Step: "2.2", For: recovery.WaitDecision},
		recovery.StepFinished{Step: "2.1"}, recovery.Noted{Text: "we look"}, recovery.Decided{Step: "2.2", Choice: recovery.ChooseContinue, Reason: "it need not hold"})
	s := fold(recovery.NewState(plan()), events)
	stage := s.Stages[1]
	if want := now.Add(5 * time.Second); stage.State != recovery.Passed || !stage.Decided.Equal(want) || !stage.Ended.Equal(now.Add(3*time.Second)) {
		t.Errorf("%s, ended %s, decided %s, want %s", stage.State, stage.Ended, stage.Decided, want)
	}
	if waiting := fold(recovery.NewState(plan()), events[:5]).Stages[1]; !waiting.Decided.IsZero() {
		t.Errorf("while it waits it was decided %s", waiting.Decided)
	}
}

func TestFold_aStageWithoutStepsStaysToDo(t *testing.T) {
	p := plan()
	p.Stages = append(p.Stages, recovery.Stage{Name: "Switch"})
	s := fold(recovery.NewState(p), journalOf(t, recovery.RunStarted{Run: "7c31", BootID: "a"},
		recovery.RunResumed{BootID: "a", Reason: "runner died"}, amend(t, "", recovery.Amended{Says: "nothing", By: "ops1"})))
	if got := s.Stages[2].State; got != recovery.ToDo {
		t.Errorf("after a resume and an amendment it is %q", got)
	}
}

func TestFold_amended(t *testing.T) {
	s := recovery.NewState(plan())
	for _, e := range journalOf(t, recovery.RunStarted{Run: "7c31", PlanSHA256: "p1"}, recovery.StepStarted{Step: "db.copy", Attempt: 1},
		recovery.StepFinished{Step: "db.copy"}) {
		s = recovery.Fold(s, e)
	}
	a := amend(t, "p1", recovery.Amended{Says: "from offsite", Steps: []recovery.Step{{ID: "db.copy", Says: "copy from offsite"}}})
	e, err := recovery.NewEvent(now, a)
	if err != nil {
		t.Fatal(err)
	}
	s = recovery.Fold(s, e)
	if st := s.Step("db.copy"); st.State != recovery.ToDo || st.Says != "copy from offsite" || st.Attempts != 1 || s.PlanSHA256 != a.PlanSHA256 {
		t.Errorf("%+v, digest %s", st, s.PlanSHA256)
	}
	if again := recovery.Fold(s, e); len(again.Unknown) != 1 || again.PlanSHA256 != a.PlanSHA256 {
		t.Errorf("an amendment of another plan was taken: %v", again.Unknown)
	}
}

// Anything may stand in a journal of another version; nothing may be lost silently.
func TestFold_unknown(t *testing.T) {
	for _, e := range []recovery.Event{
		{Seq: 1, Type: "step.teleported/3", Data: json.RawMessage(`{}`)},
		{Seq: 1, Type: "step.started/2", Data: json.RawMessage(`{}`)},
		{Seq: 1, Type: "step.started/1", Data: json.RawMessage(`[]`)},
		{Seq: 1, Type: "step.started/1", Data: json.RawMessage(`{"step":"no such step"}`)},
		{Seq: 1, Type: "claim.released/1", Data: json.RawMessage(`{"resource":{"id":"never claimed"}}`)},
		{},
	} {
		if s := recovery.Fold(recovery.NewState(plan()), e); len(s.Unknown) != 1 {
			t.Errorf("%s %s: unknown is %v", e.Type, e.Data, s.Unknown)
		}
	}
}

func FuzzFold(f *testing.F) {
	f.Add("step.finished/1", []byte(`{"step":"2.1","outcome":{"says":"x"}}`))
	f.Add("ticked/1", []byte(`{"step":"2.1","item":-1}`))
	f.Add("ticked/1", []byte(`{"step":"2.1","item":99}`))
	f.Fuzz(func(t *testing.T, kind string, data []byte) {
		recovery.Fold(recovery.NewState(plan()), recovery.Event{Seq: 1, Type: kind, Data: data})
	})
}

// Every payload round-trips under its own name, which ends with its version.
func TestEvent_Payload(t *testing.T) {
	for _, p := range []recovery.Payload{
		recovery.RunStarted{Run: "x"}, recovery.RunResumed{PID: 1}, recovery.OutageNoted{How: "known"}, recovery.StepStarted{Step: "s"},
		recovery.StepCheckpoint{Text: "t"}, recovery.StepFinished{Step: "s"}, recovery.StepFailed{Error: "e"}, recovery.StepSkipped{Why: "w"},
		recovery.Waiting{For: "ticks"}, recovery.Ticked{Item: 1}, recovery.Decided{Choice: recovery.ChooseStop}, recovery.Noted{Text: "n"},
		recovery.ClaimMade{Step: "s"}, recovery.ClaimReleased{}, recovery.ClaimKept{Why: "w"}, recovery.StopAsked{By: "b"},
		recovery.CleanupStarted{}, recovery.RunEnded{Exit: 5}, recovery.StepGone{Step: "s", Why: "w"}, recovery.LeaseTaken{By: "b", From: "a", Reason: "r"},
		recovery.LeaseHanded{By: "a", To: "b"}, recovery.Amended{Says: "s", Skip: []string{"a"}}, recovery.Approved{Step: "s", Role: "lead"},
		recovery.SecretGiven{Name: "N", By: "b"}, recovery.Notified{About: "a"}, recovery.HeldBack{By: "a"}, recovery.ClockStepped{By: -1},
	} {
		e, err := recovery.NewEvent(now, p)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := e.Payload()
		if !ok || !reflect.DeepEqual(got, p) {
			t.Errorf("%s came back as %#v", e.Type, got)
		}
	}
}

// Between two events of which the clock was put back, nobody knows how long anything took.
func TestState_tookPutBack(t *testing.T) {
	for inside, known := range map[int]bool{1: true, 3: false, 4: true} {
		events := journalOf(t, recovery.RunStarted{}, recovery.StepStarted{Step: "db.copy", Attempt: 1}, recovery.Noted{Text: "we look"},
			recovery.StepFinished{Step: "db.copy"}, recovery.StepStarted{Step: "2.1", Attempt: 1}, recovery.StepFinished{Step: "2.1"})
		for i := inside; i < len(events); i++ {
			events[i].At = events[i].At.Add(-time.Hour)
		}
		s := fold(recovery.NewState(plan()), events)
		took, ok := s.Took(s.Step("db.copy"))
		stage, okStage := s.StageTook(0)
		if ok != known || okStage != known || known != (took == 2*time.Second) || stage != took {
			t.Errorf("put back before event %d: the step took %s, %t, its stage %s, %t", inside+1, took, ok, stage, okStage)
		}
		if took, ok := s.Took(s.Step("2.2")); ok || took != 0 {
			t.Errorf("what never began took %s", took)
		}
	}
}

// What an event tells of a step of the clock counts as one that its time shows, once, in
// either direction; a run that an earlier version has ended is as that has seen it.
func TestFold_clockStepped(t *testing.T) {
	for _, by := range []time.Duration{2 * time.Hour, -20 * time.Minute} {
		for form, told := range map[int]bool{3: false, 4: false, recovery.ReportForm: true} {
			events := journalOf(t, recovery.RunStarted{}, recovery.StepStarted{Step: "db.copy", Attempt: 1}, recovery.ClockStepped{By: recovery.Duration(by)},
				recovery.StepFinished{Step: "db.copy"}, recovery.RunEnded{Result: recovery.ResultExceptions, Report: form})
			for i := 2; i < len(events); i++ {
				events[i].At = events[i].At.Add(by)
			}
			s := fold(recovery.NewState(plan()), events[:4])
			if len(s.ClockSteps) != 1 || s.ClockSteps[0].Seq != 3 || s.ClockSteps[0].By != by || len(s.Unknown) > 0 || s.NextReportForm() != recovery.ReportForm {
				t.Fatalf("it is %+v, %q, form %d", s.ClockSteps, s.Unknown, s.NextReportForm())
			}
			if took, ok := s.Took(s.Step("db.copy")); ok {
				t.Errorf("%s: the step took %s", by, took)
			}
			if says := s.ClockSteps[0].Says(); says != map[bool]string{true: "the clock was put back by 20m00 between events 2 and 3", false: "the clock was put forward by 2h00m between events 2 and 3"}[by < 0] {
				t.Errorf("it says %q", says)
			}
			s = fold(s, events[4:])
			seen := by < 0 // by the times of the events
			if (len(s.ClockSteps) == 1) != (told || seen) || strings.Join(s.Unknown, ", ") != map[bool]string{false: "event 3: clock.stepped/1"}[told] {
				t.Errorf("form %d: %+v, %q", form, s.ClockSteps, s.Unknown)
			}
		}
	}
}

// What an exchange made of its target is over when it is given back, also where the exchange
// was to do again before.
func TestFold_givenBackWhenGone(t *testing.T) {
	p := plan()
	exchange := recovery.NewStep("db.exchange", "db.exchange", "exchange", struct{}{})
	exchange.Component, exchange.Phase, exchange.Writes = "db", recovery.Exchange, []recovery.TargetID{"live/db"}
	p.Steps = append(p.Steps, exchange)
	claim := recovery.Resource{Kind: recovery.Exchanged, ID: "db1/shop"}
	events := journalOf(t, recovery.StepStarted{Step: "db.exchange", Attempt: 1}, recovery.ClaimMade{Step: "db.exchange", Resource: claim},
		recovery.StepFinished{Step: "db.exchange", Outcome: recovery.Outcome{Identities: map[recovery.TargetID]recovery.Identity{"live/db": {"database oid": "2"}, "live/other": {"database oid": "3"}}}},
		recovery.StepGone{Step: "db.exchange", Why: "it did not survive"}, recovery.ClaimReleased{Resource: claim})
	s := fold(recovery.NewState(p), events)
	if was := s.GivenBack["live/db"]; s.Identities["live/db"] != nil || was["database oid"] != "2" || s.Identities["live/other"] == nil {
		t.Errorf("it is %v, and was %v", s.Identities, s.GivenBack)
	}
}
