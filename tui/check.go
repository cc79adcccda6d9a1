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

// checkScreen says whether the copies would save a system tonight.
type checkScreen struct {
	m       *model
	system  System
	looking bool
	have    bool
	err     error
	found   recovery.Assessment
	cursor  int // of the findings
}

func newCheck(m *model, system System) *checkScreen { return &checkScreen{m: m, system: system} }

func (s *checkScreen) field() *field { return nil }

// open looks the first time; coming back from a detail shows what was found.
func (s *checkScreen) open() tea.Cmd {
	if s.have || s.err != nil {
		return nil
	}
	return s.look()
}

// look asks for a new assessment; until it is there the one before stands.
func (s *checkScreen) look() tea.Cmd {
	if s.looking {
		return nil
	}
	s.looking = true
	return ask(s.m.ctx, s, func(ctx context.Context) (recovery.Assessment, error) {
		return s.m.desk.Check(ctx, s.system.Runbook)
	}, func(found recovery.Assessment, err error) tea.Cmd {
		s.looking, s.err = false, err
		if err == nil {
			s.found, s.have = found, true
			s.cursor = max(0, min(s.cursor, len(found.Findings)-1))
		}
		return nil
	})
}

func (s *checkScreen) key(k tea.KeyPressMsg) (tea.Cmd, bool) {
	if cursor, ok := move(k.String(), s.cursor, len(s.found.Findings), 10); ok {
		s.cursor = cursor
		return nil, true
	}
	switch k.String() {
	case keyEnter:
		switch {
		case s.cursor < len(s.found.Findings):
			return s.m.push(newPager(s.m, "finding "+s.found.Findings[s.cursor].ID, s.details(s.found.Findings[s.cursor]))), true
		case s.have: // nothing to do, and what says so
			return s.m.push(newPager(s.m, "what was seen", s.seen())), true
		}
		return nil, true
	case "i":
		if s.cursor < len(s.found.Findings) {
			return s.m.push(newPager(s.m, "how to mend "+s.found.Findings[s.cursor].ID, s.mends(s.cursor))), true
		}
		return nil, true
	case "e":
		return s.m.push(newRunbook(s.m, s.system.Runbook, "")), true
	case "t":
		return s.m.push(newTrends(s.m, s.system)), true
	case "g":
		return s.look(), true
	}
	return nil, false
}

func (s *checkScreen) page(w, h int) page {
	p := page{
		system: s.system.Name, aside: "no run", mode: looking, focus: -1,
		live: "LIVE: untouched", note: "looking ..",
		keys:  []binding{{keyEnter, "details"}, {"e", "rehearse"}, {"g", "again"}, {"c", "people"}, {"s", "status"}, {"t", "trends"}},
		leave: escBack,
	}
	if len(s.found.Findings) > 0 {
		p.keys = slices.Insert(p.keys, 1, binding{"i", "fix"})
	}
	if !s.looking && s.have {
		p.note = s.sameAs(w - cells(p.live) - 2)
	}
	if s.err != nil {
		p.body, p.note = append(p.body, s.m.trouble("REFUSED", s.err, w)...), "nothing was found out"
	}
	if !s.have {
		if s.err == nil {
			p.body = append(p.body, as(faint, "looking into every copy, at the live servers and at earlier runs .."))
		}
		return p
	}
	zone := s.m.now().Location()
	p.body = append(p.body, as(answerLook(s.found.Answer), s.found.Headline(w, zone)))
	if h > 20 { // at 80x24 there is no line to spare
		p.body = append(p.body, nil)
	}
	for i, text := range s.found.Table(w, zone) {
		if i == 0 {
			p.body = append(p.body, as(faint, text).fit(w))
		} else {
			p.body = append(p.body, say(text).fit(w))
		}
	}
	for _, text := range append(s.found.TimeLines(w, zone), s.found.DigitLines(w, zone)...) {
		p.body = append(p.body, say(text).fit(w))
	}
	p.body = append(p.body, nil)
	for i := range s.found.Findings {
		for k, text := range s.found.FindingLines(i, w-2, zone) {
			l := say("  " + text)
			if k == 0 {
				if i == s.cursor {
					p.focus = len(p.body)
				}
				p.pick(len(p.body), func() { s.cursor = i })
				l = say(mark(i == s.cursor) + text)
			}
			p.body = append(p.body, l.fit(w))
		}
	}
	p.body = append(p.body, say(s.found.NextLine(zone)).fit(w))
	return p
}

// CheckCommand is the command that finds out what the console's look at a runbook's copies
// does, which tries no canary.
func CheckCommand(runbook string) string {
	return "comeback check " + recovery.ShellWord(runbook) + " --no-canary"
}

// sameAs names that command whole, and how it would end; where it has not the room it says
// how to get at it.
func (s *checkScreen) sameAs(room int) string {
	exit := fmt.Sprintf("exit %d", s.found.Exit())
	if says := "same as: " + CheckCommand(s.system.Runbook) + ", " + exit; cells(says) <= room {
		return says
	}
	return exit + " of the command that y copies"
}

// answerLook is the colour beside the word.
func answerLook(a recovery.Answer) look {
	switch a {
	case recovery.WouldSave:
		return good
	case recovery.WouldNot:
		return bad
	}
	return warn
}

// proofWidth is that of the proofs below a finding's details.
const proofWidth = 78

// doing is what to do about a finding, with what is to be copied in lines of its own.
func doing(f recovery.Judgement) string {
	lines := strings.Split(f.Do, "\n")
	for i := range lines {
		lines[i] = clean(lines[i])
	}
	return strings.Join(lines, "\n")
}

// mends is what to do about a finding, to be read and copied.
func (s *checkScreen) mends(i int) string {
	f := s.found.Findings[i]
	return fmt.Sprintf("%s: %s\n\nDO      %s\n\nTHEN    g on the screen before looks again, and so does\n        comeback check %s\n\nELSE    say who sees to it, and until when\n        comeback check %s \\\n          --assign %d --due %s\n",
		f.Mark, clean(f.Says), doing(f), s.system.Runbook, s.system.Runbook, i+1, s.m.now().AddDate(0, 0, 7).Format(time.DateOnly))
}

// details are one finding with all that is known of it.
func (s *checkScreen) details(f recovery.Judgement) string {
	var b strings.Builder
	line := func(word, format string, args ...any) {
		fmt.Fprintf(&b, "%-7s %s\n", word, clean(fmt.Sprintf(format, args...)))
	}
	line("FOUND", "%s: %s", f.Mark, f.Says)
	fmt.Fprintf(&b, "%-7s %s\n", "DO", doing(f))
	owner := f.Owner
	if owner == "" {
		owner = "nobody: the runbook names no people"
	}
	line("OWNER", "%s", owner)
	if f.Due.IsZero() {
		line("DUE", "not said; comeback check %s --assign %s --due DATE", s.system.Runbook, f.ID)
	} else {
		line("DUE", "%s", f.Due.In(s.m.now().Location()).Format("2 Jan 2006"))
	}
	line("SINCE", "%s", stamp(f.Since, s.m.now()))
	b.WriteString("\n" + s.seen())
	return b.String()
}

// seen is what every digit of 3-2-1-1-0 rests on, be it met or not, and what every copy and
// stage is proven by.
func (s *checkScreen) seen() string {
	var b strings.Builder
	for _, d := range s.found.Digits {
		name := d.Name + "  " + string(d.Mark)
		for _, e := range d.Evidence {
			fmt.Fprintf(&b, "%-7s %-21s %s\n", "SEEN", name, clean(e))
			name = ""
		}
	}
	if len(s.found.Digits) > 0 {
		b.WriteByte('\n')
	}
	for _, text := range s.found.ProofLines(proofWidth, s.m.now().Location()) {
		b.WriteString(clean(text) + "\n")
	}
	return b.String()
}
