package tui

import (
	"fmt"
	"strings"

	"comeback/recovery"
)

// newPeople shows whom the runbook says to call. It needs no network.
func newPeople(m *model) *pagerScreen {
	system, people := m.people()
	var b strings.Builder
	if len(people) == 0 {
		b.WriteString("Nobody: the runbook has no people:, a list of {role: ..., reach: ..., key: ...}.\n")
	}
	for _, p := range people {
		fmt.Fprintf(&b, "%s\n", clean(p.Role))
		reach := p.Reach
		if reach == "" {
			reach = "the runbook does not say how"
		}
		fmt.Fprintf(&b, "  reached by  %s\n", clean(reach))
		if print := fingerprint(p.Key); print != "" {
			fmt.Fprintf(&b, "  signs with  %s\n", print)
		}
		b.WriteByte('\n')
	}
	if a := m.run; a != nil && a.commander() != "" {
		fmt.Fprintf(&b, "run %s\n  commands    %s\n", a.plan.Run, clean(a.commander()))
		for _, w := range a.others(m) {
			fmt.Fprintf(&b, "  watches     %s, %s\n", clean(w.Operator), clean(w.Terminal))
		}
	}
	title := "people, as the runbook names them"
	if system != "" {
		title = "people of " + system + ", as the runbook names them"
	}
	return newPager(m, title, b.String())
}

// people are those of the run or the system that is shown.
func (m *model) people() (system string, list []recovery.Person) {
	for i := len(m.stack) - 1; i >= 0; i-- {
		switch s := m.stack[i].screen.(type) {
		case *runScreen:
			return s.run.plan.System, s.run.plan.People
		case *resultScreen:
			return s.run.plan.System, s.run.plan.People
		case *runbookScreen:
			if s.opened != nil {
				return s.opened.Name, s.opened.People
			}
		case *checkScreen:
			return s.system.Name, s.system.People
		case *homeScreen:
			if system, _ := s.chosen(); system != nil {
				return system.Name, system.People
			}
		}
	}
	return "", nil
}
