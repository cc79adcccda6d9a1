package tui

import (
	"fmt"

	tea "charm.land/bubbletea/v2"
)

// choice is one way to go on, with what it leaves behind.
type choice struct {
	name, leaves string
	// anybody says that it takes no command over the run.
	anybody bool
	do      func() tea.Cmd
}

// menu is where the cursor stands in a list of choices; -1 is nowhere. A number
// moves it; it takes enter to choose.
type menu struct{ cursor int }

// key moves the cursor, or says what was chosen. The page keys are the screen's,
// for a list that is shown whole.
func (m *menu) key(k tea.KeyPressMsg, list []choice) (chosen *choice, handled bool) {
	if cursor, ok := move(k.String(), m.cursor, len(list), len(list)); ok {
		m.cursor = cursor
		return nil, true
	}
	switch text := k.String(); {
	case len(text) == 1 && text[0] >= '1' && int(text[0]-'1') < len(list):
		m.cursor = int(text[0] - '1')
	case text != keyEnter:
		return nil, false
	case m.cursor >= 0 && m.cursor < len(list):
		return &list[m.cursor], true
	}
	return nil, true
}

// show lists the choices under a page's body.
func (m *menu) show(p *page, list []choice, w int) {
	width := 14
	for _, c := range list {
		width = max(width, cells(clean(c.name)))
	}
	for i, c := range list {
		k := plain
		if i == m.cursor {
			k, p.focus = strong, len(p.body)
		}
		p.pick(len(p.body), func() { m.cursor = i })
		p.body = append(p.body, as(k, mark(i == m.cursor)+fmt.Sprint(i+1, " ")+pad(c.name, min(width, 24))).say(" "+c.leaves).fit(w))
	}
}
