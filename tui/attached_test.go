package tui

import (
	"strings"
	"testing"
	"time"

	"comeback/recovery"
)

// fold is a run of a plan after some events.
func folded(plan *recovery.Plan, play func(*fakeDesk)) *attached {
	session := newFakeSession(plan)
	if play != nil {
		play(&fakeDesk{session: session})
	}
	a := &attached{session: session, plan: plan}
	a.state = recovery.NewState(plan)
	for _, e := range session.events {
		a.state = recovery.Fold(a.state, e)
	}
	return a
}

func TestAttached_Timing(t *testing.T) {
	recover := shopPlan()
	recover.Mode = recovery.Recovery
	outage := func(how string) func(*fakeDesk) {
		return func(f *fakeDesk) {
			started(f)
			f.session.add(time.Minute, recovery.OutageNoted{Since: ten.Add(-12 * time.Minute), How: how})
		}
	}
	ended := func(f *fakeDesk) {
		started(f)
		cleaned(f, 8*time.Minute, recovery.RunEnded{Result: recovery.ResultPassed})
	}
	endedBefore := func(f *fakeDesk) {
		started(f)
		f.session.add(time.Minute, recovery.OutageNoted{Since: ten.Add(time.Hour), How: outageKnown})
		cleaned(f, 8*time.Minute, recovery.RunEnded{Result: recovery.ResultPassed})
	}
	boundless := shopPlan()
	boundless.RTO = 0
	for _, c := range []struct {
		name string
		a    *attached
		at   time.Duration
		want string
	}{
		{"before the first event", folded(shopPlan(), nil), 0, "starting"},
		{"within the RTO", folded(shopPlan(), started), 380 * time.Second, "ran 6m20 RTO 30m left 23m40"},
		{"past the RTO", folded(shopPlan(), started), 32 * time.Minute, "ran 32m00 RTO 30m OVER 2m00"},
		{"without an RTO", folded(boundless, started), time.Minute, "ran 1m00"},
		{"a rehearsal that ended claims no RTO", folded(shopPlan(), ended), time.Hour, "ran 8m00 RTO 30m"},
		{"an outage that is known", folded(recover, outage("known")), time.Minute, "down 13m00 RTO 30m left 17m00"},
		{"an outage that is estimated", folded(recover, outage("estimated")), time.Minute, "down ~13m00 RTO 30m left 17m00"},
		{"a recovery that ended before its outage", folded(recover, endedBefore), time.Hour, "down 0m00 RTO 30m unknown"},
		{"a recovery that ended", folded(recover, ended), time.Hour, "ran 8m00 RTO 30m unknown"},
	} {
		if got := c.a.timing(ten.Add(c.at)); got != c.want {
			t.Errorf("%s: %q, not %q", c.name, got, c.want)
		}
	}
}

func TestAttached_Live(t *testing.T) {
	live := shopPlan()
	live.Mode = recovery.Recovery
	live.Targets[0].Scratch = false
	unlisted := shopPlan()
	unlisted.Targets = nil
	served := func(network string) func(*fakeDesk) {
		return func(f *fakeDesk) {
			f.session.add(2*time.Minute, recovery.StepFinished{Step: "database/copy", Outcome: recovery.Outcome{Facts: map[string]string{recovery.FactNetwork: network}}})
		}
	}
	fetches := shopPlan()
	for i := range fetches.Steps {
		if fetches.Steps[i].ID == "database/replay" {
			fetches.Steps[i].Network = "that of this host"
		}
	}
	for _, c := range []struct {
		name string
		a    *attached
		want string
	}{
		{"scratch only", folded(shopPlan(), copied), "LIVE: untouched, writes go to scratch only"},
		{"a server without a network", folded(shopPlan(), served(recovery.NoNetwork)), "LIVE: out of reach (no network but loopback)"},
		{"a server with one", folded(shopPlan(), served("the host's")), "LIVE: untouched, writes go to scratch only"},
		{"a step to come that has one", folded(fetches, served(recovery.NoNetwork)), "LIVE: untouched, writes go to scratch only"},
		{"before the first write", folded(live, ticked), "LIVE: untouched"},
		{"after the first write", folded(live, copied), "LIVE: CHANGED since 10:01:15"},
		{"a target that the plan does not list", folded(unlisted, copied), "LIVE: CHANGED since 10:01:15"},
	} {
		if got, _ := c.a.live(zone); got != c.want {
			t.Errorf("%s: %q, not %q", c.name, got, c.want)
		}
	}
}

func TestAttached_Left(t *testing.T) {
	a := folded(shopPlan(), copied) // the replay of 3m began at 5m
	for at, want := range map[time.Duration]time.Duration{
		6 * time.Minute:  2*time.Minute + 9*time.Second,
		20 * time.Minute: 9 * time.Second, // never less than what is to follow
	} {
		if left, known := a.left(ten.Add(at)); !known || left != want {
			t.Errorf("at %s %s are left, not %s (%t)", at, left, want, known)
		}
	}
	untimed := shopPlan()
	untimed.Steps[2].Expected = 0
	if left, known := folded(untimed, copied).left(ten); known {
		t.Errorf("%s are left though a step was never timed", left)
	}
}

func TestVerdict_NeverSaysMoreThanWasProven(t *testing.T) {
	end := func(result recovery.Result, before ...recovery.Payload) func(*fakeDesk) {
		return func(f *fakeDesk) {
			f.session.add(0, before...)
			f.session.add(time.Minute, recovery.RunEnded{Result: result})
		}
	}
	held := recovery.StepFinished{Step: "check/orders", Outcome: check("orders", true, ">= 1", "2")}
	carts := recovery.StepFinished{Step: "check/carts", Outcome: check("carts", true, ">= 1", "2")}
	unchecked := shopPlan()
	unchecked.Steps = unchecked.Steps[:4]
	gives := *unchecked
	gives.Mode, gives.GivesBack = recovery.Recovery, []recovery.Resource{{Kind: recovery.Directory, ID: "/tmp/7c31"}}
	for _, c := range []struct {
		name string
		a    *attached
		want string
	}{
		{"passed", folded(shopPlan(), end(recovery.ResultPassed, held, carts)), "REHEARSED, EVERY CHECK HELD"},
		{"a check is missing", folded(shopPlan(), end(recovery.ResultPassed, held)), "REHEARSED, BUT ONLY 1 OF 2 CHECKS HELD"},
		{"no checks", folded(unchecked, end(recovery.ResultPassed)), "REHEARSED, BUT NOTHING WAS CHECKED"},
		{"given back", folded(&gives, end(recovery.ResultPassed)), "GIVEN BACK"},
		{"not all given back", folded(&gives, end(recovery.ResultExceptions)), "NOT ALL GIVEN BACK"},
		{"an event is not understood", folded(shopPlan(), end(recovery.ResultPassed, held, carts, recovery.StepStarted{Step: "nowhere"})), "ENDED, BUT ITS JOURNAL IS NOT UNDERSTOOD"},
		{"exceptions", folded(shopPlan(), end(recovery.ResultExceptions)), "REHEARSED WITH EXCEPTIONS"},
		{"failed", folded(shopPlan(), end(recovery.ResultFailed)), "FAILED"},
		{"refused", folded(shopPlan(), end(recovery.ResultRefused)), "REFUSED BY A GUARD"},
		{"a result of another version", folded(shopPlan(), end("miraculous")), "ENDED: miraculous"},
	} {
		if got, _ := verdict(c.a); got != c.want {
			t.Errorf("%s: %q, not %q", c.name, got, c.want)
		}
	}
}

func TestCleanup_OnlyWhatIsProvenGoneIsGone(t *testing.T) {
	claim := recovery.ClaimMade{Step: "database/copy", Resource: recovery.Resource{Kind: recovery.Directory, ID: "/tmp/7c31"}}
	for name, c := range map[string]struct {
		events []recovery.Payload
		want   string
	}{
		"nothing made":   {nil, "nothing was made"},
		"not given back": {[]recovery.Payload{claim}, "1 of 1 STILL THERE; again with comeback stop 7c31: directory /tmp/7c31 (not given back)"},
		"kept":           {[]recovery.Payload{claim, recovery.ClaimKept{Resource: claim.Resource, Why: "busy"}}, "1 of 1 STILL THERE; again with comeback stop 7c31: directory /tmp/7c31 (busy)"},
		"on purpose":     {[]recovery.Payload{claim, recovery.ClaimKept{Resource: claim.Resource, Why: "asked", OnPurpose: true}}, "1 kept on purpose, until: comeback stop 7c31"},
		"gone":           {[]recovery.Payload{claim, recovery.ClaimReleased{Resource: claim.Resource}}, "all proven gone"},
		"handed over": {[]recovery.Payload{claim, recovery.StepFinished{Step: "database/copy", Outcome: recovery.Outcome{Adopted: []recovery.Resource{claim.Resource},
			HandedOver: []recovery.HandedOver{{Component: "code", Tree: claim.Resource.ID + "/code", Place: claim.Resource.ID}}}}}, "1 claim made: 0 proven gone, 1 handed over and kept"},
	} {
		a := folded(shopPlan(), func(f *fakeDesk) { f.session.add(0, c.events...) })
		if got, _ := cleanup(a, zone); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}
