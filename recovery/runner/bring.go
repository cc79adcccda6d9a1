package runner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"comeback/durable"
	"comeback/recovery"
)

// Bring takes in a run that was carried out elsewhere. Fill writes its directory and
// proves it; the run is here when Bring returns without an error, whole and durable,
// or not at all. A run of this id that is here already is fs.ErrExist.
func (h Home) Bring(id string, fill func(dir string) error) (err error) {
	if !runID.MatchString(id) {
		return fmt.Errorf("bring run %q: it is not the id of a run", id)
	}
	hint := "make room, or set COMEBACK_STATE to a directory that you may write to"
	if err := h.mkdirAll(h.Runs()); err != nil {
		return recovery.Errorf(hint, "create the state directory: %w", err)
	}
	draft, held, err := h.newDraft(id)
	if err != nil {
		return recovery.Errorf(hint, "bring run %s: %w", id, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(draft), held.Close()) }()
	if err := fill(draft); err != nil {
		return err
	}
	if err := h.settle(draft); err != nil {
		return recovery.Errorf(hint, "bring run %s: %w", id, err)
	}
	if err := unix.Renameat2(unix.AT_FDCWD, draft, unix.AT_FDCWD, h.RunDir(id), unix.RENAME_NOREPLACE); err != nil {
		return fmt.Errorf("bring run %s: %w", id, err)
	}
	return durable.SyncDir(h.Runs())
}

// MarkBrought remembers that a run is being brought: its number is of another count.
func (h Home) MarkBrought(id string) error { return h.mark(h.came(id), id) }

// Brought reports whether a run was carried out elsewhere and brought.
func (h Home) Brought(id string) bool { return exists(h.came(id)) || h.Foreign(id) }

func (h Home) came(id string) string { return filepath.Join(h.Dir, "came", id) }

// MarkForeign records that a run fetched from another host was signed with a key that is
// not ours. Such a run counts only if its signer is on the reader's list, exactly like a
// run that was filed in a copy.
func (h Home) MarkForeign(id string) error { return h.mark(h.foreign(id), id) }

// Foreign reports whether a run was brought with somebody else's signature.
func (h Home) Foreign(id string) bool { return exists(h.foreign(id)) }

func (h Home) foreign(id string) string { return filepath.Join(h.Dir, "brought", id) }

func (h Home) mark(path, id string) error {
	err := h.mkdirAll(filepath.Dir(path))
	if err == nil {
		err = writeFile(path, nil)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("bring run %s: %w", id, err)
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// drafts begins the names of runs that are being brought.
const drafts = ".bring-"

// newDraft makes a directory for a run that is being brought. Nobody takes it for one that
// was left half until what is given is closed, or this process has ended.
func (h Home) newDraft(id string) (draft string, held *os.File, err error) {
	runs, err := h.lockRuns() // nobody forgets a draft before it is held
	if err != nil {
		return "", nil, err
	}
	defer runs.Close()
	h.forgetDrafts(id)
	if draft, err = os.MkdirTemp(h.Runs(), drafts+id+"-"); err != nil {
		return "", nil, err
	}
	if held, err = holdDraft(draft); err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(draft))
	}
	return draft, held, nil
}

// holdDraft holds a draft that nobody else holds.
func holdDraft(draft string) (*os.File, error) {
	d, err := os.Open(draft)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(d.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("hold %s: %w", draft, err), d.Close())
	}
	return d, nil
}

// forgetDrafts removes what was brought half before, and leaves what somebody brings now.
func (h Home) forgetDrafts(id string) {
	entries, _ := os.ReadDir(h.Runs()) // what cannot be listed cannot be written beside, either
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), drafts+id+"-") {
			continue
		}
		draft := filepath.Join(h.Runs(), e.Name())
		if held, err := holdDraft(draft); err == nil {
			_ = errors.Join(os.RemoveAll(draft), held.Close()) // it counts as nothing
		}
	}
}

// settle makes everything in a directory durable, and readable for the group of a
// shared state.
func (h Home) settle(dir string) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir():
			err = h.open(path, 0o770|fs.ModeSetgid)
		default:
			err = h.open(path, 0o640)
		}
		if err != nil {
			return err
		}
		return durable.SyncDir(path) // of a file, its content
	})
}
