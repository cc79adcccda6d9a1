package tui

import (
	"cmp"
	"fmt"
	"slices"

	"comeback/recovery"
)

// meaning is what a place between two lines of a list means.
type meaning struct {
	// kept is the last commit that is kept, lost the first that is not; nil
	// where none was read.
	kept, lost *happened
	// unlisted says that the last commit that is kept is not listed any more,
	// about that this may hold of the first that is lost.
	unlisted, about bool
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
	// left is the last harmful commit that is kept, if it is of the day before.
	left *happened
	// at is where the log is cut.
	at recovery.LSN
	// want is the moment as recovery.ParseWant reads it.
	want string
}

// rowsOf counts rows of a table.
type rowsOf struct {
	table string
	rows  int64
}

// meaning says what the place i means: lines before it are lost.
func (c *commits) meaning(i int) meaning {
	at, early := c.effective(i)
	m := meaning{early: early, at: c.cutAt(at), want: c.want(at, early)}
	if k := c.find(at, true, (*happened).counts); k >= 0 {
		m.kept, m.unlisted = &c.list[k], c.hole(at-1, k)
	} else {
		m.unlisted = c.hole(at-1, len(c.list))
	}
	if at > 0 { // all that ended behind a line was counted
		last := &c.list[at-1]
		m.commits, m.rows = last.commits, last.rows
		if last.counts() {
			m.commits, m.rows = m.commits+1, m.rows+last.written()
		}
	}
	if l := c.find(at-1, false, (*happened).counts); l >= 0 {
		m.lost, m.about = &c.list[l], c.hole(l, at-1)
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
	if k := c.find(at, true, isHarm); k >= 0 && m.kept != nil && m.kept.Time.Sub(c.list[k].Time) <= recovery.HarmBack {
		m.left = &c.list[k]
	}
	return m
}

// hole reports whether lines between two of the list are not kept; -1 is the end
// of the log.
func (c *commits) hole(newer, older int) bool {
	for i := newer + 1; i <= older; i++ {
		if c.skipped(i) > 0 {
			return true
		}
	}
	return false
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
// has lost its files: a drop acts at its own record, so that there is no moment
// between that and the commit of the drop. What commits in between is lost with
// it; the drop is given back where there is any.
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
		if k := c.place(stop); k > i || k == i && j < i-1 {
			i, early = k, h
		}
	}
	return i, early
}

// want is the moment at a place, in words that mean the same whatever is
// archived later: a transaction's number where that is exact, else a position.
func (c *commits) want(at int, early *happened) string {
	if len(c.list) == 0 {
		return ""
	}
	drop := early
	if drop == nil && at > 0 && c.list[at-1].losesFiles() {
		drop = &c.list[at-1]
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
	acts := func(h *happened) bool { return h.How != recovery.Aborted }
	if next := c.find(at-1, false, acts); next >= 0 && !c.hole(next, at-1) {
		if h := &c.list[next]; !c.single(h) {
			return "lsn:" + h.LSN.String()
		}
		return fmt.Sprintf("before-xid:%d", c.list[next].XID)
	} else if next >= 0 {
		return "lsn:" + c.cutAt(at).String()
	}
	if last := c.find(at, true, acts); last >= 0 && !c.hole(at-1, last) && c.single(&c.list[last]) {
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
