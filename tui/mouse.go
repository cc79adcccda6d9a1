package tui

import tea "charm.land/bubbletea/v2"

// wheelBy is how many lines a notch of the wheel scrolls.
const wheelBy = 3

// wheel scrolls what can be scrolled, as the keys would.
func (m *model) wheel(button tea.MouseButton) {
	by := wheelBy
	switch button {
	case tea.MouseWheelUp:
		by = -wheelBy
	case tea.MouseWheelDown:
	default:
		return
	}
	if s, ok := m.top().screen.(*pagerScreen); ok {
		s.turn(by)
		return
	}
	m.scroll(false, by)
}

// click puts the cursor on the row that is under the mouse. It chooses nothing:
// that is for enter.
func (m *model) click(msg tea.MouseClickMsg) {
	if msg.Button != tea.MouseLeft || m.top().field() != nil {
		return
	}
	top := m.top()
	p := top.page(m.width, bodyHeight(m.height))
	p.typing = false
	first := 1
	if m.height >= fullFrame {
		first = 2
	}
	at := m.draw().line(msg.Y - first)
	if msg.Y < first || msg.Y >= first+bodyHeight(m.height) {
		return
	}
	for _, pick := range p.picks {
		if pick.line == at {
			pick.to()
			top.scroll, top.scrolled = m.draw().scroll, false
			return
		}
	}
}
