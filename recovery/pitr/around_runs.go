package pitr

import (
	"slices"

	"comeback/recovery"
	"comeback/recovery/pitr/walfile"
)

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
		runs = append(runs, chain{base: Base{Start: walfile.Start(seg, w.size)}, branch: w.branch, line: l, files: []File{f}})
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

// hole is a segment of no use within a run.
type hole struct {
	seg uint64
	// good is where the part before ends: behind the segment where its
	// beginning is of use, because a run may end in the middle.
	good   uint64
	object string
	why    string
	// beside says that the span does not come to it.
	beside bool
}

// split puts what is before and behind a hole in the place of a run. It is told
// of like any gap: when the span goes on behind the part before it.
func (a *around) split(c chain, h hole) {
	a.sizes.unknown = true
	gap := recovery.Gap{From: walfile.Start(h.seg, c.size()), To: walfile.Start(h.seg+1, c.size()), Object: h.object, Why: h.why}
	switch {
	case h.good > c.first():
		before := c.part(c.first(), h.good)
		before.gaps = []recovery.Gap{gap}
		a.runs = append(a.runs, before)
	case !h.beside:
		a.miss(gapSays(gap))
	}
	if h.seg+1 < c.next() {
		a.runs = append(a.runs, c.part(h.seg+1, c.next()))
	}
}

// part is the chain's segments from ≤ n < to.
func (c chain) part(from, to uint64) chain {
	p := c
	p.files = c.files[from-c.first() : to-c.first()]
	p.base.Start = walfile.Start(from, c.size())
	if to != c.next() {
		p.gaps = nil
	}
	return p
}
