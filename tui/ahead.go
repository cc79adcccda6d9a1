package tui

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"comeback/recovery"
)

// coming says what a stage comes after that has not begun, and what it will need of a
// person.
func (s *runScreen) coming(stage int) string {
	a := s.run
	if a.over || a.state.Stages[stage].State != recovery.ToDo {
		return ""
	}
	before := map[int]bool{}
	needs, then := "", ""
	for i := range a.state.Steps {
		st := &a.state.Steps[i]
		if st.Step.Stage != stage {
			continue
		}
		switch {
		case needs != "" || a.state.Unattended:
		case st.Kind == recovery.KindTicks:
			needs, then = "needs a tick from "+a.waitsFor(s.m, st), "ticks"
		case st.Kind == recovery.KindApproval:
			needs, then = "needs approval", "approval"
		}
		for _, id := range st.After {
			if other := a.state.Step(id); other != nil && other.Step.Stage != stage && !ended(other) {
				before[other.Step.Stage+1] = true
			}
		}
	}
	var numbers []string
	for _, n := range slices.Sorted(maps.Keys(before)) {
		numbers = append(numbers, fmt.Sprint(n))
	}
	last := len(numbers) - 1
	switch {
	case last < 0:
		return needs
	case last > 0:
		numbers = []string{strings.Join(numbers[:last], ", ") + " and " + numbers[last]}
	}
	if then != "" {
		return "after " + numbers[0] + ", then " + then
	}
	return "waits for " + numbers[0]
}

// ended reports whether what comes after a step need not wait for it any more.
func ended(st *recovery.StepState) bool {
	return st.State == recovery.Done || st.State == recovery.Passed || st.State == recovery.Skipped
}

// liveStages are the stages of which a step changes live, or may.
func (a *attached) liveStages() map[int]bool {
	live := map[int]bool{}
	for i := range a.state.Steps {
		if st := &a.state.Steps[i]; a.plan.ChangesLive(st.Step) || a.plan.RunsBlock(st.Step) {
			live[st.Step.Stage] = true
		}
	}
	return live
}

// markedLive is the name of a stage that changes live, in w cells, with the word at their end.
func markedLive(name string, w int) span {
	word := strings.TrimSpace(changed)
	return span{pad(clean(name), max(0, w-len(changed))) + " " + word, danger}
}
