package tui

import (
	"fmt"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// mayRescue reports whether rows may be rescued on this way instead of going back as a whole.
func (s *commitsScreen) mayRescue() bool {
	return s.from.route().mayRescue && s.from.mode() == recovery.Recovery
}

// rescueInstead has a rescue planned of the harm after the place: of all that belongs
// together, or where it is no harm of the transaction that is lost first.
func (s *commitsScreen) rescueInstead() tea.Cmd {
	m := s.means()
	undone := m.undone
	if len(undone) == 0 && m.lost != nil {
		undone = []*happened{m.lost}
	}
	if s.cut == 0 || len(undone) == 0 {
		s.tried = nil
		s.err = recovery.Errorf("h goes to just before the newest harm, / finds a table; then x", "a rescue takes back transactions, and none stands after a place that was chosen")
		return nil
	}
	if h := droppedFiles(m, undone); h != nil {
		s.tried = nil
		s.err = recovery.Errorf("enter goes back to the moment as a whole", "a rescue brings rows back, and xid %d dropped more than a table", h.XID)
		return nil
	}
	var xids []recovery.XID
	for _, h := range undone {
		xids = append(xids, h.XID)
	}
	return s.rescue(s, Choice{Want: m.want, Component: s.window().Component}, xids)
}

// droppedFiles is the first of some transactions after a place that dropped a database or a
// tablespace, or one for which the place lies where it does.
func droppedFiles(m meaning, list []*happened) *happened {
	if m.early != nil {
		return m.early
	}
	for _, h := range list {
		if h.losesFiles() {
			return h
		}
	}
	return nil
}

// orRescue says that a rescue may lose less than the moment, in at most w cells; "" where
// there is none.
func (s *commitsScreen) orRescue(m meaning, w int) string {
	if !s.mayRescue() || len(m.undone) == 0 || droppedFiles(m, m.undone) != nil {
		return ""
	}
	tables := harmedTables(m.undone)
	says := fmt.Sprintf(". Only %s harmed: x, rescue, may lose less", count(tables, "table", "tables"))
	if cells(says) > w {
		says = fmt.Sprintf(". %s harmed: x rescues", count(tables, "table", "tables"))
	}
	return says
}

// harmedTables counts the tables of which transactions have taken or changed anything.
func harmedTables(list []*happened) int {
	harmed := map[string]bool{}
	more := 0
	for _, h := range list {
		more += max(0, h.more)
		for _, t := range h.Tables {
			if t.Deleted+t.Updated > 0 || t.Truncated || t.Dropped {
				harmed[fmt.Sprint(t.Database, " ", tableName(t))] = true
			}
		}
	}
	return len(harmed) + more
}
