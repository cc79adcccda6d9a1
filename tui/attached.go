package tui

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// logKept is how many lines of a run's log the console holds.
const logKept = 5000

// attached is the run that the screens show: its session, and what has been
// heard of it so far.
type attached struct {
	session recovery.Session
	plan    *recovery.Plan
	feed    *feed
	snapshot
	// log holds the newest lines.
	log []logLine
	// looked are the waits that the operator has turned away from, to look at
	// the run; shown is the one that was on the screen last.
	looked map[string]bool
	shown  string
	// outageOf is the runbook of which the outage was told that this run is to end.
	outageOf string
	// answered is when the operator answered last.
	answered time.Time
	// rung holds the waits that were heard of; nil before the first snapshot.
	rung   map[string]bool
	signed *Signed
}

// take folds a snapshot in. Events and samples come by two ways, so a line may
// have to go before some that came earlier.
func (a *attached) take(s snapshot) {
	a.snapshot = s
	for _, l := range s.lines {
		i := len(a.log)
		for i > 0 && a.log[i-1].at.After(l.at) {
			i--
		}
		a.log = slices.Insert(a.log, i, l)
	}
	a.lines = nil
	if extra := len(a.log) - logKept; extra > 0 {
		a.log = slices.Delete(a.log, 0, extra)
	}
}

// frame is what every screen of a run has around it.
func (a *attached) frame(m *model) page {
	now := m.now()
	p := page{system: a.plan.System, aside: a.timing(now), mode: a.mode(), focus: -1, note: a.crew(m), leave: escBack}
	if n := a.nextCard(m); n > 0 {
		p.note += fmt.Sprintf(", x: card %d of %d", n, len(m.cards))
	}
	p.live, p.liveLook = a.live(now.Location())
	return p
}

// mode is the mode of the run.
func (a *attached) mode() mode { return modeOf(a.plan.Mode) }

// ended reports whether the run came to its end, with a report.
func (a *attached) ended() bool { return !a.state.Ended.IsZero() }

// ran is how long the run has taken.
func (a *attached) ran(now time.Time) time.Duration {
	switch {
	case a.state.Started.IsZero():
		return 0
	case a.ended():
		return a.state.Ended.Sub(a.state.Started)
	case a.over: // broken off
		return a.state.At.Sub(a.state.Started)
	}
	return max(0, now.Sub(a.state.Started))
}

// timing is the right end of line 1.
func (a *attached) timing(now time.Time) string {
	end := now
	if a.ended() {
		end = a.state.Ended
	} else if a.over {
		end = a.state.At
	}
	rto := time.Duration(a.plan.RTO)
	down := a.plan.Mode == recovery.Recovery && !a.state.Outage.Since.IsZero()
	if opened := a.state.OpenedAt(); down && a.ended() && !opened.IsZero() {
		end = opened
	}
	since, word := a.state.Started, "ran "
	if down {
		since, word = a.state.Outage.Since, "down "
		if a.state.Outage.How != outageKnown {
			word += "~"
		}
	}
	open, unknown := a.plan.TimeToOpen(&a.state)
	switch spent := end.Sub(since); {
	case since.IsZero():
		return "starting"
	case !a.ended() || rto <= 0:
		return against(word, spent, rto)
	case a.plan.Mode == recovery.Rehearsal:
		return against(word, spent, 0) + " RTO " + took(rto)
	case a.state.Result != recovery.ResultPassed && a.state.Result != recovery.ResultExceptions:
		return against(word, spent, 0) + " RTO " + took(rto) + " not reached"
	case unknown != "":
		return against(word, spent, 0) + " RTO " + took(rto) + " unknown"
	case time.Duration(open) > rto:
		return against(word, spent, 0) + " RTO " + took(rto) + " MISSED"
	default:
		return against(word, spent, 0) + " RTO " + took(rto) + " met"
	}
}

// running lists the steps that run, those that were heard of last first.
func (a *attached) running() []*recovery.StepState {
	var steps []*recovery.StepState
	for i := range a.state.Steps {
		if a.state.Steps[i].State == recovery.Running {
			steps = append(steps, &a.state.Steps[i])
		}
	}
	slices.SortStableFunc(steps, func(x, y *recovery.StepState) int {
		return a.samples[y.ID].At.Compare(a.samples[x.ID].At)
	})
	return steps
}

// waits lists the steps that wait for a person, so that every console shows the same one:
// what keeps a machine waiting before what people do or sign, which may take them long, and
// of either what began to wait first.
func (a *attached) waits() []*recovery.StepState {
	if a.over {
		return nil
	}
	waits := a.state.Waits()
	slices.SortStableFunc(waits, func(x, y *recovery.StepState) int {
		return cmp.Or(cmp.Compare(canWait(x.WaitsFor), canWait(y.WaitsFor)), x.WaitsSince.Compare(y.WaitsSince))
	})
	return waits
}

// canWait is 1 for a wait that stands behind those of machines.
func canWait(w recovery.WaitFor) int {
	if w == recovery.WaitTicks || w == recovery.WaitApproval {
		return 1
	}
	return 0
}

// unseen is the first wait that the operator has not turned away from, nil where there
// is none.
func (a *attached) unseen() *recovery.StepState {
	for _, st := range a.waits() {
		if !a.looked[a.waitKey(st)] {
			return st
		}
	}
	return nil
}

// nextWait is the wait after the one that was on the screen last, the first where that is
// over or was the last of them; nil where nothing waits.
func (a *attached) nextWait() *recovery.StepState {
	waits := a.waits()
	if len(waits) == 0 {
		return nil
	}
	at := slices.IndexFunc(waits, func(st *recovery.StepState) bool { return a.waitKey(st) == a.shown })
	return waits[(at+1)%len(waits)]
}

// turnAway leaves everything that waits now, to look at the run.
func (a *attached) turnAway() {
	a.looked = map[string]bool{}
	for _, st := range a.waits() {
		a.looked[a.waitKey(st)] = true
	}
}

// progress shows how far at most n of the running steps are.
func (a *attached) progress(now time.Time, w, n int) []line {
	if a.over {
		return nil
	}
	running := a.running()
	var lines []line
	for i, st := range running {
		if i == n {
			lines = append(lines, as(faint, fmt.Sprintf("%d more steps run", len(running)-n)))
			break
		}
		sample, known := a.samples[st.ID]
		of := ""
		if len(running) > 1 || len(a.waits()) > 0 {
			of = st.Component
		}
		lines = append(lines, progress(of, st.Says, sample, known && !sample.At.Before(st.Attempt), now.Sub(st.Attempt), w)...)
	}
	return lines
}

// left is how long the run should still take if nobody is waited for.
func (a *attached) left(now time.Time) (left time.Duration, known bool) {
	return a.state.Left(now, func(step string) time.Duration { return time.Duration(a.samples[step].Left) })
}

// waitKey names a wait, so that a new one can be told from one already seen. For a name it is
// another one with each plan, which is to be read before that is typed.
func waitKey(planSHA256 string, st *recovery.StepState) string {
	key := fmt.Sprint(st.ID, " ", st.WaitsFor, " ", st.Attempts, " ", st.WaitsSince.UnixNano())
	if st.WaitsFor == recovery.WaitName {
		key += " " + planSHA256
	}
	return key
}

func (a *attached) waitKey(st *recovery.StepState) string { return waitKey(a.state.PlanSHA256, st) }

// ask sends a command to the run; then is called with the answer.
func (a *attached) ask(m *model, to screen, c recovery.Command, then func(error) tea.Cmd) tea.Cmd {
	c.By = m.operator
	return ask(m.ctx, to, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, a.session.Do(ctx, c)
	}, func(_ struct{}, err error) tea.Cmd { return then(err) })
}
