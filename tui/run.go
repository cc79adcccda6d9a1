package tui

import (
	"fmt"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// runScreen shows a run while it goes on.
type runScreen struct {
	m   *model
	run *attached
	asker
}

func (s *runScreen) key(k tea.KeyPressMsg) (tea.Cmd, bool) {
	if s.prompt != nil {
		return s.answer(k)
	}
	switch k.String() {
	case "w", keyTab, keyEnter: // enter leads on, as elsewhere
		st := s.run.nextWait()
		s.run.looked = nil
		switch {
		case st != nil:
			return s.m.push(newWaiting(s.m, s.run, st)), true
		case k.String() == "w":
			return nil, true
		}
	case "o":
		st := s.run.talks()
		if st == nil {
			break
		}
		if s.err = s.run.refusal(s.m); s.err != nil {
			return nil, true
		}
		return s.m.talk(s.run, st), true
	case keyEscape:
		if !s.run.over {
			s.m.letGo()
		}
		return s.m.home(), true
	}
	return s.run.key(s.m, s, &s.asker, k)
}

func (s *runScreen) page(w, h int) page {
	a, now := s.run, s.m.now()
	p := a.frame(s.m)
	p.keys, p.leave = a.keys(s.m), escBack
	p.note = s.says()
	if a.talks() != nil {
		p.keys = append([]binding{{"o", "open its terminal"}}, p.keys...)
	}
	if waits := a.waits(); len(waits) > 0 {
		p.keys = append([]binding{{"w", "what waits"}}, p.keys...)
		p.note = "WAITS FOR YOU: w"
		if who := a.waitsFor(s.m, waits[0]); who != "you" {
			p.note = "WAITS for " + who + ": w"
		}
		if n := len(waits); n > 1 {
			p.note = fmt.Sprintf("%d steps WAIT: w", n)
		}
	}
	var foot []line
	switch {
	case s.prompt != nil:
		foot = s.foot(w)
		if s.err != nil {
			foot = append(foot, s.m.trouble("REFUSED", s.err, w)...)
		}
		p.keys, p.leave = []binding{{keyEnter, s.prompt.does}}, binding{keyEscape, "drop"}
	case s.err != nil:
		foot = s.m.trouble("REFUSED", s.err, w)
	case a.over && a.err != nil:
		foot = s.m.trouble("LOST", a.err, w)
	case a.over && !a.ended():
		foot = []line{as(bad, "BROKEN OFF").say("  its journal stops here; esc, and enter on the run resumes it")}
	}
	if w >= wide {
		lw := 56
		notices := a.notices(s.m, lw, 6)
		left := append(s.stages(lw, h-9-len(notices), true), nil)
		left = append(append(left, notices...), a.progress(now, lw, 3)...)
		p.body = beside(left, s.logLines(w-lw-2, h-len(foot)), lw, w)
	} else {
		room := h - len(foot)
		notices := a.notices(s.m, w, max(1, min(3, h-15)))
		steps := append(notices, a.progress(now, w, 2)...)
		p.body = s.stages(w, max(3, room-len(steps)-7), false)
		p.body = append(append(p.body, nil), steps...)
		p.body = append(p.body, s.logLines(w, max(3, room-len(p.body)))...)
	}
	for len(p.body) < h-len(foot) {
		p.body = append(p.body, nil)
	}
	p.body = append(p.body, foot...)
	if len(foot) > 0 {
		p.focus = len(p.body) - 1
	}
	return p
}

// lost is why nothing more is heard of a run that has not ended.
func (a *attached) lost(m *model) string {
	if a.err == nil {
		return "BROKEN OFF: its journal stops here; esc, and enter on the run resumes it"
	}
	return m.pasted("LOST: " + a.err.Error() + ". " + recovery.HintOf(a.err))
}

// says is who commands the run and when it should be through, or what it does
// instead.
func (s *runScreen) says() string {
	a := s.run
	switch {
	case a.over:
		return ""
	case !a.state.Cleaning.IsZero():
		return "cleaning up, " + count(len(a.state.Held()), "claim", "claims") + " left"
	case a.state.Stop != nil:
		return a.state.Stop.Says()
	}
	text := a.crew(s.m)
	if left, known := a.left(s.m.now()); known {
		word := ", done ~"
		if a.plan.Mode == recovery.Recovery {
			word = ", back ~"
		}
		text += word + s.m.now().Add(left).Format("15:04")
	}
	return text
}

// looksOf maps a state's word to its look.
func looksOf(p recovery.Progress) look {
	switch p {
	case recovery.Done:
		return good
	case recovery.Running:
		return busy
	case recovery.WaitsFor, recovery.Passed, recovery.Skipped:
		return warn
	case recovery.FailedAt:
		return bad
	}
	return faint
}

// stages is the table of stages in at most h lines, around the current one;
// with steps it lists those of the stages that are not done, where they fit.
func (s *runScreen) stages(w, h int, withSteps bool) []line {
	a, now := s.run, s.m.now()
	name := 16
	live := a.liveStages()
	for i, st := range a.state.Stages {
		needs := cells(clean(st.Name)) + 2
		if live[i] {
			needs += len(changed)
		}
		name = max(name, needs)
	}
	t := table{w: w, columns: []column{
		{title: "STAGE", width: max(16, min(name, w-56)), keep: 9}, {title: "STATE", width: 13, keep: 8},
		{title: "TOOK", width: 6, right: true, keep: 5}, {title: "BUDGET", width: 6, right: true, keep: 4}, {title: ""},
	}}
	if withSteps {
		t.columns[0] = column{title: "STAGE"}
		t.columns = t.columns[:4]
	}
	width := t.layout()[0]
	var rows []line
	current := 0
	for i := range a.state.Stages {
		st := &a.state.Stages[i]
		here := st.State == recovery.Running || st.State == recovery.WaitsFor || st.State == recovery.FailedAt
		if here {
			current = len(rows)
		}
		spent, late := span{"", plain}, false
		if !st.Started.IsZero() {
			end := now
			if a.over {
				end = a.state.At
			}
			spent, late = stageSpent(&a.state, i, end)
		}
		name := span{fmt.Sprintf("%d %s", i+1, st.Name), plain}
		if here {
			name.look = strong
		}
		if live[i] {
			name = markedLive(name.text, width)
		}
		state := span{string(st.State), looksOf(st.State)}
		if !slices.ContainsFunc(a.state.Steps, func(step recovery.StepState) bool { return step.Step.Stage == i }) {
			state = span{"no steps", faint}
		} else if a.over && !a.ended() && st.State == recovery.Running {
			state = span{"BROKEN OFF", bad}
		} else if late && (st.State == recovery.Running || st.State == recovery.Done) {
			state = span{state.text + ", LATE", warn}
		}
		rows = append(rows, t.row(mark(here), name, state, spent,
			span{budget(time.Duration(st.Budget), "-"), plain}, span{s.detail(i), plain}))
		if withSteps && len(a.state.Stages)+len(a.state.Steps) < h {
			for j := range a.state.Steps {
				if step := &a.state.Steps[j]; step.Step.Stage == i {
					rows = append(rows, t.row("  ", span{"  " + step.Says, faint}, span{string(step.State), looksOf(step.State)}))
				}
			}
		}
	}
	return append([]line{t.titles()}, window(rows, current, max(1, h-1))...)
}

// detail says what a stage does or waits for.
func (s *runScreen) detail(stage int) string {
	n, at := 0, 0
	var now *recovery.StepState
	for i := range s.run.state.Steps {
		st := &s.run.state.Steps[i]
		if st.Step.Stage != stage {
			continue
		}
		n++
		if now == nil && (st.State == recovery.Running || st.WaitsFor != "" || st.State == recovery.FailedAt) {
			now, at = st, n
		}
	}
	switch {
	case now == nil:
		return s.coming(stage)
	case now.WaitsFor == recovery.WaitTicks:
		return "needs a tick from " + s.run.waitsFor(s.m, now)
	case now.WaitsFor == recovery.WaitApproval:
		return "needs approval by " + s.run.waitsFor(s.m, now)
	case now.WaitsFor != "":
		return "needs " + now.WaitsFor.Says() + " from " + s.run.waitsFor(s.m, now)
	}
	return fmt.Sprintf("%d/%d %s", at, n, now.Says)
}

// logLines are the newest lines of the log under their title, in h lines.
func (s *runScreen) logLines(w, h int) []line {
	lines := []line{as(strong, "LOG").and(faint, "     newest last; l full screen, / find")}
	log := s.run.log
	log = log[max(0, len(log)-max(0, h-1)):]
	for _, l := range log {
		lines = append(lines, say(l.text).fit(w))
	}
	if len(log) == 0 {
		lines = append(lines, as(faint, "nothing yet"))
	}
	return lines
}
