package gather

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/runner"
	"comeback/runbooks"
	"comeback/storage"
)

// A copy with many backups is looked at in its time, and the next look reads
// nothing of them again; that this host cannot keep what was read changes nothing.
func TestCopy_manyBackups(t *testing.T) {
	t.Parallel()
	nearby, state := t.TempDir(), t.TempDir()
	o := Options{Runbook: &runbooks.Runbook{System: "shop"}, Home: runner.Home{Dir: state}, Now: time.Now,
		Expand: func(text string) (string, error) { return text, nil },
		Open:   func(context.Context, recovery.Copy) (storage.Store, error) { return storage.OpenDir(nearby) },
		Skew:   func(context.Context, storage.Store) (*time.Duration, error) { return nil, nil }}
	const n = 300
	dir := filepath.Join(nearby, recovery.ManifestsIn, "uploads")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		m := recovery.Manifest{Format: recovery.ManifestFormat, ID: fmt.Sprintf("uploads/%d", i), System: "shop", Component: "uploads", Kind: recovery.Files, Engine: "files", Begun: time.Unix(int64(i), 0)}
		text, err := m.Encode()
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d-snapshot.json", i)), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	look := func(want int) {
		t.Helper()
		seen := o.copy(t.Context(), recovery.Copy{Name: "nearby", URL: "file://" + nearby})
		if seen.Err != nil || seen.UnreadErr != nil || seen.Unread > 0 || len(seen.Manifests) != want {
			t.Fatalf("%d manifests and %d unread: %v, %v", len(seen.Manifests), seen.Unread, seen.Err, seen.UnreadErr)
		}
	}
	// A file in place of the directory: nothing can be kept.
	known := filepath.Join(state, "known")
	if err := os.WriteFile(known, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	look(n)
	if err := os.Remove(known); err != nil {
		t.Fatal(err)
	}
	look(n)
	// Its revision stays: who reads it again reads none.
	path := filepath.Join(dir, "7-snapshot.json")
	was, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(path, bytes.Repeat([]byte("x"), int(was.Size())), 0o600), os.Chtimes(path, was.ModTime(), was.ModTime())); err != nil {
		t.Fatal(err)
	}
	look(n)
	kept, err := filepath.Glob(filepath.Join(known, "*.json"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("kept in %q, %v", kept, err)
	}
	if err := os.WriteFile(kept[0], []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	look(n - 1)
}
