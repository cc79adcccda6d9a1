package recovery_test

import (
	"strings"
	"testing"
	"time"

	"comeback/recovery"
)

// switching is a recovery that closes a database, exchanges it and opens it again.
func switching() *recovery.Plan {
	p := &recovery.Plan{Run: "7c31", System: "shop", Mode: recovery.Recovery, Stages: []recovery.Stage{{Name: "Switch"}},
		Targets: []recovery.Target{{ID: "live/db", Component: "db", Place: "db1", Name: "db1/shop"}}}
	for _, phase := range []recovery.Phase{recovery.Fence, recovery.Exchange, recovery.Open} {
		step := recovery.Step{ID: string(phase), Kind: "live." + string(phase), Says: string(phase), Component: "db", Phase: phase, Writes: []recovery.TargetID{"live/db"}}
		if n := len(p.Steps); n > 0 {
			step.After = []string{p.Steps[n-1].ID}
		}
		p.Steps = append(p.Steps, step)
	}
	return p
}

var (
	fence    = recovery.Resource{Kind: recovery.Fenced, ID: "db1/shop"}
	exchange = recovery.Resource{Kind: recovery.Exchanged, ID: "db1/shop"}
	opening  = recovery.Resource{Kind: recovery.Opened, ID: "db1/shop"}
)

// What a run holds of live is said of it, whatever became of the step that has claimed it;
// and so is what stopping the run does.
func TestState_LiveSays(t *testing.T) {
	begins := func(step string, claims ...recovery.Resource) []recovery.Payload {
		all := []recovery.Payload{recovery.StepStarted{Step: step, Attempt: 1}}
		for _, r := range claims {
			all = append(all, recovery.ClaimMade{Step: step, Resource: r})
		}
		return all
	}
	does := func(step string, o recovery.Outcome, claims ...recovery.Resource) []recovery.Payload {
		return append(begins(step, claims...), recovery.StepFinished{Step: step, Outcome: o})
	}
	old := recovery.Outcome{Old: []recovery.Old{{Component: "db", Place: "shop_old"}}}
	closed := does("fence", recovery.Outcome{}, fence)
	exchanged := append(closed[:len(closed):len(closed)], does("exchange", old, exchange)...)
	cutOff := []recovery.Payload{recovery.RunResumed{By: "ops2"}}
	again := append(cutOff, recovery.StepStarted{Step: "fence", Attempt: 2}, recovery.Waiting{Step: "fence", For: recovery.WaitName})
	stopped := []recovery.Payload{recovery.StopAsked{By: "ops1"}, recovery.CleanupStarted{}}
	open := append(exchanged[:len(exchanged):len(exchanged)], does("open", recovery.Outcome{Adopted: []recovery.Resource{fence, exchange, opening}}, opening)...)
	elsewhere, err := recovery.Amend("", recovery.Amended{Says: "go to latest", By: "ops1", Redo: []string{"fence", "exchange", "open"}})
	if err != nil {
		t.Fatal(err)
	}
	anew := append(open[:len(open):len(open)], elsewhere)
	ended := recovery.RunEnded{Result: recovery.ResultInterrupted}
	kept := func(all ...recovery.Resource) (events []recovery.Payload) {
		for _, r := range all {
			events = append(events, recovery.ClaimKept{Resource: r, Why: "the server is not reached"})
		}
		return append(events, ended)
	}
	released := func(all ...recovery.Resource) (events []recovery.Payload) {
		for _, r := range all {
			events = append(events, recovery.ClaimReleased{Resource: r})
		}
		return events
	}
	for name, c := range map[string]struct {
		parent  string
		open    bool // until the exchange, and has no fence
		events  [][]recovery.Payload
		says    string
		stopped string
	}{
		"nothing has begun": {says: "untouched", stopped: "changes nothing live"},
		"being closed":      {events: [][]recovery.Payload{begins("fence", fence)}, says: "being closed to writes, data untouched", stopped: "reopens live to its users"},
		"cut off while it was closed": {events: [][]recovery.Payload{begins("fence", fence), cutOff},
			says: "CLOSED to users, data untouched", stopped: "reopens live to its users"},
		"cut off, and waits for the name": {events: [][]recovery.Payload{begins("fence", fence), again},
			says: "CLOSED to users, data untouched", stopped: "reopens live to its users"},
		"a server that was shut down": {events: [][]recovery.Payload{begins("fence", recovery.Resource{Kind: recovery.StoppedServer, ID: "/srv/pg"}), cutOff},
			says: "CLOSED to users, data untouched", stopped: "reopens live to its users"},
		"closed":                {events: [][]recovery.Payload{closed}, says: "writes stopped 02:50:15, data untouched", stopped: "reopens live to its users"},
		"being exchanged":       {events: [][]recovery.Payload{closed, begins("exchange", exchange)}, says: "being switched", stopped: "exchanges back and reopens live"},
		"exchange cut off":      {events: [][]recovery.Payload{closed, begins("exchange", exchange), cutOff}, says: "BEING SWITCHED", stopped: "exchanges back and reopens live"},
		"exchange failed":       {events: [][]recovery.Payload{closed, begins("exchange", exchange), {recovery.StepFailed{Step: "exchange"}}}, says: "BEING SWITCHED", stopped: "exchanges back and reopens live"},
		"switch back, so":       {parent: "4f2a", events: [][]recovery.Payload{closed, begins("exchange", exchange), cutOff}, says: "BEING SWITCHED BACK", stopped: "exchanges back and reopens live"},
		"exchanged":             {events: [][]recovery.Payload{exchanged}, says: "switched 02:50:18, not open yet", stopped: "exchanges back and reopens live"},
		"exchanged unclosed":    {open: true, events: [][]recovery.Payload{does("exchange", old, recovery.Resource{Kind: "exchange of trees", ID: "/srv/uploads"})}, says: "switched 02:50:15, not open yet", stopped: "exchanges live back"},
		"being opened":          {events: [][]recovery.Payload{exchanged, begins("open", opening)}, says: "switched 02:50:18, being opened", stopped: "exchanges back and reopens live"},
		"open":                  {events: [][]recovery.Payload{open}, says: "switched 02:50:18, open 02:50:21", stopped: "leaves live switched and open"},
		"open, and to do again": {events: [][]recovery.Payload{anew}, says: "switched, open 02:50:21", stopped: "leaves live switched and open"},
		"open, and closed again": {events: [][]recovery.Payload{anew, does("fence", recovery.Outcome{}, fence)},
			says: "writes stopped 02:50:25, data as it was switched before", stopped: "reopens live to its users"},
		"open, closed again and given back": {events: [][]recovery.Payload{anew, does("fence", recovery.Outcome{}, fence), stopped, released(fence), {ended}},
			says: "switched, open 02:50:21", stopped: "changes nothing live"},
		"open, one is closed still": {events: [][]recovery.Payload{exchanged, does("open", recovery.Outcome{Adopted: []recovery.Resource{exchange, opening}}, opening), kept(fence)},
			says: "switched, but not all is open: CLOSED to users", stopped: "reopens live to its users"},
		"exchange is given back": {events: [][]recovery.Payload{exchanged, stopped}, says: "being given back, it may still be switched", stopped: "exchanges back and reopens live"},
		"fence is given back":    {events: [][]recovery.Payload{exchanged, stopped, released(exchange)}, says: "being given back, still CLOSED to users", stopped: "reopens live to its users"},
		"given back":             {events: [][]recovery.Payload{exchanged, stopped, released(exchange, fence), {ended}}, says: "given back as it was: nothing was switched", stopped: "changes nothing live"},
		"given back unclosed": {open: true, events: [][]recovery.Payload{does("exchange", old, exchange), stopped, released(exchange), {ended}},
			says: "given back as it was: nothing was switched", stopped: "changes nothing live"},
		"cut off, and given back": {events: [][]recovery.Payload{begins("fence", fence), cutOff, {recovery.StepSkipped{Step: "fence"}}, stopped, released(fence), {ended}},
			says: "given back as it was: nothing was switched", stopped: "changes nothing live"},
		"fence not given back": {events: [][]recovery.Payload{begins("fence", fence), cutOff, {recovery.StepSkipped{Step: "fence"}}, kept(fence)},
			says: "NOT GIVEN BACK: CLOSED to users, data untouched", stopped: "reopens live to its users"},
		"exchange not given back": {events: [][]recovery.Payload{closed, begins("exchange", exchange), cutOff, {recovery.StepSkipped{Step: "exchange"}}, kept(exchange, fence)},
			says: "NOT GIVEN BACK: it may be switched, CLOSED to users", stopped: "exchanges back and reopens live"},
		"opening not given back": {events: [][]recovery.Payload{exchanged, begins("open", opening), cutOff, {recovery.StepSkipped{Step: "open"}}, released(fence), kept(opening, exchange)},
			says: "NOT GIVEN BACK: it may be switched", stopped: "exchanges live back"},
	} {
		t.Run(name, func(t *testing.T) {
			p := switching()
			p.Parent = c.parent
			if c.open {
				p.Steps = p.Steps[1:]
			}
			payloads := []recovery.Payload{recovery.RunStarted{Run: "7c31", Mode: recovery.Recovery, Operator: "ops1"}}
			for _, more := range c.events {
				payloads = append(payloads, more...)
			}
			s := fold(recovery.NewState(p), journalOf(t, payloads...))
			if len(s.Unknown) > 0 {
				t.Fatalf("not understood: %v", s.Unknown)
			}
			if says := s.LiveSays(now.Location()); says != c.says {
				t.Errorf("live is %q, want %q", says, c.says)
			}
			if says := s.StoppingSays(); says != c.stopped {
				t.Errorf("stopping %q, want %q", says, c.stopped)
			}
		})
	}
}

// A rescue that was cut off while it committed may have changed rows.
func TestState_LiveSays_rescue(t *testing.T) {
	p := switching()
	p.Steps = []recovery.Step{{ID: "rescue", Phase: recovery.Rescuing, Writes: []recovery.TargetID{"live/db"}}}
	claim := recovery.Resource{Kind: "rescue", ID: "transaction 81300 in live/db"}
	s := fold(recovery.NewState(p), journalOf(t, recovery.RunStarted{Run: "7c31", Mode: recovery.Recovery}, recovery.StepStarted{Step: "rescue", Attempt: 1},
		recovery.ClaimMade{Step: "rescue", Resource: claim}, recovery.RunResumed{}, recovery.StepSkipped{Step: "rescue"},
		recovery.ClaimKept{Resource: claim, Why: "the rows were changed since"}, recovery.RunEnded{Result: recovery.ResultInterrupted}))
	if says := s.LiveSays(time.UTC); !strings.HasPrefix(says, "NOT GIVEN BACK") {
		t.Errorf("live is %q", says)
	}
	if says := s.StoppingSays(); says != "takes back the rows that were changed" {
		t.Errorf("stopping %q", says)
	}
}

// A block of the runbook may change what is live: from the first one on a run says how many
// there were, and claims nothing but its own.
func TestState_LiveSays_blocks(t *testing.T) {
	p := switching()
	p.Steps = append([]recovery.Step{{ID: "page", Kind: recovery.KindShell}, {ID: "wait", Kind: recovery.KindShellWait}, {ID: "check", Kind: recovery.KindSQLCheck}}, p.Steps...)
	started := func(steps ...string) (all []recovery.Payload) {
		for _, s := range steps {
			all = append(all, recovery.StepStarted{Step: s, Attempt: 1}, recovery.StepFinished{Step: s})
		}
		return all
	}
	for says, events := range map[string][]recovery.Payload{
		"untouched":                         append(started("check"), recovery.StepStarted{Step: "page", Attempt: 1}, recovery.Waiting{Step: "page", For: recovery.WaitName}),
		"data untouched, 1 block has run":   started("page", "check"),
		"data untouched, 2 blocks have run": append(started("page"), recovery.StepStarted{Step: "wait", Attempt: 1}),
		"data untouched, 1 block has run; what came back runs beside it": append(started("page"), recovery.StepStarted{Step: "check", Attempt: 1},
			recovery.StepFinished{Step: "check", Outcome: recovery.Outcome{HandedOver: []recovery.HandedOver{{Component: "db", Address: "postgres://db2/shop"}}}}),
	} {
		s := fold(recovery.NewState(p), journalOf(t, append([]recovery.Payload{recovery.RunStarted{Run: "7c31", Mode: recovery.Recovery, Operator: "ops1"}}, events...)...))
		if got := s.LiveSays(now.Location()); got != says || len(s.Unknown) > 0 {
			t.Errorf("live is %q, want %q; not understood: %v", got, says, s.Unknown)
		}
	}
}
