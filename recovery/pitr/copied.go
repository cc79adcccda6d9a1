package pitr

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"comeback/durable"
	"comeback/recovery"
	"comeback/recovery/ledger"
)

// copied is an entry of the ledger of a copy: one file, written and proven, or
// one directory, or at the end the whole.
type copied struct {
	Path string `json:"path,omitempty"`
	// Size and Modified are the file's, as the file system tells them.
	Size     int64 `json:"size,string,omitempty"`
	Modified int64 `json:"modified,string,omitempty"`
	Dir      bool  `json:"dir,omitempty"`
	// Passed says that the file is left out on purpose.
	Passed bool `json:"passed,omitempty"`
	// Object is the tar file that it came from, and Next where the entry
	// after it begins there.
	Object string `json:"object,omitempty"`
	Next   int64  `json:"next,string,omitempty"`
	// Whole is the last entry: everything is there, and proven.
	Whole bool `json:"whole,omitempty"`
}

// ledgerFile lies in the scratch target, beside the data directory.
const ledgerFile = "copied.ledger"

// ledgerOf names what is copied: these objects in these revisions.
func (a copyArgs) ledgerOf() (string, error) {
	b, err := json.Marshal([]any{a.Copy, a.Backup, a.Objects})
	if err != nil {
		return "", fmt.Errorf("name the base backup: %w", err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// copies is what an earlier attempt has left of a base backup in scratch.
type copies struct {
	ledger *ledger.Ledger[copied]
	// files are by their paths; passed are, by tar file, the entries without
	// a hole from its beginning, in their order.
	files  map[string]copied
	passed map[string][]copied
	// begun says that an earlier attempt at this backup is believed.
	begun bool
}

// openCopies opens the ledger. A data directory that a server has run on is not
// a copy: it is removed, with everything that the ledger says of it, and last
// the mark that says so.
func openCopies(dir string, args copyArgs) (*copies, error) {
	of, err := args.ledgerOf()
	if err != nil {
		return nil, err
	}
	if _, err := os.Lstat(filepath.Join(dir, replayingFile)); !errors.Is(err, fs.ErrNotExist) {
		for _, name := range []string{ledgerFile, dataDir, spacesDir, openingFile, provenFile, replayingFile} {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				return nil, fmt.Errorf("remove what an earlier attempt left: %w", err)
			}
			if err := durable.SyncDir(dir); err != nil {
				return nil, fmt.Errorf("remove what an earlier attempt left: %w", err)
			}
		}
	}
	c := &copies{files: map[string]copied{}, passed: map[string][]copied{}}
	l, past, err := ledger.Open[copied](filepath.Join(dir, ledgerFile), of, ledger.Boot())
	if err != nil {
		return nil, err
	}
	c.ledger, c.begun = l, len(past) > 0
	for _, e := range past {
		if !e.Dir && !e.Passed && !e.Whole {
			c.files[e.Path] = e
		}
		if e.Object != "" {
			before := c.passed[e.Object]
			for len(before) > 0 && before[len(before)-1].Next >= e.Next {
				before = before[:len(before)-1] // it was read again from there
			}
			c.passed[e.Object] = append(before, e)
		}
	}
	return c, nil
}

// wholeCopy proves by the ledger that a base backup was copied whole, and that
// no server has run on the copy since.
func wholeCopy(dir string, args copyArgs, rebooted bool) error {
	of, err := args.ledgerOf()
	if err != nil {
		return err
	}
	boot := ledger.Boot()
	if rebooted {
		boot = ""
	}
	past, err := ledger.Read[copied](filepath.Join(dir, ledgerFile), of, boot)
	if err != nil {
		return err
	}
	if len(past) == 0 || !past[len(past)-1].Whole {
		return fmt.Errorf("the copy of base backup %s is not whole on disk: %w", args.Backup, recovery.ErrGone)
	}
	return nil
}

// Has reports whether a file is there, whole and proven, from an earlier
// attempt. Then it counts as written.
func (t *tree) Has(name string, size int64) bool {
	name = path.Clean(name)
	e, ok := t.past.files[name]
	if !ok || e.Size != size || !t.untouched(e) {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts(name, e.Size)
	return true
}

// counts a file of an earlier attempt as written.
func (t *tree) counts(name string, size int64) {
	t.written[name] = true
	t.unproven = t.unproven || t.manifest == nil
	t.size += size
	t.kept++
}

// passes counts a file that is left out on purpose as written.
func (t *tree) passes(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.written[name] = true
	if _, known := t.manifest.Files[name]; !known && !leftOut(name) {
		t.foreign++
	}
}

// untouched reports whether a file is as it was left.
func (t *tree) untouched(e copied) bool {
	place, err := t.place(e.Path)
	if err != nil {
		return false
	}
	info, err := t.root.Lstat(place)
	return err == nil && info.Mode().IsRegular() && info.Size() == e.Size && info.ModTime().UnixNano() == e.Modified
}

// From is where the first entry of a tar file begins that is not there from an
// earlier attempt. What is before it counts as written.
func (t *tree) From(object string) int64 {
	var at int64
	for _, e := range t.past.passed[object] {
		switch {
		case e.Dir:
		case e.Passed:
			t.passes(e.Path)
		default:
			if !t.Has(e.Path, e.Size) {
				return at
			}
		}
		at = e.Next
	}
	return at
}

// finished enters a file or a directory into the ledger.
func (t *tree) finished(e Entry, place string) error {
	if place == "" && e.Object == "" {
		return nil // no place to go on from
	}
	c := copied{Path: path.Clean(e.Path), Dir: e.Dir, Passed: place == "", Object: e.Object, Next: e.Next}
	if !c.Dir && !c.Passed {
		info, err := t.root.Lstat(place)
		if err != nil {
			return fmt.Errorf("look at what was written: %w", err)
		}
		c.Size, c.Modified = info.Size(), info.ModTime().UnixNano()
	}
	if err := t.past.ledger.Add(c); err != nil {
		return err
	}
	t.mu.Lock()
	t.unsynced += c.Size
	due := t.unsynced >= t.syncEvery
	if due {
		t.unsynced = 0
	}
	files, size := len(t.written), t.size
	t.mu.Unlock()
	if !due {
		return nil
	}
	if err := t.past.ledger.Sync(); err != nil {
		return err
	}
	return t.checkpoint(fmt.Sprintf("%d files, %s, are copied and on disk", files, recovery.FormatBytes(size)))
}

// whole enters the end into the ledger: the files are durable before it is.
func (c *copies) whole() error {
	if err := c.ledger.Sync(); err != nil {
		return err
	}
	if err := c.ledger.Add(copied{Whole: true}); err != nil {
		return err
	}
	return c.ledger.Sync()
}
