package pitr

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"comeback/recovery/pitr/walfile"
	"comeback/storage"
)

// headed is the beginning of a segment of a cluster.
func headed(timeline uint32, seg, system uint64) []byte {
	b := make([]byte, 40)
	binary.LittleEndian.PutUint16(b, 0xD110) // of PostgreSQL 15
	binary.LittleEndian.PutUint16(b[2:], 2)
	binary.LittleEndian.PutUint32(b[4:], timeline)
	binary.LittleEndian.PutUint64(b[8:], seg<<20)
	binary.LittleEndian.PutUint64(b[24:], system)
	binary.LittleEndian.PutUint32(b[32:], 1<<20)
	binary.LittleEndian.PutUint32(b[36:], 8192)
	return b
}

// openings counts what is opened.
type openings struct {
	storage.Store
	n atomic.Int32
}

func (o *openings) Open(ctx context.Context, at storage.Object, offset int64) (io.ReadCloser, error) {
	o.n.Add(1)
	return o.Store.Open(ctx, at, offset)
}

// The files of each cluster in a place are found from few headers, whatever the order in
// which the clusters' positions follow each other.
func TestNative_clusters(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		// segments are letters, one for each segment of a timeline from 1 on: the cluster,
		// "." where none is, "?" where its header cannot be read.
		segments map[uint32]string
		more     []string
		bases    []Base
		want     map[string]string
		most     int32 // headers
	}{
		"one":                       {segments: map[uint32]string{1: strings.Repeat("a", 500), 2: strings.Repeat("a", 500)}, want: map[string]string{"a": "1:500 2:500"}, most: 4},
		"its log goes on":           {segments: map[uint32]string{1: strings.Repeat("a", 300) + strings.Repeat("b", 700)}, want: map[string]string{"a": "1:300", "b": "1:700"}, most: 20},
		"its log begins anew":       {segments: map[uint32]string{1: "bb" + strings.Repeat(".", 90) + strings.Repeat("a", 40)}, want: map[string]string{"a": "1:40", "b": "1:2"}, most: 12},
		"after a promotion":         {segments: map[uint32]string{1: "aaaa...bbb", 2: "...aaaa", 3: "......a"}, more: []string{"00000002.history", "00000003.history"}, want: map[string]string{"a": "1:4 2:4 3:1 history:2 history:3", "b": "1:3"}, most: 16},
		"one amid another":          {segments: map[uint32]string{1: "aaaabbbaaaaaaaaa"}, bases: []Base{{System: "2", Timeline: 1, Start: 6 << 20, SegmentSize: 1 << 20}}, want: map[string]string{"a": "1:13", "b": "1:3"}, most: 20},
		"three":                     {segments: map[uint32]string{1: "abbbbcccccccc"}, want: map[string]string{"a": "1:1", "b": "1:4", "c": "1:8"}, most: 20},
		"unreadable where it turns": {segments: map[uint32]string{1: "aaa??bbbb"}, want: map[string]string{"a": "1:3", "b": "1:4"}, most: 20},
		"what is beside them": {segments: map[uint32]string{1: "aaaabbbb"}, more: []string{"000000010000000000000002.00000028.backup", "000000010000000000000006.00000028.backup"},
			want: map[string]string{"a": "1:4 label:2", "b": "1:4 label:6"}, most: 20},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, err := storage.OpenDir(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			store := &openings{Store: dir}
			n := &native{store: store}
			put := func(key string, b []byte) {
				if _, err := dir.Put(t.Context(), key, bytes.NewReader(b), storage.PutOptions{Size: int64(len(b))}); err != nil {
					t.Fatal(err)
				}
			}
			unreadable := map[string]bool{}
			for timeline, letters := range test.segments {
				for i, letter := range letters {
					seg := uint64(i) + 1
					key := "wal/" + walfile.SegmentName(timeline, seg, 1<<20)
					switch letter {
					case '.':
					case '?':
						put(key, make([]byte, 40))
						unreadable[key] = true
					default:
						put(key, headed(timeline, seg, uint64(letter-'a')+1))
					}
				}
			}
			for _, key := range test.more {
				put("wal/"+key, []byte("x"))
			}
			found, err := n.list(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			place := Place{Dir: "wal/"}
			clusters, err := n.clusters(t.Context(), place, found.wal[place].files(), test.bases)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for _, c := range clusters {
				letter := string(rune('a' + c.header.System[0] - '1'))
				counts := map[string]int{}
				for _, f := range c.files {
					switch {
					case unreadable[f.Object().Key]:
					case f.Kind == walfile.History:
						counts[fmt.Sprintf("history:%d", f.Timeline)] = 0
					case f.Kind == walfile.Label:
						counts[fmt.Sprintf("label:%d", f.Low)] = 0
					default:
						counts[fmt.Sprintf("%d", f.Timeline)]++
						if h, err := readHeader(t.Context(), &native{store: dir}, f); err != nil || h.System != c.header.System {
							t.Errorf("%s is of %s, not of %s", f.Name(), h.System, c.header.System)
						}
						for _, r := range c.others {
							if r.has("wal/", f.Name()) {
								t.Errorf("%s is said to be another's: %+v", f.Name(), r)
							}
						}
						for _, other := range clusters {
							if other.header.System != c.header.System && !slices.ContainsFunc(other.others, func(r foreign) bool { return r.has("wal/", f.Name()) }) {
								t.Errorf("%s is not said to be another's than %s", f.Name(), other.header.System)
							}
						}
					}
				}
				var says []string
				for _, of := range slices.Sorted(maps.Keys(counts)) {
					if n := counts[of]; n > 0 {
						of = fmt.Sprintf("%s:%d", of, n)
					}
					says = append(says, of)
				}
				got[letter] = strings.Join(says, " ")
			}
			if !maps.Equal(got, test.want) {
				t.Errorf("the clusters have %q, want %q", got, test.want)
			}
			if store.n.Load() > test.most {
				t.Errorf("%d headers were read, want at most %d", store.n.Load(), test.most)
			}
		})
	}
}
