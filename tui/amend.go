package tui

import (
	"context"
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// amendScreen changes the plan of a run that waits: another moment, or another
// copy. It shows what the change does and the new digest before it is sent.
type amendScreen struct {
	m   *model
	run *attached
	// id and wait name the step that waits, and this wait of it.
	id, wait string
	title    string
	asker
	// copies are chosen from; without any a moment is typed.
	copies []string
	menu   menu
	// amended is the change once the desk has made it.
	amended *recovery.Amended
	busy    string
	cancel  context.CancelFunc
	// near are what was committed around the moment as it is, to choose from.
	near nearby
}

// otherCopies are the copies of the plan that the step's component does not come
// from already; none where what came back of it has left the run's hands.
func otherCopies(a *attached, st *recovery.StepState) []string {
	point, ok := a.state.Moment.Point(componentOf(a, st))
	if !ok || a.state.Delivered(componentOf(a, st)) {
		return nil
	}
	var names []string
	for _, c := range a.plan.Copies {
		if c.Name != point.Copy {
			names = append(names, c.Name)
		}
	}
	return names
}

// componentOf is what a step is about; steps of the whole system are about the
// component that decides.
func componentOf(a *attached, st *recovery.StepState) string {
	if st.Component != "" {
		return st.Component
	}
	return a.state.Moment.Anchor
}

func newAmendCopy(m *model, a *attached, st *recovery.StepState) *amendScreen {
	return &amendScreen{m: m, run: a, id: st.ID, wait: a.waitKey(st), title: "RESTORE " + componentOf(a, st) + " FROM ANOTHER COPY",
		copies: otherCopies(a, st), menu: menu{-1}, cancel: func() {}}
}

func newAmendMoment(m *model, a *attached, st *recovery.StepState) *amendScreen {
	s := &amendScreen{m: m, run: a, id: st.ID, wait: a.waitKey(st), title: "GO BACK TO ANOTHER MOMENT", menu: menu{-1}, cancel: func() {}}
	s.moment("")
	return s
}

func (s *amendScreen) gone() bool { return s.run.waiting(s.id, s.wait) == nil }

func (s *amendScreen) close() {
	s.cancel()
	s.near.stop()
}

// open reads what was committed around the moment; a moment can be typed meanwhile.
func (s *amendScreen) open() tea.Cmd {
	point, ok := s.run.state.Moment.Point(s.run.state.Moment.Anchor)
	if s.copies != nil || !ok || point.Timeline == 0 || s.run.plan.Runbook.Path == "" {
		return nil
	}
	return s.near.read(s.m, s, s.run.plan.Runbook.Path, point)
}

// moment asks for the moment; text is what was typed before.
func (s *amendScreen) moment(text string) {
	s.prompt = &prompt{label: "MOMENT  > ", does: "look what it changes", needs: "no moment was given", then: func(text string) tea.Cmd {
		want, err := readWant(text, s.m.now())
		if err != nil {
			s.moment(text)
			s.err = err
			return nil
		}
		return s.ask(Choice{Want: want.Text})
	}}
	s.prompt.edit.insert(text)
}

// ask lets the desk make the amendment; nothing changes by that.
func (s *amendScreen) ask(c Choice) tea.Cmd {
	ctx, cancel := context.WithCancel(s.m.ctx)
	s.cancel()
	s.cancel, s.err, s.busy = cancel, nil, "looking what it changes .."
	state := s.run.state
	return ask(ctx, s, func(ctx context.Context) (recovery.Amended, error) {
		return s.m.desk.Amend(ctx, s.run.session, state, c)
	}, func(a recovery.Amended, err error) tea.Cmd {
		if ctx.Err() != nil {
			return nil
		}
		if s.busy = ""; err == nil && a.By == "" {
			a.By = s.m.operator
			a, err = recovery.Amend(a.Before, a)
		}
		if err != nil {
			if s.copies == nil {
				s.moment(c.Want)
			}
			s.err = err
			return nil
		}
		s.amended, s.menu.cursor = &a, -1
		return nil
	})
}

// send asks the run to take the amendment.
func (s *amendScreen) send() tea.Cmd {
	s.busy, s.err = "asking ..", nil
	return s.run.ask(s.m, s, recovery.Command{Kind: recovery.DoAmend, Amend: s.amended}, func(err error) tea.Cmd {
		if s.busy, s.err = "", err; err == nil {
			return s.m.back()
		}
		return nil
	})
}

// choices are the copies, and then whether the plan is changed: the enter that
// asked what a change would do does not make it as well.
func (s *amendScreen) choices() []choice {
	if s.amended != nil {
		return []choice{
			{name: "Amend the plan", leaves: "as it stands above", do: s.send},
			{name: "Leave it as it is", leaves: "nothing changes", do: s.m.back},
		}
	}
	st := s.run.waiting(s.id, s.wait)
	var list []choice
	for _, name := range s.copies {
		list = append(list, choice{name: name, leaves: "the same moment, " + s.run.state.Moment.Want.Text, do: func() tea.Cmd {
			if st == nil {
				return nil
			}
			return s.ask(Choice{Component: componentOf(s.run, st), Copy: name}) // "10 minutes ago" stays what it was
		}})
	}
	return list
}

func (s *amendScreen) key(k tea.KeyPressMsg) (tea.Cmd, bool) {
	switch {
	case s.busy != "":
		if k.String() == keyEscape {
			return s.m.back(), true
		}
		return nil, k.String() != "?"
	case s.prompt != nil:
		if k.String() == keyEscape {
			return s.m.back(), true
		}
		if want, ok := s.near.key(k); ok {
			s.moment(want)
			s.err = nil
			return nil, true
		}
		return s.answer(k)
	}
	c, handled := s.menu.key(k, s.choices())
	if c == nil {
		return nil, handled
	}
	return c.do(), true
}

func (s *amendScreen) page(w, h int) page {
	a := s.run
	p := a.frame(s.m)
	p.body = []line{as(strong, s.title).say("   run " + a.plan.Run), nil}
	p.keys, p.leave = []binding{{keyEnter, "look what it changes"}}, binding{keyEscape, "back, nothing changes"}
	if s.busy != "" {
		p.note, p.keys = s.busy, nil
	}
	p.about("NOW", plain, a.state.Moment.String(), w, 3)
	if s.amended != nil {
		s.review(&p, w)
	} else if s.copies != nil {
		if point, ok := a.state.Moment.Point(a.state.Moment.Anchor); ok {
			p.about("FROM", plain, point.Backup.ID+" in "+point.Copy, w, 2)
		}
		p.body = append(p.body, nil)
		s.menu.show(&p, s.choices(), w)
	} else {
		p.about("", faint, "say 02:41, 10 minutes ago, latest, a date with its time, an LSN, the number of a transaction or a backup", w, 2)
		s.near.show(&p, w, s.m.now().Location())
	}
	s.show(s.m, &p, w)
	if s.prompt != nil {
		p.leave = binding{keyEscape, "back, nothing changes"}
	}
	return p
}

// review says what the amendment does.
func (s *amendScreen) review(p *page, w int) {
	a := s.amended
	p.keys = []binding{{keyEnter, "choose"}}
	p.body = append(p.body, nil)
	p.about("AMENDMENT", strong, a.Says, w, 3)
	if a.Moment != nil {
		p.about("MOMENT", plain, a.Moment.String(), w, 3)
		var warnings []string
		for _, point := range a.Moment.Points {
			for _, warning := range point.Warnings {
				warnings = append(warnings, point.Component+": "+warning)
			}
		}
		for _, warning := range together(warnings) {
			p.about("", warn, "! "+warning, w, 2)
		}
	}
	p.about("REPLACES", plain, s.says(stepIDs(a.Steps)), w, 3)
	p.about("AGAIN", warn, s.says(a.Redo), w, 3)
	p.about("SKIPS", warn, s.says(a.Skip), w, 3)
	p.about("DIGEST", plain, recovery.ShortDigest(a.Before)+" becomes "+recovery.ShortDigest(a.PlanSHA256), w, 1)
	voids := 0
	for _, approved := range s.run.state.Approvals {
		if approved.PlanSHA256 == s.run.state.PlanSHA256 {
			voids++
		}
	}
	if voids > 0 {
		p.about("VOIDS", warn, count(voids, "approval", "approvals")+" of the plan as it is", w, 1)
	}
	p.body = append(p.body, nil)
	s.menu.show(p, s.choices(), w)
	p.pinned = len(s.choices()) + 1
}

// says lists steps by what they do.
func (s *amendScreen) says(ids []string) string {
	var list []string
	for _, id := range ids {
		text := id
		if st := s.run.state.Step(id); st != nil {
			text = named(st)
		} else if i := slices.IndexFunc(s.amended.Steps, func(step recovery.Step) bool { return step.ID == id }); i >= 0 {
			text = "new: " + s.amended.Steps[i].Says
		}
		list = append(list, text)
	}
	if len(list) > 6 {
		list = append(list[:6], fmt.Sprintf("%d more", len(list)-6))
	}
	return strings.Join(list, "; ")
}

func stepIDs(steps []recovery.Step) []string {
	ids := make([]string, len(steps))
	for i, step := range steps {
		ids[i] = step.ID
	}
	return ids
}
