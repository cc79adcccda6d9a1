package tui

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// waitingScreen shows a step that waits for a person: one that failed, or one
// with items to tick.
type waitingScreen struct {
	m   *model
	run *attached
	// id and wait name the step and this very wait of it.
	id, wait string
	cursor   int
	// reason is typed for what wants one; pending is the command that it
	// completes.
	reason  *field
	pending recovery.Command
	asking  bool
	err     error
}

// afterAnswer is how long after an answer the next question stands without a
// cursor, so that one key too many does not answer it.
const afterAnswer = 2 * time.Second

func newWaiting(m *model, a *attached, st *recovery.StepState) *waitingScreen {
	s := &waitingScreen{m: m, run: a, id: st.ID, wait: waitKey(st), cursor: -1}
	if st.WaitsFor == "ticks" && m.now().Sub(a.answered) >= afterAnswer {
		s.cursor = nextTick(st)
	}
	return s
}

// step is the step while it waits, nil as soon as it does not.
func (s *waitingScreen) step() *recovery.StepState {
	st := s.run.state.Step(s.id)
	if st == nil || s.run.over || st.WaitsFor == "" || waitKey(st) != s.wait {
		return nil
	}
	return st
}

func (s *waitingScreen) field() *field { return s.reason }

// choice is one way to go on after a failure.
type choice struct {
	name, leaves string
	choose       recovery.Choice
	reason       bool
}

// choices are the ways to go on, with what each leaves behind.
func (s *waitingScreen) choices(st *recovery.StepState) []choice {
	list := []choice{{"Try again", fmt.Sprintf("runs this step again, attempt %d; what it left is replaced", st.Attempts+1), recovery.ChooseRetry, false}}
	if st.MayPass {
		list = append(list, choice{"Go on anyway", "asks a reason; the result is then WITH EXCEPTIONS", recovery.ChooseContinue, true})
	}
	leaves := "removes all that the run made; the report says FAILED"
	if s.run.plan.Mode == recovery.Recovery {
		leaves = "leaves live as line 23 says; the report says FAILED"
	}
	return append(list, choice{"Stop here", leaves, recovery.ChooseStop, false})
}

func (s *waitingScreen) keyReason(k tea.KeyPressMsg) (tea.Cmd, bool) {
	switch k.String() {
	case keyEscape:
		s.reason, s.err = nil, nil
		return nil, true
	case keyEnter:
		text := s.reason.text()
		if text == "" {
			s.err = recovery.Errorf("type it, or press esc", "this needs a reason")
			return nil, true
		}
		c := s.pending
		c.Text, s.reason = text, nil
		return s.send(c), true
	}
	s.err = nil
	return nil, false
}

func (s *waitingScreen) key(k tea.KeyPressMsg) (tea.Cmd, bool) {
	st := s.step()
	switch {
	case st == nil:
		return nil, true
	case s.reason != nil:
		return s.keyReason(k)
	}
	switch k.String() {
	case keyEscape:
		s.run.looked = s.wait
		return s.m.back(), true
	case "l":
		return s.m.push(newLog(s.m, s.run)), true
	case "S":
		return s.m.push(newStop(s.m, s.run)), true
	}
	if st.WaitsFor == "ticks" {
		return s.keyTicks(k, st)
	}
	list := s.choices(st)
	if cursor, ok := move(k.String(), s.cursor, len(list), 1); ok {
		s.cursor = cursor
		return nil, true
	}
	i := s.cursor
	if text := k.String(); len(text) == 1 && text[0] >= '1' && int(text[0]-'1') < len(list) {
		// A number moves the cursor; it takes enter to choose.
		s.cursor = int(text[0] - '1')
		return nil, true
	}
	if k.String() != keyEnter {
		return nil, false
	}
	if i < 0 || s.asking {
		return nil, true
	}
	c := recovery.Command{Kind: recovery.DoDecide, Step: s.id, Choice: list[i].choose}
	if list[i].reason {
		s.pending, s.reason = c, &field{}
		return nil, true
	}
	return s.send(c), true
}

// send asks the run, and goes to the next item once it is journaled.
func (s *waitingScreen) send(c recovery.Command) tea.Cmd {
	s.asking, s.err, s.run.answered = true, nil, s.m.now()
	return s.run.ask(s.m, s, c, func(err error) tea.Cmd {
		s.asking, s.err = false, err
		if st := s.step(); err == nil && st != nil && c.Kind == recovery.DoTick && c.Item == s.cursor {
			s.cursor = min(s.cursor+1, len(st.Ticks)-1)
		}
		return nil
	})
}

func (s *waitingScreen) page(w, h int) page {
	a, now := s.run, s.m.now()
	p := page{system: a.plan.System, aside: a.timing(now), mode: a.mode(), focus: -1, leave: binding{keyEscape, "see the run"}}
	p.live, p.liveLook = a.live(now.Location())
	st := s.step()
	if st == nil {
		return p
	}
	if n := len(a.state.Waits()); n > 1 {
		p.note = fmt.Sprintf("%d steps wait for you", n)
	}
	stage := ""
	if i := st.Step.Stage; i >= 0 && i < len(a.state.Stages) {
		stage = fmt.Sprintf("%d %s", i+1, a.state.Stages[i].Name)
	}
	since := st.WaitsSince.In(now.Location()).Format("15:04:05") + ", " + elapsed(now.Sub(st.WaitsSince))
	head := as(strong, stage+"   ").and(warn, "WAITS FOR YOU").say(" since " + since)
	if st.WaitsFor == "ticks" {
		s.ticks(&p, st, head, w)
	} else {
		s.decision(&p, st, head, w)
	}
	if s.asking {
		p.note = "asking .."
	}
	if others := a.progress(now, w, 2); len(others) > 0 && s.reason == nil && s.err == nil {
		p.body = append(append(p.body, nil, as(strong, "MEANWHILE")), others...)
	}
	if s.reason != nil {
		p.body = append(p.body, nil, s.reason.line("REASON > ", w))
		p.focus = len(p.body) - 1
		p.keys, p.leave = []binding{{keyEnter, "go on"}}, binding{keyEscape, "drop"}
	}
	if s.err != nil {
		p.body = append(append(p.body, nil), trouble("REFUSED", s.err, w)...)
	}
	return p
}

// decision shows what failed, why, and what can be done about it.
func (s *waitingScreen) decision(p *page, st *recovery.StepState, head line, w int) {
	const indent = 10
	held, total := s.run.state.Checks()
	right := line{}
	if total > 0 {
		right = say(fmt.Sprintf("%d of %s hold", held, count(total, "check", "checks")))
	}
	p.body = []line{spread(head, right, w), nil}
	add := func(name string, k look, text string, most int) {
		if strings.TrimSpace(text) != "" {
			p.body = append(p.body, paragraph(name, indent, k, text, w, most)...)
		}
	}
	what := st.Says
	if st.Component != "" {
		what = st.Component + ": " + what
	}
	add("FAILED", bad, what, 2)
	add("CAUSE", plain, st.Error, 4)
	if c := st.Outcome.Check; c != nil {
		add("EXPECTED", plain, c.Expected, 2)
		add("FOUND", plain, c.Found, 3)
		add("QUERY", plain, c.Query, 2)
	}
	add("DO", plain, st.Hint, 3)
	if st.Line > 0 {
		add("FROM", faint, fmt.Sprintf("the runbook, line %d", st.Line), 1)
	}
	p.body = append(p.body, nil)
	for i, c := range s.choices(st) {
		k := plain
		if i == s.cursor {
			k, p.focus = strong, len(p.body)
		}
		p.body = append(p.body, as(k, mark(i == s.cursor)+fmt.Sprint(i+1, " ")+pad(c.name, 14)).say(" "+c.leaves))
	}
	p.keys = []binding{{keyEnter, "choose"}, {"l", "log"}, {"S", "stop..."}}
}
