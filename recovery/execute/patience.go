package execute

import (
	"errors"
	"fmt"
	"time"

	"comeback/recovery"
	"comeback/storage"
)

// pauses come before further attempts at a step whose copy did not answer, where nobody can
// be asked: half an hour together, in which a switch is replaced and a service comes back. An
// attempt that has come further than those before begins with the first of them again, so that
// a copy which answers now and then is asked again soon; half an hour is the most for all that.
var pauses = []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 15 * time.Minute}

// progress is how far the phases of a step have come that count anything, by their names: what
// each has left to do, less than zero where it does not know how much that is.
type progress map[string]int64

// further takes over how far an attempt has come, and reports whether it has come further in
// any phase.
func (p progress) further(came progress) bool {
	further := false
	for phase, left := range came {
		if least, known := p[phase]; !known || left < least {
			p[phase], further = left, true
		}
	}
	return further
}

// patience is what a step has had of the pauses of its run.
type patience struct {
	best   progress      // of all attempts that copies did not answer
	pauses int           // since one has come further than those before
	waited time.Duration // in all pauses
}

// patienceOf is the patience with a step of which an attempt has failed that came so far.
func (x *Executor) patienceOf(s recovery.Step, came progress) *patience {
	p := x.patient[s.ID]
	if p != nil {
		if p.best.further(came) {
			p.pauses = 0
		}
		return p
	}
	// What runners before this one have waited for is in the journal, and not how far they came.
	p = &patience{best: came}
	for _, d := range x.state.Step(s.ID).Decisions {
		if d.Choice == recovery.ChooseRetry && p.pauses < len(x.Pauses) {
			p.waited += x.Pauses[p.pauses]
			p.pauses++
		}
	}
	x.patient[s.ID] = p
	return p
}

// next takes the next pause, and reports whether it is the last; it is 0 where there is none.
func (p *patience) next(pauses []time.Duration) (pause time.Duration, last bool) {
	var all time.Duration
	for _, d := range pauses {
		all += d
	}
	if p.pauses == len(pauses) || p.waited >= all {
		return 0, false
	}
	pause = min(pauses[p.pauses], all-p.waited)
	p.pauses, p.waited = p.pauses+1, p.waited+pause
	return pause, p.waited == all
}

// triesLater decides about a failed step of a run in which nobody can be asked: where a copy
// did not answer it is done again after a pause, until it has had all of them. What is
// journaled is the decision; whoever takes the run up meanwhile tries at once.
func (x *Executor) triesLater(s recovery.Step, err error, came progress) bool {
	if !x.nobody() || !errors.Is(err, storage.ErrUnavailable) {
		return false
	}
	pause, last := x.patienceOf(s, came).next(x.Pauses)
	if pause == 0 {
		return false
	}
	why := fmt.Sprintf("a copy did not answer, it is asked again at %s", x.Now().Add(pause).UTC().Format("15:04:05 MST"))
	if last {
		why += ", for the last time"
	}
	// The mark comes first: the decision wakes who starts what can start.
	x.later[s.ID] = time.AfterFunc(pause, func() { x.now(s.ID) })
	if x.recordLocked(recovery.Decided{Step: s.ID, Choice: recovery.ChooseRetry, By: recovery.Program, Reason: why}) != nil {
		x.later[s.ID].Stop()
		delete(x.later, s.ID)
	}
	return true
}

// now lets a step start that was to be done later.
func (x *Executor) now(step string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.later, step)
	x.wake()
}

// endPauses forgets what was to be done later: the run ends.
func (x *Executor) endPauses() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.endPausesLocked()
}

func (x *Executor) endPausesLocked() {
	for id, timer := range x.later {
		timer.Stop()
		delete(x.later, id)
	}
}
