package main

import (
	"strings"
	"testing"
	"time"

	"comeback/recovery"
)

// The plain output tells what happens in the words of every screen, with the stage before
// them and what a screen shows elsewhere behind.
func TestPlainWriter_event(t *testing.T) {
	p := &recovery.Plan{Run: "7c31", System: "shop", Mode: recovery.Rehearsal, Stages: []recovery.Stage{{Name: "Restore"}, {Name: "Check"}},
		Steps: []recovery.Step{{ID: "db.copy", Kind: "pitr.copy", Component: "db", Says: "copy"}, {ID: "2.1", Kind: recovery.KindSQLCheck, Stage: 1, Says: "orders"}}}
	s := recovery.NewState(p)
	var out strings.Builder
	w := &plainWriter{out: &out, now: time.Now}
	at := time.Date(2026, 11, 23, 2, 41, 7, 0, time.Local)
	var seq uint64
	for i, test := range []struct {
		event recovery.Payload
		lines string
	}{
		{recovery.RunStarted{Run: "7c31", System: "shop", Mode: recovery.Rehearsal, Number: 3, Operator: "ops1", Host: "bastion"}, "run 7c31 of shop began, rehearsal number 3, by ops1 on bastion\n"},
		{recovery.ClaimMade{Step: "db.copy", Resource: recovery.Resource{Kind: recovery.Directory, ID: "/scratch"}}, ""},
		{recovery.StepStarted{Step: "db.copy", Attempt: 1}, "[1 Restore] db: copy\n"},
		{recovery.StepCheckpoint{Step: "db.copy", Text: "half"}, "[1 Restore] db: copy: half\n"},
		{recovery.StepFinished{Step: "db.copy", Outcome: recovery.Outcome{Says: "14 GB copied", Exceptions: []string{"a role is missing"}}}, "[1 Restore] db: 14 GB copied, in 2.0s\n[1 Restore]   exception: a role is missing\n"},
		{recovery.StepFailed{Step: "2.1", Error: "3 rows", Hint: "look"}, "[2 Check] orders: FAILED: 3 rows\n[2 Check]   next: look\n"},
		{recovery.Waiting{Step: "2.1", For: recovery.WaitDecision}, "[2 Check] orders: WAITS for a decision\n"},
		{recovery.RunResumed{By: "ops2", Reason: "its runner died"}, "resumed by ops2 after 0m01: its runner died\n[2 Check] orders: WAITS for a decision since 02:41:13; answer it from a terminal: comeback attach 7c31\n"},
		{recovery.RunEnded{Result: recovery.ResultFailed, Says: "told with its report"}, ""},
	} {
		out.Reset()
		e, err := recovery.NewEvent(at.Add(time.Duration(i)*time.Second), test.event)
		if err != nil {
			t.Fatal(err)
		}
		seq++
		e.Seq = seq
		s = recovery.Fold(s, e)
		w.event(&s, e)
		want := ""
		for line := range strings.Lines(test.lines) {
			want += e.At.Local().Format("15:04:05Z07:00") + " " + line
		}
		if got := out.String(); got != want {
			t.Errorf("%s is told as\n%swant\n%s", e.Type, got, want)
		}
	}
}
