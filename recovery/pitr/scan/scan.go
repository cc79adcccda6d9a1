package scan

import (
	"context"
	"errors"

	"comeback/pattern"
	"comeback/recovery"
	"comeback/recovery/pitr/xlog"
)

// piece is a chunk to read: the records that begin in its segments, lo ≤ seg < hi.
type piece struct {
	lo, hi uint64
	// to is where the log that is wanted ends; end is the segment that holds
	// the position before.
	to  recovery.LSN
	end uint64
	// open says that it is the newest and may end in the middle.
	open bool
}

// scan reads a chunk. A record that goes on in the segments after is read whole.
// Damage is a part of the result; what is before it is true.
func (s *spool) scan(ctx context.Context, p piece) (c chunk, err error) {
	r := s.reader
	dir, err := s.open()
	if err != nil {
		return chunk{}, err
	}
	defer func() { err = errors.Join(err, dir.close()) }()
	if p.hi <= p.end {
		dir.segs = append(dir.segs, p.hi) // reserved by the newer chunk
	}
	for seg := p.hi; seg > p.lo; seg-- {
		if err := dir.add(ctx, seg-1); err != nil {
			return damagedChunk(err)
		}
	}
	to, err := s.reach(ctx, dir, p)
	if err != nil {
		return damagedChunk(err)
	}
	begin, err := continued(dir.path(p.lo), p.lo, r.SegmentSize, r.PageSize)
	if err != nil {
		return chunk{}, err
	}
	if begin >= min(to, recovery.LSN(p.hi*uint64(r.SegmentSize))) {
		return s.gatherer().chunk, nil // one record goes through all of it
	}
	d := dumper{tools: r.Tools, dir: dir.dir, timeline: r.newest()}
	if !r.byText && xlog.Magic(r.Tools.Major) != 0 {
		n := native{dumper: d, log: xlog.Stretch{From: begin, To: to, Major: r.Tools.Major, SegmentSize: r.SegmentSize,
			PageSize: r.PageSize, Path: dir.path}}
		g := s.gatherer()
		if err := n.each(ctx, g.add); err == nil {
			return g.chunk, nil
		}
		if ctx.Err() != nil {
			return chunk{}, context.Cause(ctx)
		}
		r.doubts.Add(1)
	}
	return s.text(ctx, p, d, to)
}

// text reads a chunk by the text of pg_waldump, which decides where the log ends
// and what is damaged.
func (s *spool) text(ctx context.Context, p piece, d dumper, to recovery.LSN) (chunk, error) {
	from := recovery.LSN(p.lo * uint64(s.reader.SegmentSize))
	g, good := s.gatherer(), from
	err := d.each(ctx, from, to, func(rec *record) error {
		good = rec.lsn
		return g.add(rec)
	})
	var broken *Unreadable
	if errors.As(err, &broken) {
		g.broken, err = s.damage(p, good, broken.Says), nil
	}
	return g.chunk, err
}

func (s *spool) gatherer() *gatherer {
	r := s.reader
	return newGatherer(r.SegmentSize, r.PageSize, s.catalogs, r.toast)
}

// reach is how far to read: to the end of the record that goes on behind the
// chunk, whose segments are added.
func (s *spool) reach(ctx context.Context, dir *chunkDir, p piece) (recovery.LSN, error) {
	size := uint64(s.reader.SegmentSize)
	if p.hi > p.end {
		return min(p.to, recovery.LSN(p.hi*size)), nil
	}
	if err := dir.add(ctx, p.hi); err != nil {
		return 0, err
	}
	to, err := continued(dir.path(p.hi), p.hi, s.reader.SegmentSize, s.reader.PageSize)
	if err != nil {
		return 0, err
	}
	to = min(to, p.to)
	for seg := p.hi + 1; recovery.LSN(seg*size) < to && seg <= p.end; seg++ {
		if err := dir.add(ctx, seg); err != nil {
			return 0, err
		}
	}
	return to, nil
}

// damagedChunk makes a chunk of a segment that is damaged by its looks.
func damagedChunk(err error) (chunk, error) {
	var d *Damage
	if errors.As(err, &d) {
		return chunk{broken: d}, nil
	}
	return chunk{}, err
}

var lastGood = pattern.New(`after ([0-9A-F]+/[0-9A-F]+)|record at ([0-9A-F]+/[0-9A-F]+)`)

// damage tells damage from the end of a log that may end in the middle: nil for
// the latter.
func (s *spool) damage(p piece, good recovery.LSN, says string) *Damage {
	if m := lastGood.FindStringSubmatch(says); m != nil {
		if at, err := recovery.ParseLSN(m[1] + m[2]); err == nil {
			good = max(good, at)
		}
	}
	seg := uint64(good) / uint64(s.reader.SegmentSize)
	if p.open && seg+1 >= p.end {
		return nil
	}
	return &Damage{Segment: s.reader.segmentName(seg), LSN: good, Says: says}
}
