package pitr

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"comeback/recovery/pitr/walfile"
	"comeback/recovery/pitr/xlog"
)

// A place may hold the log of several clusters: of a server that was built anew or upgraded
// by pg_upgrade and archives where the one before it did. Both write timeline 1, and the
// positions of the one go on where the other's end, or begin anew, so that the names of
// each are a run of their own on every timeline. Their files are told apart by the headers
// of a few segments: those at the ends, those that a base backup of another cluster begins
// in, and, between two that differ, those that bisection comes to.

// ofCluster are the files of one cluster in a place.
type ofCluster struct {
	header xlog.Header
	files  []File
	// others are the runs of the other clusters there.
	others []foreign
}

// foreign is a run of segments, by their names, that are another cluster's.
type foreign struct {
	// Dir is the place's.
	Dir string `json:"dir"`
	// From is the first and To the first after it; empty is the end of the timeline,
	// however far it grows.
	From string `json:"from"`
	To   string `json:"to,omitempty"`
}

// has reports whether a segment is in the run.
func (r foreign) has(dir, name string) bool {
	return r.Dir == dir && len(name) >= len(r.From) && name[:8] == r.From[:8] && name >= r.From && (r.To == "" || name < r.To)
}

// clusters tells the files of a place apart. Where no header could be read there is one
// cluster, of which nothing is known.
func (n *native) clusters(ctx context.Context, p Place, files []File, bases []Base) ([]ofCluster, error) {
	s := &splitter{repo: n, dir: p.Dir, known: map[string]xlog.Header{}}
	ends := endsOf(files)
	var headers []xlog.Header
	for _, end := range ends {
		h, err := s.header(ctx, end)
		if err != nil {
			return nil, err
		}
		headers = append(headers, h)
	}
	first := xlog.Header{}
	for _, h := range headers {
		if h.System != "" && first.System == "" {
			first = h
		}
	}
	if first.System == "" {
		h, err := anyHeader(ctx, n, files)
		return []ofCluster{{header: h, files: files}}, err
	}
	mixed := slices.ContainsFunc(headers, func(h xlog.Header) bool { return h.System != "" && h.System != first.System })
	// Where a base backup of another cluster begins, a segment of its name may be either's.
	begins := map[string]bool{}
	for _, b := range bases {
		if size := cmp.Or(b.SegmentSize, first.SegmentSize); b.System != "" && b.System != first.System && b.Start != 0 {
			begins[walfile.SegmentName(b.Timeline, walfile.Number(b.Start, size), size)] = true
		}
	}
	for _, f := range files {
		if mixed || len(begins) == 0 {
			break
		}
		if f.Kind != walfile.Segment || f.empty() || !begins[f.Name()] {
			continue
		}
		h, err := s.header(ctx, f)
		if err != nil {
			return nil, err
		}
		mixed = h.System != "" && h.System != first.System
	}
	if !mixed {
		return []ofCluster{{header: first, files: files}}, nil
	}
	return s.split(ctx, files, bases)
}

// endsOf are the first and the last segment of the first and of the last timeline.
func endsOf(files []File) (ends []File) {
	type pair struct{ first, last File }
	all := map[uint32]*pair{}
	var at *pair // that of the file before, which most are like
	for _, f := range files {
		if f.Kind != walfile.Segment || f.empty() {
			continue
		}
		if at == nil || at.first.Timeline != f.Timeline {
			if at = all[f.Timeline]; at == nil {
				at = &pair{f, f}
				all[f.Timeline] = at
			}
		}
		if f.compare(at.first) < 0 {
			at.first = f
		}
		if f.compare(at.last) > 0 {
			at.last = f
		}
	}
	timelines := slices.Sorted(maps.Keys(all))
	for i, timeline := range timelines {
		if i > 0 && i < len(timelines)-1 {
			continue
		}
		if ends = append(ends, all[timeline].first); all[timeline].first.compare(all[timeline].last) != 0 {
			ends = append(ends, all[timeline].last)
		}
	}
	return ends
}

// splitter tells the files of a place apart.
type splitter struct {
	repo  *native
	dir   string
	known map[string]xlog.Header // by key
	all   []ofCluster
	// runs are all of them, in order.
	runs []run
}

// run are segments of one cluster in a row on a timeline.
type run struct {
	foreign
	system string
}

// header reads that of a file, once; it is zero where the file tells nothing.
func (s *splitter) header(ctx context.Context, f File) (xlog.Header, error) {
	key := f.Object().Key
	if h, ok := s.known[key]; ok {
		return h, nil
	}
	h, err := readHeader(ctx, s.repo, f)
	if err != nil && broken(ctx, err) {
		return h, fmt.Errorf("look into %s: %w", key, err)
	}
	if err != nil {
		h = xlog.Header{}
	}
	s.known[key] = h
	return h, nil
}

// split tells them apart by runs.
func (s *splitter) split(ctx context.Context, files []File, bases []Base) ([]ofCluster, error) {
	byTimeline := map[uint32][]File{}
	for _, f := range files {
		if f.Kind == walfile.Segment {
			byTimeline[f.Timeline] = append(byTimeline[f.Timeline], f)
		}
	}
	for _, timeline := range slices.Sorted(maps.Keys(byTimeline)) {
		segments := byTimeline[timeline]
		slices.SortStableFunc(segments, File.compare)
		if err := s.timeline(ctx, timeline, segments, bases); err != nil {
			return nil, err
		}
	}
	for _, f := range files {
		if f.Kind == walfile.Segment {
			continue
		}
		if err := s.other(ctx, f); err != nil {
			return nil, err
		}
	}
	for i := range s.all {
		for _, r := range s.runs {
			if r.system != s.all[i].header.System {
				s.all[i].others = append(s.all[i].others, r.foreign)
			}
		}
		slices.SortFunc(s.all[i].others, func(a, b foreign) int { return cmp.Compare(a.From, b.From) })
	}
	return s.all, nil
}

// of is the cluster of a system.
func (s *splitter) of(h xlog.Header) *ofCluster {
	i := slices.IndexFunc(s.all, func(c ofCluster) bool { return c.header.System == h.System })
	if i < 0 {
		s.all = append(s.all, ofCluster{header: h})
		i = len(s.all) - 1
	}
	return &s.all[i]
}

// timeline sorts in the segments of one timeline, which are in order.
func (s *splitter) timeline(ctx context.Context, timeline uint32, segments []File, bases []Base) error {
	// at is the header of a segment, or of the nearest after it, or else before it, that
	// has one.
	at := func(i int) (xlog.Header, error) {
		for k := range 2 * headerTries {
			j := i + k
			if k >= headerTries {
				j = i - (k - headerTries + 1)
			}
			if j < 0 || j >= len(segments) || segments[j].empty() {
				continue
			}
			if h, err := s.header(ctx, segments[j]); err != nil || h.System != "" {
				return h, err
			}
		}
		return xlog.Header{}, nil
	}
	samples := []int{0, len(segments) - 1}
	for _, b := range bases {
		if b.Timeline != timeline || b.Start == 0 || b.SegmentSize == 0 {
			continue
		}
		name := walfile.SegmentName(timeline, walfile.Number(b.Start, b.SegmentSize), b.SegmentSize)
		i := sort.Search(len(segments), func(i int) bool { return segments[i].Name() >= name })
		if i < len(segments) && segments[i].Name() == name {
			samples = append(samples, i)
		}
	}
	slices.Sort(samples)
	samples = slices.Compact(samples)
	add := func(from, to int, h xlog.Header) {
		c := s.of(h)
		c.files = append(c.files, segments[from:to]...)
		r := run{foreign{Dir: s.dir, From: segments[from].Name()}, h.System}
		if to < len(segments) {
			r.To = segments[to].Name()
		}
		s.runs = append(s.runs, r)
	}
	from := 0
	now, err := at(0)
	if err != nil {
		return err
	}
	var halves func(lo, hi int, a, b xlog.Header) error // a is that of lo, b that of hi
	halves = func(lo, hi int, a, b xlog.Header) error {
		if a.System == b.System {
			return nil
		}
		if hi-lo == 1 {
			add(from, hi, now)
			from, now = hi, b
			return nil
		}
		middle := lo + (hi-lo)/2
		m, err := at(middle)
		if err != nil {
			return err
		}
		if m.System == "" { // it is of no use to either
			m = a
		}
		if err := halves(lo, middle, a, m); err != nil {
			return err
		}
		return halves(middle, hi, m, b)
	}
	for i := 1; i < len(samples); i++ {
		next, err := at(samples[i])
		if err != nil {
			return err
		}
		switch {
		case next.System == "":
			next = now
		case now.System == "":
			now = next
		}
		if err := halves(samples[i-1], samples[i], now, next); err != nil {
			return err
		}
	}
	add(from, len(segments), now)
	return nil
}

// other sorts in what is no segment. A history is that of each cluster which has its
// timeline; where none has, nobody knows whose it is.
func (s *splitter) other(ctx context.Context, f File) error {
	if f.Kind == walfile.Partial && !f.empty() {
		if h, err := s.header(ctx, f); err != nil {
			return err
		} else if h.System != "" {
			c := s.of(h)
			c.files = append(c.files, f)
			return nil
		}
	}
	prefix := walfile.FormatTimeline(f.Timeline)
	added := false
	for i := range s.all {
		c := &s.all[i]
		its := false
		for _, r := range s.runs {
			if r.system != c.header.System || !strings.HasPrefix(r.From, prefix) {
				continue
			}
			its = its || f.Kind == walfile.History || r.has(s.dir, f.Name()[:24])
		}
		if its {
			c.files = append(c.files, f)
			added = true
		}
	}
	for i := range s.all {
		if !added {
			s.all[i].files = append(s.all[i].files, f)
		}
	}
	return nil
}
