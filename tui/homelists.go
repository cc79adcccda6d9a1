package tui

import (
	"fmt"
	"strings"

	"comeback/recovery"
)

// lists are the systems and the runs in about h lines, and the line that the
// cursor is on.
func (s *homeScreen) lists(w, h int) ([]line, int) {
	systems := s.systemLines(w, min(len(s.systems)+1, max(4, h/2)))
	runs := s.runLines(w, max(4, h-len(systems)-1))
	focus := -1
	if s.cursor < len(s.systems) {
		focus = min(s.cursor+1, len(systems)-1)
	} else if len(s.runs) > 0 {
		focus = len(systems) + 1 + min(s.cursor-len(s.systems)+1, len(runs)-1)
	}
	return append(append(systems, nil), runs...), focus
}

func (s *homeScreen) systemLines(w, h int) []line {
	t := table{w: w, columns: []column{
		{title: "SYSTEM", width: 12, keep: 9}, {title: "RUNBOOK", width: 12, keep: 3},
		{title: "OWES", width: 20, keep: 2}, {title: "LAST PROOF"},
	}}
	lines := []line{t.titles()}
	switch {
	case s.err != nil:
		return append(lines, trouble("REFUSED", s.err, w)...)
	case !s.haveList:
		return append(lines, as(faint, "  looking for runbooks .."))
	case len(s.systems) == 0:
		return append(lines, say("  no runbook is known here; comeback runbook new writes one"))
	}
	var rows []line
	for i, system := range s.systems {
		chosen := i == s.cursor
		k := plain
		if chosen {
			k = strong
		}
		state := span{"good", good}
		if n := len(system.Problems); n > 0 {
			state = span{count(n, "problem", "problems"), warn}
		}
		rows = append(rows, t.row(mark(chosen), span{system.Name, k}, state, span{owes(system), plain}, proofOf(system)))
	}
	return append(lines, window(rows, s.cursor, max(1, h-1))...)
}

// owes is what a system promised, "RPO 5m, RTO 30m".
func owes(s System) string {
	var parts []string
	if s.RPO > 0 {
		parts = append(parts, "RPO "+took(s.RPO))
	}
	if s.RTO > 0 {
		parts = append(parts, "RTO "+took(s.RTO))
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

func proofOf(s System) span {
	if s.Proof == "" {
		return span{"never restored: a hope", warn}
	}
	return span{s.Proof, plain}
}

func (s *homeScreen) runLines(w, h int) []line {
	t := table{w: w, columns: []column{
		{title: "RUN", width: 8, keep: 9}, {title: "SYSTEM", width: 9, keep: 4},
		{title: "MODE", width: 9, keep: 2}, {title: "STATE"}, {title: "OPERATOR", width: 9, keep: 1},
	}}
	lines := []line{t.titles()}
	switch {
	case s.runsErr != nil:
		return append(lines, trouble("REFUSED", s.runsErr, w)...)
	case !s.haveRuns:
		return append(lines, as(faint, "  looking for runs .."))
	case len(s.runs) == 0:
		return append(lines, as(faint, "  none yet"))
	}
	var rows []line
	for i, run := range s.runs {
		chosen := len(s.systems)+i == s.cursor
		k := plain
		if chosen {
			k = strong
		}
		rows = append(rows, t.row(mark(chosen), span{run.ID, k}, span{run.System, plain},
			span{string(run.Mode), plain}, standing(run), span{run.Operator, plain}))
	}
	return append(lines, window(rows, max(0, s.cursor-len(s.systems)), max(1, h-1))...)
}

// details says more about what the cursor stands on.
func (s *homeScreen) details(w int) []line {
	if s.attachErr != nil {
		return trouble("REFUSED", s.attachErr, w)
	}
	const indent = 12
	var lines []line
	add := func(name string, k look, text string) {
		lines = append(lines, paragraph("  "+name, indent, k, text, w, 2)...)
	}
	system, run := s.chosen()
	switch {
	case system != nil:
		lines = append(lines, as(strong, system.Name))
		add("runbook", plain, cutLeft(clean(system.Runbook), w-indent))
		text := owes(*system)
		if system.RehearseEvery > 0 {
			text += ", a rehearsal every " + took(system.RehearseEvery)
		}
		add("owes", plain, text)
		proof := proofOf(*system)
		add("proof", proof.look, proof.text)
		lines = append(lines, problems(system.Problems, w, 3)...)
	case run != nil:
		lines = append(lines, as(strong, "run "+run.ID))
		add("what", plain, fmt.Sprintf("%s, %s of %s", run.State, run.Mode, run.System))
		add("when", plain, stamp(run.Started, s.m.now())+endOf(*run)+" by "+run.Operator)
		add("directory", plain, cutLeft(clean(run.Dir), w-indent))
	}
	return lines
}

func endOf(r KnownRun) string {
	if r.Ended.IsZero() {
		return ", not ended,"
	}
	return ", took " + elapsed(r.Ended.Sub(r.Started)) + ","
}

// standing is a run's state with the look that repeats it.
func standing(r KnownRun) span {
	switch {
	case r.Died:
		return span{r.State, bad}
	case strings.HasPrefix(r.State, string(recovery.WaitsFor)), strings.Contains(r.State, "unsigned"):
		return span{r.State, warn}
	case r.Alive:
		return span{r.State, busy}
	}
	return span{r.State, plain}
}
