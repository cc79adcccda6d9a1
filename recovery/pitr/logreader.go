package pitr

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"

	"comeback/recovery"
	"comeback/recovery/pitr/walfile"
	"comeback/recovery/pitr/xlog"
	"comeback/storage"
)

// logReader reads records of a chain. It unpacks segments into a directory of
// its own, a few at a time, and names them all as of one timeline, so that a
// reader goes through a fork without noticing.
type logReader struct {
	repo Repository
	log  chain
	line lineage // the chain's
	dump waldump
	// here are the segments in the directory, the last used last.
	here []uint64
	// found remembers the first record of a kind in a segment.
	found map[seen]record
}

// damagedLog is a segment that is there and cannot be used: the log ends before
// it.
type damagedLog struct {
	Seg    uint64
	Object string
	// Why is "damaged" or "other cluster".
	Why string
	Err error
}

func (e *damagedLog) Error() string {
	return fmt.Sprintf("segment %s is of no use: %v", e.Object, e.Err)
}
func (e *damagedLog) Unwrap() error { return e.Err }

type seen struct {
	seg  uint64
	kind recordKind
}

// chunkBytes is about how much log is unpacked at a time.
const chunkBytes = 64 << 20

// open opens a chain for reading. Close removes what it unpacked.
func (e *engine) open(repo Repository, c chain) (*logReader, error) {
	tools, err := e.Tools(c.line.Major)
	if err == nil {
		err = tools.Need("pg_waldump")
	}
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	dir, err := os.MkdirTemp(e.Temp, "comeback-wal-")
	if err != nil {
		return nil, recovery.Errorf("set TMPDIR to a directory with some room", "unpack the log: %w", err)
	}
	return &logReader{repo: repo, log: c, line: c.line, found: map[seen]record{},
		dump: waldump{tools: tools, dir: dir, timeline: c.branch.timeline()}}, nil
}

func (l *logReader) Close() error {
	if err := os.RemoveAll(l.dump.dir); err != nil {
		return fmt.Errorf("remove the unpacked log: %w", err)
	}
	return nil
}

// chunk is how many segments are unpacked at a time.
func (l *logReader) chunk() uint64 { return uint64(max(1, min(8, chunkBytes/l.line.SegmentSize))) }

// load unpacks segments of the chain, and removes those that were not used for
// longest.
func (l *logReader) load(ctx context.Context, from, to uint64) error {
	group, ctx := errgroup.WithContext(ctx)
	for seg := from; seg < to; seg++ {
		if i := slices.Index(l.here, seg); i >= 0 {
			l.here = append(slices.Delete(l.here, i, i+1), seg)
			continue
		}
		f, ok := l.log.file(seg)
		if !ok {
			return fmt.Errorf("segment %d is not in the chain", seg)
		}
		l.here = append(l.here, seg)
		group.Go(func() error {
			err := fetchSegment(ctx, l.repo, f, l.line, l.path(seg))
			switch {
			case errors.Is(err, errForeign):
				return &damagedLog{Seg: seg, Object: f.Object().Key, Why: "other cluster", Err: err}
			case errors.Is(err, storage.ErrCorrupt):
				return &damagedLog{Seg: seg, Object: f.Object().Key, Why: "damaged", Err: err}
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		l.here = slices.DeleteFunc(l.here, func(seg uint64) bool { _, err := os.Lstat(l.path(seg)); return err != nil })
		return err
	}
	for len(l.here) > int(l.chunk())+2 {
		if err := os.Remove(l.path(l.here[0])); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove the unpacked log: %w", err)
		}
		l.here = l.here[1:]
	}
	return nil
}

func (l *logReader) path(seg uint64) string {
	return filepath.Join(l.dump.dir, walfile.SegmentName(l.dump.timeline, seg, l.line.SegmentSize))
}

// records yields the records that begin in the segments from ≤ seg < to. A
// record that goes over into the segment after is seen, as long as that segment
// is in the chain. Damage is yielded last, as damagedLog.
func (l *logReader) records(ctx context.Context, from, to uint64, rmgrs ...string) iter.Seq2[record, error] {
	to = min(to, l.log.next())
	return func(yield func(record, error) bool) {
		var last recovery.LSN
		for ; from < to; from += l.chunk() {
			end := min(from+l.chunk(), to)
			more := true
			err := l.piece(ctx, from, end, rmgrs, func(r record) bool {
				if r.LSN > last {
					last = r.LSN
					more = yield(r, nil)
				}
				return more
			})
			if err != nil && more {
				yield(record{}, err)
				return
			}
			if !more {
				return
			}
		}
	}
}

// piece reads some segments together with the one after them.
func (l *logReader) piece(ctx context.Context, from, end uint64, rmgrs []string, yield func(record) bool) error {
	size := l.line.SegmentSize
	ahead := end
	if _, ok := l.log.file(end); ok {
		ahead = end + 1
	}
	err := l.load(ctx, from, ahead)
	if err != nil && ahead > end && ctx.Err() == nil {
		// The one after is not readable; that is found when it is its turn.
		ahead, err = end, l.load(ctx, from, end)
	}
	if err != nil {
		return err
	}
	limit := walfile.Start(end, size)
	var broken *unreadableLog
	for {
		broken = nil
		for r, err := range l.dump.records(ctx, walfile.Start(from, size), walfile.Start(ahead, size), rmgrs...) {
			switch {
			case errors.As(err, &broken):
			case err != nil:
				return err
			case r.LSN >= limit:
				return nil
			case !yield(r):
				return nil
			}
		}
		if broken == nil || ahead == end {
			break
		}
		ahead = end // is it the segment after that is damaged?
	}
	last, _ := l.log.file(end - 1)
	if broken == nil || last.Kind == walfile.Partial { // which ends in the middle
		return nil
	}
	if broken.nothing && l.filled(from, end) {
		return nil
	}
	return l.damaged(ctx, from, end, broken)
}

// filled reports whether a record from before fills some segments.
func (l *logReader) filled(from, end uint64) bool {
	in, err := os.Open(l.path(from))
	if err != nil {
		return false
	}
	defer in.Close()
	h, err := headerOf(in)
	return err == nil && xlog.RecordEnd(h.Address+xlog.LongHeaderSize, h.Rest, h.SegmentSize, h.PageSize) >= walfile.Start(end, h.SegmentSize)
}

// damaged finds the first segment of a piece that cannot be read by itself.
func (l *logReader) damaged(ctx context.Context, from, end uint64, broken *unreadableLog) error {
	size := l.line.SegmentSize
	for seg := from; seg < end; seg++ {
		f, _ := l.log.file(seg)
		for _, err := range l.dump.records(ctx, walfile.Start(seg, size), walfile.Start(seg+1, size), "Transaction") {
			var this *unreadableLog
			if errors.As(err, &this) {
				if this.nothing && l.filled(seg, seg+1) {
					break
				}
				return &damagedLog{Seg: seg, Object: f.Object().Key, Why: "damaged", Err: this}
			}
			if err != nil {
				return err
			}
		}
	}
	f, _ := l.log.file(from)
	return &damagedLog{Seg: from, Object: f.Object().Key, Why: "damaged", Err: broken}
}
