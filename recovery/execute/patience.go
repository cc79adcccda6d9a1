package execute

import (
	"errors"
	"fmt"
	"time"

	"comeback/recovery"
	"comeback/storage"
)

// pauses come before further attempts at a step whose copy did not answer, where nobody can
// be asked: half an hour together, in which a switch is replaced and a service comes back.
var pauses = []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 15 * time.Minute}

// triesLater decides about a failed step of a run in which nobody can be asked: where a copy
// did not answer it is done again after a pause, until it has had all of them. What is
// journaled is the decision; whoever takes the run up meanwhile tries at once.
func (x *Executor) triesLater(s recovery.Step, err error) bool {
	if !x.Unattended || !errors.Is(err, storage.ErrUnavailable) {
		return false
	}
	left := x.Pauses
	for _, d := range x.state.Step(s.ID).Decisions {
		if d.Choice == recovery.ChooseRetry && len(left) > 0 {
			left = left[1:]
		}
	}
	if len(left) == 0 {
		return false
	}
	why := fmt.Sprintf("a copy did not answer, it is asked again at %s", x.Now().Add(left[0]).UTC().Format("15:04:05 MST"))
	if len(left) == 1 {
		why += ", for the last time"
	}
	// The mark comes first: the decision wakes who starts what can start.
	x.later[s.ID] = time.AfterFunc(left[0], func() { x.now(s.ID) })
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
	for id, timer := range x.later {
		timer.Stop()
		delete(x.later, id)
	}
}
