package recovery_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"comeback/recovery"
)

// What happens in a run is told in these words, wherever it is told.
func TestState_Tell(t *testing.T) {
	dir := recovery.Resource{Kind: recovery.Directory, ID: "/scratch/db"}
	digest := strings.Repeat("5e0b77a1c93d", 5)
	for name, test := range map[string]struct {
		event recovery.Payload
		line  string
		more  []string
	}{
		"it begins":               {event: recovery.RunStarted{Run: "7c31", System: "shop", Mode: recovery.Rehearsal, Number: 12, Operator: "ops1", Host: "bastion"}, line: "run 7c31 of shop began, rehearsal number 12, by ops1 on bastion"},
		"it begins somewhere":     {event: recovery.RunStarted{Run: "7c31", System: "shop", Mode: recovery.Recovery, Number: 1}, line: "run 7c31 of shop began, recovery number 1, by somebody"},
		"it goes on":              {event: recovery.RunResumed{By: "ops2", Reason: "the runner died"}, line: "resumed by ops2 after 0m01: the runner died"},
		"taken over":              {event: recovery.LeaseTaken{By: "ops2", From: "ops1", Reason: "asleep"}, line: "ops2 took the command over from ops1: asleep"},
		"handed over":             {event: recovery.LeaseHanded{By: "ops1", To: "ops2"}, line: "ops1 handed the command over to ops2"},
		"a secret":                {event: recovery.SecretGiven{By: "ops1", Name: "KEY"}, line: "ops1 gave KEY"},
		"people called":           {event: recovery.Notified{About: "a wait"}, line: "people were told of a wait"},
		"nobody called":           {event: recovery.Notified{About: "a wait", Error: "no route"}, line: "nobody could be told of a wait: no route"},
		"the outage":              {event: recovery.OutageNoted{Since: now, How: "known"}, line: "outage: began 02:50:12+01:00, known"},
		"the outage, unknown":     {event: recovery.OutageNoted{}, line: "outage: its beginning is unknown"},
		"the clock":               {event: recovery.ClockStepped{By: recovery.Duration(2 * time.Hour)}, line: "the clock was put forward by 2h00m"},
		"held back":               {event: recovery.HeldBack{By: "ops1"}, line: "ops1 holds the run before the first change of live: it asks for the name again"},
		"confirmed":               {event: recovery.Confirmed{By: "ops1", Name: "db1/shop", PlanSHA256: digest}, line: "ops1 typed the name of the target, db1/shop, for digest 5e0b 77a1 c93d"},
		"a note":                  {event: recovery.Noted{By: "ops1", Text: "ask lead"}, line: "note by ops1: ask lead"},
		"a stop":                  {event: recovery.StopAsked{By: "ops1", Reason: "wrong backup"}, line: "ops1 asked to stop: wrong backup"},
		"a stop by nobody":        {event: recovery.StopAsked{By: recovery.Nobody, Reason: "interrupted by ctrl-c"}, line: "the run is stopped: interrupted by ctrl-c"},
		"the clean-up":            {event: recovery.CleanupStarted{}, line: "clean-up: everything that the run holds is given back"},
		"it ends":                 {event: recovery.RunEnded{Result: recovery.ResultPassed, Says: "all held"}, line: "ended, passed: all held"},
		"a step begins":           {event: recovery.StepStarted{Step: "db.copy", Attempt: 1}, line: "db: copy"},
		"again":                   {event: recovery.StepStarted{Step: "db.copy", Attempt: 2}, line: "db: copy, attempt 2"},
		"how far it is":           {event: recovery.StepCheckpoint{Step: "db.copy", Text: "half"}, line: "db: copy: half"},
		"done":                    {event: recovery.StepFinished{Step: "db.copy"}, line: "db: done: copy"},
		"done, it says":           {event: recovery.StepFinished{Step: "db.copy", Outcome: recovery.Outcome{Says: "base backup 14.2 GB copied, manifest holds"}}, line: "db: base backup 14.2 GB copied, manifest holds"},
		"done, of its component":  {event: recovery.StepFinished{Step: "db.copy", Outcome: recovery.Outcome{Says: "db: 3 commits lost"}}, line: "db: 3 commits lost"},
		"a check":                 {event: recovery.StepFinished{Step: "2.2", Outcome: recovery.Outcome{Says: "40000, as expected", Check: &recovery.CheckResult{Name: "orders"}}}, line: "Check: orders: 40000, as expected"},
		"what else it has":        {event: recovery.StepFinished{Step: "db.copy", Outcome: recovery.Outcome{Says: "copied", Remarks: []string{"slow"}, Exceptions: []string{"a role is missing"}, Reached: &recovery.Reached{Evidence: []string{"as the dump says"}}}}, line: "db: copied", more: []string{"slow", "exception: a role is missing", "proof: as the dump says"}},
		"it fails":                {event: recovery.StepFailed{Step: "db.copy", Error: "the disk is full", Hint: "make room"}, line: "db: copy: FAILED: the disk is full", more: []string{"next: make room"}},
		"left out":                {event: recovery.StepSkipped{Step: "2.2", Why: "no time"}, line: "Check: check: orders: skipped: no time"},
		"to do again":             {event: recovery.StepGone{Step: "db.copy", Why: "the server is gone"}, line: "db: copy is done again, because the server is gone"},
		"it waits":                {event: recovery.Waiting{Step: "2.1", For: recovery.WaitTicks}, line: "Check: 2 items to tick: WAITS for ticks"},
		"it waits for a decision": {event: recovery.Waiting{Step: "2.2", For: recovery.WaitDecision, Cause: "3 rows", Hint: "look"}, line: "Check: check: orders: WAITS for a decision: 3 rows", more: []string{"next: look"}},
		"ticked":                  {event: recovery.Ticked{Step: "2.1", Item: 1, How: recovery.TickDone, By: "ops1"}, line: `Check: done by ops1: "two"`},
		"ticked by nobody":        {event: recovery.Ticked{Step: "2.1", How: recovery.TickNotDone, By: recovery.Nobody, Note: "unattended"}, line: `Check: not done: "one": unattended`},
		"ticked, not of the plan": {event: recovery.Ticked{Step: "2.1", Item: 8, How: recovery.TickDone, By: "ops1"}, line: `Check: done by ops1: "item 9"`},
		"decided":                 {event: recovery.Decided{Step: "2.2", By: "ops1", Choice: recovery.ChooseRetry, Reason: "it was the network"}, line: "Check: check: orders: ops1 chose to retry: it was the network"},
		"approved":                {event: recovery.Approved{Step: "2.2", Role: "lead", Fingerprint: "SHA256:x", PlanSHA256: digest, By: "ops1"}, line: "Check: lead approved digest 5e0b 77a1 c93d with SHA256:x, handed in by ops1"},
		"of no step of the plan":  {event: recovery.StepFailed{Step: "gone", Error: "lost"}, line: "gone: FAILED: lost"},
		"done, no step of it":     {event: recovery.StepFinished{Step: "gone"}, line: "gone: done"},
		"a claim":                 {event: recovery.ClaimMade{Step: "db.copy", Resource: dir}},
		"a claim is gone":         {event: recovery.ClaimReleased{Resource: dir, Spared: "2 versions stay"}, line: "gone: directory /scratch/db; 2 versions stay"},
		"a claim is kept":         {event: recovery.ClaimKept{Resource: dir, Why: "busy"}, line: "still there: directory /scratch/db: busy"},
	} {
		t.Run(name, func(t *testing.T) {
			p := plan()
			p.Steps[0].Component = "db"
			events := journalOf(t, recovery.Noted{Text: "before"}, test.event)
			s := fold(recovery.NewState(p), events)
			told := s.Tell(events[1], now.Location())
			if diff := cmp.Diff(test.line, told.Line()); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(test.more, told.More); diff != "" {
				t.Error(diff)
			}
			detail := slices.Contains([]string{"step.checkpoint/1", "claim.released/1"}, events[1].Type)
			if told.Detail != detail {
				t.Errorf("it is a detail: %v", told.Detail)
			}
		})
	}
}

// A change of the plan names the digest that stands now.
func TestState_Tell_amended(t *testing.T) {
	a, err := recovery.Amend(strings.Repeat("0", 64), recovery.Amended{By: "ops1", Says: "skip orders", Why: "there were none"})
	if err != nil {
		t.Fatal(err)
	}
	events := journalOf(t, a)
	s := fold(recovery.NewState(plan()), events)
	if got, want := s.Tell(events[0], now.Location()).Line(), "plan amended by ops1, skip orders, digest "+recovery.ShortDigest(a.PlanSHA256)+": there were none"; got != want {
		t.Errorf("it is told as %q, want %q", got, want)
	}
}

// What this version does not know is told as that. A step that took its time says how long.
func TestState_Tell_unknownAndTook(t *testing.T) {
	s := recovery.NewState(plan())
	if got := s.Tell(recovery.Event{Seq: 9, Type: "new/7"}, now.Location()).Line(); got != "event 9, new/7: not understood by this version" {
		t.Errorf("an unknown event is told as %q", got)
	}
	events := journalOf(t, recovery.StepStarted{Step: "db.copy", Attempt: 1}, recovery.StepFinished{Step: "db.copy", Outcome: recovery.Outcome{Says: "copied"}})
	s = fold(s, events)
	if told := s.Tell(events[1], now.Location()); told.Took != time.Second {
		t.Errorf("it took %s", told.Took)
	}
}

// How far a step is, is told in the same words, too.
func TestSample_Says(t *testing.T) {
	for want, s := range map[string]recovery.Sample{
		"copying": {Phase: "copying"},
		"copying, 21 %, 3.00 GB of 14.2 GB, 1m15 left":  {Phase: "copying", Done: 3e9, Total: 14.2e9, Unit: recovery.InBytes, Left: recovery.Duration(75 * time.Second)},
		"replay, 8.00 MB of log so far, at 02:41":       {Phase: "replay", Done: 8e6, Unit: recovery.InLSN, Note: "at 02:41"},
		"writing, 64 %, 11 790 of 18 402 items":         {Phase: "writing", Done: 11790, Total: 18402, Unit: recovery.InItems},
		"restore, 50 %, 1 of 2 tables":                  {Phase: "restore", Done: 1, Total: 2, Unit: recovery.InTables},
		"look, 1 234 so far":                            {Phase: "look", Done: 1234},
		"more came than was said, 100 %, 3 of 2 tables": {Phase: "more came than was said", Done: 3, Total: 2, Unit: recovery.InTables},
	} {
		if got := s.Says(); got != want {
			t.Errorf("it says %q, want %q", got, want)
		}
	}
}
