package tui

import (
	"fmt"
	"strings"
	"time"

	"comeback/recovery"
)

// verdict is the word that comes first. It never says more than was proven.
func verdict(a *attached) (string, look) {
	word := a.plan.Headline(&a.state)
	held, total := a.state.Checks()
	switch a.state.Result {
	case recovery.ResultPassed:
		switch {
		case len(a.state.Unknown) > 0 || held < total:
			return word, bad
		case total == 0 && a.plan.GivesBack == nil && a.plan.Expires == nil:
			return word, warn
		}
		return word, good
	case recovery.ResultExceptions:
		if a.plan.GivesBack == nil {
			return word, warn
		}
	}
	return word, bad
}

// reached is the proof of a moment in one line.
func reached(r recovery.Reached, zone *time.Location) string {
	parts := []string{r.Component + ":"}
	if !r.Time.IsZero() {
		parts = append(parts, exact(r.Time, zone))
	}
	if r.XID != 0 {
		parts = append(parts, fmt.Sprintf("xid %d", r.XID))
	}
	if r.LSN != 0 {
		parts = append(parts, "LSN "+r.LSN.String())
	}
	if r.Timeline != 0 {
		parts = append(parts, fmt.Sprintf("timeline %d", r.Timeline))
	}
	return strings.Join(parts, " ")
}

// failures are the steps that failed and were not passed over.
func failures(a *attached) []string {
	var list []string
	for i := range a.state.Steps {
		if st := &a.state.Steps[i]; st.State == recovery.FailedAt {
			list = append(list, st.Says+": "+st.Error)
		}
	}
	return list
}

// exceptions are what went otherwise than planned.
func exceptions(a *attached) []string {
	var list []string
	for i := range a.state.Steps {
		st := &a.state.Steps[i]
		if st.State == recovery.Passed {
			by := ""
			if n := len(st.Decisions); n > 0 {
				by = " by " + st.Decisions[n-1].By
			}
			list = append(list, fmt.Sprintf("passed over%s: %s: %q", by, st.Says, st.Why))
		}
		list = append(list, st.Outcome.Exceptions...)
		if len(st.Outcome.Exceptions) > 0 { // they tell of the items too
			continue
		}
		for _, tick := range st.Ticks {
			if tick.How == recovery.TickNotDone {
				list = append(list, fmt.Sprintf("not done: %s: %s", tick.Text, tick.Note))
			}
		}
	}
	for _, u := range a.state.Unknown {
		list = append(list, "not understood: "+u)
	}
	return list
}

// notChecked is what the runbook holds and the run did not do.
func notChecked(a *attached) []string {
	var list []string
	for _, n := range a.plan.NotExecuted {
		list = append(list, n.What+": "+n.Why)
	}
	todo := 0
	for i := range a.state.Steps {
		st := &a.state.Steps[i]
		switch st.State {
		case recovery.Skipped:
			list = append(list, st.Says+": "+st.Why)
		case recovery.ToDo:
			todo++
		}
		for _, tick := range st.Ticks {
			if tick.How == recovery.TickTalkedThrough {
				list = append(list, "talked through only: "+tick.Text)
			}
		}
	}
	if todo > 0 {
		list = append(list, count(todo, "step was", "steps were")+" never started")
	}
	return list
}

// cleanup is whether everything that the run made is gone.
func cleanup(a *attached, zone *time.Location) (string, look) {
	var kept []string
	purpose, live, handed, again := 0, 0, 0, "again with comeback stop "+a.state.Run
	var last time.Time
	for _, c := range a.state.Claims {
		switch {
		case c.Adopted && recovery.IsHandedOver(a.state.HandedOver, c.ID):
			handed++
		case c.Adopted:
			live++
		case !c.Released.IsZero():
			last = latest(last, c.Released)
		case c.OnPurpose:
			purpose++
		default:
			why := c.Kept
			if why == "" {
				why = "not given back"
			}
			kept = append(kept, fmt.Sprintf("%s %s (%s)", c.Kind, c.ID, why))
			if a.plan.OfLive(&a.state, c) { // people may have gone on there since
				again = "what was made of what is live is put right by hand"
			}
		}
	}
	n := len(a.state.Claims)
	switch {
	case n == 0:
		return "nothing was made", plain
	case len(kept) > 0:
		return fmt.Sprintf("%d of %d STILL THERE; %s: %s", len(kept), n, again, strings.Join(kept, "; ")), bad
	case purpose > 0 && a.state.Mode == recovery.Rehearsal:
		return fmt.Sprintf("%d of %s proven gone, %d kept on purpose, until: comeback stop %s", n-purpose, count(n, "claim", "claims"), purpose, a.state.Run), plain
	case purpose > 0:
		return fmt.Sprintf("%d of %s proven gone, %d kept on purpose", n-purpose, count(n, "claim", "claims"), purpose), plain
	case handed > 0:
		return fmt.Sprintf("%s made: %s", count(n, "claim", "claims"), recovery.GoneSays(n-live-handed, live, handed)), plain
	}
	return fmt.Sprintf("%s made, all proven gone %s", count(n, "claim", "claims"), last.In(zone).Format("15:04:05")), good
}
