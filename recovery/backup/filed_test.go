package backup_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"comeback/recovery/backup"
	"comeback/storage"
	"comeback/storage/s3"
	"comeback/storagetest"
)

// A run comes back as it was filed, is filed once, and nothing that a copy holds under
// a run's name is written outside of its directory.
func TestFileRun(t *testing.T) {
	store, err := storage.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"plan.json": "{}\n", "SHA256SUMS": "digests\n", "artifacts/1.log": "line\n", ".draft": "no"} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := backup.FileRun(t.Context(), store, dir, "shop", 7, "7c31"); err != nil {
			t.Fatal(err)
		}
	}
	runs, err := backup.Filed(t.Context(), store, "shop")
	if err != nil || len(runs) != 1 || runs[0].Number != 7 || runs[0].Run != "7c31" {
		t.Fatalf("%+v, %v", runs, err)
	}
	to := t.TempDir()
	if err := runs[0].Fetch(t.Context(), store, to); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(to, "artifacts", "1.log")); err != nil || string(b) != "line\n" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := os.Stat(filepath.Join(to, ".draft")); err == nil {
		t.Error("a draft was filed")
	}
	const review = "SHA256SUMS.review-1.sig" // made after the run was filed
	if err := os.WriteFile(filepath.Join(dir, review), []byte("signature\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := backup.FileReviews(t.Context(), store, dir, "shop", 7, "7c31"); err != nil {
			t.Fatal(err)
		}
	}
	if runs, err = backup.Filed(t.Context(), store, "shop"); err != nil || len(runs) != 1 {
		t.Fatalf("%+v, %v", runs, err)
	}
	if all, err := runs[0].Reviews(t.Context(), store); err != nil || len(all) != 1 || string(all[0]) != "signature\n" {
		t.Errorf("%q, %v", all, err)
	}

	// Another host has given a run of its own the same number and ID.
	other := t.TempDir()
	for name, text := range map[string]string{"SHA256SUMS": "other digests\n", review: "other signature\n"} {
		if err := os.WriteFile(filepath.Join(other, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(backup.FileRun(t.Context(), store, other, "shop", 7, "7c31"), backup.FileReviews(t.Context(), store, other, "shop", 7, "7c31")); err != nil {
		t.Fatal(err)
	}
	if runs, err = backup.Filed(t.Context(), store, "shop"); err != nil || len(runs) != 2 {
		t.Fatalf("%+v, %v", runs, err)
	}
	for _, dir := range []string{dir, other} {
		sums, err := backup.Sums(dir)
		i := slices.IndexFunc(runs, func(r backup.FiledRun) bool { return r.Sums == sums })
		if err != nil || i < 0 {
			t.Fatalf("%s is not among %+v: %v", sums, runs, err)
		}
		to := t.TempDir()
		all, err := runs[i].Reviews(t.Context(), store)
		if err := errors.Join(err, runs[i].Fetch(t.Context(), store, to)); err != nil {
			t.Fatal(err)
		}
		want, errWant := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
		got, errGot := os.ReadFile(filepath.Join(to, "SHA256SUMS"))
		if err := errors.Join(errWant, errGot); err != nil || !bytes.Equal(want, got) {
			t.Errorf("what came back is another one's: %q, not %q, %v", got, want, err)
		}
		signed, err := os.ReadFile(filepath.Join(dir, review))
		if err != nil || len(all) != 1 || !bytes.Equal(all[0], signed) {
			t.Errorf("its review is another one's: %q, %v", all, err)
		}
	}
	if err := backup.FileRun(t.Context(), store, t.TempDir(), "shop", 8, "8c31"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a run without a report is filed: %v", err)
	}
	for i, entries := range [][]tar.Header{
		{{Typeflag: tar.TypeReg, Name: "8c31/../../out"}},
		{{Typeflag: tar.TypeReg, Name: "/etc/out"}},
		{{Typeflag: tar.TypeSymlink, Name: "8c31/link", Linkname: "/etc"}},
		{{Typeflag: tar.TypeReg, Name: "8c31/twice"}, {Typeflag: tar.TypeReg, Name: "8c31/twice"}},
		{sparse}, // two kilobytes that are a petabyte of zeros
		nil,      // cut off
	} {
		store, err := storage.OpenDir(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		for _, h := range entries {
			if h.Name == sparse.Name {
				writeSparse(t, &b)
				continue
			}
			if err := tar.NewWriter(&b).WriteHeader(&h); err != nil {
				t.Fatal(err)
			}
		}
		if b.Write(make([]byte, 1024)); entries == nil {
			b.Reset()
			b.WriteString(strings.Repeat("cut off", 100))
		}
		if _, err := store.Put(t.Context(), "comeback/runs/shop/000008-8c31.tar", &b, storage.PutOptions{Size: int64(b.Len())}); err != nil {
			t.Fatal(err)
		}
		runs, err := backup.Filed(t.Context(), store, "shop")
		if err != nil || len(runs) != 1 {
			t.Fatal(runs, err)
		}
		place := filepath.Join(t.TempDir(), "8c31")
		if err := os.Mkdir(place, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := runs[0].Fetch(t.Context(), store, place); !errors.Is(err, storage.ErrCorrupt) {
			t.Errorf("%d: %v", i, err)
		}
		if around, err := os.ReadDir(filepath.Dir(place)); err != nil || len(around) > 1 {
			t.Errorf("%d: outside of it are %v, %v", i, around, err)
		}
	}
}

var sparse = tar.Header{Name: "8c31/sparse"}

// writeSparse writes a file of zeros that is stored as nothing, in the form of GNU tar
// that a header of POSIX says; this library writes none.
func writeSparse(t *testing.T, b *bytes.Buffer) {
	t.Helper()
	var records string
	for _, r := range []string{"GNU.sparse.major=0", "GNU.sparse.minor=1", "GNU.sparse.name=" + sparse.Name, "GNU.sparse.numblocks=0", "GNU.sparse.map=", "GNU.sparse.size=1000000000000000"} {
		n := len(r) + 2
		for n != len(strconv.Itoa(n))+len(r)+2 {
			n = len(strconv.Itoa(n)) + len(r) + 2
		}
		records += fmt.Sprintf("%d %s\n", n, r)
	}
	w := tar.NewWriter(b)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "PaxHeaders/sparse", Size: int64(len(records))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(records)); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	header := b.Bytes()[:512]
	header[156] = tar.TypeXHeader
	copy(header[148:156], "        ")
	sum := 0
	for _, c := range header {
		sum += int(c)
	}
	copy(header[148:156], fmt.Sprintf("%06o\x00 ", sum))
	if err := tar.NewWriter(b).WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: sparse.Name}); err != nil {
		t.Fatal(err)
	}
}

// A run that is filed is locked for a year where the bucket can lock, also when it is
// filed once more; where the bucket has a rule of its own, that is what counts.
func TestFileRun_locked(t *testing.T) {
	server := storagetest.StartS3(t)
	server.Setenv(t)
	dir := t.TempDir()
	for name, text := range map[string]string{"report.json": "{}", "SHA256SUMS": "x  report.json\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for bucket, days := range map[string]int{"by-itself": 30, "when-asked": 0} {
		server.CreateLocking(bucket)
		server.SetLocking(bucket, days)
		store, err := s3.Open(t.Context(), server.Options(bucket, ""))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := backup.FileRun(t.Context(), store, dir, "shop", 1, "7c31"); err != nil {
				t.Fatal(err)
			}
		}
		locker, _ := storage.As[storage.Locker](store)
		filed, err := backup.Filed(t.Context(), store, "shop")
		if err != nil || len(filed) != 1 {
			t.Fatalf("%+v, %v", filed, err)
		}
		o, err := store.Stat(t.Context(), storagetest.Keys(t, store, "comeback/runs/")[0])
		if err != nil {
			t.Fatal(err)
		}
		r, err := locker.Retention(t.Context(), o)
		year := r.Until.After(time.Now().AddDate(0, 0, 363))
		if err != nil || year != (days == 0) {
			t.Errorf("%s: locked until %s, %v", bucket, r.Until, err)
		}
	}
}
