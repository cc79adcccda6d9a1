package backup_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"comeback/recovery/backup"
	"comeback/storage"
)

// A run comes back as it was filed, is filed once, and nothing that a copy holds under
// a run's name is written outside of its directory.
func TestFileRun(t *testing.T) {
	store, err := storage.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"plan.json": "{}\n", "artifacts/1.log": "line\n", ".draft": "no"} {
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
	to := filepath.Join(t.TempDir(), "deep", "7c31")
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
	if err := runs[0].FetchReviews(t.Context(), store, to); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(to, review)); err != nil || string(b) != "signature\n" {
		t.Errorf("%q, %v", b, err)
	}
	for i, h := range []tar.Header{{Typeflag: tar.TypeReg, Name: "8c31/../../out"}, {Typeflag: tar.TypeReg, Name: "/etc/out"}, {Typeflag: tar.TypeSymlink, Name: "8c31/link", Linkname: "/etc"}} {
		store, err := storage.OpenDir(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		if err := errors.Join(w.WriteHeader(&h), w.Close()); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Put(t.Context(), "comeback/runs/shop/000008-8c31.tar", &b, storage.PutOptions{Size: int64(b.Len())}); err != nil {
			t.Fatal(err)
		}
		runs, err := backup.Filed(t.Context(), store, "shop")
		if err != nil || len(runs) != 1 {
			t.Fatal(runs, err)
		}
		place := t.TempDir()
		if err := runs[0].Fetch(t.Context(), store, filepath.Join(place, "8c31")); !errors.Is(err, storage.ErrCorrupt) {
			t.Errorf("%d: %v", i, err)
		}
		if left, err := os.ReadDir(place); err != nil || len(left) > 0 {
			t.Errorf("%d: left %v, %v", i, left, err)
		}
	}
}
