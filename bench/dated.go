package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// dated knows when versions were stored: the S3 server gives an overwritten one the time
// of what overwrote it.
type dated struct {
	mu sync.Mutex
	at map[string]time.Time // by version
}

func (d *dated) stored(version *string) {
	if version == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.at == nil {
		d.at = map[string]time.Time{}
	}
	d.at[*version] = time.Now()
}

// set gives the versions in the server's directory of them, each a file by its name, the
// times at which they were stored. There must be as many as were overwritten or deleted.
func (d *dated) set(dir string, versions int) error {
	found := 0
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		at, known := d.at[filepath.Base(path)]
		if !known {
			return fmt.Errorf("nobody has stored the version %s", path)
		}
		found++
		return os.Chtimes(path, at, at)
	})
	if err == nil && found != versions {
		err = fmt.Errorf("the server keeps %d versions, not %d", found, versions)
	}
	if err != nil {
		return errors.Join(errors.New("set the times of versions"), err)
	}
	return nil
}
