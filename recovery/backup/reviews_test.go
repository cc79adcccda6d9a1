package backup_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"comeback/recovery/backup"
	"comeback/storage"
)

// signedRun is a run's directory with reviews.
func signedRun(t *testing.T, reviews map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{"SHA256SUMS": "digests\n", "report.json": "{}\n"}
	for n, signature := range reviews {
		files["SHA256SUMS.review-"+n+".sig"] = signature
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// late is a copy in which others file meanwhile: what it is asked for first is not there yet.
type late struct {
	storage.Store
	asked bool
}

func (l *late) Stat(ctx context.Context, key string) (storage.Object, error) {
	if !l.asked {
		l.asked = true
		return storage.Object{}, storage.ErrNotExist
	}
	return l.Store.Stat(ctx, key)
}

func (l *late) List(context.Context, string) iter.Seq2[storage.Object, error] {
	return func(func(storage.Object, error) bool) {}
}

// Of people who review the same run on hosts of their own, each of whom numbers their review
// as the first, every signature comes back, and each once, whoever has adopted which.
func TestFileReviews_severalHosts(t *testing.T) {
	store, err := storage.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	here, there := signedRun(t, map[string]string{"1": "of one"}), signedRun(t, map[string]string{"1": "of the other"})
	adopted, meanwhile := signedRun(t, map[string]string{"1": "of the other", "2": "of one"}), signedRun(t, map[string]string{"1": "of a third"})
	file := func(s storage.Store, dir string) {
		t.Helper()
		if err := errors.Join(backup.FileRun(t.Context(), s, dir, "shop", 7, "7c31"), backup.FileReviews(t.Context(), s, dir, "shop", 7, "7c31")); err != nil {
			t.Errorf("not filed: %v", err)
		}
	}
	filed := func(want ...string) {
		t.Helper()
		runs, err := backup.Filed(t.Context(), store, "shop")
		if err != nil || len(runs) != 1 {
			t.Fatalf("%+v, %v", runs, err)
		}
		all, err := runs[0].Reviews(t.Context(), store)
		var got []string
		for _, b := range all {
			got = append(got, string(b))
		}
		if slices.Sort(got); err != nil || !slices.Equal(got, want) {
			t.Errorf("came back %q, want %q, %v", got, want, err)
		}
	}
	file(store, here)
	file(store, there)
	filed("of one", "of the other")
	for _, dir := range []string{here, there, adopted} {
		file(store, dir)
	}
	filed("of one", "of the other")
	file(&late{Store: store}, meanwhile) // both were filed since it looked
	filed("of a third", "of one", "of the other")
	file(&late{Store: store}, meanwhile)
	filed("of a third", "of one", "of the other")
}

// What is unpacked into a directory that somebody removes meanwhile fails as that, and the
// directory is not made again with what is left of it.
func TestUnpackRun_removed(t *testing.T) {
	var packed bytes.Buffer
	if err := backup.PackRun(&packed, signedRun(t, nil), "7c31"); err != nil {
		t.Fatal(err)
	}
	const file = 1024 // a header and a block of content
	dir := filepath.Join(t.TempDir(), "draft")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	all := packed.Bytes()
	remove := reads(func() error { return os.RemoveAll(dir) })
	err := backup.UnpackRun(io.MultiReader(bytes.NewReader(all[:file]), remove, bytes.NewReader(all[file:])), dir, "7c31")
	if !errors.Is(err, fs.ErrNotExist) || errors.Is(err, storage.ErrCorrupt) {
		t.Errorf("unpacked: %v", err)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is there again: %v", err)
	}
}

// reads does something when it is read, and is empty.
type reads func() error

func (r reads) Read([]byte) (int, error) {
	if err := r(); err != nil {
		return 0, err
	}
	return 0, io.EOF
}
