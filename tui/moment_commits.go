package tui

import (
	"fmt"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// commitsScreen shows what happened, as a copy's log tells it, and where to go
// back to. The place is always between two commits, and none is chosen
// beforehand.
type commitsScreen struct {
	chooser
	offers *momentScreen
	log    offer

	commits
	// cut is where the moment cuts the log: what begins to end before it is
	// kept. It is 0 while nothing is chosen.
	cut recovery.LSN
	// typed is a moment that was typed and that what was read does not show.
	typed *recovery.Want

	lookback
	live  liveState
	view  view
	ask   *question
	found string
	// says is what came of the last key, where the list does not show it.
	says string
	// rows is how many lines the list had when it was drawn last.
	rows int
	// meant is what the place means, for as long as it and the list stay.
	meant struct {
		meaning
		cut recovery.LSN
		seq int64
		n   int
	}
}

func newCommits(list *momentScreen, o offer) *commitsScreen {
	s := &commitsScreen{chooser: chooser{m: list.m, from: list.from}, offers: list, log: o, rows: 8}
	if want := list.from.route().want; want != "" {
		s.typed = &recovery.Want{Kind: recovery.WantKind(want), Text: want}
	}
	return s
}

func (s *commitsScreen) field() *field {
	if s.ask == nil {
		return nil
	}
	return &s.ask.edit
}

// open reads the newest part of the log and asks the live server how far it is.
func (s *commitsScreen) open() tea.Cmd {
	if !s.from0.IsZero() || s.reading != nil {
		return nil
	}
	return tea.Batch(s.begin(), s.askLive())
}

func (s *commitsScreen) close() {
	s.chooser.close()
	s.stopReading()
}

func (s *commitsScreen) key(k tea.KeyPressMsg) (tea.Cmd, bool) {
	switch {
	case s.planning:
		if k.String() == keyEscape {
			s.giveUp()
			return nil, true
		}
		return nil, k.String() != "?"
	case s.ask != nil:
		return s.answer(k)
	}
	if s.steps(k.String()) {
		s.seeking, s.typed, s.err, s.says = false, nil, nil, ""
		s.view.free = false
		return s.readOn(), true
	}
	s.says = ""
	switch k.String() {
	case keyEnter:
		return s.use(), true
	case "h":
		return s.seek(), true
	case "m":
		if !s.from.route().rescues {
			return nil, false
		}
		s.err = nil
		if s.mark(s.means().want); len(s.marked) > 0 {
			s.says = "enter takes back what is marked: " + count(len(s.marked), "transaction", "transactions")
		}
	case "H":
		s.later()
	case "+", "=":
		s.zoom(true)
	case "-":
		return s.zoom(false), true
	case "left":
		return s.pan(-1), true
	case "right":
		return s.pan(1), true
	case "/":
		s.asks(&question{label: "FIND a table, an xid or a text > ", does: "find", then: s.search})
	case "n":
		if s.found != "" {
			return s.search(s.found), true
		}
		return nil, false
	case "N":
		if s.found != "" {
			return s.searchBack(s.found), true
		}
		return nil, false
	case "t":
		s.asks(&question{label: "GO TO (times are " + s.offsets() + ") > ", does: "go there", moment: true, then: s.goTo})
	case "w":
		s.askPush()
	case "g":
		return tea.Batch(s.again(), s.askLive()), true
	case "x":
		if !s.mayRescue() {
			return nil, false
		}
		return s.rescueInstead(), true
	case "c":
		if s.reading == nil {
			return nil, false // whom to call, as everywhere
		}
		s.stopReading()
	default:
		return nil, false
	}
	return nil, true
}

// steps moves the place through the list, of which the newest line is the last.
// The first step takes it to the end that it comes from.
func (s *commitsScreen) steps(key string) bool {
	n := len(s.commits.list)
	if n == 0 {
		return false
	}
	at := s.at()
	switch key {
	case keyUp:
		at++
	case keyDown:
		at--
	case keyPageUp:
		at += max(1, s.rows-2)
	case keyPageDown:
		at -= max(1, s.rows-2)
	case keyHome:
		at = n
	case keyEnd:
		at = 0
	default:
		return false
	}
	// There may be no moment at that place; then the next one is gone to.
	at = min(max(0, at), n)
	if from, chosen := s.at(), s.cut != 0; chosen && at < from {
		for at > 0 && s.real(at) >= from {
			at--
		}
	}
	s.to(at)
	return true
}

// real is the place to which a place of the list is moved because there is no
// moment at it.
func (s *commitsScreen) real(i int) int {
	at, _ := s.effective(i)
	return at
}

// at is the place in the list, 0 while nothing is chosen.
func (s *commitsScreen) at() int {
	if s.cut == 0 {
		return 0
	}
	return s.place(s.cut)
}

// means is what the place means.
func (s *commitsScreen) means() meaning {
	if m := &s.meant; m.cut != s.cut || m.seq != s.seq || m.n != len(s.commits.list) {
		m.cut, m.seq, m.n = s.cut, s.seq, len(s.commits.list)
		m.meaning = s.commits.meaning(s.at())
	}
	return s.meant.meaning
}

// to chooses a place in the list.
func (s *commitsScreen) to(i int) {
	s.cut, s.typed, s.err = s.cutAt(s.real(min(max(0, i), len(s.commits.list)))), nil, nil
	s.view.free = false
}

// use has the moment planned.
func (s *commitsScreen) use() tea.Cmd {
	want := ""
	switch {
	case len(s.marked) > 0:
		want = fmt.Sprintf("before-xid:%d", s.marked[0])
	case s.typed != nil:
		want = s.typed.Text
	case s.cut != 0:
		want = s.means().want
	}
	if want == "" {
		s.tried = nil
		s.err = recovery.Errorf("h goes to just before the newest harm, up and down go through the list, t types a moment", "no moment is chosen yet")
		if s.seeking {
			s.err = recovery.Errorf("wait until it is found, or press t to type a moment", "no moment is chosen yet: harm is still looked for")
		}
		return nil
	}
	w := s.window()
	choice := Choice{Want: want, Component: w.Component, Copy: w.Copy, Engine: w.Engine, Backup: w.Backup}
	// A time that was typed, or latest, is one of the whole system, whichever of its logs is open.
	if len(s.marked) == 0 && s.typed != nil && !s.typed.OfLog() {
		choice.Component = ""
		if s.from.databases() > 1 { // the one that decides may be another's than this log's
			choice.Engine, choice.Backup = "", ""
		}
	}
	return s.chooser.plan(s, s.offers, choice)
}

// window is the window that the moment lies in: the one from the newest base
// backup that ended before it. What is not in the list lies in the one that was
// chosen.
func (s *commitsScreen) window() *recovery.Window {
	best := s.log.window
	if s.cut == 0 || s.typed != nil {
		return best
	}
	kept := s.cut
	if k := s.means().kept; k != nil {
		kept = k.End
	}
	for _, w := range s.windows() {
		if w.Timeline != best.Timeline {
			continue
		}
		if w.From.LSN <= kept && (best.From.LSN > kept || w.From.LSN > best.From.LSN) {
			best = w
		}
	}
	return best
}

// windows are those of the log, the newest first.
func (s *commitsScreen) windows() []*recovery.Window {
	var list []*recovery.Window
	for i := range s.log.survey.Windows {
		list = append(list, &s.log.survey.Windows[i])
	}
	slices.SortStableFunc(list, func(a, b *recovery.Window) int {
		if a.From.LSN > b.From.LSN {
			return -1
		}
		return 1
	})
	return list
}

// moment is the time of the place, zero where it is not known.
func (s *commitsScreen) moment() time.Time {
	if s.typed != nil {
		return s.typed.Time
	}
	if s.cut == 0 {
		return time.Time{}
	}
	m := s.means()
	switch {
	case m.lost != nil:
		return m.lost.Time
	case m.kept != nil:
		return m.kept.Time
	}
	return time.Time{}
}
