package pitr

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"sort"
	"strings"

	"comeback/recovery"
	"comeback/recovery/pitr/walfile"
	"comeback/recovery/pitr/xlog"
)

// index is the archived WAL of one cluster, sorted.
type index struct {
	Archive
	// segments holds, by timeline and in order, one file per segment.
	segments map[uint32][]File
	partials map[uint32][]File
	labels   map[string]File
	// forks are the ancestors of a timeline, by its number; a timeline
	// without a readable .history file is not in it.
	forks map[uint32][]fork
}

// maxHistories bounds how many .history files are read.
const maxHistories = 1000

// newIndex sorts an archive and reads its .history files. What is wrong with
// them is found, not an error.
func newIndex(ctx context.Context, r Repository, a Archive) (*index, []recovery.Finding, error) {
	x := &index{Archive: a, segments: map[uint32][]File{}, partials: map[uint32][]File{},
		labels: map[string]File{}, forks: map[uint32][]fork{1: nil}}
	x.learnSize()
	var histories []File
	// In place: an archive may be large.
	slices.SortStableFunc(a.Files, func(a, b File) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Timeline, b.Timeline))
	})
	for files := a.Files; len(files) > 0; {
		kind, timeline := files[0].Kind, files[0].Timeline
		n := sort.Search(len(files), func(i int) bool { return files[i].Kind != kind || files[i].Timeline != timeline })
		alike := slices.Clip(files[:n])
		files = files[n:]
		switch kind {
		case walfile.Segment:
			x.segments[timeline] = alike
		case walfile.Partial:
			x.partials[timeline] = alike
		case walfile.Label:
			for _, f := range alike {
				x.labels[f.Name()] = f
			}
		case walfile.History:
			histories = append(histories, alike...)
		}
	}
	if x.SegmentSize > 0 {
		for timeline, files := range x.segments {
			x.segments[timeline] = sorted(files, x.SegmentSize)
		}
		for timeline, files := range x.partials {
			x.partials[timeline] = sorted(files, x.SegmentSize)
		}
	}
	findings, err := x.readHistories(ctx, r, histories)
	return x, findings, err
}

// learnSize tells the size of segments from the sizes of raw objects where no
// header told it: the most frequent one that is possible.
func (x *index) learnSize() {
	if x.SegmentSize > 0 {
		return
	}
	counts := map[int64]int{}
	for _, f := range x.Files {
		if f.Kind == walfile.Segment && f.Packing == Plain && !f.Sealed && !f.Unsized && xlog.ValidSegmentSize(f.size()) {
			counts[f.size()]++
		}
	}
	for size, n := range counts {
		if n > counts[x.SegmentSize] || n == counts[x.SegmentSize] && size > x.SegmentSize {
			x.SegmentSize = size
		}
	}
}

// sorted puts files in the order of the log and keeps the best of those with
// the same name.
func sorted(files []File, size int64) []File {
	slices.SortStableFunc(files, func(a, b File) int {
		return cmp.Or(cmp.Compare(a.Seg(size), b.Seg(size)), cmp.Compare(rank(a, size), rank(b, size)))
	})
	return slices.CompactFunc(files, func(a, b File) bool { return a.Seg(size) == b.Seg(size) })
}

// rank orders objects of the same segment: those without a fault first, among
// them those that need no unpacking.
func rank(f File, size int64) int {
	switch {
	case fault(f, size) != "":
		return 2
	case f.Packing == Plain:
		return 0
	}
	return 1
}

// fault says what a listing shows to be wrong with a segment; "" if nothing.
func fault(f File, size int64) string {
	switch {
	case f.inside():
		return ""
	case f.empty():
		return "empty"
	case f.Packing == Plain && !f.Sealed && !f.Unsized && f.size() != size:
		return "wrong size"
	}
	return ""
}

// usable reports whether an unfinished segment can stand for the finished one:
// pg_receivewal writes it in its full size, but not where it compresses, and a server that
// was promoted archives it in its full size.
func usable(f File, size int64) bool {
	growing := f.Packing != Plain && strings.HasSuffix(f.Object().Key, ".partial")
	return fault(f, size) == "" && !growing
}

func (x *index) readHistories(ctx context.Context, r Repository, histories []File) ([]recovery.Finding, error) {
	var findings []recovery.Finding
	slices.SortFunc(histories, func(a, b File) int { return cmp.Compare(a.Timeline, b.Timeline) })
	for _, f := range histories[:min(len(histories), maxHistories)] {
		forks, err := readHistory(ctx, r, f)
		if err != nil && broken(ctx, err) {
			return nil, fmt.Errorf("read %s: %w", f.Object().Key, err)
		}
		if err == nil {
			x.forks[f.Timeline] = forks
			continue
		}
		findings = append(findings, recovery.Finding{Object: f.Object().Key,
			Says: fmt.Sprintf("the history of timeline %d cannot be read: %v", f.Timeline, err),
			Do:   "copy the file from the server's pg_wal again"})
	}
	for _, timeline := range slices.Sorted(maps.Keys(x.segments)) {
		if _, ok := x.forks[timeline]; !ok {
			findings = append(findings, recovery.Finding{Object: x.segments[timeline][0].Object().Key,
				Says: fmt.Sprintf("timeline %d has segments but no %s, so nobody knows where it branched off", timeline, walfile.HistoryName(timeline)),
				Do:   "copy the file from the server's pg_wal into the archive"})
		}
	}
	return findings, nil
}

// stray is the newest timeline that has segments but no history; 0 where there is none.
func (x *index) stray() (newest uint32) {
	for timeline := range x.segments {
		if _, known := x.forks[timeline]; !known && !x.dead[timeline].Dead {
			newest = max(newest, timeline)
		}
	}
	return newest
}

func readHistory(ctx context.Context, r Repository, f File) ([]fork, error) {
	in, err := r.Open(ctx, f)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	text, err := io.ReadAll(io.LimitReader(in, 1<<20))
	if err != nil {
		return nil, err
	}
	return parseHistory(string(text))
}

// branches lists every history of the cluster that the archive knows, that of
// the newest timeline first. A timeline without a history of its own is one
// where it is the only thing known: a cluster restored long ago.
func (x *index) branches(also ...uint32) []branch {
	known := map[uint32]bool{}
	for timeline := range x.forks {
		known[timeline] = timeline > 1 || len(x.segments[1]) > 0
	}
	for _, timeline := range also {
		known[timeline] = true
	}
	var all []branch
	for _, timeline := range slices.Sorted(maps.Keys(known)) {
		if known[timeline] {
			all = append(all, newBranch(timeline, x.forks[timeline]))
		}
	}
	slices.Reverse(all)
	return all
}
