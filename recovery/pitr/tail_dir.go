package pitr

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"comeback/recovery"
	"comeback/recovery/pitr/walfile"
	"comeback/recovery/pitr/xlog"
	"comeback/recovery/postgres"
	"comeback/storage"
)

// tailDir is what a server's pg_wal holds.
type tailDir struct {
	dir  string
	line lineage
	// segments are those that hold what their names say, by timeline;
	// timelines are their numbers.
	segments  map[uint32][]tailFile
	timelines []uint32
	// others are histories, labels and segments that were left unfinished when
	// another timeline began.
	others []tailFile
}

// tailFile is a file to save.
type tailFile struct {
	path string
	// name is what the archive calls it.
	name string
	kind walfile.Kind
	seg  uint64
	size int64
	// run is the part of the log that a segment which the server had not filled ends; of the
	// others it is nil.
	run *tailRun
}

// add takes a file, unless it holds something else than its name says.
func (d *tailDir) add(f walfile.Name, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	t := tailFile{path: path, name: f.String(), kind: f.Kind, size: info.Size()}
	if f.Kind == walfile.History || f.Kind == walfile.Label {
		if info.Size() > 0 {
			d.others = append(d.others, t)
		}
		return nil
	}
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	h, err := headerOf(in)
	if errors.Is(err, xlog.ErrNotWAL) || err == nil && (h.SegmentSize != info.Size() || h.Address != walfile.Start(f.Number(h.SegmentSize), h.SegmentSize)) {
		return nil // made for later, or recycled
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	l := lineage{System: h.System, Major: h.Major, SegmentSize: h.SegmentSize, PageSize: h.PageSize}
	if d.line == (lineage{}) {
		d.line = l
	}
	if l != d.line {
		return recovery.Errorf("give the pg_wal of one server", "%s holds the log of two clusters: %s and %s", d.dir, d.line.System, l.System).WithExit(recovery.Refused)
	}
	if t.seg = f.Number(h.SegmentSize); f.Kind == walfile.Partial {
		d.others = append(d.others, t)
		return nil
	}
	d.segments[f.Timeline] = append(d.segments[f.Timeline], t)
	if !slices.Contains(d.timelines, f.Timeline) {
		d.timelines = append(d.timelines, f.Timeline)
	}
	return nil
}

// tailRun is a part of the log without a gap, on one timeline.
type tailRun struct {
	timeline uint32
	segments []tailFile
}

// runs cuts the log where segments are missing, the oldest part first.
func (d *tailDir) runs() []tailRun {
	var runs []tailRun
	for _, timeline := range d.timelines {
		all := d.segments[timeline]
		slices.SortFunc(all, func(a, b tailFile) int { return cmp.Compare(a.seg, b.seg) })
		for i, f := range all {
			if i == 0 || all[i-1].seg+1 != f.seg {
				runs = append(runs, tailRun{timeline: timeline})
			}
			last := &runs[len(runs)-1]
			last.segments = append(last.segments, f)
		}
	}
	return runs
}

// tailJudge finds out how far the log of a run is valid.
type tailJudge struct {
	tools postgres.Tools
	temp  string
	line  lineage
	have  map[string]bool
	// segments are those to save: the valid ones, the last maybe unfinished.
	segments []tailFile
	end      recovery.LSN
	last     recovery.Commit
}

// judge reads a run from the segment before the first that the archive lacks, as
// PostgreSQL will: the log ends where no valid record follows.
func (j *tailJudge) judge(ctx context.Context, r tailRun) error {
	n := len(r.segments)
	first := slices.IndexFunc(r.segments, func(f tailFile) bool { return !j.have[f.name] })
	if first < 0 {
		first = n - 1
	}
	first = max(0, first-1)
	j.segments = slices.Clone(r.segments)
	begin, limit := walfile.Start(r.segments[first].seg, j.line.SegmentSize), walfile.Start(r.segments[n-1].seg+1, j.line.SegmentSize)
	whole, err := j.read(ctx, r, first, begin, limit)
	if err != nil || whole {
		j.end = limit
		return err
	}
	// The segment that holds the end is unfinished; what lies behind it is of
	// no use.
	keep := slices.IndexFunc(j.segments, func(f tailFile) bool { return walfile.Start(f.seg+1, j.line.SegmentSize) > j.end })
	if keep < 0 {
		return nil
	}
	j.segments = j.segments[:keep+1]
	if f := &j.segments[keep]; walfile.Start(f.seg, j.line.SegmentSize) == j.end {
		j.segments = j.segments[:keep] // nothing of it is written
	} else {
		f.name, f.kind = f.name+".partial", walfile.Partial
		f.run = &tailRun{timeline: r.timeline, segments: r.segments[max(0, keep-1) : keep+1]}
	}
	return nil
}

// endIn finds where the log ends in an earlier state of the segment that ends a run.
func (j tailJudge) endIn(ctx context.Context, r tailRun, path string) (recovery.LSN, error) {
	r.segments = slices.Clone(r.segments)
	n := len(r.segments)
	r.segments[n-1].path = path
	begin, limit := walfile.Start(r.segments[0].seg, j.line.SegmentSize), walfile.Start(r.segments[n-1].seg+1, j.line.SegmentSize)
	j.end = 0
	whole, err := j.read(ctx, r, 0, begin, limit)
	if whole {
		return limit, err
	}
	return j.end, err
}

// read reads the segments of a run from the first on, and reports whether they
// are valid to their end.
func (j *tailJudge) read(ctx context.Context, r tailRun, first int, from, to recovery.LSN) (whole bool, err error) {
	// pg_waldump looks at whatever it finds in a directory.
	dir, err := os.MkdirTemp(j.temp, "comeback-tail-")
	if err != nil {
		return false, recovery.Errorf("set TMPDIR to a directory with some room", "read the log: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	for _, f := range r.segments[first:] {
		path, err := filepath.Abs(f.path)
		if err == nil {
			err = os.Symlink(path, filepath.Join(dir, f.name))
		}
		if err != nil {
			return false, fmt.Errorf("read the log: %w", err)
		}
	}
	dump := waldump{tools: j.tools, dir: dir, timeline: r.timeline}
	good := from
	var broken *unreadableLog
	for rec, err := range dump.records(ctx, from, to, transactions) {
		if errors.As(err, &broken) {
			break
		}
		if err != nil {
			return false, fmt.Errorf("read the log: %w", err)
		}
		if good = rec.LSN; rec.Kind == commitRecord {
			j.last = rec.commit(j.line.SegmentSize, j.line.PageSize)
		}
	}
	if broken == nil {
		return true, nil
	}
	// From the last transaction that was read it is not far to the end.
	for rec, err := range dump.records(ctx, good, to) {
		if errors.As(err, &broken) {
			break
		}
		if err != nil {
			return false, fmt.Errorf("read the log: %w", err)
		}
		if j.end = xlog.RecordEnd(rec.LSN, rec.Total, j.line.SegmentSize, j.line.PageSize); rec.Kind == switchRecord {
			j.end = walfile.Start(walfile.Number(rec.LSN, j.line.SegmentSize)+1, j.line.SegmentSize)
		}
	}
	if j.end == 0 {
		j.end = from // not one valid record
	}
	return false, nil
}

// errOther: the archive holds other bytes under the name.
var errOther = errors.New("holds other bytes")

// putTail saves a file, and reports whether it was not there. A segment that its server has gone
// on writing since it was saved, until it was stopped again, is replaced.
func (j tailJudge) putTail(ctx context.Context, store storage.Store, key string, f tailFile) (added bool, err error) {
	in, err := os.Open(f.path)
	if err != nil {
		return false, fmt.Errorf("save %s: %w", f.name, err)
	}
	defer in.Close()
	_, err = store.Put(ctx, key, in, storage.PutOptions{IfAbsent: true, Size: f.size})
	switch {
	case err == nil:
		return true, nil
	case !errors.Is(err, storage.ErrExist):
		return false, recovery.Errorf(fetchHintText(err), "save %s: %w", f.name, err)
	}
	there, err := store.Stat(ctx, key)
	if err != nil {
		return false, recovery.Errorf(fetchHintText(err), "compare %s: %w", key, err)
	}
	same, older, err := j.compare(ctx, store, there, f)
	if err != nil {
		return false, recovery.Errorf(fetchHintText(err), "compare %s: %w", key, err)
	}
	swapper, ok := storage.As[storage.Swapper](store)
	switch {
	case same:
		return false, nil
	case !older || !ok:
		return false, fmt.Errorf("%s is in the copy already and %w than %s", key, errOther, f.path)
	}
	ours, err := os.ReadFile(f.path)
	if err == nil {
		_, err = swapper.Swap(ctx, there, ours)
	}
	if err != nil {
		return false, recovery.Errorf(fetchHintText(err), "replace %s by what its server has written since: %w", key, err)
	}
	return true, nil
}

// compare holds an object against a file. older says that the object is what the file was when
// the server was stopped before: up to where its log ends both are the same.
func (j tailJudge) compare(ctx context.Context, store storage.Store, o storage.Object, f tailFile) (same, older bool, err error) {
	if o.Size != f.size {
		return false, false, nil
	}
	dir, err := os.MkdirTemp(j.temp, "comeback-tail-")
	if err != nil {
		return false, false, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	theirs := filepath.Join(dir, "there")
	if err := fetchFile(storage.NewReader(ctx, store, o, storage.ReadOptions{}), theirs); err != nil {
		return false, false, err
	}
	at, err := differAt(theirs, f.path)
	if err != nil || at == o.Size {
		return at == o.Size, false, err
	}
	if f.run == nil || at < sizeOfLongHeader {
		return false, false, nil
	}
	end, err := j.endIn(ctx, *f.run, theirs)
	return false, err == nil && end <= walfile.Start(f.seg, j.line.SegmentSize)+recovery.LSN(at), err
}

// sizeOfLongHeader is what a segment begins with, by which it is known.
const sizeOfLongHeader = 40

// differAt is where two files begin to differ, the length of the shorter where it nowhere does.
func differAt(a, b string) (at int64, err error) {
	var in [2]*bufio.Reader
	for i, path := range []string{a, b} {
		f, err := os.Open(path)
		if err != nil {
			return 0, err
		}
		defer f.Close()
		in[i] = bufio.NewReaderSize(f, 1<<16)
	}
	for ; ; at++ {
		x, errX := in[0].ReadByte()
		y, errY := in[1].ReadByte()
		switch {
		case errors.Is(errX, io.EOF) || errors.Is(errY, io.EOF):
			return at, nil
		case errX != nil || errY != nil:
			return at, errors.Join(errX, errY)
		case x != y:
			return at, nil
		}
	}
}
