package tui

import (
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// stopScreen asks before a run is stopped, and says what that leaves.
type stopScreen struct {
	m   *model
	run *attached
	// id and wait name the step that the run is stopped at, and this wait of it; empty
	// where it is stopped wherever it is.
	id, wait string
	asker
	asking bool
	// asked says that the run has been told.
	asked bool
}

func newStop(m *model, a *attached) *stopScreen {
	s := &stopScreen{m: m, run: a}
	if a.state.Stop != nil {
		s.asked = true
	} else {
		s.again()
	}
	return s
}

// newStopAt stops a run at a step that waits, which then counts as failed.
func newStopAt(m *model, a *attached, st *recovery.StepState) *stopScreen {
	s := newStop(m, a)
	s.id, s.wait = st.ID, a.waitKey(st)
	return s
}

// at is the step that the run is stopped at, nil where it is none.
func (s *stopScreen) at() *recovery.StepState { return s.run.waiting(s.id, s.wait) }

func (s *stopScreen) gone() bool { return s.run.over || s.id != "" && s.at() == nil }

// again asks for the reason. There is no stop without one: an enter that was
// meant for something else must not end a run.
func (s *stopScreen) again() {
	s.prompt = &prompt{label: "REASON > ", does: "stop the run", needs: "stopping a run needs a reason", then: s.send}
}

func (s *stopScreen) key(k tea.KeyPressMsg) (tea.Cmd, bool) {
	switch {
	case s.asking:
		return nil, true
	case s.asked:
		if k.String() == "d" {
			return s.m.detach(), true
		}
		return nil, false
	case s.prompt == nil || k.String() == keyEscape:
		return s.m.back(), true
	}
	return s.answer(k)
}

func (s *stopScreen) send(reason string) tea.Cmd {
	s.asking = true
	c := recovery.Command{Kind: recovery.DoStop, Text: reason}
	if s.id != "" {
		c = recovery.Command{Kind: recovery.DoDecide, Step: s.id, Choice: recovery.ChooseStop, Text: reason}
	}
	return s.run.ask(s.m, s, c, func(err error) tea.Cmd {
		s.asking = false
		if err == nil {
			s.asked = true
			return s.m.back() // to the run, which shows how it cleans up
		}
		s.refused(err)
		return nil
	})
}

func (s *stopScreen) page(w, h int) page {
	a := s.run
	p := a.frame(s.m)
	if s.asked {
		p.body = []line{as(strong, "THE RUN IS STOPPING"), nil}
		p.body = append(p.body, paragraph("LEFT", stopIndent, plain, fmt.Sprintf("%s to give back", count(len(a.state.Held()), "claim", "claims")), w, 1)...)
		p.body = append(p.body, s.removes(6, w)...)
		p.body = append(p.body, paragraph("LEAVING", stopIndent, plain, "The clean-up goes on without this screen; its end is in the journal.", w, 2)...)
		p.keys, p.leave = []binding{{"d", "detach"}}, binding{keyEscape, "watch it"}
		return p
	}
	word := "REHEARSAL"
	if a.plan.Mode == recovery.Recovery {
		word = "RECOVERY"
	}
	if s.id != "" {
		word += " HERE"
	}
	p.body = []line{as(strong, "STOP THIS "+word+"?"), nil}
	if a.state.Opened() {
		p.body = append(p.body, s.leavesOpen(w)...)
	} else {
		p.body = append(p.body, s.leaves(w)...)
	}
	if s.asking {
		p.note = "asking .."
	}
	if s.show(s.m, &p, w); s.prompt != nil {
		p.leave = binding{keyEscape, "let it go on"}
	}
	return p
}

// stopIndent is where the text begins behind the words of what a stop leaves.
const stopIndent = 12

// leaves is what a stop leaves where live is as it was, or is given back.
func (s *stopScreen) leaves(w int) []line {
	what := "no live system was touched; "
	if s.run.plan.Mode == recovery.Recovery {
		what = "stopping " + s.run.state.StoppingSays() + "; "
	}
	lines := paragraph("LEAVES", stopIndent, plain, what+"everything that the run made is removed and proven gone:", w, 3)
	lines = append(append(lines, s.removes(4, w)...), s.keeps(w)...)
	if !s.run.state.Reopens() {
		return lines
	}
	// What weighs most stands next to the question.
	lines = append(lines, paragraph("WRITES", stopIndent, danger, "BEGIN AGAIN as soon as live is open: it takes what its users write", w, 2)...)
	if s.id == "" { // what runs goes on to open it
		return lines
	}
	return append(lines, paragraph("", stopIndent, plain, "To keep them stopped, do not stop it: esc twice, and then d leaves this console. The run waits on, with live closed, until somebody answers: "+s.m.pasted("comeback attach "+s.run.plan.Run), w, 3)...)
}

// leavesOpen is what a stop leaves of a switch that is open: it goes one way, and what was to
// follow it does not. What weighs most stands next to the question.
func (s *stopScreen) leavesOpen(w int) []line {
	st, now := &s.run.state, s.m.now()
	var lines []line
	add := func(name string, k look, text string, most int) {
		lines = append(lines, paragraph(name, stopIndent, k, text, w, s.m.most(most))...)
	}
	add("LIVE", danger, "stopping "+st.StoppingSays(), 2)
	for i, old := range st.Old {
		name := "STAYS"
		if i > 0 {
			name = ""
		}
		add(name, plain, fmt.Sprintf("%s, %s, until %s", old.Place, old.Says, stamp(old.Until, now)), 2)
	}
	if len(st.Old) > 0 {
		add("UNDO", plain, s.m.pasted("comeback switch-back "+s.run.plan.Run)+", once the run has ended; loses what is written after the switch", 3)
	}
	if held := len(st.Held()); held > 0 {
		add("REMOVES", plain, "what else the run made: "+count(held, "claim", "claims")+" to give back", 1)
	}
	lines = append(lines, s.keeps(w)...)
	var undone []string
	for _, step := range st.Unfinished() {
		undone = append(undone, named(step))
	}
	if len(undone) > 0 {
		add("NOT CHECKED", warn, strings.Join(undone, "; "), 3)
	}
	if again := st.Unprotected(); len(again) > 0 {
		what := "what is live is not all backed up again: "
		if !slices.ContainsFunc(st.Steps, func(step recovery.StepState) bool {
			return step.Phase == recovery.Protect && step.State == recovery.Done
		}) {
			what = "nothing proves that what is live can be restored: "
		}
		add("UNPROTECTED", bad, what+strings.Join(again, "; "), 3)
	}
	return lines
}

// removes are the first of what a stop gives back.
func (s *stopScreen) removes(most, w int) (lines []line) {
	held := s.run.state.Held()
	for i, c := range held {
		text := fmt.Sprintf("%s %s", c.Kind, c.ID)
		if i == most {
			text = fmt.Sprintf("and %d more", len(held)-i)
		}
		if lines = append(lines, paragraph("", stopIndent, plain, text, w, 1)...); i == most {
			break
		}
	}
	if len(held) == 0 {
		return paragraph("", stopIndent, plain, "nothing yet", w, 1)
	}
	return lines
}

// keeps is what stays of the run itself.
func (s *stopScreen) keeps(w int) []line {
	lines := paragraph("KEEPS", stopIndent, plain, "the journal, and a report that says "+s.run.plan.StoppedSays(&s.run.state, s.at())+", in "+s.run.session.Dir(), w, 2)
	return append(lines, paragraph("CANNOT", stopIndent, plain, "be continued: a new run starts from the beginning. To leave it running, esc and then d", w, 3)...)
}
