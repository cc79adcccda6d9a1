package tui

import (
	"context"
	"fmt"
	"time"

	tea "charm.land/bubbletea/v2"
)

// runbookScreen shows one runbook: what can be done, whether its copies can be
// read, and its stages.
type runbookScreen struct {
	m    *model
	path string
	// want is a moment that was given on the command line, until it was tried.
	want string

	opened *Opened
	err    error
	cursor int

	// ctx ends when the screen is left, and with it what it began.
	ctx    context.Context
	cancel context.CancelFunc

	rows      []Access
	surveying bool
	surveyed  time.Time
	surveyErr error
}

func newRunbook(m *model, path, want string) *runbookScreen {
	s := &runbookScreen{m: m, path: path, want: want}
	s.ctx, s.cancel = context.WithCancel(m.ctx)
	return s
}

func (s *runbookScreen) field() *field { return nil }

func (s *runbookScreen) close() { s.cancel() }

// open reads the runbook and looks into its copies, the first time only.
func (s *runbookScreen) open() tea.Cmd {
	if s.opened != nil {
		return nil
	}
	return s.read()
}

func (s *runbookScreen) read() tea.Cmd {
	return ask(s.ctx, s, func(ctx context.Context) (*Opened, error) {
		return s.m.desk.Open(ctx, s.path)
	}, func(o *Opened, err error) tea.Cmd {
		s.opened, s.err = o, err
		if err != nil || len(o.Problems) > 0 {
			return nil
		}
		if want := s.want; want != "" {
			s.want = ""
			moment := newMoment(s.m, s)
			return tea.Batch(s.survey(), s.m.push(moment), moment.plan(Choice{Want: want}))
		}
		return s.survey()
	})
}

// ready reports whether a run can be prepared.
func (s *runbookScreen) ready() bool { return s.opened != nil && len(s.opened.Problems) == 0 }

func (s *runbookScreen) key(k tea.KeyPressMsg) (tea.Cmd, bool) {
	if s.opened == nil {
		if k.String() == "g" {
			return s.read(), true
		}
		return nil, false
	}
	if k.String() == keyUp || k.String() == keyDown {
		s.cursor, _ = move(k.String(), s.cursor, 2, 1)
		return nil, true
	}
	act := k.String()
	if act == keyEnter {
		act = []string{"1", "2"}[s.cursor]
	}
	switch act {
	case "1":
		s.cursor = 0
		if !s.ready() {
			return nil, true
		}
		return s.m.push(newMoment(s.m, s)), true
	case "2", "v":
		if act == "2" {
			s.cursor = 1
		}
		return s.m.push(newPager(s.m, s.path, s.opened.Text)), true
	case "g":
		if len(s.opened.Problems) > 0 {
			return s.read(), true
		}
		return s.survey(), true
	}
	return nil, false
}

func (s *runbookScreen) page(w, h int) page {
	p := page{
		system: "runbook", mode: looking, focus: -1, aside: "no run",
		live: "LIVE: untouched", note: "a rehearsal writes to scratch only",
		keys: []binding{{keyEnter, "choose"}, {"v", "runbook"}, {"g", "again"}}, leave: escBack,
	}
	switch {
	case s.err != nil:
		p.keys = []binding{{"g", "again"}}
		p.body = append([]line{say(s.path), nil}, trouble("REFUSED", s.err, w)...)
		return p
	case s.opened == nil:
		p.body = []line{as(faint, "reading "+s.path+" ..")}
		return p
	}
	o := s.opened
	p.system, p.aside = o.Name, owes(o.System)
	if w >= wide {
		lw := (w - 2) / 2
		left := append(s.menu(lw), nil)
		left = append(left, s.stages(lw, 1)...)
		p.body = beside(left, s.access(w-lw-2), lw, w)
		return p
	}
	p.body = append(s.menu(w), nil)
	p.body = append(append(p.body, s.access(w)...), nil)
	columns := 1
	if w >= 78 && len(o.Stages) > 3 {
		columns = 2
	}
	p.body = append(p.body, s.stages(w, columns)...)
	return p
}

// menu is what can be done here.
func (s *runbookScreen) menu(w int) []line {
	lines := []line{as(strong, s.opened.Title)}
	if len(s.opened.Problems) > 0 {
		lines = append(lines, as(warn, "NOT USABLE YET  ").say(count(len(s.opened.Problems), "problem", "problems")+" in the runbook; g reads it again"))
		lines = append(lines, problems(s.opened.Problems, w, 8)...)
	}
	items := []struct{ name, says string }{
		{"1 Rehearse", "choose a moment, review the plan, restore into scratch"},
		{"2 Read the runbook", "as it is written"},
	}
	for i, item := range items {
		k, says := plain, item.says
		if i == s.cursor {
			k = strong
		}
		if i == 0 && !s.ready() {
			says = "not before the problems are mended"
		}
		lines = append(lines, as(k, mark(i == s.cursor)+pad(item.name, 22)).and(faint, says))
	}
	return lines
}

// stages lists the stages of the runbook in one or two columns.
func (s *runbookScreen) stages(w, columns int) []line {
	w -= 2 * (columns - 1)
	t := table{w: w / columns, columns: []column{
		{title: "STAGES"}, {title: "budget", width: 6, right: true, keep: 2}, {title: "last", width: 6, right: true, keep: 1},
	}}
	var all []line
	for i, stage := range s.opened.Stages {
		all = append(all, t.row(mark(false), span{fmt.Sprintf("%d %s", i+1, stage.Name), plain},
			span{budget(stage.Budget, "-"), plain}, span{budget(stage.Last, "never"), plain}))
	}
	half := (len(all) + columns - 1) / columns
	left := append([]line{t.titles()}, all[:half]...)
	if columns == 1 {
		return left
	}
	return beside(left, append([]line{t.titles()}, all[half:]...), t.w, w+2)
}
