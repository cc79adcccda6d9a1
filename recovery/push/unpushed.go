package push

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"comeback/recovery/pitr/walfile"
)

// Unpushed is what a receiver's directory holds that the copies have not got.
type Unpushed struct {
	// Files have been finished, the first of them at Since.
	Files int
	Bytes int64
	Since time.Time
	// Partial is the segment that was being received, and Until when it was last written
	// to; empty where there is none.
	Partial string
	Until   time.Time
}

// ReadUnpushed looks into a receiver's directory, without locking it. One that is not
// there is empty.
func ReadUnpushed(dir string) (Unpushed, error) {
	var u Unpushed
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return u, nil
	}
	if err != nil {
		return u, fmt.Errorf("read what was received: %w", err)
	}
	names, newest := finished(entries)
	for _, name := range names {
		if _, err := os.Stat(pushedMark(dir, name)); err == nil {
			continue
		}
		info, err := os.Stat(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // it has just been pushed
		}
		if err != nil {
			return u, fmt.Errorf("read what was received: %w", err)
		}
		u.Files++
		u.Bytes += info.Size()
		if u.Since.IsZero() || info.ModTime().Before(u.Since) {
			u.Since = info.ModTime()
		}
	}
	for _, e := range entries {
		f, ok := walfile.Parse(e.Name())
		if !ok || f.Kind != walfile.Partial || e.Name() <= max(newest, u.Partial) {
			continue
		}
		if info, err := e.Info(); err == nil {
			u.Partial, u.Until = e.Name(), info.ModTime()
		}
	}
	return u, nil
}
