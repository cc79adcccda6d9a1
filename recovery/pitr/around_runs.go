package pitr

import "slices"

// runs cuts the log from a segment on where it has gaps.
func (w wal) runs(from uint64, l lineage) []chain {
	var runs []chain
	gaps := w.gaps(0, from)
	for i, f := range w.files {
		seg := f.Seg(w.size)
		if seg < from || fault(f, w.size) != "" {
			continue
		}
		if n := len(runs); n > 0 && runs[n-1].next() == seg {
			runs[n-1].files = append(runs[n-1].files, w.files[i])
			continue
		}
		runs = append(runs, chain{base: Base{Start: startOf(seg, w.size)}, branch: w.branch, line: l, files: []File{f}})
	}
	// Each run knows the gaps behind it, as far as the next one.
	for i := range runs {
		for _, g := range gaps {
			if g.From >= runs[i].end() && (i+1 == len(runs) || g.From < runs[i+1].base.Start) {
				runs[i].gaps = append(runs[i].gaps, g)
			}
		}
	}
	return runs
}

// miss notes what was not read, once.
func (a *around) miss(says string) {
	if !slices.Contains(a.unread, says) {
		a.unread = append(a.unread, says)
	}
}

// split puts what is before and behind a segment of no use in the place of a
// run. A segment that is good up to some position still ends the part before.
func (a *around) split(c chain, seg, good uint64) {
	if good > c.first() {
		a.runs = append(a.runs, c.part(c.first(), good))
	}
	if seg+1 < c.next() {
		a.runs = append(a.runs, c.part(seg+1, c.next()))
	}
}

// part is the chain's segments from ≤ n < to.
func (c chain) part(from, to uint64) chain {
	p := c
	p.files = c.files[from-c.first() : to-c.first()]
	p.base.Start = startOf(from, c.size())
	if to != c.next() {
		p.gaps = nil
	}
	return p
}
