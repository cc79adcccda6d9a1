package files

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"comeback/recovery/files/tree"
	"comeback/storage"
)

// A directory that this user may only pass through leads to what is kept all the same.
func TestCapture_leading(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "private/app"), 0o711); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "private/app/config"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	store, err := storage.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c, err := newCapture(t.Context(), CaptureOptions{Dir: dir, Paths: []string{"private/app/config"}, Store: store, Temp: t.TempDir(), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	failure := syscall.EACCES
	c.openDirectory = func(name string) (*os.File, error) {
		if name == "private" {
			return nil, &fs.PathError{Op: "open", Path: name, Err: failure}
		}
		return c.root.Open(name)
	}
	r, err := c.leading("private")
	if err != nil || r.Type != tree.Directory || r.Path != "private" || r.Mode&0o700 != 0o700 || len(c.done.LeftOut) != 1 || !strings.Contains(c.done.LeftOut[0], `"private"`) {
		t.Errorf("%+v, %v, %q", r, err, c.done.LeftOut)
	}
	if err := c.run(t.Context()); err != nil || c.done.Files != 1 {
		t.Errorf("it holds %d files, %v", c.done.Files, err)
	}
	failure = syscall.EIO
	if _, err := c.leading("private"); !errors.Is(err, syscall.EIO) {
		t.Errorf("what cannot be read passes: %v", err)
	}
}
