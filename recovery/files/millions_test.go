package files

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"comeback/enginetest"
	"comeback/recovery/files/tree"
)

// What a restore knows of a tree's files at a time is bounded, however many there are:
// 40 000, or, where COMEBACK_SOAK asks for all, ten million. Their bytes are in the
// tree already, so that only the bookkeeping is seen.
func TestRestoring_millions(t *testing.T) {
	const inPack = 20_000
	n := 2 * inPack
	if enginetest.Soak() {
		n = 10_000_000
	}
	s := &scratch{Place: tree.Place{Dir: t.TempDir()}, jobs: 2}
	writeManifest(t, s.Path(manifestFile), n, inPack)
	r := &restoring{scratch: s, past: map[int]written{}}
	for i := range n / inPack {
		s.args.Facts.Packs = append(s.args.Facts.Packs, part{Name: fmt.Sprintf("packs/%d", i), Files: inPack})
		r.past[i] = written{Pack: i, Done: inPack}
	}
	peak := make(chan uint64)
	ctx, done := context.WithCancel(t.Context())
	go func() {
		var most uint64
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapInuse)
			select {
			case <-tick.C:
			case <-ctx.Done():
				peak <- most
				return
			}
		}
	}()
	err := r.packs(ctx)
	done()
	most := <-peak
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d files: %d MB of heap at the most", n, most>>20)
	if most > 512<<20 {
		t.Errorf("%d files took %d MB of heap", n, most>>20)
	}
	// A manifest that names one file fewer is found out.
	s.args.Facts.Packs[1].Files++
	r.past[1] = written{Pack: 1, Done: inPack + 1}
	if err := r.packs(t.Context()); err == nil || !strings.Contains(err.Error(), "of pack 1") {
		t.Errorf("a file is missing: %v", err)
	}
}

// writeManifest writes a manifest of n files in packs.
func writeManifest(t *testing.T, path string, n, inPack int) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewWriter(f, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		t.Fatal(err)
	}
	out := bufio.NewWriterSize(z, 1<<20)
	sum := sha256.Sum256(nil)
	record := tree.Record{Type: tree.File, Mode: 0o644, Modified: time.Unix(1, 0), Changed: time.Unix(1, 0), Size: 100, SHA256: hex.EncodeToString(sum[:])}
	var text []byte
	for i := range n {
		record.Pack, record.At = i/inPack, int64(i%inPack)*512
		record.Path = filepath.Join(fmt.Sprintf("%03d/%03d", i/1_000_000, i/1000%1000), fmt.Sprintf("an-upload-with-a-name-%d.jpg", i))
		text = appendRecord(text[:0], record)
		if _, err := out.Write(text); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := fmt.Fprintf(out, "end %d\x00", n); err != nil {
		t.Fatal(err)
	}
	for _, closing := range []func() error{out.Flush, z.Close, f.Close} {
		if err := closing(); err != nil {
			t.Fatal(err)
		}
	}
}
