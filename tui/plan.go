package tui

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// planScreen shows everything that a run will do, before it does any of it. What
// changes a live system begins only when its name has been typed.
type planScreen struct {
	m *model
	// path is the runbook, aside what line 1 says of the outage.
	path     string
	aside    func() string
	prepared *Prepared
	// choice is what it was made of, nil for what follows from another run,
	// as follows says; changing that it is made anew.
	choice             *Choice
	follows            FollowKind
	starting, changing bool
	// refused is why it did not begin.
	refused error
	asker
}

// confirms is the name that must be typed before it begins, "" where nothing live
// is changed or the run asks for it later.
func (s *planScreen) confirms() string {
	if s.prepared.NameLater {
		return ""
	}
	return s.prepared.Plan.Confirm
}

func newPlan(m *model, from *momentScreen, choice Choice, prepared *Prepared) *planScreen {
	s := &planScreen{m: m, path: from.from.path, aside: from.from.aside, choice: &choice, prepared: prepared}
	s.asksName()
	return s
}

// asksName opens the prompt for the name, where there is one to type.
func (s *planScreen) asksName() {
	if s.confirms() != "" {
		s.asks(namePrompt(s.confirms(), s.start))
	}
}

func (s *planScreen) key(k tea.KeyPressMsg) (tea.Cmd, bool) {
	if s.starting {
		return nil, k.String() == keyEscape // too late to go back: the run is being created
	}
	if k.String() == keyTab && s.choice != nil {
		return s.toggleLook(), true
	}
	if s.prompt != nil {
		if k.String() == keyEscape && s.edit() == "" {
			return s.m.back(), true
		}
		return s.answer(k)
	}
	switch k.String() {
	case keyEnter:
		if s.confirms() != "" {
			s.asksName()
			return nil, true
		}
		return s.start(""), true
	case "v":
		return s.m.push(newPager(s.m, "plan.json of run "+s.prepared.Plan.Run, string(s.prepared.Bytes))), true
	}
	return nil, false
}

// edit is what has been typed.
func (s *planScreen) edit() string { return s.prompt.edit.text() }

// start begins the run, with the name that was typed where there is one.
func (s *planScreen) start(typed string) tea.Cmd {
	if s.starting || s.changing || typed != s.confirms() {
		return nil
	}
	s.starting, s.refused = true, nil
	return ask(s.m.ctx, s, func(ctx context.Context) (recovery.Session, error) {
		return s.m.desk.Start(ctx, s.prepared, typed)
	}, func(session recovery.Session, err error) tea.Cmd {
		s.starting, s.refused = false, err
		if err != nil && s.confirms() != "" { // why stands where the name is typed once more
			s.asksName()
			s.err, s.refused = err, nil
		}
		if err != nil {
			return nil
		}
		s.m.pop() // the plan has been used up
		begun := s.m.begin(session)
		if s.prepared.Plan.Parent == "" {
			s.m.run.outageOf = s.path
		}
		return tea.Batch(begun, s.tellOutage(session))
	})
}

// tellOutage tells a recovery since when its system has been down, as a person
// said before it began. What follows another run ends no outage of before that one.
func (s *planScreen) tellOutage(session recovery.Session) tea.Cmd {
	o, told := s.m.outage(s.path)
	if !told || s.prepared.Plan.Mode != recovery.Recovery || s.prepared.Plan.Parent != "" {
		return nil
	}
	home := s.m.stack[0].screen
	return ask(s.m.ctx, home, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, session.Do(ctx, recovery.Command{Kind: recovery.DoOutage, By: s.m.operator, Outage: o})
	}, func(_ struct{}, err error) tea.Cmd {
		if run, ok := s.m.top().screen.(*runScreen); ok && err != nil {
			run.err = err
		}
		return nil
	})
}

func (s *planScreen) page(w, h int) page {
	plan := s.prepared.Plan
	p := page{
		system: plan.System, mode: modeOf(plan.Mode), focus: -1, aside: "RTO " + budget(time.Duration(plan.RTO), "not set"),
		live: "LIVE: untouched", note: "nothing has run yet",
		keys: append([]binding{{keyEnter, "start the rehearsal"}, {"v", "plan.json"}}, s.lookKey()...), leave: escBack,
	}
	if plan.Parent != "" {
		p.live = "LIVE: as run " + clean(plan.Parent) + " left it"
	}
	if plan.Mode == recovery.Recovery {
		p.aside = s.aside()
		p.keys[0].does = "begin, beside live"
		p.leave.does = "back, nothing changes"
	}
	if s.follows != "" {
		p.keys[0].does = s.follows.begins()
	}
	if s.prepared.NameLater {
		p.note = "asks for the name before it changes live"
	}
	if s.confirms() != "" {
		p.keys[0].does = "type the name..."
		p.note = "asks again after 30m, or if loss or plan changed"
		if plan.OnlyBlocks() {
			p.note = "asks again if the plan changed"
		}
	}
	if s.starting {
		p.note, p.keys, p.leave = "starting ..", nil, binding{}
	}
	if s.changing {
		p.note = "making the plan anew .."
	}
	title := spread(as(strong, "PLAN "+plan.Run).say("   "+plan.Moment.Want.Text), say("digest "+recovery.ShortDigest(s.prepared.Digest)), w)
	p.body = []line{title}
	if s.refused != nil {
		p.body = append(append(p.body, s.m.trouble("REFUSED", s.refused, w)...), nil)
	}
	if missing := s.notSet(w); plan.Mode != recovery.Recovery && len(missing) > 0 {
		p.body = append(append(p.body, missing...), nil)
	}
	if w >= wide {
		lw := (w - 2) * 58 / 100
		p.body = append(p.body, beside(s.steps(lw), append(s.moment(w-lw-2), s.facts(w-lw-2)...), lw, w)...)
	} else {
		p.body = append(append(p.body, s.moment(w)...), nil)
		p.body = append(append(p.body, s.steps(w)...), nil)
		p.body = append(p.body, s.facts(w)...)
	}
	if plan.Mode == recovery.Recovery {
		p.body = append(append(p.body, nil), s.m.effects(plan.Effects(), w, s.m.most(3))...)
		p.body = append(p.body, keptHarm(plan.Moment, w, s.m.most(3))...)
		p.body = append(p.body, s.notSet(w)...)
		switch {
		case s.prepared.NameLater:
			p.body = append(p.body, paragraph("LIVE", 15, plain, "the run shows what it would change of "+plan.Confirm+" row by row, and asks for that name then; until it is typed nothing is changed", w, 2)...)
		case !slices.ContainsFunc(plan.Steps, plan.ChangesLive):
			p.body = append(p.body, paragraph("LIVE", 15, plain, "the runbook switches nothing: what comes back is left beside what is live, a database running", w, 2)...)
		}
		if s.confirms() != "" {
			p.focus = len(p.body) - 1
			typing := typingChanges(plan, w)
			if s.prompt == nil {
				typing = changesLive("press enter and type", "", plan, w)
			}
			p.body = append(append(p.body, nil), typing...)
			p.pinned = len(p.body) - 1 - p.focus
		}
	}
	from := len(p.body)
	if s.prompt != nil && !s.starting {
		p.body = append(p.body, s.foot(w)...)
		p.keys = []binding{{keyEnter, s.prompt.does}, {"pgup/pgdn", "whole plan"}}
		p.keys = append(p.keys, s.lookKey()...)
		if s.edit() != "" {
			p.leave.does = "drop, nothing changes"
		}
	}
	if s.err != nil {
		p.body = append(p.body, s.m.trouble("REFUSED", s.err, w)...)
	}
	p.pinned += len(p.body) - from
	return p
}

// steps lists the stages, and under each its steps.
func (s *planScreen) steps(w int) []line {
	plan := s.prepared.Plan
	t := table{w: w, columns: []column{
		{title: "STAGE"}, {title: "WRITES TO", width: min(30, w*3/10), keep: 3},
		{title: "BUDGET", width: 6, right: true, keep: 2}, {title: "EXPECT", width: 6, right: true, keep: 1},
	}}
	if !slices.ContainsFunc(plan.Steps, func(s recovery.Step) bool { return s.Expected > 0 }) {
		t.columns = t.columns[:3] // nothing has been timed yet
	}
	lines := []line{t.titles()}
	var empty []string
	for i, stage := range plan.Stages {
		steps := plan.StepsOf(i)
		name := fmt.Sprintf("%d %s", i+1, stage.Name)
		if len(steps) == 0 {
			empty = append(empty, name)
			continue
		}
		var expected time.Duration
		for _, step := range steps {
			expected += time.Duration(step.Expected)
		}
		lines = append(lines, t.row("  ", span{name, strong}, s.changes(steps, t.columns[1].width),
			span{budget(time.Duration(stage.Budget), "-"), plain}, span{budget(expected, "-"), plain}))
		for _, step := range steps {
			says := step.Says
			if step.Component != "" {
				says = step.Component + ": " + says
			}
			lines = append(lines, t.row("  ", span{"  " + says, plain}, s.writes(step, t.columns[1].width), span{}, span{budget(time.Duration(step.Expected), "-"), faint}))
		}
	}
	if len(empty) > 0 {
		lines = append(lines, paragraph("", 2, faint, "nothing to do in "+strings.Join(empty, ", "), w, 2)...)
	}
	return lines
}

// changed is what word stands before a live target.
const changed = "LIVE "

// writes is where a step writes to, in w cells; what is live comes first.
func (s *planScreen) writes(step recovery.Step, w int) span {
	var live, harmless []string
	for _, id := range step.Writes {
		t := recovery.Target{ID: id, Name: string(id)} // one that the plan does not list counts as live
		if i := slices.IndexFunc(s.prepared.Plan.Targets, func(t recovery.Target) bool { return t.ID == id }); i >= 0 {
			t = s.prepared.Plan.Targets[i]
		}
		switch place := clean(t.Place); {
		case t.Changes():
			live = append(live, changed+cutLeft(clean(cmp.Or(t.Name, t.Place)), w-len(changed)))
		case t.Beside:
			harmless = append(harmless, cutLeft("new, beside "+clean(cmp.Or(t.Name, t.Place)), w))
		case !fits(place, w):
			harmless = append(harmless, cutLeft(clean(string(id)), w))
		default:
			harmless = append(harmless, place)
		}
	}
	switch {
	case s.prepared.Plan.RunsBlock(step):
		return span{"whatever its script does", danger}
	case len(live) > 0:
		return span{strings.Join(append(live, harmless...), ", "), danger}
	case len(harmless) > 0:
		return span{strings.Join(harmless, ", "), plain}
	}
	return span{"nothing", faint}
}

// changes marks a stage of which a step changes live, or may.
func (s *planScreen) changes(steps []recovery.Step, w int) span {
	for _, step := range steps {
		if s.writes(step, w).look == danger {
			return span{strings.TrimSpace(changed), danger}
		}
	}
	return span{}
}

// moment is where the run goes back to, component by component.
func (s *planScreen) moment(w int) []line {
	const indent = 10
	plan := s.prepared.Plan
	var lines []line
	add := func(name string, k look, text string) {
		lines = append(lines, paragraph(name, indent, k, text, w, s.m.most(4))...)
	}
	for i, point := range plan.Moment.Points {
		name := ""
		if i == 0 {
			name = "MOMENT"
		}
		add(name, plain, fmt.Sprintf("%s: %s; exact to the %s, from %s in %s",
			point.Component, point.Says, point.Exactness, point.Backup.ID, point.Copy))
		for _, warning := range point.Warnings {
			k := warn
			if recovery.Alarms(warning) {
				k = bad
			}
			add("", k, "! "+warning)
		}
	}
	return lines
}

// facts is what else a person should know before the start.
func (s *planScreen) facts(w int) []line {
	const indent = 10
	plan := s.prepared.Plan
	var lines []line
	add := func(name string, k look, text string) {
		lines = append(lines, paragraph(name, indent, k, text, w, s.m.most(4))...)
	}
	var bytes int64
	for _, step := range plan.Steps {
		for _, ref := range step.Reads {
			bytes += ref.Size
		}
	}
	add("READS", plain, recovery.FormatBytes(bytes)+" from "+sources(plan))
	expected, known := expectation(plan)
	switch {
	case known && plan.Mode == recovery.Recovery:
		add("TIME", plain, "about "+took(expected)+", from earlier runs: "+backAt(s.m.now(), expected)+" if nobody is waited for")
	case known:
		add("TIME", plain, "about "+took(expected)+", from earlier runs")
	default:
		add("TIME", plain, "not known, no earlier run has timed every step")
	}
	name := "WARNINGS"
	for _, warning := range plan.Warnings {
		if !ofPoint(plan, warning) { // that stands with its point
			add(name, warn, warning)
			name = ""
		}
	}
	for i, n := range plan.NotExecuted {
		name := ""
		if i == 0 {
			name = "NOT DONE"
		}
		add(name, warn, n.What+" ("+n.Stage+"): "+n.Why)
	}
	return lines
}

// ofPoint reports whether a warning of a plan is that of a point of its moment.
func ofPoint(p *recovery.Plan, warning string) bool {
	return slices.ContainsFunc(p.Moment.Points, func(point recovery.Point) bool {
		return slices.ContainsFunc(point.Warnings, func(own string) bool { return warning == point.Component+": "+own })
	})
}

// notSet tells what will be missing.
func (s *planScreen) notSet(w int) (lines []line) {
	name := "NOT SET"
	for _, n := range s.prepared.NotSet {
		text := n.Name
		if n.From != "" {
			text += ", from " + n.From
		}
		lines = append(lines, paragraph(name, 15, warn, text+": "+n.For+" needs it; export it before you begin, or type it when the run asks", w, s.m.most(3))...)
		name = ""
	}
	return lines
}

// sources names the copies that a plan reads.
func sources(plan *recovery.Plan) string {
	var names []string
	seen := map[string]bool{}
	for _, step := range plan.Steps {
		for _, ref := range step.Reads {
			if !seen[ref.Copy] {
				seen[ref.Copy] = true
				names = append(names, ref.Copy)
			}
		}
	}
	if len(names) == 0 {
		return "no copy"
	}
	return strings.Join(names, ", ")
}

// expectation is how long a run should take: the longest way through its steps.
// It is known only if every step that waits for no person has been timed.
func expectation(plan *recovery.Plan) (time.Duration, bool) {
	known := len(plan.Steps) > 0
	ends := map[string]time.Duration{}
	var last time.Duration
	for _, step := range plan.Steps { // steps come after those that they wait for
		if step.Expected == 0 && step.Kind != recovery.KindTicks {
			known = false
		}
		var start time.Duration
		for _, id := range step.After {
			start = max(start, ends[id])
		}
		ends[step.ID] = start + time.Duration(step.Expected)
		last = max(last, ends[step.ID])
	}
	return last, known
}
