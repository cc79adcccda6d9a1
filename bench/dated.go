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

// dated knows when versions and marks of deletion were stored. The S3 server tells the
// times of its files, and gives an overwritten version the time of what overwrote it
// and a mark that of the object it deletes: the one is copied, the other marks the
// file that is there.
type dated struct {
	mu       sync.Mutex
	versions map[string]time.Time // by their ids, which are the names of their files
	marks    map[string]time.Time // by their keys
}

func (d *dated) stored(version string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.versions == nil {
		d.versions = map[string]time.Time{}
	}
	d.versions[version] = time.Now()
}

func (d *dated) deleted(key string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.marks == nil {
		d.marks = map[string]time.Time{}
	}
	d.marks[key] = time.Now()
}

// set gives the server's files the times that it is to tell: those of marks lie in the
// bucket's directory by their keys, those of versions in one of their own, where there
// must be as many as were overwritten or deleted.
func (d *dated) set(bucket, versions string, kept int) error {
	for key, at := range d.marks {
		if err := os.Chtimes(filepath.Join(bucket, key), at, at); err != nil {
			return fmt.Errorf("set the time of a mark: %w", err)
		}
	}
	found := 0
	err := filepath.WalkDir(versions, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		at, known := d.versions[filepath.Base(path)]
		if !known {
			return fmt.Errorf("nobody has stored the version %s", path)
		}
		found++
		return os.Chtimes(path, at, at)
	})
	if err == nil && found != kept {
		err = fmt.Errorf("the server keeps %d versions, not %d", found, kept)
	}
	if err != nil {
		return errors.Join(errors.New("set the times of versions"), err)
	}
	return nil
}
