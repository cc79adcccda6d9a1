package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// waitingScreen shows a step that waits for a person: one that failed, one with
// items to tick, one that needs an approval, credentials or a terminal.
type waitingScreen struct {
	m   *model
	run *attached
	// id and wait name the step and this very wait of it.
	id, wait string
	menu     menu
	asker
	asking bool
	// offered says that the name was asked for.
	offered bool
}

// afterAnswer is how long after an answer the next question stands without a
// cursor, so that one key too many does not answer it.
const afterAnswer = 2 * time.Second

func newWaiting(m *model, a *attached, st *recovery.StepState) *waitingScreen {
	s := &waitingScreen{m: m, run: a, id: st.ID, wait: a.waitKey(st), menu: menu{-1}}
	a.shown = s.wait
	if st.WaitsFor == recovery.WaitTicks && m.now().Sub(a.answered) >= afterAnswer {
		s.menu.cursor = nextTick(st)
	}
	s.offersName()
	return s
}

// step is the step while it waits, nil as soon as it does not.
func (s *waitingScreen) step() *recovery.StepState { return s.run.waiting(s.id, s.wait) }

// waiting is a step in a certain wait, nil as soon as that is over.
func (a *attached) waiting(id, wait string) *recovery.StepState {
	st := a.state.Step(id)
	if st == nil || a.over || st.WaitsFor == "" || a.waitKey(st) != wait {
		return nil
	}
	return st
}

func (s *waitingScreen) gone() bool { return s.step() == nil }

func (s *waitingScreen) close() { s.drop() }

// choices are the ways to go on, with what each leaves behind.
func (s *waitingScreen) choices(st *recovery.StepState) []choice {
	switch st.WaitsFor {
	case recovery.WaitApproval:
		return s.approvalChoices()
	case recovery.WaitCredentials:
		return s.credentialChoices(st)
	case recovery.WaitTerminal:
		return s.terminalChoices(st)
	case recovery.WaitName:
		return s.nameChoices()
	}
	return s.decisionChoices(st)
}

func (s *waitingScreen) key(k tea.KeyPressMsg) (tea.Cmd, bool) {
	st := s.step()
	switch {
	case st == nil:
		return nil, true
	case s.prompt != nil:
		return s.answer(k)
	case k.String() == keyEscape:
		s.run.turnAway()
		return s.m.back(), true
	case k.String() == "w" || k.String() == keyTab:
		return s.next(), true
	}
	if cmd, handled := s.run.key(s.m, s, &s.asker, k); handled {
		return cmd, true
	}
	if st.WaitsFor == recovery.WaitTicks {
		return s.keyTicks(k, st)
	}
	c, handled := s.menu.key(k, s.choices(st))
	if c == nil || s.asking {
		return nil, handled
	}
	if s.err = s.run.refusal(s.m); s.err != nil && !c.anybody {
		return nil, true
	}
	s.err = nil
	return c.do(), true
}

// next shows the wait after this one in its place. An answer that is under way is waited
// for: it may be refused.
func (s *waitingScreen) next() tea.Cmd {
	st := s.run.nextWait()
	if s.asking || s.run.waitKey(st) == s.wait {
		return nil
	}
	s.m.pop()
	return s.m.push(newWaiting(s.m, s.run, st))
}

// because asks for a reason first.
func (s *waitingScreen) because(does string, then func(reason string) tea.Cmd) func() tea.Cmd {
	return func() tea.Cmd {
		s.asks(&prompt{label: "REASON > ", does: does, needs: "this needs a reason", then: then})
		return nil
	}
}

// decide sends a decision about the step.
func (s *waitingScreen) decide(c recovery.Choice, reason string) tea.Cmd {
	return s.send(recovery.Command{Kind: recovery.DoDecide, Step: s.id, Choice: c, Text: reason})
}

// send asks the run, and goes to the next item once it is journaled.
func (s *waitingScreen) send(c recovery.Command) tea.Cmd {
	s.asking, s.err, s.run.answered = true, nil, s.m.now()
	return s.run.ask(s.m, s, c, func(err error) tea.Cmd {
		s.asking = false
		s.refused(err)
		st := s.step()
		switch {
		case err != nil || st == nil:
		case c.Kind == recovery.DoTick && c.Item == s.menu.cursor:
			s.menu.cursor = min(s.menu.cursor+1, len(st.Ticks)-1)
		case c.Kind == recovery.DoSecret:
			s.menu.cursor = 0 // to try again
		}
		return nil
	})
}

func (s *waitingScreen) page(w, h int) page {
	a, now := s.run, s.m.now()
	p := a.frame(s.m)
	p.leave = binding{keyEscape, "the run"}
	st := s.step()
	if st == nil {
		return p
	}
	if told := a.told(now.Location()); told != "" {
		p.note = told
	}
	waits := a.waits()
	if n := len(waits); n > 1 {
		p.note = fmt.Sprintf("%d steps WAIT: w", n)
	}
	if !a.mine(s.m) {
		p.note = a.crew(s.m)
	}
	stage := ""
	if i := st.Step.Stage; i >= 0 && i < len(a.state.Stages) {
		stage = fmt.Sprintf("%d %s", i+1, a.state.Stages[i].Name)
	}
	head := as(strong, stage+"   ").and(warn, "WAITS FOR "+upperYou(a.waitsFor(s.m, st))).say(" since " + since(st.WaitsSince, now))
	switch st.WaitsFor {
	case recovery.WaitTicks:
		s.ticks(&p, st, head, w)
	case recovery.WaitApproval:
		s.approval(&p, st, head, w)
	case recovery.WaitCredentials, recovery.WaitTerminal:
		s.access(&p, st, head, w)
	case recovery.WaitName:
		s.naming(&p, st, head, w)
	default:
		s.decision(&p, st, head, w)
	}
	from := len(p.body)
	if st.WaitsFor == recovery.WaitName { // what typing does is part of the question
		from -= len(s.changes(w)) + 1
	}
	naming := st.WaitsFor == recovery.WaitName && s.prompt != nil // then no number is one of a choice
	if st.WaitsFor != recovery.WaitTicks && !naming {
		p.body = append(p.body, nil)
		s.menu.show(&p, s.choices(st), w)
		p.keys = append([]binding{{keyEnter, "choose"}}, forward(a.keys(s.m), "x", "v", "n", "h", "s")...)
	}
	if len(waits) > 1 {
		at := slices.IndexFunc(p.keys, func(b binding) bool { return b.key == "n" }) // behind what answers
		p.keys = slices.Insert(p.keys, max(0, at), binding{"w", "next"})
	}
	if s.asking {
		p.note = "asking .."
	}
	p.body = append(p.body, a.news(now.Location(), w)...)
	if s.prompt == nil && s.err == nil && !s.m.byLines {
		if others := a.progress(now, w, 2); len(others) > 0 {
			p.body = append(append(p.body, nil, as(strong, "MEANWHILE")), others...)
		} else if n := a.toDo(); n > 0 && len(waits) == 1 && h >= roomy && (st.WaitsFor == recovery.WaitTicks || st.WaitsFor == recovery.WaitApproval) {
			p.body = append(p.body, nil, as(strong, "MEANWHILE").say("  nothing runs; "+count(n, "step comes", "steps come")+" after this"))
		}
	}
	p.pinned = len(p.body) - from
	if s.show(s.m, &p, w); naming && s.prompt.edit.text() == "" {
		p.leave.does = "other ways to go on"
	}
	return p
}

// roomy is how high a screen is that has lines to spare.
const roomy = 18

// toDo counts the steps that have not begun.
func (a *attached) toDo() (n int) {
	for i := range a.state.Steps {
		if a.state.Steps[i].State == recovery.ToDo {
			n++
		}
	}
	return n
}

// upperYou makes the word loud where it is this operator who is waited for.
func upperYou(who string) string {
	if who == "you" {
		return "YOU"
	}
	return who
}

// told says who was called last, and whether that reached anybody.
func (a *attached) told(zone *time.Location) string {
	n := len(a.state.Notifications)
	if n == 0 {
		return ""
	}
	last := a.state.Notifications[n-1]
	at := last.At.In(zone).Format("15:04:05")
	if last.Error != "" {
		return "NOT told, " + at + ": " + last.Error
	}
	if whom := a.toldWhom(); whom != "" {
		return "told: " + whom + ", " + at
	}
	return "people were told, " + at
}

// toldWhom is where the command that calls people reaches them, as far as the runbook says
// that of its people in the same words; "" where it does not.
func (a *attached) toldWhom() string {
	const least = 4 // a shorter text may be a part of anything
	var whom []string
	for _, p := range a.plan.People {
		called := slices.ContainsFunc(a.plan.Notify, func(word string) bool {
			return word == p.Reach || len(p.Reach) >= least && strings.Contains(word, p.Reach)
		})
		if p.Reach != "" && called && !slices.Contains(whom, p.Reach) {
			whom = append(whom, p.Reach)
		}
	}
	return strings.Join(whom, ", ")
}

// about adds a named paragraph to a page, if there is something to say.
func (p *page) about(name string, k look, text string, w, most int) {
	if strings.TrimSpace(text) != "" {
		p.body = append(p.body, paragraph(name, 10, k, text, w, most)...)
	}
}
