package tui

import (
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// rows is a screen that is a list of rows, of which / puts the cursor on one.
// Elsewhere / searches the text that a screen shows.
type rows interface{ inRows() }

func (*homeScreen) inRows()   {}
func (*momentScreen) inRows() {}
func (*checkScreen) inRows()  {}
func (*filesScreen) inRows()  {}
func (*signScreen) inRows()   {}

// sought is the word that was looked for in the rows of a screen.
type sought struct {
	in   screen
	word string
}

// find asks for a word: over the rows of a list, or in what the screen shows.
func (m *model) find() tea.Cmd {
	if _, ok := m.top().screen.(rows); ok && len(m.findable().picks) > 0 {
		return m.push(&findScreen{m: m, over: m.top().screen})
	}
	return m.push(newFind(m))
}

// findScreen asks for a word over the list that it is to be found in.
type findScreen struct {
	m    *model
	over screen
	edit field
}

func (s *findScreen) field() *field { return &s.edit }

func (s *findScreen) key(k tea.KeyPressMsg) (tea.Cmd, bool) {
	switch k.String() {
	case keyEscape:
		s.m.pop()
		return nil, true
	case keyEnter:
		s.m.pop()
		s.m.sought = sought{in: s.over, word: s.edit.text()}
		s.m.findRow(1)
		return nil, true
	}
	return nil, false
}

func (s *findScreen) page(w, h int) page {
	p := s.over.page(w, max(1, h-2))
	p.body = append(p.body, nil, s.edit.line("FIND > ", w))
	p.pinned = 2
	p.keys, p.leave = []binding{{keyEnter, "go to the next row that has it"}}, binding{keyEscape, "drop"}
	return p
}

// findable is the top screen with all of its rows, one under the other.
func (m *model) findable() page { return m.top().page(min(m.width, wide-1), findRows) }

// findRow puts the cursor on the next row that holds the word, or with -1 on the
// one before, and from the end on from the other end. It says how many do.
func (m *model) findRow(by int) {
	word := strings.ToLower(m.sought.word)
	p := m.findable()
	at := slices.IndexFunc(p.picks, func(k pick) bool { return k.on || k.line == p.focus })
	var hits []int
	for i, k := range p.picks {
		if word != "" && strings.Contains(strings.ToLower(clean(p.body[k.line].words())), word) {
			hits = append(hits, i)
		}
	}
	switch {
	case word == "":
		m.sought = sought{}
		return
	case len(hits) == 0:
		m.said = fmt.Sprintf("no row has %q", clean(m.sought.word))
		return
	}
	// The first hit after the cursor, or where it goes back the last before.
	n := 0
	if i := slices.IndexFunc(hits, func(i int) bool { return i > at }); i >= 0 {
		n = i
	}
	if by < 0 {
		n = len(hits) - 1
		if i := slices.IndexFunc(hits, func(i int) bool { return i >= at }); i > 0 {
			n = i - 1
		}
	}
	p.picks[hits[n]].to()
	m.top().scrolled = false
	m.said = fmt.Sprintf("%d of %s with %q; n and N go on", n+1, count(len(hits), "row", "rows"), clean(m.sought.word))
}
