package scan

import (
	"context"
	"fmt"
	"iter"
	"os"
	"runtime"
	"sync/atomic"

	"comeback/recovery"
	"comeback/recovery/pitr/walfile"
	"comeback/recovery/pitr/xlog"
	"comeback/recovery/postgres"
)

// Reader reads a stretch of the log of one cluster along one line of history.
type Reader struct {
	// Tools are those of the cluster's major; pg_waldump is needed.
	Tools postgres.Tools
	// Fetch puts the segment that PostgreSQL calls name, unpacked and in its
	// full size, at path, a file that does not exist yet. It is called from
	// several goroutines.
	Fetch func(ctx context.Context, name, path string) error
	// SegmentSize is the size of the cluster's segments in bytes; PageSize
	// that of the log's pages, 8192 where it is zero.
	SegmentSize, PageSize int64
	// Timelines are the line of history, the oldest first, each with the
	// position from which on it is the one to read. The segment with a fork
	// is that of the newer timeline.
	Timelines []Timeline
	// Dir is an existing directory for unpacked segments. A directory of its
	// own is made in it, and removed.
	Dir string
	// Jobs is how many chunks are read at a time; the number of CPUs where
	// it is zero. The directory holds the segments of so many chunks, and
	// of each the one after it; more only where a record goes through them.
	Jobs int
	// Chunk is the number of segments in a chunk: where it is zero, as many
	// as make 16 MB.
	Chunk int
	// LookBack is how much log before a transaction's end is read to find
	// its beginning, in bytes; 256 MB where it is zero. No more than 100 000
	// ends are held back for that either. One that began before is marked
	// with AtLeast.
	LookBack int64
	// Names give relations their names; it may be nil. A *Map knows more
	// than recovery.Names asks for.
	Names recovery.Names
	// Progress is told how far has been read, from the goroutine that
	// iterates. It may be nil.
	Progress func(recovery.ScanProgress)

	// byText has all read by the text of pg_waldump; doubts counts the chunks
	// for which that was needed. Both are for tests.
	byText bool
	doubts *atomic.Int64
}

// Timeline is a part of a line of history.
type Timeline struct {
	ID uint32
	// From is where it begins; zero for the oldest.
	From recovery.LSN
}

// Stretch is a part of the log.
type Stretch struct {
	// First is where the log that can be fetched without a gap begins.
	First recovery.LSN
	// From and To enclose the records that end the transactions that are
	// wanted: those that begin at From or later and end at To or before. A
	// zero From is First. To is where a record ends or begins, or a segment.
	From, To recovery.LSN
	// Open says that the last segment may end in the middle, because the
	// server still writes it or died while it did. Where it does not, an
	// unreadable end is damage.
	Open bool
}

// Damage is a place in the log that cannot be read.
type Damage struct {
	// Segment is PostgreSQL's name of the first segment that is read in vain.
	Segment string
	// LSN is the last position up to which the log is known to be good.
	LSN recovery.LSN
	// Says is what pg_waldump said.
	Says string
}

func (d *Damage) Error() string {
	return fmt.Sprintf("the log cannot be read after %s, in segment %s: %s", d.LSN, d.Segment, d.Says)
}

// Read yields the transactions that ended within the stretch, in descending
// order of where their ends lie, and the restore points between them. A savepoint
// that was rolled back ends in the log just as a transaction does, and is listed
// as aborted; of what aborted, the tables say what it had done by itself. The last
// thing that it yields may be an error: a *Damage, what Fetch returned, or the
// cause of ctx's end; what was yielded before is true.
//
// Whoever iterates may stop at any time; the programs have ended and the
// directory is removed when the iteration is over.
func (r Reader) Read(ctx context.Context, s Stretch) iter.Seq2[recovery.Transaction, error] {
	return func(yield func(recovery.Transaction, error) bool) {
		if err := r.read(ctx, s, func(t recovery.Transaction) bool { return yield(t, nil) }); err != nil {
			yield(recovery.Transaction{}, err)
		}
	}
}

func (r Reader) withDefaults() Reader {
	if r.PageSize == 0 {
		r.PageSize = 8192
	}
	if r.Jobs <= 0 {
		r.Jobs = runtime.NumCPU()
	}
	if r.Chunk <= 0 {
		r.Chunk = max(1, int(chunkBytes/r.SegmentSize))
	}
	if r.LookBack <= 0 {
		r.LookBack = lookBack
	}
	if r.doubts == nil {
		r.doubts = &atomic.Int64{}
	}
	if len(r.Timelines) == 0 {
		r.Timelines = []Timeline{{ID: 1}}
	}
	return r
}

const (
	chunkBytes = 16 << 20
	lookBack   = 256 << 20
	mostHeld   = 100_000
)

// timeline is the timeline of a position.
func (r Reader) timeline(l recovery.LSN) uint32 {
	id := r.Timelines[0].ID
	for _, t := range r.Timelines {
		if t.From <= l {
			id = t.ID
		}
	}
	return id
}

// segmentName is PostgreSQL's name of the file that is read for a segment.
func (r Reader) segmentName(seg uint64) string {
	// The segment with a fork is the newer timeline's, which has both.
	return walfile.SegmentName(r.timeline(walfile.Start(seg+1, r.SegmentSize)-1), seg, r.SegmentSize)
}

// read is Read without the iterator.
func (r Reader) read(ctx context.Context, s Stretch, yield func(recovery.Transaction) bool) (err error) {
	r = r.withDefaults()
	if !xlog.ValidSegmentSize(r.SegmentSize) {
		return fmt.Errorf("read the log: segments of %d bytes do not exist", r.SegmentSize)
	}
	if err := r.Tools.Need("pg_waldump"); err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	s.From = max(s.From, s.First)
	if s.To <= s.From {
		return nil
	}
	dir, err := os.MkdirTemp(r.Dir, "comeback-scan-")
	if err != nil {
		return recovery.Errorf("set TMPDIR to a directory with some room", "unpack the log: %w", err)
	}
	defer func() {
		if e := os.RemoveAll(dir); e != nil && err == nil {
			err = fmt.Errorf("remove the unpacked log: %w", e)
		}
	}()
	return r.readChunks(ctx, s, dir, yield)
}
