package tui

import (
	"context"
	"fmt"
	"strings"

	"comeback/recovery"
)

// newStatus shows a text to paste to whoever asks how it stands. Of a run it is what comeback
// status says; what has become of one that has ended is asked for.
func newStatus(m *model) *pagerScreen {
	const title = "status, to paste; y copies it"
	if a := m.statusRun(); a != nil && a.over && a.ended() {
		dir := a.session.Dir()
		return newReading(m, title, func(ctx context.Context) (string, error) {
			since, err := m.desk.Since(ctx, dir)
			return since.Status, err
		})
	}
	return newPager(m, title, m.status())
}

// statusRun is the run that the screens show, nil where they show none.
func (m *model) statusRun() *attached {
	for i := len(m.stack) - 1; i >= 0; i-- {
		switch s := m.stack[i].screen.(type) {
		case *runScreen:
			return s.run
		case *resultScreen:
			return s.run
		}
	}
	return nil
}

// status is what can be said now in a text to paste, of a run that has not ended or of what
// there is beside runs.
func (m *model) status() string {
	if a := m.statusRun(); a != nil {
		return m.pasted(recovery.Status(a.plan, &a.state, !a.over, m.now()))
	}
	for i := len(m.stack) - 1; i >= 0; i-- {
		switch s := m.stack[i].screen.(type) {
		case *runbookScreen:
			if s.opened != nil {
				return s.status()
			}
		case *checkScreen:
			if s.have {
				return strings.Join(s.found.Lines(80, m.now().Location()), "\n") + "\n"
			}
		case *homeScreen:
			return s.status()
		}
	}
	return ""
}

// status of a runbook that is looked at: nothing runs yet.
func (s *runbookScreen) status() string {
	var b strings.Builder
	line := func(word, format string, args ...any) {
		fmt.Fprintf(&b, "%-7s %s\n", word, fmt.Sprintf(format, args...))
	}
	now := s.m.now()
	line("WHAT", "%s: %s looks at it since %s; no run has begun from here", s.opened.Name, s.m.operator, clock(s.began))
	if o, told := s.m.outage(s.path); told {
		line("SINCE", "%s", outageSays(o, now))
		if !o.Since.IsZero() {
			line("", "%s", downFor(o, s.opened.RTO, now))
		}
	} else {
		line("SINCE", "when the outage began was not said yet")
	}
	line("OWES", "%s", owes(s.opened.System))
	for _, row := range s.access(76) {
		var text strings.Builder
		for _, part := range row {
			text.WriteString(part.text)
		}
		line("", "%s", strings.TrimRight(text.String(), " "))
	}
	line("LIVE", "untouched by this console")
	return b.String()
}

// status of everything that is known here.
func (s *homeScreen) status() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, as %s sees it\n", clock(s.m.now()), s.m.operator)
	for _, system := range s.systems {
		saves := savesOf(system, s.m.now())
		fmt.Fprintf(&b, "%s: would it save us? %s; last proof: %s\n", system.Name, saves.text, proofOf(system).text)
	}
	for _, run := range s.runs {
		if run.Ended.IsZero() {
			fmt.Fprintf(&b, "run %s, %s of %s by %s: %s\n", run.ID, run.Mode, run.System, run.Operator, run.State)
		}
	}
	if s.busy() == "no run" {
		b.WriteString("no run goes on\n")
	}
	return b.String()
}
