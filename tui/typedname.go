package tui

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// namePrompt asks for the name of what will be changed. It takes nothing else:
// what is typed otherwise is refused in its place, and changes nothing.
func namePrompt(name string, then func(typed string) tea.Cmd) *prompt {
	refused := func(text string) error {
		if text == name {
			return nil
		}
		return recovery.Errorf("type "+name+" if that is what you mean to change, or press esc", "%q is not the name of the target, nothing is changed", text)
	}
	return &prompt{label: "> ", does: "confirm", needs: "nothing was typed, nothing is changed", check: refused, anew: true, then: then}
}

// effects are what a recovery does to live, one paragraph each of at most so many
// lines.
func (m *model) effects(e recovery.Effects, w, most int) []line {
	const indent = 15
	var lines []line
	add := func(name string, k look, says []string) {
		for _, text := range together(says) {
			lines = append(lines, paragraph(name, indent, k, m.pasted(text), w, most)...)
			name = ""
		}
	}
	add(goneWord(e), warn, e.Gone)
	add("GOES BACK TOO", warn, e.GoesBack)
	add("TO REBUILD", plain, e.Rebuild)
	add("UNDO", plain, e.Undo)
	add("NOT UNDONE", warn, e.NotUndone)
	add("LOCKS", plain, e.Locks)
	add("Target", plain, e.Target)
	return lines
}

// keptHarm is what harm a moment keeps, and of which backups much less is in them than was
// before, at the place where it is decided about it.
func keptHarm(m recovery.Moment, w, most int) (lines []line) {
	for _, alarm := range []struct{ begins, name string }{{recovery.KeepsHarm, "KEEPS HARM"}, {recovery.Shrunk, "SHRANK"}} {
		for _, point := range m.Points {
			for _, warning := range point.Warnings {
				if text, alarms := strings.CutPrefix(warning, alarm.begins); alarms {
					lines = append(lines, paragraph(alarm.name, 15, bad, point.Component+": "+text, w, most)...)
					alarm.name = ""
				}
			}
		}
	}
	return lines
}

// together says once what is the same of several components, "database, uploads:
// until 30 Nov".
func together(says []string) (list []string) {
	for _, text := range says {
		of, what, named := strings.Cut(text, ": ")
		last := len(list) - 1
		if named && last >= 0 {
			if before, same := strings.CutSuffix(list[last], ": "+what); same {
				list[last] = before + ", " + of + ": " + what
				continue
			}
		}
		list = append(list, text)
	}
	return list
}

// effects are what the run does to live, with what it loses as it was counted
// last and for the moment that it goes to now.
func (a *attached) effects() recovery.Effects {
	e := a.plan.Effects()
	e.Gone = a.state.Gone()
	return e
}

// offersName opens the field for the name, once, as soon as this operator may type it: the
// screen says that it is to be typed, and no letter of it must be a key.
func (s *waitingScreen) offersName() {
	st := s.step()
	if st == nil || st.WaitsFor != recovery.WaitName || s.offered || s.prompt != nil || s.asking || !s.run.mine(s.m) {
		return
	}
	s.offered = true
	s.asksName()
}

// asksName opens the prompt of a run that waits for the name of its target.
func (s *waitingScreen) asksName() tea.Cmd {
	read := s.run.state.PlanSHA256
	s.asks(namePrompt(s.run.plan.Confirm, func(typed string) tea.Cmd {
		return s.send(recovery.Command{Kind: recovery.DoConfirm, Text: typed, PlanSHA256: read})
	}))
	return nil
}

// nameChoices are the ways to go on where a name must be typed.
func (s *waitingScreen) nameChoices() []choice {
	return []choice{
		{name: "Type the name...", leaves: namedThen(s.run.plan), do: s.asksName},
		s.stopHere(),
	}
}

// naming shows what is about to be changed, and what that costs.
func (s *waitingScreen) naming(p *page, st *recovery.StepState, head line, w int) {
	p.body = []line{head, nil}
	p.about("NEXT", danger, named(st)+", which "+doesLive(s.run.plan), w, 2)
	why := strings.TrimPrefix(st.Error, "refused: ")
	if _, reason, both := strings.Cut(why, ", and "); both { // NEXT says what it changes
		why = reason
	}
	p.about("WHY", plain, why, w, 3)
	if preview := s.run.preview(s.m, w, s.prompt != nil); len(preview) > 0 {
		p.body = append(append(p.body, nil), preview...)
	}
	p.body = append(append(p.body, nil), s.m.effects(s.run.effects(), w, s.m.most(3))...)
	p.body = append(p.body, keptHarm(s.run.state.Moment, w, s.m.most(3))...)
	p.body = append(append(p.body, nil), s.changes(w)...)
}

// changes says what typing the name does, and how that begins where nothing is typed into.
func (s *waitingScreen) changes(w int) []line {
	if s.prompt == nil {
		return changesLive("choose 1 and type", "", s.run.plan, w)
	}
	return typingChanges(s.run.plan, w)
}

// typingChanges says what typing the name does.
func typingChanges(p *recovery.Plan, w int) []line {
	return changesLive("type", " Anything else changes nothing.", p, w)
}

// changesLive says how live is changed by the name, or something removed that is not live, and
// what else there is to say of it. The name is never cut: it has to be typed as it stands.
func changesLive(how, more string, p *recovery.Plan, w int) []line {
	what, name := "To change LIVE, "+how+" the target", p.Confirm
	switch {
	case len(p.Expires) > 1:
		what = "To remove all of it for good, " + how + " all the names"
	case p.OnlyBlocks():
		what = "To run its blocks, which may change LIVE, " + how + " the system"
	case len(p.Expires) == 1:
		what = "To remove it for good, " + how + " its name"
	}
	l := say(what+", ").and(strong, clean(name)).say("." + more)
	if l.cells() <= w {
		return []line{l.fit(w)}
	}
	lines := []line{say(what + "." + more + " It is:").fit(w)}
	for part := range slices.Chunk([]rune(clean(name)), max(1, w-2)) {
		lines = append(lines, say("  ").and(strong, string(part)).fit(w))
	}
	return lines
}
