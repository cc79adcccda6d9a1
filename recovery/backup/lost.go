package backup

import (
	"fmt"
	"slices"

	"comeback/recovery"
)

// manyRows is how many rows a table had at least of which it is told that half are gone.
const manyRows = 1000

// lose says in a manifest which tables have lost rows since the backup before. One whose rows
// could not be counted says what that one did, and what is known of them.
func lose(last *recovery.Manifest, m *recovery.Manifest) {
	switch {
	case last == nil:
	case m.Tables != nil:
		m.Lost = lostRows(*last, *m)
	default:
		m.Lost = last.Lost
		if known := last.Counted(); known.Tables != nil {
			m.LastCounted = &known
		}
	}
}

// lostRows are the tables that have less than half of the rows that they had in the backup
// before, or before they lost them. One that is gone, or was altered, is none: that is
// somebody's work.
func lostRows(last, m recovery.Manifest) (lost []recovery.LostRows) {
	before := last.Counted()
	for _, now := range m.Tables {
		i := slices.IndexFunc(before.Tables, func(t recovery.TableRecord) bool { return t.Name == now.Name && t.Shape == now.Shape })
		if i < 0 {
			continue
		}
		l := recovery.LostRows{Table: now.Name, Had: before.Tables[i].Rows, HadAt: before.At, Since: m.ID, At: m.Begun}
		if k := slices.IndexFunc(last.Lost, func(l recovery.LostRows) bool { return l.Table == now.Name }); k >= 0 {
			l = last.Lost[k]
		}
		if l.Has = now.Rows; l.Had >= manyRows && l.Has < l.Had/2 {
			lost = append(lost, l)
		}
	}
	return lost
}

// lostAnew are what a person should know of the tables that have lost rows since the backup
// before.
func lostAnew(m recovery.Manifest) (remarks []string) {
	for _, l := range m.Lost {
		if l.Since == m.ID {
			remarks = append(remarks, fmt.Sprintf("%s has %s, and had %d in the backup before", l.Table, recovery.FormatCount(l.Has, "row"), l.Had))
		}
	}
	return remarks
}
