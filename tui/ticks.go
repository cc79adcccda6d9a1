package tui

import (
	"fmt"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// nextTick is the first item that nobody has decided.
func nextTick(st *recovery.StepState) int {
	for i, tick := range st.Ticks {
		if tick.How == "" {
			return i
		}
	}
	return 0
}

func (s *waitingScreen) keyTicks(k tea.KeyPressMsg, st *recovery.StepState) (tea.Cmd, bool) {
	if cursor, ok := move(k.String(), s.menu.cursor, len(st.Ticks), 8); ok {
		s.menu.cursor = cursor
		return nil, true
	}
	c := recovery.Command{Kind: recovery.DoTick, Step: s.id, Item: s.menu.cursor}
	switch k.String() {
	case keySpace:
		c.How = recovery.TickDone
	case "t":
		if s.run.plan.Mode != recovery.Rehearsal {
			return nil, false
		}
		c.How = recovery.TickTalkedThrough
	case "-":
		c.How = recovery.TickNotDone
	default:
		return nil, false
	}
	if s.err = s.run.refusal(s.m); s.err != nil {
		return nil, true
	}
	if s.menu.cursor < 0 {
		if s.m.now().Sub(s.run.answered) >= afterAnswer { // a key too many is no answer
			s.menu.cursor = nextTick(st)
		}
		return nil, true
	}
	switch open := s.menu.cursor < len(st.Ticks) && st.Ticks[s.menu.cursor].How == "" && !s.asking; {
	case !open:
		return nil, true
	case c.How == recovery.TickNotDone:
		return s.because("not done", func(reason string) tea.Cmd {
			c.Text = reason
			return s.send(c)
		})(), true
	}
	return s.send(c), true
}

// ticking says that the wait is for items to be decided.
func (s *waitingScreen) ticking() bool {
	st := s.step()
	return st != nil && st.WaitsFor == recovery.WaitTicks
}

// ticks shows the items that a person decides.
func (s *waitingScreen) ticks(p *page, st *recovery.StepState, head line, w int) {
	ticked := 0
	for _, tick := range st.Ticks {
		if tick.How != "" {
			ticked++
		}
	}
	p.body = []line{spread(head, say(fmt.Sprintf("%d of %d decided", ticked, len(st.Ticks))), w), nil}
	if i := st.Step.Stage; i >= 0 && i < len(s.run.state.Stages) {
		stage := s.run.state.Stages[i]
		if stage.Owner != "" {
			p.body = append(p.body, paragraph("OWNER", 10, plain, stage.Owner, w, 1)...)
		}
		if stage.Prose != "" {
			p.body = append(p.body, paragraph("RUNBOOK", 10, plain, stage.Prose, w, 5)...)
		}
		if stage.Owner+stage.Prose != "" {
			p.body = append(p.body, nil)
		}
	}
	if preview := s.run.preview(s.m, w, false); len(preview) > 0 {
		p.body = append(append(p.body, preview...), nil)
	}
	zone := s.m.now().Location()
	for i, tick := range st.Ticks {
		box, by, k := "[ ] ", "", plain
		if tick.How != "" {
			box = map[string]string{recovery.TickDone: "[x] ", recovery.TickTalkedThrough: "[t] ", recovery.TickNotDone: "[-] "}[tick.How]
			by = tick.By + " " + tick.At.In(zone).Format("15:04:05")
			if tick.How != recovery.TickDone {
				by = tick.How + ", " + by
			}
		}
		if i == s.menu.cursor {
			k, p.focus = strong, len(p.body)
		}
		name := mark(i == s.menu.cursor) + box
		p.pick(len(p.body), func() { s.menu.cursor = i })
		for j, text := range wrap(tick.Text, max(8, w-cells(name)-cells(by)-1)) { // what is ticked is read whole
			if j > 0 {
				name, by = pad("", cells(name)), ""
			}
			p.body = append(p.body, spread(as(k, name+text), as(faint, by), w))
		}
		if tick.Note != "" {
			p.body = append(p.body, paragraph("", 6, warn, "because "+tick.Note, w, 2)...)
		}
	}
	p.keys = []binding{{keySpace, "done"}, {"t", "talked through"}, {"-", "not done..."}}
	first := []string{"x", "v", "s", "n", "h"}
	switch {
	case !s.run.mine(s.m):
		p.keys = nil
	case s.menu.cursor < 0:
		p.keys = []binding{{keySpace, "begin"}}
	case s.run.plan.Mode != recovery.Rehearsal:
		p.keys = append(p.keys[:1:1], p.keys[2:]...)
		first = []string{"v", "n", "h", "s"}
	}
	p.keys = append(p.keys, forward(s.run.keys(s.m), first...)...)
}
