package files_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/files"
	"comeback/storage"
)

// growing appends to a file whenever a pack is stored: while that file is read, too, since a
// large one is read as it is stored.
type growing struct {
	storage.Store
	file string
}

func (g growing) Unwrap() storage.Store { return g.Store }

func (g growing) Put(ctx context.Context, key string, r io.Reader, o storage.PutOptions) (storage.Object, error) {
	if strings.Contains(key, "/packs/") {
		if err := appendTo(g.file); err != nil {
			return storage.Object{}, err
		}
	}
	return g.Store.Put(ctx, key, r, o)
}

func appendTo(file string) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte("more"))
	return errors.Join(err, f.Close())
}

// A file that is written to all the while keeps none of the others from being stored: it is
// as the snapshot before has it, or missing, and the backup, each restore of it and the
// survey name it.
func TestCapture_growing(t *testing.T) {
	dir, store := manyFiles(t, 100, 500), directory(t, nil)
	film := filepath.Join(dir, "film.mp4")
	large := func() {
		t.Helper()
		many := manyFiles(t, 1, 8<<20)
		if err := os.Rename(filepath.Join(many, "00/file-0"), film); err != nil {
			t.Fatal(err)
		}
	}
	take := func(n int, store storage.Store) files.Captured {
		t.Helper()
		c, err := files.Capture(t.Context(), files.CaptureOptions{Dir: dir, Store: store, Prefix: "uploads/", Temp: t.TempDir(), Large: 1 << 20, Now: func() time.Time { return later(n) }})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	restored := func() (tree string, exceptions []string) {
		t.Helper()
		end, tree := restore(t, options(t, engine(), component, store))
		if end.Result != recovery.ResultPassed && end.Result != recovery.ResultExceptions {
			t.Fatalf("it ended as %s", end.Result)
		}
		return tree, end.Steps[0].Outcome.Exceptions
	}
	before := describe(t, dir)
	large()
	const missing = `"film.mp4" was written to whenever it was read, and is missing`
	c := take(1, growing{store, film})
	if c.Files != 100 || !slices.Equal(c.Exceptions, []string{missing}) {
		t.Errorf("it holds %d files, and says %q", c.Files, c.Exceptions)
	}
	tree, said := restored()
	if !slices.Equal(said, []string{missing}) || strings.Count(tree, "\n") != strings.Count(before, "\n") || strings.Contains(tree, "film") {
		t.Errorf("the restore says %q", said)
	}
	if b := survey(t, engine(), component, store).Backups[0]; b.Problem != "" || b.Details["exceptions"] != missing {
		t.Errorf("the survey says %q, %q", b.Problem, b.Details)
	}
	if p := options(t, engine(), liveAt(dir), store).Point; len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], missing) {
		t.Errorf("before it is restored it warns of %q", p.Warnings)
	}
	large()
	whole := describe(t, dir)
	if c := take(2, store); len(c.Exceptions) > 0 || c.Files != 101 {
		t.Errorf("it holds %d files, and says %q", c.Files, c.Exceptions)
	}
	info, err := os.Stat(film)
	if err != nil {
		t.Fatal(err)
	}
	changed := info.ModTime()
	if err := appendTo(film); err != nil {
		t.Fatal(err)
	}
	kept := strings.Replace(missing, "missing", "as an earlier snapshot has it, changed last "+changed.UTC().Format("2006-01-02 15:04:05 MST"), 1)
	if c := take(3, growing{store, film}); c.Files != 101 || c.New != 0 || !slices.Equal(c.Exceptions, []string{kept}) {
		t.Errorf("it holds %d files, %d bytes of them new, and says %q", c.Files, c.New, c.Exceptions)
	}
	if tree, said := restored(); tree != whole || !slices.Equal(said, []string{kept}) {
		t.Errorf("the restore says %q", said)
	}
	// It is read anew when nothing writes to it any more.
	grown := describe(t, dir)
	if c := take(4, store); len(c.Exceptions) > 0 || c.New == 0 {
		t.Errorf("%+v", c)
	}
	if tree, said := restored(); tree != grown || len(said) > 0 {
		t.Errorf("the restore says %q", said)
	}
}
