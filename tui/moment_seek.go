package tui

import (
	"fmt"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// seek goes to just before the next older harm, before all that belongs together
// with it; where none was read yet, it is read on until there is one.
func (s *commitsScreen) seek() tea.Cmd {
	s.seeking, s.err = true, nil
	s.settleHarm()
	if s.seeking && s.reading == nil {
		return s.deeper()
	}
	return nil
}

// harmBehind is the next harm behind the place, -1 if none was read.
func (s *commitsScreen) harmBehind() int { return s.find(s.at(), true, isHarm) }

// settleHarm ends the search for harm once it is read where it began.
func (s *commitsScreen) settleHarm() {
	i := s.harmBehind()
	if !s.seeking || i < 0 {
		return
	}
	began := s.began(i)
	read := s.back
	if s.reading != nil {
		read = s.oldest
	}
	all := s.reading == nil && (s.whole || s.readErr != nil)
	if !all && s.commits.list[began].Time.Sub(read) <= recovery.OneHarm {
		return // it may have begun earlier
	}
	s.seeking = false
	s.to(began + 1)
}

// later goes to just before the next harm after the place, which may belong
// together with the one before.
func (s *commitsScreen) later() {
	for i := s.find(s.at()-2, false, isHarm); s.cut != 0 && i >= 0; i = s.find(i-1, false, isHarm) {
		if s.real(i+1) < s.at() {
			s.to(i + 1)
			return
		}
	}
	s.says = "no harm was read after this place"
}

// search goes to just before the next older line that holds a text, and from the
// oldest on to the newest; searchBack to the next newer one.
func (s *commitsScreen) search(text string) tea.Cmd     { return s.searchFrom(text, s.at(), true) }
func (s *commitsScreen) searchBack(text string) tea.Cmd { return s.searchFrom(text, s.at()-2, false) }

func (s *commitsScreen) searchFrom(text string, from int, older bool) tea.Cmd {
	s.found = text
	low := strings.ToLower(text)
	fits := func(h *happened) bool {
		return h.XID != 0 && text == strconv.FormatUint(uint64(h.XID), 10) || strings.Contains(strings.ToLower(clean(h.words())), low)
	}
	i := s.find(from, older, fits)
	if i < 0 { // from the other end on
		end := 0
		if !older {
			end = len(s.list) - 1
		}
		i = s.find(end, older, fits)
	}
	if i < 0 {
		s.says = "\"" + text + "\" is not in what was read; - reads further back"
		return nil
	}
	s.to(i + 1)
	if len(s.list) > countedLines {
		s.says = "n and N go on"
		return nil
	}
	n, nth := 0, 0
	for j := range s.list {
		if fits(&s.list[j]) {
			if n++; j == i {
				nth = n
			}
		}
	}
	s.says = fmt.Sprintf("%d of %s with %q, the newest first; n and N go on", nth, count(n, "line", "lines"), text)
	return nil
}

// countedLines is up to how many lines it is counted how many hold a text: that
// reads them all.
const countedLines = 10_000
