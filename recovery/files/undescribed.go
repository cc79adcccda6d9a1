package files

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"comeback/recovery"
	"comeback/recovery/files/tree"
)

// undescribed names the directories that the archive has no entry of, such as one of
// "find -type f" (recovery.UndescribedFile). They are as mkdir has made them; of what
// looks like that, what has a record is none. It may be repeated.
func (s *scratch) undescribed(records func() iter.Seq2[tree.Record, error]) ([]string, error) {
	private := map[string]bool{}
	err := filepath.WalkDir(s.Tree(), func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrPermission) {
			return fs.SkipDir // closed to its own user, by its record
		}
		if err != nil || !e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil || info.Mode().Perm() != 0o700 {
			return err
		}
		name, err := filepath.Rel(s.Tree(), path)
		private[name] = true
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look which directories the archive does not describe: %w", err)
	}
	for r, err := range records() {
		if err != nil {
			return nil, err
		}
		if r.Type == tree.Directory {
			delete(private, r.Path)
		}
	}
	names := slices.Sorted(maps.Keys(private)) // each after the one above it
	if i := slices.Index(names, "."); i > 0 {
		names = slices.Insert(slices.Delete(names, i, i+1), 0, ".")
	}
	var list bytes.Buffer
	for _, name := range names {
		list.WriteString(name + "\x00")
	}
	if err := os.WriteFile(s.Path(recovery.UndescribedFile), list.Bytes(), 0o600); err != nil {
		return nil, fmt.Errorf("keep which directories the archive does not describe: %w", err)
	}
	return names, nil
}
