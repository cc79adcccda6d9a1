package tui

import (
	"slices"
	"time"

	"comeback/recovery"
)

// Limits of what is kept of a log. Of everything else the histogram and the
// counts remain.
const (
	commitsKept = 20_000
	tablesKept  = 64
	harmsKept   = 2_000
)

// happened is one line of the list: a transaction, or a restore point.
type happened struct {
	recovery.Transaction
	harms []recovery.Harm
	// usual is how often the like happened on earlier days, judged that it was
	// asked for.
	usual  recovery.Usual
	judged bool
	// seq counts what was read before it, and thus what ended behind it;
	// commits and rows are the commits among that, and the rows that they
	// inserted or updated.
	seq, commits, rows int64
	// more is how many of its tables are not kept.
	more int
}

// counts reports whether it committed: only then something of it is kept or lost.
func (h *happened) counts() bool {
	return h.How == recovery.Committed || h.How == recovery.CommittedPrepared
}

// losesFiles reports whether it dropped a database or a tablespace, which acts
// before the commit.
func (h *happened) losesFiles() bool {
	dropped := func(o recovery.ObjectChange) bool { return o.Dropped }
	return h.counts() && h.Stop != 0 && (slices.ContainsFunc(h.Databases, dropped) || slices.ContainsFunc(h.Tablespaces, dropped))
}

// written is how many rows it inserted or updated.
func (h *happened) written() (rows int64) {
	for _, t := range h.Tables {
		rows += t.Inserted + t.Updated
	}
	return rows
}

// touched is how many rows it did anything to.
func (h *happened) touched() (rows int64) {
	for _, t := range h.Tables {
		rows += t.Inserted + t.Updated + t.Deleted
	}
	return rows
}

// commits is what was read of a log, from its end backwards without a hole. The
// list is bounded: lines far from where a person looks are shed from it, but
// never the harmful ones (up to harmsKept), nor what was committed just before
// them.
type commits struct {
	// list is what is kept, the newest first.
	list []happened
	// limit is how many lines are kept, about.
	limit int
	// seq, n and rows count all that was read: lines, commits, and the rows
	// that these inserted or updated.
	seq, n, rows int64
	// harmful of them stand out, usual ones do only by what they did.
	harmful, usual int
	// lowest is where the oldest line begins to end, oldest the earliest time
	// that was read, newest the time of the newest commit.
	lowest         recovery.LSN
	oldest, newest time.Time
	activity       activity
}

// add takes the next older transaction. What was read already is passed over.
func (c *commits) add(t recovery.Transaction) {
	if c.lowest != 0 && t.LSN >= c.lowest {
		return
	}
	c.lowest = t.LSN
	h := happened{Transaction: t, harms: t.Harms(), seq: c.seq, commits: c.n, rows: c.rows}
	written := h.written()
	if !t.Time.IsZero() && (c.oldest.IsZero() || t.Time.Before(c.oldest)) {
		c.oldest = t.Time
	}
	if h.counts() {
		if c.newest.IsZero() {
			c.newest = t.Time
		}
		c.n, c.rows = c.n+1, c.rows+written
		c.activity.add(t.Time, h.touched())
	}
	if len(h.harms) > 0 {
		c.harmful++
	}
	if h.more = len(t.Tables) - tablesKept; h.more > 0 {
		h.Tables = slices.Clone(t.Tables[:tablesKept])
	}
	c.seq++
	c.list = append(c.list, h)
}

// shed drops lines that are far from a place in the list.
func (c *commits) shed(near int) {
	limit := c.limit
	if limit == 0 {
		limit = commitsKept
	}
	if len(c.list) <= limit+limit/4 {
		return
	}
	drop := len(c.list) - limit
	// The lines near the place are [low, high).
	low := min(max(0, near-limit/2), len(c.list)-limit)
	high := low + limit
	kept := make([]happened, 0, limit+limit/4)
	harms := 0
	acts := ^recovery.LSN(0) // where a drop acts whose commit has been passed
	for i := range c.list {
		h := &c.list[i]
		harm := isHarm(h)
		if harm {
			harms++
		}
		if h.losesFiles() {
			acts = min(acts, h.Stop)
		}
		behind := i > 0 && isHarm(&c.list[i-1]) || acts != ^recovery.LSN(0) && h.LSN >= acts
		if h.LSN < acts {
			acts = ^recovery.LSN(0)
		}
		if drop > 0 && (i < low || i >= high) && (harms > harmsKept || !harm && !behind) {
			drop--
			continue
		}
		kept = append(kept, *h)
	}
	c.list = kept
}

// skipped is how many lines are not kept between a line and the one before it in
// the list, which ended later.
func (c *commits) skipped(i int) int64 {
	switch {
	case i < len(c.list) && i > 0:
		return c.list[i].seq - c.list[i-1].seq - 1
	case i < len(c.list):
		return c.list[i].seq
	case i > 0:
		return c.seq - c.list[i-1].seq - 1
	}
	return 0
}

// place is where a position cuts the list: the lines before it are lost, those
// from it on are kept.
func (c *commits) place(cut recovery.LSN) int {
	i, _ := slices.BinarySearchFunc(c.list, cut, func(h happened, cut recovery.LSN) int {
		if h.LSN >= cut {
			return -1
		}
		return 1
	})
	return i
}

// cutAt is the position that cuts the list before line i; 0 where there is no
// list.
func (c *commits) cutAt(i int) recovery.LSN {
	switch {
	case len(c.list) == 0:
		return 0
	case i > 0:
		return c.list[i-1].LSN
	}
	return max(c.list[0].End, c.list[0].LSN+1)
}

// placeOfTime is where the list is cut if everything up to a time is kept, as
// the log has it: everything before the first commit that is later.
func (c *commits) placeOfTime(t time.Time) int {
	for i, h := range slices.Backward(c.list) {
		if h.counts() && h.Time.After(t) {
			return i + 1
		}
	}
	return 0
}

// find is the next line that fits, from a place on, older or newer; -1 if there
// is none.
func (c *commits) find(from int, older bool, fits func(*happened) bool) int {
	by := -1
	if older {
		by = 1
	}
	for i := from; i >= 0 && i < len(c.list); i += by {
		if fits(&c.list[i]) {
			return i
		}
	}
	return -1
}

func isHarm(h *happened) bool { return len(h.harms) > 0 && !h.usual.Holds() }

// unjudged are harmful transactions of which it was not asked whether they are
// usual; they count as asked for now.
func (c *commits) unjudged() []recovery.Transaction {
	var all []recovery.Transaction
	for i := range c.list {
		if h := &c.list[i]; isHarm(h) && !h.judged && len(all) < harmsJudged {
			h.judged = true
			all = append(all, h.Transaction)
		}
	}
	return all
}

// harmsJudged is how many harms are held against earlier days at once.
const harmsJudged = 32

// judge takes in what is usual.
func (c *commits) judge(h *recovery.Habits) {
	for i := range c.list {
		l := &c.list[i]
		if was := isHarm(l); was {
			if l.usual = h.Of(l.LSN); !isHarm(l) {
				c.harmful, c.usual = c.harmful-1, c.usual+1
			}
		}
	}
}

// began is the oldest of the harmful commits that belong together with line i.
func (c *commits) began(i int) int {
	for j := i + 1; j < len(c.list); j++ {
		switch {
		case !isHarm(&c.list[j]):
		case c.list[i].Time.Sub(c.list[j].Time) <= recovery.OneHarm:
			i = j
		default:
			return i
		}
	}
	return i
}

// ended is the newest of the harmful commits that belong together with line i,
// and how many there are from line i on.
func (c *commits) ended(i int) (last, n int) {
	last, n = i, 1
	for j := i - 1; j >= 0; j-- {
		switch {
		case !isHarm(&c.list[j]):
		case c.list[j].Time.Sub(c.list[last].Time) <= recovery.OneHarm:
			last, n = j, n+1
		default:
			return last, n
		}
	}
	return last, n
}
