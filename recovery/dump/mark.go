package dump

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"comeback/durable"
)

// mark says what stands in a scratch directory, for whoever comes after an
// interruption. It is durable before what it says can be relied upon, and gone
// before that ends.
type mark struct {
	// System is the cluster's system identifier, Socket its server's.
	System string `json:"system"`
	Socket string `json:"socket"`
	// Boot is the one in which the cluster was made: with fsync off, so that
	// another one may find it damaged, unless it is Settled.
	Boot    string `json:"boot"`
	Settled bool   `json:"settled,omitempty"`
	// Begun: a restore into it has begun, and whoever begins again needs a
	// new cluster.
	Begun bool `json:"begun,omitempty"`
	// Crashed: the server had to recover from a crash, which empties unlogged
	// tables.
	Crashed bool `json:"crashed,omitempty"`
}

func (s scratch) markFile() string { return filepath.Join(s.handle.Dir, "cluster.json") }

// mark reads the mark; ok is false where there is none.
func (s scratch) mark() (m mark, ok bool, err error) {
	b, err := os.ReadFile(s.markFile())
	if errors.Is(err, fs.ErrNotExist) {
		return m, false, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err != nil {
		return m, false, fmt.Errorf("read what stands in scratch: %w", err)
	}
	return m, m.System != "", nil
}

// setMark replaces the mark, durably.
func (s scratch) setMark(m mark) error {
	b, err := json.Marshal(m)
	if err == nil {
		err = durable.Replace(s.markFile(), b)
	}
	if err != nil {
		return fmt.Errorf("note what stands in scratch: %w", err)
	}
	return nil
}

// removeMark says that nothing stands in scratch any more.
func (s scratch) removeMark() error {
	if err := os.Remove(s.markFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove what an earlier attempt left: %w", err)
	}
	return durable.SyncDir(s.handle.Dir)
}
