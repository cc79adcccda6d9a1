package tui

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// resultScreen shows how a run ended, the word first, and leads to its report
// and its signature.
type resultScreen struct {
	m   *model
	run *attached
	err error
	// since is what has become of the run; sinceErr is why that is not known.
	since    recovery.Since
	sinceErr error
	// kept are the copies that hold the head of the run's journal.
	kept []string
	// next plans what follows from the run.
	next follower
}

func (s *resultScreen) field() *field { return nil }

// open asks whether the report is signed already, and what has become of the run.
func (s *resultScreen) open() tea.Cmd { return tea.Batch(s.askSigned(), s.askSince(), s.askKept()) }

// askKept asks which copies hold the head of the run's journal, until some do: it is kept
// there a moment after the end. That a copy does not answer is for the check to tell.
func (s *resultScreen) askKept() tea.Cmd {
	if len(s.kept) > 0 {
		return nil
	}
	dir := s.run.session.Dir()
	return ask(s.m.ctx, s, func(ctx context.Context) ([]string, error) { return s.m.desk.Kept(ctx, dir) }, func(in []string, _ error) tea.Cmd {
		s.kept = in
		return nil
	})
}

// askSince asks what other runs have made of what this one has left.
func (s *resultScreen) askSince() tea.Cmd {
	if len(s.run.state.Old)+len(s.run.state.HandedOver) == 0 {
		return nil
	}
	dir := s.run.session.Dir()
	return ask(s.m.ctx, s, func(ctx context.Context) (Since, error) { return s.m.desk.Since(ctx, dir) }, func(since Since, err error) tea.Cmd {
		s.since, s.sinceErr = since.Since, err
		return nil
	})
}

// askSigned asks whether the report is signed already.
func (s *resultScreen) askSigned() tea.Cmd {
	if s.run.signed != nil {
		return nil
	}
	dir := s.run.session.Dir()
	type found struct {
		Signed
		ok bool
	}
	return ask(s.m.ctx, s, func(ctx context.Context) (found, error) {
		signed, ok, err := s.m.desk.Signature(ctx, dir)
		return found{signed, ok}, err
	}, func(f found, err error) tea.Cmd {
		if s.err = err; f.ok {
			s.run.signed = &f.Signed
		}
		return nil
	})
}

func (s *resultScreen) key(k tea.KeyPressMsg) (tea.Cmd, bool) {
	dir := s.run.session.Dir()
	switch k.String() {
	case "r":
		return s.m.push(newDocument(s.m, "report of run "+s.run.plan.Run, dir+"/report.md")), true
	case "k":
		if s.run.signed != nil {
			return nil, true
		}
		return s.m.push(newSignReport(s.m, s.run)), true
	case "v":
		return s.m.push(newPager(s.m, "how anyone can check this report", s.m.desk.VerifyCommands(dir))), true
	case "l":
		return s.m.push(newLog(s.m, s.run)), true
	case "f":
		return s.m.push(newFiles(s.m, "run "+s.run.plan.Run, dir)), true
	case "b", "x":
		kind, why := map[string]FollowKind{"b": SwitchBack, "x": MergeBack}[k.String()], s.follows()
		if why[kind] == "" {
			return nil, true
		}
		return s.next.plan(s, FollowUp{Kind: kind, Run: s.run.plan.Run}, func() string { return s.run.timing(s.m.now()) }), true
	case keyEscape:
		return s.m.home(), true
	}
	return nil, false
}

// follows is what can follow from the run, in the words of the key bar.
func (s *resultScreen) follows() map[FollowKind]string {
	a, can := s.run, map[FollowKind]string{}
	if a.plan.Mode != recovery.Recovery || len(a.state.Old) == 0 || s.since.Undone != nil {
		return can
	}
	if !slices.ContainsFunc(a.state.Old, func(old recovery.Old) bool { return s.since.Gone[old.Place] != "" }) {
		can[SwitchBack] = "switch back..." // all of it goes back
	}
	for _, l := range a.state.Losses {
		if l.Commits > 1 {
			can[MergeBack] = "merge..."
		}
	}
	return can
}

// keys are what line 24 says. Where nothing is signed there is little to verify yet.
func (s *resultScreen) keys() []binding {
	sign, verify := binding{"k", "sign..."}, binding{"v", "verify"}
	keys := []binding{{"r", "report"}}
	if s.run.signed == nil {
		keys = append(keys, sign)
	} else {
		keys = append(keys, verify)
	}
	for _, f := range []struct {
		key  string
		kind FollowKind
	}{{"x", MergeBack}, {"b", SwitchBack}} {
		if does := s.follows()[f.kind]; does != "" {
			keys = append(keys, binding{f.key, does})
		}
	}
	keys = append(keys, binding{"s", "status"})
	if s.run.signed == nil {
		keys = append(keys, verify)
	}
	return append(keys, binding{"l", "log"}, binding{"f", "files"}, binding{keyEscape, "all systems"})
}

func (s *resultScreen) page(w, h int) page {
	a, now := s.run, s.m.now()
	p := page{
		system: a.plan.System, aside: a.timing(now), mode: a.mode(), focus: -1,
		leave: qQuit,
	}
	p.keys = s.keys()
	p.live, p.liveLook = a.live(now.Location())
	if by := s.since.Undone; by != nil {
		p.live, p.liveLook = "LIVE: switched back by run "+by.Run+", as it was before", plain
	}
	if in := strings.Join(s.kept, ", "); in != "" {
		p.note = "journal head also in " + in
	}
	if a.signed == nil {
		p.note = strings.TrimSuffix("ended, unsigned; "+strings.Replace(p.note, " also", "", 1), "; ")
	}
	if s.next.planning {
		p.note = "making the plan .."
	}
	word, k := verdict(a)
	p.body = []line{spread(as(k, word).say("   run "+a.plan.Run), say(fmt.Sprint("exit ", int(a.state.Exit))), w)}
	if s.next.err != nil {
		p.body = append(p.body, s.m.trouble("REFUSED", s.next.err, w)...)
	}
	if a.state.Says != "" && a.state.Result != recovery.ResultPassed {
		p.body = append(p.body, paragraph("", 0, plain, a.state.Says, w, s.m.most(3))...)
	}
	if owed := a.objectives(now.Location(), w); len(owed) > 0 {
		p.body = append(append(p.body, nil), owed...)
	}
	if w >= wide {
		lw := (w - 2) * 55 / 100
		left := append(append(s.report(lw), nil), s.findings(lw)...)
		right := append(append(s.times(w-lw-2), nil), s.evidence(w-lw-2)...)
		p.body = append(append(p.body, nil), beside(left, right, lw, w)...)
		return p
	}
	p.body = append(p.body, s.report(w)...)
	p.body = append(append(p.body, s.findings(w)...), nil)
	p.body = append(append(p.body, s.times(w)...), nil)
	p.body = append(p.body, s.evidence(w)...)
	return p
}

// times is what each stage took against its budget; stages that had nothing to
// do are left out.
func (s *resultScreen) times(w int) []line {
	a := s.run
	t := table{w: w, columns: []column{
		{title: "STAGE"}, {title: "STATE", width: 11, keep: 1}, {title: "TOOK", width: 6, right: true, keep: 3}, {title: "BUDGET", width: 6, right: true, keep: 2},
	}}
	lines := []line{t.titles()}
	for i, st := range a.state.Stages {
		if !slices.ContainsFunc(a.state.Steps, func(step recovery.StepState) bool { return step.Step.Stage == i }) {
			continue
		}
		spent := span{"-", plain}
		state := span{string(st.State), looksOf(st.State)}
		if !st.Started.IsZero() && !st.Decided.IsZero() {
			var late bool
			spent, late = stageSpent(&a.state, i, st.Decided)
			if late && st.State == recovery.Done {
				state = span{"done, LATE", warn}
			}
		}
		lines = append(lines, t.row("  ", span{fmt.Sprintf("%d %s", i+1, st.Name), plain}, state,
			spent, span{budget(time.Duration(st.Budget), "-"), plain}))
	}
	lines = append(lines, a.clockSteps(w)...)
	if a.plan.Mode == recovery.Recovery {
		return lines
	}
	text := "exercised " + elapsed(a.ran(time.Time{}))
	if len(a.state.ClockSteps) > 0 {
		text = "exercised time unknown"
	}
	if rto := time.Duration(a.plan.RTO); rto > 0 {
		text += ", RTO " + took(rto) + "; a rehearsal's time is not an RTO"
	}
	return append(lines, paragraph("", 2, plain, text, w, 2)...)
}

// stageSpent is how long a stage has taken, and whether that is more than its budget; neither is
// known where the clock was put back or forward meanwhile.
func stageSpent(s *recovery.State, stage int, until time.Time) (spent span, late bool) {
	d, back := s.StageSpent(stage, until)
	if back != nil {
		return span{unknownSpan, warn}, false
	}
	if b := time.Duration(s.Stages[stage].Budget); b > 0 && d > b {
		return span{elapsed(d), warn}, true
	}
	return span{elapsed(d), plain}, false
}

// unknownSpan stands for a time that is not known, in as many cells as one.
const unknownSpan = "unkn."

// clockSteps says why times are not known, where the clock was put back or forward.
func (a *attached) clockSteps(w int) (lines []line) {
	for _, c := range a.state.ClockSteps {
		lines = append(lines, paragraph("", 2, warn, unknownSpan+": "+c.Says(), w, 2)...)
	}
	return lines
}

// findings is what the run proved, and what it did not.
func (s *resultScreen) findings(w int) []line {
	const indent = 12
	a := s.run
	zone := s.m.now().Location()
	var lines []line
	add := func(name string, k look, text string, most int) {
		lines = append(lines, paragraph(name, indent, k, s.m.pasted(text), w, s.m.most(most))...)
	}
	list := func(name string, k look, items []string) {
		for i, item := range items {
			if i > 0 {
				name = ""
			}
			add(name, k, fmt.Sprintf("%d  %s", i+1, item), 3)
		}
	}
	list("FAILED", bad, failures(a))
	list("EXCEPTIONS", warn, exceptions(a))
	for _, n := range a.noted(zone) {
		add(n.name, n.look, n.text, 3)
	}
	var lost []string
	if len(a.state.Losses)+len(a.state.Old) > 0 && !a.plan.LostNothing(&a.state) {
		lost = a.plan.Lost(&a.state)
	}
	for i, text := range lost {
		name := "LOST"
		if i > 0 {
			name = ""
		}
		add(name, warn, text, 2)
	}
	for i, old := range a.state.Old {
		name := "OLD DATA"
		if i > 0 {
			name = ""
		}
		text := strings.TrimSuffix(fmt.Sprintf("%s until %s; %s", old.Place, stamp(old.Until, s.m.now()), old.Says), "; ")
		switch gone := s.since.Gone[old.Place]; {
		case s.since.Undone != nil:
			text = old.Place + ": live again, by run " + s.since.Undone.Run
		case gone != "":
			text = old.Place + ": GONE, " + gone
		}
		add(name, plain, text, 3)
	}
	if s.follows()[SwitchBack] != "" {
		add("", warn, "b switches back and loses what was written since "+openSince(&a.state).In(zone).Format("15:04:05")+"; its plan counts that", 2)
	}
	for i, h := range a.state.HandedOver {
		name := "BESIDE"
		if i > 0 {
			name = ""
		}
		text := h.Component + " " + h.Where() + "; " + h.Says
		if gone := s.since.Gone[h.Place]; gone != "" {
			text = h.Component + " of " + h.Place + ": GONE, " + gone
		}
		add(name, plain, text, 4)
	}
	if s.sinceErr != nil {
		add("SINCE", warn, "whether that is still there is not known: "+s.sinceErr.Error(), 2)
	}
	list("TO DO", warn, a.state.ToDos())
	for i, text := range protected(&a.state, zone) {
		name := "PROTECTED"
		if i > 0 {
			name = ""
		}
		add(name, good, text, 2)
	}
	list("UNPROTECTED", warn, a.state.Unprotected())
	switch c := a.state.CheckCount(); {
	case c.All() == 0:
		add("CHECKS", warn, "none in this plan", 1)
	case c.Held == c.All():
		add("CHECKS", good, a.state.ChecksStand(), 1)
	default:
		add("CHECKS", bad, a.state.ChecksStand(), 1)
	}
	list("NOT CHECKED", warn, notChecked(a))
	add("MOMENT", plain, "wanted "+a.state.Moment.Want.Text, 1)
	for _, r := range a.state.Reached() {
		add("", plain, "reached "+reached(r, zone), 2)
	}
	if len(a.state.Reached()) == 0 {
		add("", warn, "not proven to be reached", 1)
	}
	text, k := cleanup(a, zone)
	add("CLEAN-UP", k, text, 3)
	return lines
}

// openSince is since when users write to what was restored: from then on a switch back loses
// what they wrote. Zero while it is not open.
func openSince(s *recovery.State) (since time.Time) {
	for i := range s.Steps {
		if st := &s.Steps[i]; st.Phase == recovery.Open && st.State == recovery.Done && (since.IsZero() || st.Ended.Before(since)) {
			since = st.Ended
		}
	}
	return since
}

// protected is what is live and backed up again, and since when.
func protected(s *recovery.State, zone *time.Location) (list []string) {
	for i := range s.Steps {
		st := &s.Steps[i]
		if st.Phase != recovery.Protect || st.State != recovery.Done || strings.HasPrefix(st.Outcome.Says, recovery.NotProtected) {
			continue
		}
		says := st.Outcome.Says
		if says == "" {
			says = st.Says
		}
		if of := st.Component + ": "; st.Component != "" && !strings.HasPrefix(says, of) {
			says = of + says
		}
		list = append(list, says+", "+st.Ended.In(zone).Format("15:04:05"))
	}
	return list
}

// evidence is why the moment counts as reached.
func (s *resultScreen) evidence(w int) []line {
	var lines []line
	name := "EVIDENCE"
	for _, r := range s.run.state.Reached() {
		for _, e := range r.Evidence {
			lines = append(lines, paragraph(name, 12, plain, e, w, s.m.most(3))...)
			name = ""
		}
	}
	return lines
}

// report is where the report lies, and who signed it.
func (s *resultScreen) report(w int) []line {
	const indent = 12
	a := s.run
	lines := []line{as(strong, pad("REPORT", indent)).say(cutLeft(clean(a.session.Dir()), w-indent))}
	verify := paragraph("VERIFY", indent, plain, "comeback report verify "+a.plan.Run+", or without comeback: v shows how", w, 2)
	switch {
	case a.signed != nil:
		who := a.signed.By + ", " + a.signed.Fingerprint
		if !a.signed.At.IsZero() {
			who += ", " + stamp(a.signed.At, s.m.now())
		}
		lines = append(lines, say(pad("", indent)).and(good, "SIGNED").say(" by "+who))
		if a.signed.Reviewed != "" {
			lines = append(lines, say(pad("", indent)+cut(a.signed.Reviewed, w-indent)))
		}
		return append(lines, verify...)
	case s.err != nil:
		return append(lines, s.m.trouble("REFUSED", s.err, w)...)
	}
	lines = append(lines, say(pad("", indent)).and(warn, "ended, unsigned").say(": not a proof yet, k signs it"))
	return append(lines, verify...)
}
