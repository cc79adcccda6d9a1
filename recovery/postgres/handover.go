package postgres

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"comeback/durable"
	"comeback/recovery"
)

// HandOver is the mark that a restored data directory has left its scratch target,
// to become live: the steps that restored it have nothing to bring back any more.
type HandOver struct {
	// Data is where it was in scratch.
	Data string `json:"data"`
	// Boot is the boot in which it was restored; until Durable says that it is
	// all on disk, another one since may have damaged it.
	Boot    string `json:"boot"`
	Durable bool   `json:"durable,omitempty"`
}

const handOverFile = "handed-over"

// ReadHandOver reads the mark of a scratch target; nil where there is none.
func ReadHandOver(dir string) (*HandOver, error) {
	text, err := os.ReadFile(filepath.Join(dir, handOverFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var h HandOver
	if err == nil {
		err = json.Unmarshal(text, &h)
	}
	if err != nil {
		return nil, fmt.Errorf("read whether %s is handed over: %w", dir, err)
	}
	return &h, nil
}

// Write leaves the mark, durably.
func (h HandOver) Write(dir string) error {
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if err := durable.Replace(filepath.Join(dir, handOverFile), text); err != nil {
		return fmt.Errorf("note that %s is handed over: %w", dir, err)
	}
	return nil
}

// ForgetHandOver takes the mark away, where there is one: what had left the scratch
// target is restored anew.
func ForgetHandOver(dir string) error {
	err := os.Remove(filepath.Join(dir, handOverFile))
	if err == nil {
		err = durable.SyncDir(dir)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("note that %s is not handed over: %w", dir, err)
	}
	return nil
}

// HandedOver reports whether what was restored in a scratch target is on its way
// to become live, so that it is not to be revived. Where the machine was started
// again before it was on disk the mark is taken away, and the error wraps
// recovery.ErrGone: it is to be restored anew.
func HandedOver(dir string, rebooted bool) (bool, error) {
	h, err := ReadHandOver(dir)
	if err != nil || h == nil {
		return false, err
	}
	if h.Durable || !rebooted {
		return true, nil
	}
	if err := os.Remove(filepath.Join(dir, handOverFile)); err != nil {
		return false, fmt.Errorf("note that %s is not handed over: %w", dir, err)
	}
	return false, fmt.Errorf("the machine was started again before %s was on disk: %w", h.Data, recovery.ErrGone)
}
