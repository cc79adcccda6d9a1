package push

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Backlog is what a spool holds for one copy.
type Backlog struct {
	Copy  string
	Files int
	Bytes int64
	// Oldest is the first file that the copy lacks, and since when.
	Oldest string
	Since  time.Time
}

// Backlogs reads a spool without locking it. One that is not there is empty. What cannot
// be read is left out, and the error tells of it.
func Backlogs(dir string) ([]Backlog, error) {
	entries, damaged := readEntries(filepath.Join(dir, "out"), nil)
	var all []Backlog
	for _, e := range entries {
		info, err := os.Stat(e.file)
		if errors.Is(err, fs.ErrNotExist) {
			if _, errRecord := os.Stat(e.record()); errors.Is(errRecord, fs.ErrNotExist) {
				continue // it has just left
			}
		}
		if err != nil {
			damaged = errors.Join(damaged, fmt.Errorf("read the spool: %w", err))
			continue
		}
		for _, copy := range e.Lacking {
			i := slices.IndexFunc(all, func(b Backlog) bool { return b.Copy == copy })
			if i < 0 {
				all = append(all, Backlog{Copy: copy, Oldest: e.Name, Since: info.ModTime()})
				i = len(all) - 1
			}
			all[i].Files++
			all[i].Bytes += info.Size()
		}
	}
	return all, damaged
}
