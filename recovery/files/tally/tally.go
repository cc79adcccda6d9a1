// Package tally counts names by what is to be told of them, over the attempts of one step: a
// step that is interrupted must still tell, in the end, what its first attempt has met.
package tally

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
)

// Tally counts names by what is to be told of them. The first of each kind is kept in a file,
// so that what an attempt has met is told by the last one; without a file it is of one
// attempt.
type Tally struct {
	kept string
	// others is how many names are kept beside the first.
	others int
	mu     sync.Mutex
	says   map[string]Count
}

// Count counts names, of which First is one, and Others are the next.
type Count struct {
	Names  int64    `json:"names,string"`
	First  string   `json:"first"`
	Others []string `json:"others,omitempty"`
}

// New keeps the first of each kind, and so many others, in a file; without one it is of one
// attempt.
func New(path string, others int) *Tally { return &Tally{kept: path, others: others} }

// Note counts one name; the first ones of its kind are durable when the tree is. One of
// several that are kept counts once, however often it is noted.
func (t *Tally) Note(why, first string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.load(); err != nil {
		return err
	}
	n, known := t.says[why]
	if t.others > 0 && known && (n.First == first || slices.Contains(n.Others, first)) {
		return nil
	}
	keep := true
	switch n.Names++; {
	case !known:
		n.First = first
	case len(n.Others) < t.others:
		n.Others = append(n.Others, first)
	default:
		keep = false
	}
	t.says[why] = n
	if !keep || t.kept == "" {
		return nil
	}
	b, err := json.Marshal(t.says)
	if err == nil {
		err = os.WriteFile(t.kept, b, 0o600)
	}
	if err != nil {
		return fmt.Errorf("note what is to be told: %w", err)
	}
	return nil
}

// load reads what an earlier attempt has noted: at least so many.
func (t *Tally) load() error {
	if t.says != nil {
		return nil
	}
	t.says = map[string]Count{}
	if t.kept == "" {
		return nil
	}
	b, err := os.ReadFile(t.kept)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && json.Unmarshal(bytes.TrimSpace(b), &t.says) != nil {
		t.says = map[string]Count{} // it was cut off; what is noted now comes in its place
	}
	return err
}

// All is what was noted.
func (t *Tally) All() (map[string]Count, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	err := t.load()
	return t.says, err
}
