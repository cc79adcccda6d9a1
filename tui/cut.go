package tui

import (
	"cmp"
	"fmt"
	"slices"

	"comeback/recovery"
)

// cut is what a place between two lines of a list means.
type cut struct {
	// kept is the last commit that is kept, lost the first that is not; nil
	// where none was read.
	kept, lost *happened
	// unlisted says that what is kept last, or lost first, is not listed any
	// more.
	unlisted bool
	// commits are lost, and rows that they inserted or updated.
	commits, rows int64
	// written are the tables with the most rows among these; partly says that
	// there may be others.
	written []rowsOf
	partly  bool
	// early is a transaction that acts before it commits: more is lost for it
	// than the place says.
	early *happened
	// undone are the harmful commits that belong together and of which the
	// first is the first that is lost.
	undone []*happened
	// left is the last harmful commit that is kept, if it is near.
	left *happened
	// want is the moment as recovery.ParseWant reads it.
	want string
}

// rowsOf counts rows of a table.
type rowsOf struct {
	table string
	rows  int64
}

// nearHarm is how far before the moment a harm that is kept is told of.
const nearHarm = 10 * oneHarm

// cutting says what the place i means: lines before it are lost.
func (c *commits) cutting(i int) cut {
	at, early := c.effective(i)
	m := cut{early: early, want: c.want(i, at, early)}
	m.unlisted = c.skipped(at) > 0
	if k := c.find(at, true, (*happened).counts); k >= 0 {
		m.kept = &c.list[k]
	}
	if l := c.find(at-1, false, (*happened).counts); l >= 0 {
		m.lost = &c.list[l]
		m.commits, m.rows = m.lost.commits+1, m.lost.rows+m.lost.written()
		m.written, m.partly = c.writtenBy(l)
		if isHarm(m.lost) {
			last, _ := c.ended(l)
			for j := l; j >= last; j-- {
				if isHarm(&c.list[j]) {
					m.undone = append(m.undone, &c.list[j])
				}
			}
		}
	}
	if k := c.find(at, true, isHarm); k >= 0 && m.kept != nil && m.kept.Time.Sub(c.list[k].Time) <= nearHarm {
		m.left = &c.list[k]
	}
	return m
}

// writtenBy counts the rows that the commits up to line l inserted, by table.
func (c *commits) writtenBy(l int) (list []rowsOf, partly bool) {
	rows := map[string]int64{}
	for i := range c.list[:l+1] {
		h := &c.list[i]
		partly = partly || c.skipped(i) > 0 || h.more > 0
		if !h.counts() {
			continue
		}
		for _, t := range h.Tables {
			if t.Inserted > 0 {
				rows[tableName(t)] += t.Inserted
			}
		}
	}
	for name, n := range rows {
		list = append(list, rowsOf{name, n})
	}
	slices.SortFunc(list, func(a, b rowsOf) int { return cmp.Or(cmp.Compare(b.rows, a.rows), cmp.Compare(a.table, b.table)) })
	return list, partly
}

// effective is where the log can be cut so that no database that is to be there
// has lost its files: a drop acts at its own record, so that what commits
// between that and the commit of the drop is lost with it.
func (c *commits) effective(i int) (int, *happened) {
	var early *happened
	for j := 0; j < i; j++ {
		h := &c.list[j]
		if !h.losesFiles() {
			continue
		}
		stop := h.Stop
		if h.Inclusive {
			stop++ // what begins at Stop is kept
		}
		if k := c.place(stop); k > i {
			i, early = k, h
		}
	}
	return i, early
}

// want is the moment at a place, in words that mean the same whatever is
// archived later: a transaction's number where that is exact, else a position.
func (c *commits) want(i, at int, early *happened) string {
	if len(c.list) == 0 {
		return ""
	}
	drop := early
	if drop == nil && i > 0 && c.list[i-1].losesFiles() {
		drop = &c.list[i-1]
	}
	if drop != nil {
		switch {
		case !drop.Inclusive:
			return "lsn:" + drop.Stop.String()
		case at < len(c.list) && c.list[at].LSN == drop.Stop && c.single(&c.list[at]):
			return fmt.Sprintf("after-xid:%d", c.list[at].XID)
		}
	}
	// What was rolled back makes no difference.
	next := c.find(at-1, false, func(h *happened) bool { return h.How != recovery.Aborted })
	if next >= 0 {
		if h := &c.list[next]; !c.single(h) {
			return "lsn:" + h.LSN.String()
		}
		return fmt.Sprintf("before-xid:%d", c.list[next].XID)
	}
	if last := c.find(at, true, func(h *happened) bool { return h.How != recovery.Aborted }); last >= 0 && c.single(&c.list[last]) {
		return fmt.Sprintf("after-xid:%d", c.list[last].XID)
	}
	return "lsn:" + c.cutAt(at).String()
}

// single reports whether a line is a commit that its number names: numbers come
// again after four thousand million transactions.
func (c *commits) single(h *happened) bool {
	if !h.counts() || h.XID < 3 {
		return false
	}
	for i := range c.list {
		if o := &c.list[i]; o.XID == h.XID && o.LSN != h.LSN && o.counts() {
			return false
		}
	}
	return true
}
