package pitr

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"io"
	"iter"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/pitr/walfile"
	"comeback/storage"
)

// tagged is a store whose revisions are 32 hexadecimal digits, as the plain ETags of S3.
type tagged struct{ storage.Store }

func asTagged(o storage.Object) storage.Object {
	sum := md5.Sum([]byte(o.Revision))
	o.Revision = hex.EncodeToString(sum[:])
	return o
}

func (s tagged) List(ctx context.Context, prefix string) iter.Seq2[storage.Object, error] {
	return func(yield func(storage.Object, error) bool) {
		for o, err := range s.Store.List(ctx, prefix) {
			if !yield(asTagged(o), err) {
				return
			}
		}
	}
}

func (s tagged) Stat(ctx context.Context, key string) (storage.Object, error) {
	o, err := s.Store.Stat(ctx, key)
	return asTagged(o), err
}

func (s tagged) Open(ctx context.Context, o storage.Object, offset int64) (io.ReadCloser, error) {
	is, err := s.Store.Stat(ctx, o.Key)
	if err != nil {
		return nil, err
	}
	if asTagged(is).Revision != o.Revision {
		return nil, storage.ErrChanged
	}
	return s.Store.Open(ctx, is, offset)
}

// A base backup that does not say of which cluster it is belongs to the one that archived the
// segment in which it begins at that time, also where segments are kept without their times.
func TestSurvey_whose(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		began time.Duration // ago
		known bool
	}{"when it was archived": {0, true}, "long before": {30 * 24 * time.Hour, false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, err := storage.OpenDir(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			put := func(key string, b []byte) {
				t.Helper()
				if _, err := dir.Put(t.Context(), key, bytes.NewReader(b), storage.PutOptions{Size: int64(len(b))}); err != nil {
					t.Fatal(err)
				}
			}
			for seg := uint64(1); seg <= 8; seg++ {
				put("wal/"+walfile.SegmentName(1, seg, 1<<20), append(headed(1, seg, 1+(seg-1)/4), make([]byte, 1<<20-40)...))
			}
			const label = "START WAL LOCATION: 0/600028 (file 000000010000000000000006)\nSTART TIMELINE: 1\n"
			var base bytes.Buffer
			w := tar.NewWriter(&base)
			if err := w.WriteHeader(&tar.Header{Name: "backup_label", Size: int64(len(label)), Mode: 0o600, ModTime: time.Now().Add(-test.began)}); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(w, label); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			put("base/1/base.tar", base.Bytes())
			put("base/1/backup_manifest", []byte(`{ "PostgreSQL-Backup-Manifest-Version": 1,
"Files": [
],
"WAL-Ranges": [
{ "Timeline": 1, "Start-LSN": "0/600028", "End-LSN": "0/600100" }
],
"Manifest-Checksum": "00"}
`))
			s, err := New(Options{}).Survey(t.Context(), recovery.Component{Name: "database", Kind: recovery.Postgres}, recovery.Copy{Name: "offsite"}, tagged{dir})
			if err != nil || len(s.Backups) != 1 {
				t.Fatalf("%+v, %v", s.Backups, err)
			}
			b := s.Backups[0]
			if test.known && (b.Problem != "" || b.Details[recovery.SystemIdentifier] != "2") {
				t.Errorf("it is of %q: %s", b.Details[recovery.SystemIdentifier], b.Problem)
			}
			if !test.known && !strings.Contains(b.Problem, "nothing tells which is this backup's") {
				t.Errorf("nothing tells whose it is, and it has the problem %q", b.Problem)
			}
		})
	}
}
