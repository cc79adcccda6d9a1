package tui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// titleLimit is how long a window's title gets, in cells.
const titleLimit = 60

// titled reports whether a terminal of this name has a window to give a title
// to, or takes no offence.
func titled(environ []string) bool {
	name := variable(environ, "TERM")
	for _, prefix := range []string{"linux", "vt", "cons", "ansi", "dumb", "sun"} {
		if strings.HasPrefix(name, prefix) {
			return false
		}
	}
	return name != ""
}

// title is what the window is called, so that a wait is seen from elsewhere.
func (m *model) title() string {
	if !m.titles {
		return ""
	}
	text := "comeback"
	if m.run != nil {
		text = m.run.title()
	}
	return head(asciiOnly(clean(text)), titleLimit)
}

func (a *attached) title() string {
	what := fmt.Sprintf("%s %s", a.plan.System, a.plan.Mode)
	switch {
	case a.over && a.ended():
		return "ENDED: " + what + ", " + string(a.state.Result)
	case a.over:
		return "BROKEN OFF: " + what
	case len(a.waits()) > 0:
		return "WAITS: " + a.plan.System + ", " + a.wants(a.waits()[0])
	case !a.state.Cleaning.IsZero():
		return what + ", cleaning up"
	}
	return fmt.Sprintf("%s %d %%", what, a.percent())
}

// wants is what somebody should do about a wait.
func (a *attached) wants(st *recovery.StepState) string {
	stage := st.Says
	if i := st.Step.Stage; i >= 0 && i < len(a.state.Stages) {
		stage = a.state.Stages[i].Name
	}
	switch st.WaitsFor {
	case recovery.WaitTicks:
		return "tick " + stage
	case recovery.WaitApproval:
		return "approve " + stage
	case recovery.WaitDecision:
		return "decide about " + st.Says
	case recovery.WaitName:
		return "type the name of its target"
	}
	return st.WaitsFor.Says() + " for " + st.Says
}

// percent is how much of the run is done: by the time that its steps should
// take, or by their number where one of them was never timed.
func (a *attached) percent() int {
	var done, all, count, ended float64
	timed := true
	for i := range a.state.Steps {
		st := &a.state.Steps[i]
		takes := float64(st.Expected)
		if takes == 0 && st.Kind != recovery.KindTicks && st.Kind != recovery.KindApproval {
			timed = false
		}
		part := 0.0
		switch st.State {
		case recovery.Done, recovery.Passed, recovery.Skipped:
			part = 1
		case recovery.Running:
			sample := a.samples[st.ID]
			part = recovery.Share(sample.Done, sample.Total)
		}
		all, done = all+takes, done+takes*part
		count, ended = count+1, ended+part
	}
	switch {
	case timed && all > 0:
		return int(100 * done / all)
	case count > 0:
		return int(100 * ended / count)
	}
	return 0
}

// rings reports whether a snapshot brings what a person should hear: a wait that
// this console has not seen before, or the end of the run. What stood already
// when the console came is on the screen.
func (a *attached) rings(s snapshot) bool {
	first := a.rung == nil
	if first {
		a.rung = map[string]bool{}
	}
	ring := !s.state.Ended.IsZero() && a.state.Ended.IsZero()
	for _, st := range s.state.Waits() {
		if key := waitKey(s.state.PlanSHA256, st); !a.rung[key] {
			a.rung[key], ring = true, true
		}
	}
	return ring && !first
}

// bell rings the terminal's.
func bell() tea.Msg { return tea.RawMsg{Msg: "\a"} }
