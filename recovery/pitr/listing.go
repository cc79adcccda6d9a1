package pitr

import (
	"context"

	"golang.org/x/sync/errgroup"

	"comeback/recovery"
	"comeback/recovery/pitr/walfile"
)

// groupSize is how many segments share all but the last two digits of their
// names: what one listing asks for.
const groupSize = 256

// listLog lists, anew, the log of a branch from a segment on, as far as it
// goes, which is at least up to where it was seen to go before. Only the part
// that is asked for is listed, so that a moment of yesterday does not cost the
// listing of a year.
func listLog(ctx context.Context, r Repository, b branch, l lineage, from uint64, seen recovery.LSN) (wal, error) {
	x := &index{Archive: Archive{SegmentSize: l.SegmentSize}, segments: map[uint32][]File{}, partials: map[uint32][]File{}}
	for i, s := range b {
		first, until := max(from, walfile.Number(s.From, l.SegmentSize)), walfile.Number(seen, l.SegmentSize)+1
		open := i+1 == len(b)
		if !open {
			// One more: the ancestor may have a file of the segment of the fork.
			until = walfile.Number(b[i+1].From, l.SegmentSize) + 1
		}
		if !open && until <= from {
			continue
		}
		if err := x.list(ctx, r, s.Timeline, first, until, open); err != nil {
			return wal{}, err
		}
	}
	return x.along(b), nil
}

// list adds the segments from ≤ n < until of a timeline, and where it is open
// all that follow without a group in which there is none.
func (x *index) list(ctx context.Context, r Repository, timeline uint32, from, until uint64, open bool) error {
	perName := min(groupSize, walfile.PerLog(x.SegmentSize))
	for group := from / perName; ; group += atOnce {
		var found [atOnce][]File
		lists, ctx := errgroup.WithContext(ctx)
		for i := range found {
			seg := (group + uint64(i)) * perName
			if !open && seg >= until {
				break
			}
			lists.Go(func() (err error) {
				name := walfile.SegmentName(timeline, seg, x.SegmentSize)
				found[i], err = r.Files(ctx, name[:len(name)-2])
				return err
			})
		}
		if err := lists.Wait(); err != nil {
			return err
		}
		ended := false
		for i, files := range found {
			any := false
			for _, f := range files {
				switch f.Kind {
				case walfile.Segment:
					x.segments[timeline] = append(x.segments[timeline], f)
					any = true
				case walfile.Partial:
					x.partials[timeline] = append(x.partials[timeline], f)
					any = true
				}
			}
			beyond := (group+uint64(i)+1)*perName >= until
			ended = ended || beyond && (!open || !any)
		}
		if ended {
			x.segments[timeline] = sorted(x.segments[timeline], x.SegmentSize)
			x.partials[timeline] = sorted(x.partials[timeline], x.SegmentSize)
			return nil
		}
	}
}
