package tui

import (
	"fmt"
	"strings"
	"time"

	"comeback/recovery"
)

// lists are the systems and the runs in about h lines, and the line that the
// cursor is on.
func (s *homeScreen) lists(p *page, w, h int) ([]line, int) {
	high := min(len(s.systems)+1, max(4, h/2))
	systems := s.systemLines(w, high)
	if s.haveList && s.err == nil {
		p.pickRows(1, len(s.systems), s.cursor, max(1, high-1), func(i int) { s.cursor = i; s.at = s.name() })
	}
	high = max(4, h-len(systems)-1)
	runs := s.runLines(w, high)
	if s.haveRuns && s.runsErr == nil {
		p.pickRows(len(systems)+2, len(s.runs), max(0, s.cursor-len(s.systems)), max(1, high-1), func(i int) { s.cursor = len(s.systems) + i; s.at = s.name() })
	}
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
		{title: "SYSTEM", width: 11, keep: 9}, {title: "WOULD IT SAVE US?", width: 21, keep: 8},
		{title: "RESTORABLE TO", width: 16, keep: 3}, {title: "LAST PROOF"},
	}}
	lines := []line{t.titles()}
	switch {
	case s.err != nil:
		return append(lines, s.m.trouble("REFUSED", s.err, w)...)
	case !s.haveList:
		return append(lines, as(faint, "  looking for runbooks .."))
	case len(s.systems) == 0:
		return append(lines, paragraph("", 2, plain, "no runbook is known here. That of a host which is gone lies beside its backups: comeback recover s3://BUCKET/PREFIX finds it there. comeback runbook new writes one.", w, 4)...)
	}
	var rows []line
	for i, system := range s.systems {
		chosen := i == s.cursor
		k := plain
		if chosen {
			k = strong
		}
		saves := savesOf(system, s.m.now())
		rows = append(rows, t.row(mark(chosen), span{system.Name, k}, saves, reachOf(system, s.m.now()), proofOf(system)))
	}
	return append(lines, window(rows, s.cursor, max(1, h-1))...)
}

// proofColumn is how wide a proof may be that the list of systems shows whole, where the
// screen is at least proofShown cells wide.
const (
	proofColumn = 24
	proofShown  = 60
)

// savesOf answers "would it save us?" in a few words. An answer that is old is
// no answer about tonight.
func savesOf(s System, now time.Time) span {
	findings := ""
	if n := len(s.Saves.Findings); n > 0 {
		findings = ", " + count(n, "finding", "findings")
	}
	switch {
	case len(s.Problems) > 0:
		return span{"NO: " + count(len(s.Problems), "problem", "problems"), bad}
	case s.Saves.Checked.IsZero():
		return span{"unknown: not looked", warn}
	case now.Sub(s.Saves.Checked) > savesFor, recovery.Future(s.Saves.Checked, now):
		return span{"unknown: looked " + strings.TrimSpace(s.Saves.Checked.In(now.Location()).Format("_2 Jan")), warn}
	case s.Saves.Answer == SavesYes:
		return span{"yes" + findings, good}
	case s.Saves.Answer == SavesNo:
		return span{"NO" + findings, bad}
	}
	return span{"unknown" + findings, warn}
}

// savesFor is how long a look into the copies is an answer.
const savesFor = 24 * time.Hour

// reachOf is the newest moment that a system can be restored to.
func reachOf(s System, now time.Time) span {
	switch {
	case s.Saves.Checked.IsZero() || s.Saves.Answer == SavesUnknown:
		return span{"not known", faint}
	case s.Saves.Answer == SavesNo:
		return span{"NOTHING", bad}
	case s.Saves.To.IsZero():
		return span{"its log's end", plain}
	}
	to := s.Saves.To.In(now.Location())
	if sameDay(to, now) {
		return span{to.Format("15:04:05") + " today", plain}
	}
	layout := "_2 Jan 15:04"
	if to.Year() != now.Year() {
		layout = "_2 Jan 2006"
	}
	return span{strings.TrimSpace(to.Format(layout)), plain}
}

// provenance is whose bytes a runbook has, and where else it lies.
func provenance(s System) span {
	known := span{s.Signed, plain}
	if s.Unsigned {
		known.look = warn
	}
	if in := s.Saves.Holding; len(in) > 0 {
		kept := "also kept in " + strings.Join(in, ", ")
		if n := len(in) - 1; n > 0 {
			kept = "also kept in " + strings.Join(in[:n], ", ") + " and " + in[n]
		}
		if known.text != "" {
			known.text += "; "
		}
		known.text += kept
	}
	return known
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
	if s.Proof == "" && s.Unproven != "" {
		return span{s.Unproven, warn}
	}
	if s.Proof == "" {
		return span{"never restored: a hope", warn}
	}
	if s.Outdated {
		return span{"changed since " + s.Proof, warn}
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
		return append(lines, s.m.trouble("REFUSED", s.runsErr, w)...)
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
		return s.m.trouble("REFUSED", s.attachErr, w)
	}
	const indent = 12
	var lines []line
	add := func(name string, k look, text string) {
		lines = append(lines, paragraph("  "+name, indent, k, text, w, s.m.most(2))...)
	}
	system, run := s.chosen()
	switch {
	case system != nil:
		lines = append(lines, as(strong, system.Name))
		var people []string
		for _, p := range system.People {
			people = append(people, strings.TrimSuffix(p.Role+": "+p.Reach, ": "))
		}
		add("people", plain, strings.TrimSuffix("you: "+s.m.operator+"; "+strings.Join(people, "; "), "; "))
		path := cutLeft(clean(system.Runbook), w-indent)
		if system.SHA256 != "" && cells(path)+17 <= w-indent {
			path += ", sha256 " + system.SHA256[:min(8, len(system.SHA256))]
		}
		add("runbook", plain, path)
		if known := provenance(*system); known.text != "" {
			add("", known.look, known.text)
		}
		text := owes(*system)
		if system.RehearseEvery > 0 {
			text += ", a rehearsal every " + took(system.RehearseEvery)
		}
		add("owes", plain, text)
		answer := savesOf(*system, s.m.now())
		text = answer.text
		if system.Saves.Why != "" && !system.Saves.Checked.IsZero() {
			text += ": " + system.Saves.Why
		}
		if !system.Saves.Checked.IsZero() {
			text += "; looked " + stamp(system.Saves.Checked, s.m.now())
		}
		add("saves us", answer.look, text+"; k looks into the copies")
		for i, f := range system.Saves.Findings {
			if i == 3 {
				add("", plain, fmt.Sprintf("and %d more", len(system.Saves.Findings)-i))
				break
			}
			name := ""
			if i == 0 {
				name = "findings"
			}
			add(name, warn, f)
		}
		if proof := proofOf(*system); cells(proof.text) > proofColumn || w < proofShown { // else the list shows it
			add("proof", proof.look, proof.text)
		}
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
