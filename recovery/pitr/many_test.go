package pitr

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/pitr/walfile"
	"comeback/storage"
)

// year is a copy whose archive was going on for long: the source's, followed by so
// many segments of which nobody has the bytes. It counts what is asked of it.
type year struct {
	storage.Store
	objects []storage.Object

	mu           sync.Mutex
	lists, opens int
	listed       int
	opened       map[string]int
}

// longArchive makes one with n more segments, some of them broken.
func longArchive(t testing.TB, c *copyOf, n int, broken map[int]string) *year {
	t.Helper()
	y := &year{Store: c.store, opened: map[string]int{}}
	var last string
	for o, err := range c.store.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		y.objects = append(y.objects, o)
		if f, ok := ParseFileName(path.Base(o.Key)); ok && f.Kind == walfile.Segment {
			last = o.Key
		}
	}
	f, _ := ParseFileName(path.Base(last))
	for i := 1; i <= n; i++ {
		o := storage.Object{Key: "wal/" + walfile.SegmentName(1, f.Seg(1<<20)+uint64(i), 1<<20), Size: 1 << 20, Modified: time.Unix(int64(i), 0)}
		switch broken[i] {
		case "missing":
			continue
		case "empty":
			o.Size = 0
		case "wrong size":
			o.Size = 4096
		}
		y.objects = append(y.objects, o)
	}
	slices.SortFunc(y.objects, func(a, b storage.Object) int { return strings.Compare(a.Key, b.Key) })
	return y
}

func (y *year) List(_ context.Context, prefix string) iter.Seq2[storage.Object, error] {
	return func(yield func(storage.Object, error) bool) {
		first, _ := slices.BinarySearchFunc(y.objects, prefix, func(o storage.Object, prefix string) int { return strings.Compare(o.Key, prefix) })
		listed := 0
		defer func() {
			y.mu.Lock()
			defer y.mu.Unlock()
			y.lists++
			y.listed += listed
		}()
		for _, o := range y.objects[first:] {
			if !strings.HasPrefix(o.Key, prefix) {
				return
			}
			listed++
			if !yield(o, nil) {
				return
			}
		}
	}
}

func (y *year) Open(ctx context.Context, o storage.Object, offset int64) (io.ReadCloser, error) {
	y.mu.Lock()
	y.opens++
	y.opened[o.Key]++
	y.mu.Unlock()
	if o.Revision == "" { // one of the many: it begins as all do, and holds nothing
		return io.NopCloser(bytes.NewReader(make([]byte, o.Size-min(o.Size, offset)))), nil
	}
	return y.Store.Open(ctx, o, offset)
}

// many is how many segments a year has, at one in two and a half minutes.
const many = 200_000

// An archive of 200 000 segments is judged from one listing: every object is seen
// once, and but for the base backup's own description a handful of segments is
// opened, those that decide. Gaps of every kind are found wherever they are.
func TestSurvey_Many(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	c := l.copy(t, "zstd")
	y := longArchive(t, c, many, map[int]string{50_000: "missing", 50_001: "missing", 100_000: "empty", 150_000: "wrong size"})
	s, err := testEngine(t).Survey(t.Context(), database, recovery.Copy{Name: "nearby"}, y)
	if err != nil {
		t.Fatal(err)
	}
	if y.lists > 3 || y.listed > len(y.objects)+10 {
		t.Errorf("%d lists of %d objects, there are %d", y.lists, y.listed, len(y.objects))
	}
	if y.opens > 30 {
		t.Errorf("%d objects were opened", y.opens)
	}
	for key, n := range y.opened {
		if strings.HasPrefix(key, "wal/") && n > 6 {
			t.Errorf("%s was opened %d times", key, n)
		}
	}
	if len(s.Windows) != 1 {
		t.Fatalf("%d windows", len(s.Windows))
	}
	var gaps []string
	for _, g := range s.Windows[0].Gaps {
		gaps = append(gaps, fmt.Sprintf("%s %d", g.Why, (g.To-g.From)>>20))
	}
	if got := strings.Join(gaps, ", "); got != "missing 2, empty 1, wrong size 1" {
		t.Errorf("the gaps are %q", got)
	}
	var findings []string
	for _, f := range s.Findings {
		findings = append(findings, f.Says)
	}
	if all := strings.Join(findings, "; "); !strings.Contains(all, "segment of 0 bytes (empty)") || !strings.Contains(all, "segment of 4096 bytes (wrong size)") {
		t.Errorf("the findings are %q", all)
	}
}

// A moment at the beginning of such an archive is found with every object listed
// once, and by reading a few segments, as a search does that halves: of 200 000 no
// more than 50, none of them more than a few times.
func TestResolve_Many(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	c := l.copy(t, "zstd")
	y := longArchive(t, c, many, nil)
	s := survey(t, c.store, database) // of when the archive was young
	before := y.listed
	p, err := testEngine(t).Resolve(t.Context(), s, recovery.Want{Kind: recovery.WantBeforeXID, XID: l.special["drop table"], Text: "x"}, y)
	if err != nil {
		t.Fatal(err)
	}
	if p.Lost.XID != l.special["drop table"] {
		t.Errorf("%+v", p)
	}
	if n := y.listed - before; n > len(y.objects)+10 {
		t.Errorf("%d objects were listed, there are %d", n, len(y.objects))
	}
	read := 0
	for key, n := range y.opened {
		f, ok := ParseFileName(path.Base(key))
		if !ok || f.Kind != walfile.Segment {
			continue
		}
		if read++; n > 6 {
			t.Errorf("%s was read %d times", key, n)
		}
	}
	if read > 50 {
		t.Errorf("%d segments were read", read)
	}
	t.Logf("%d lists, %d segments read", y.lists, read)
}

// BenchmarkSurvey judges an archive of 200 000 segments: 1.1 s on one core of a busy
// machine, in 2026.
func BenchmarkSurvey(b *testing.B) {
	c := source.get(b).copy(b, "zstd")
	y := longArchive(b, c, many, nil)
	e := New(Options{Temp: b.TempDir()})
	for b.Loop() {
		if _, err := e.Survey(b.Context(), database, recovery.Copy{Name: "nearby"}, y); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(many, "segments")
}
