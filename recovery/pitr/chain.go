package pitr

import (
	"slices"
	"sort"

	"comeback/recovery"
	"comeback/recovery/pitr/walfile"
)

// wal is the archived log of one branch: what is there, in order, each segment
// from the timeline that holds it.
type wal struct {
	branch branch
	size   int64
	files  []File
	// rest says that there is log behind the files which cannot be used: a segment
	// that was never completed, and is packed or does not follow.
	rest bool
}

// along picks a branch's segments out of an archive.
func (x *index) along(b branch) wal {
	w := wal{branch: b, size: x.SegmentSize}
	if w.size == 0 {
		return w
	}
	for i, s := range b {
		from, to := walfile.Number(s.From, w.size), ^uint64(0)
		if i+1 < len(b) {
			// The segment of the fork belongs to the timeline that begins there.
			to = walfile.Number(b[i+1].From, w.size)
		}
		if its := between(x.segments[s.Timeline], from, to, w.size); len(w.files) == 0 {
			w.files = slices.Clip(its) // no copy: an archive may be large
		} else {
			w.files = append(w.files, its...)
		}
	}
	var next uint64
	if n := len(w.files); n > 0 {
		// What was never completed can only be the last.
		next = w.files[n-1].Seg(w.size) + 1
		for _, p := range between(x.partials[b.on(next, w.size)], next, next+1, w.size) {
			if usable(p, w.size) {
				w.files, next = append(w.files, p), next+1
			}
		}
	}
	w.rest = len(between(x.partials[b.timeline()], next, ^uint64(0), w.size)) > 0
	return w
}

// between cuts the segments from ≤ n < to out of a sorted list.
func between(files []File, from, to uint64, size int64) []File {
	i := sort.Search(len(files), func(i int) bool { return files[i].Seg(size) >= from })
	j := sort.Search(len(files), func(i int) bool { return files[i].Seg(size) >= to })
	return files[i:max(i, j)]
}

// chain is the log that follows a base backup without a gap.
type chain struct {
	base   Base
	branch branch
	line   lineage
	// files are consecutive; the first holds the backup's start. It is empty
	// where not even that is there.
	files []File
	// gaps are what is missing or broken after them; the first begins where
	// files end. There is none where the archive simply ends.
	gaps []recovery.Gap
	// rest says that there is log behind all of them which cannot be used.
	rest bool
	// lies says that the branch's own timeline has log in the archive.
	lies bool
}

// maxGaps bounds how many gaps are told.
const maxGaps = 100

// after is the chain of a base backup. The log that it needs itself may come
// from the backup instead of the archive.
func (w wal) after(b Base, l lineage) chain {
	size := l.SegmentSize
	c := chain{base: b, branch: w.branch, line: l}
	if size == 0 {
		return c
	}
	seg := walfile.Number(b.Start, size)
	at := sort.Search(len(w.files), func(i int) bool { return w.files[i].Seg(size) >= seg })
	good := func(i int, seg uint64) bool {
		return i < len(w.files) && w.files[i].Seg(size) == seg && fault(w.files[i], size) == ""
	}
	first := at
	if b.OwnWAL {
		for ; walfile.Start(seg, size) < b.Stop; seg++ {
			switch {
			case good(at, seg):
				c.files = append(c.files, w.files[at])
			default:
				c.files, first = append(c.files, b.own(seg, size)), -1
			}
			if at < len(w.files) && w.files[at].Seg(size) == seg {
				at++
			}
		}
	}
	end := at
	for good(end, seg) {
		end, seg = end+1, seg+1
	}
	if first >= 0 { // all of it is the archive's
		c.files = w.files[first:end:end] // no copy: an archive may be large, and have many backups
	} else {
		c.files = append(c.files, w.files[at:end]...)
	}
	c.gaps, c.rest = w.gaps(end, seg), w.rest
	return c
}

// own is a segment that the backup brings.
func (b Base) own(seg uint64, size int64) File {
	f := called(walfile.OfSegment(b.Timeline, seg, size))
	for _, o := range b.Objects {
		if o.Key == b.Root+"pg_wal/"+f.Name() {
			f.Hold(o)
			return f
		}
		if bare, packing := cutPacking(o.Key); bare == b.Root+"pg_wal.tar" {
			f.Packing, f.at = packing, &holder{object: &o, inside: true}
			return f
		}
	}
	return f
}

// gaps lists what is wrong from segment seg on, where files[i] is the first
// file that was not used. Segments that are missing in a row are one gap.
func (w wal) gaps(i int, seg uint64) []recovery.Gap {
	var gaps []recovery.Gap
	for ; i < len(w.files) && len(gaps) < maxGaps; i++ {
		f := w.files[i]
		there := f.Seg(w.size)
		if there > seg {
			gaps = append(gaps, recovery.Gap{From: walfile.Start(seg, w.size), To: walfile.Start(there, w.size),
				Object: walfile.SegmentName(w.branch.on(seg, w.size), seg, w.size), Why: "missing"})
		}
		if why := fault(f, w.size); why != "" {
			gaps = append(gaps, recovery.Gap{From: walfile.Start(there, w.size), To: walfile.Start(there+1, w.size), Object: f.Object().Key, Why: why})
		}
		seg = there + 1
	}
	return gaps
}

// size is that of a segment.
func (c chain) size() int64 { return c.line.SegmentSize }

// first is the number of the chain's first segment.
func (c chain) first() uint64 { return walfile.Number(c.base.Start, c.size()) }

// file is a segment of the chain.
func (c chain) file(seg uint64) (File, bool) {
	if seg < c.first() || seg-c.first() >= uint64(len(c.files)) {
		return File{}, false
	}
	return c.files[seg-c.first()], true
}

// next is the number of the segment after the last.
func (c chain) next() uint64 { return c.first() + uint64(len(c.files)) }

// end is where the chain ends.
func (c chain) end() recovery.LSN { return walfile.Start(c.next(), c.size()) }

// whole reports whether the chain holds the log that the backup itself needs.
func (c chain) whole() bool { return c.base.Stop != 0 && len(c.files) > 0 && c.end() >= c.base.Stop }

// reaches reports whether the chain comes to its branch's own timeline, or would but for
// what is missing: a history whose log lies behind a gap is the one that goes on.
func (c chain) reaches() bool {
	timeline := c.branch.timeline()
	return c.lies && len(c.gaps) > 0 || timeline == c.base.Timeline || len(c.files) > 0 && c.files[len(c.files)-1].Timeline == timeline
}

// before is the chain without a segment of no use, and what follows it.
func (c chain) before(d *damagedLog) chain {
	c.files = c.files[:d.Seg-c.first()]
	c.gaps = append([]recovery.Gap{{From: c.end(), To: walfile.Start(d.Seg+1, c.size()), Object: d.Object, Why: d.Why}}, c.gaps...)
	return c
}

// bytes is what must be read of the archive to replay up to a position.
func (c chain) bytes(to recovery.LSN) int64 {
	var n int64
	for _, f := range c.files {
		if walfile.Start(f.Seg(c.size()), c.size()) >= to {
			break
		}
		switch {
		case f.Unsized:
			n += c.size() // it is not more
		case !f.inside():
			n += f.size()
		}
	}
	return n
}
