// Package ledger keeps what a long step has finished, in a file beside what the
// step makes, so that the next attempt goes on from there.
//
// An entry is believed after the death of the process: what the process wrote
// is the kernel's. After another boot of the machine only what was synced is
// believed: [Ledger.Sync] writes the whole file system to disk and then says so
// in the ledger. A ledger never says more than is true; at worst work is done
// again that was done.
package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"comeback/durable"
)

// Ledger is an open ledger of entries E, which must survive JSON. It is safe for
// concurrent use.
type Ledger[E any] struct {
	mu      sync.Mutex
	file    *os.File
	entries int
}

// line is one line of a ledger; exactly one of its fields is set.
type line[E any] struct {
	Head *head `json:"ledger,omitempty"`
	// Entry is one finished thing.
	Entry *E `json:"entry,omitempty"`
	// Synced says that the first so many entries, and what they tell of, are
	// on disk.
	Synced *int `json:"synced,omitempty"`
}

// head says what a ledger is about, and in which boot it was written.
type head struct {
	Of   string `json:"of"`
	Boot string `json:"boot"`
}

// Open opens the ledger at path, or makes it, and gives the entries of earlier
// attempts that are still believed: none where the ledger is of something else
// than of. An empty boot, where the kernel does not tell, is like another one.
// The new ledger replaces the old one when it is durable itself. The directory may be
// another user's: a link in the new one's place is refused.
func Open[E any](path, of, boot string) (*Ledger[E], []E, error) {
	past, err := Read[E](path, of, boot)
	if err != nil {
		return nil, nil, err
	}
	l := &Ledger[E]{}
	temp := path + ".new"
	if l.file, err = os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND|unix.O_NOFOLLOW, 0o600); err != nil {
		return nil, nil, fmt.Errorf("open ledger: %w", err)
	}
	err = l.write(line[E]{Head: &head{of, boot}})
	for i := range past {
		err = errors.Join(err, l.write(line[E]{Entry: &past[i]}))
	}
	l.entries = len(past)
	if err == nil {
		err = errors.Join(l.Sync(), os.Rename(temp, path), durable.SyncDir(filepath.Dir(path)))
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open ledger: %w", err), l.file.Close())
	}
	return l, past, nil
}

// Read gives the entries that [Open] would give, and changes nothing. A ledger
// that is not there has none.
func Read[E any](path, of, boot string) ([]E, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read ledger: %w", err)
	}
	defer f.Close()
	return read[E](f, of, boot)
}

// Forget removes a ledger whose things are not there any more; it is durable when it
// returns. There may be none.
func Forget(path string) error {
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = durable.SyncDir(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("forget ledger: %w", err)
	}
	return nil
}

// Add records that a thing is finished. What it tells of must be written, but
// need not be synced.
func (l *Ledger[E]) Add(e E) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.write(line[E]{Entry: &e}); err != nil {
		return fmt.Errorf("write ledger: %w", err)
	}
	l.entries++
	return nil
}

// Sync makes everything durable that was added before, and what it tells of, if
// that lies on the ledger's file system. Others may add meanwhile.
func (l *Ledger[E]) Sync() error {
	l.mu.Lock()
	n := l.entries
	l.mu.Unlock()
	if err := unix.Syncfs(int(l.file.Fd())); err != nil {
		return fmt.Errorf("write the file system of the ledger to disk: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := errors.Join(l.write(line[E]{Synced: &n}), l.file.Sync()); err != nil {
		return fmt.Errorf("write ledger: %w", err)
	}
	return nil
}

// Close closes the file; what was added and not synced is not durable.
func (l *Ledger[E]) Close() error { return l.file.Close() }

// write appends one line, whole or torn at the end.
func (l *Ledger[E]) write(text line[E]) error {
	b, err := json.Marshal(text)
	if err != nil {
		return err
	}
	_, err = l.file.Write(append(b, '\n'))
	return err
}
