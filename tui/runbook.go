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
	// asked is when that was said.
	asked time.Time

	// began is when it was opened first.
	began  time.Time
	opened *Opened
	err    error
	// cursor is the route that the cursor is on, or that was chosen.
	cursor int

	// ctx ends when the screen is left, and with it what it began.
	ctx    context.Context
	cancel context.CancelFunc

	rows      []Access
	surveying bool
	surveyed  time.Time
	surveyErr error

	// needs is what else a run needs; haveNeeds says that it is known.
	needs     Ready
	haveNeeds bool
	needsErr  error
	keys      []Key
	haveKeys  bool
	keysErr   error
	asker
}

func newRunbook(m *model, path, want string) *runbookScreen {
	s := &runbookScreen{m: m, path: path, want: want, asked: m.now(), began: m.now()}
	s.ctx, s.cancel = context.WithCancel(m.ctx)
	return s
}

func (s *runbookScreen) close() { s.cancel() }

// open reads the runbook and looks into its copies, the first time only.
func (s *runbookScreen) open() tea.Cmd {
	if s.opened != nil {
		return nil
	}
	return tea.Batch(s.read(), s.findKeys())
}

// findKeys looks what can sign the report.
func (s *runbookScreen) findKeys() tea.Cmd {
	return ask(s.ctx, s, s.m.desk.Keys, func(keys []Key, err error) tea.Cmd {
		s.keys, s.keysErr, s.haveKeys = keys, err, true
		return nil
	})
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
			return tea.Batch(s.survey(), s.m.push(moment), moment.plan(Choice{Want: want, Asked: s.asked}))
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
	if s.prompt != nil {
		return s.answer(k)
	}
	if cursor, ok := move(k.String(), s.cursor, len(routes), len(routes)); ok {
		s.cursor = cursor
		return nil, true
	}
	switch text := k.String(); {
	case len(text) == 1 && text[0] >= '1' && int(text[0]-'1') < len(routes):
		return s.choose(int(text[0] - '1')), true
	case text == keyEnter:
		return s.choose(s.cursor), true
	case text == "o" && s.ready():
		s.asks(outagePrompt(s.m, s.path, func() tea.Cmd { return nil }))
		s.prompt.does = "note it"
		return nil, true
	case text == "v":
		return s.m.push(newMarkdown(s.m, s.path, s.opened.Text)), true
	case text == "g":
		if len(s.opened.Problems) > 0 {
			return s.read(), true
		}
		return tea.Batch(s.survey(), s.findKeys()), true
	}
	return nil, false
}

// aside is the right end of line 1: how long it has been down, or what is owed.
func (s *runbookScreen) aside() string {
	if o, told := s.m.outage(s.path); told && !o.Since.IsZero() {
		return downFor(o, s.opened.RTO, s.m.now())
	}
	return owes(s.opened.System)
}

func (s *runbookScreen) page(w, h int) page {
	p := page{
		system: "runbook", mode: looking, focus: -1, aside: "no run",
		live: "LIVE: untouched", note: "choosing changes nothing",
		keys: []binding{{keyEnter, "choose"}, {"v", "runbook"}, {"g", "again"}}, leave: escBack,
	}
	switch {
	case s.err != nil:
		p.keys = []binding{{"g", "again"}}
		p.body = append([]line{say(s.path), nil}, s.m.trouble("REFUSED", s.err, w)...)
		return p
	case s.opened == nil:
		p.body = []line{as(faint, "reading "+s.path+" ..")}
		return p
	}
	o := s.opened
	p.system, p.aside = o.Name, s.aside()
	if s.ready() {
		p.keys = []binding{{keyEnter, "choose"}, {"v", "runbook"}, {"o", "outage"}, {"g", "again"}, {"c", "people"}, {"s", "status"}}
	}
	p.body = s.menu(&p, w)
	switch {
	case s.prompt != nil:
		p.body = append(append(p.body, nil), outageHelp(s.m, w)...)
	case w >= wide:
		lw := (w - 2) * 58 / 100
		p.body = append(append(p.body, nil), beside(s.access(lw), s.stages(w-lw-2, 1), lw, w)...)
	default:
		columns := 1
		if w >= 78 && len(o.Stages) > 3 {
			columns = 2
		}
		can, stages := s.access(w), s.stages(w, columns)
		tight := h < spacious && !s.m.byLines
		if tight {
			can = s.accessBriefly(w)
		}
		if !tight || len(p.body)+len(can)+len(stages) < h {
			p.body = append(p.body, nil)
		}
		p.body = append(p.body, can...)
		if !tight || len(p.body)+len(stages) < h {
			p.body = append(p.body, nil)
		}
		p.body = append(p.body, stages...)
	}
	s.show(s.m, &p, w)
	return p
}

// spacious is how high the runbook's screen is where each copy has more than a line.
const spacious = 24

// menu asks what happened, and says what each answer leads to.
func (s *runbookScreen) menu(p *page, w int) []line {
	if len(s.opened.Problems) > 0 {
		lines := []line{as(strong, s.opened.Title), as(warn, "NOT USABLE YET  ").say(count(len(s.opened.Problems), "problem", "problems") + " in the runbook; g reads it again")}
		return append(lines, problems(s.opened.Problems, w, 8)...)
	}
	head := as(strong, "WHAT HAPPENED?")
	if o, told := s.m.outage(s.path); told {
		head = head.say("   " + outageSays(o, s.m.now()) + " (o changes it)")
	} else {
		head = head.and(faint, "   enter or a number leads on; nothing changes by choosing")
	}
	lines := []line{head.fit(w)}
	for i, r := range routes {
		k := plain
		if i == s.cursor {
			k = strong
		}
		p.pick(len(lines), func() { s.cursor = i })
		lines = append(lines, as(k, mark(i == s.cursor)+fmt.Sprint(i+1, " ")+pad(r.name, 30)).and(faint, " "+r.says).fit(w))
	}
	if s.opened.OnlyScratch != "" {
		lines = append(lines, as(warn, "  SCRATCH ONLY").say(": "+s.opened.OnlyScratch).fit(w))
	}
	return lines
}

// stages lists the stages of the runbook in one or two columns.
func (s *runbookScreen) stages(w, columns int) []line {
	if s.m.byLines { // columns beside each other are read as one line
		columns = 1
	}
	w -= 2 * (columns - 1)
	t := table{w: w / columns, columns: []column{
		{title: "STAGES"}, {title: "budget", width: 6, right: true, keep: 2}, {title: "last", width: 6, right: true, keep: 1},
	}}
	var all []line
	for i, stage := range s.opened.Stages {
		name := span{fmt.Sprintf("%d %s", i+1, stage.Name), plain}
		if stage.Live {
			name = markedLive(name.text, t.layout()[0])
		}
		all = append(all, t.row(mark(false), name,
			span{budget(stage.Budget, "-"), plain}, span{budget(stage.Last, "never"), plain}))
	}
	half := (len(all) + columns - 1) / columns
	left := append([]line{t.titles()}, all[:half]...)
	if columns == 1 {
		return left
	}
	return beside(left, append([]line{t.titles()}, all[half:]...), t.w, w+2)
}
