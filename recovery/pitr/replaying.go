package pitr

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"comeback/durable"
	"comeback/recovery"
	"comeback/recovery/ledger"
)

// replayingFile is a mark in a scratch target: from then on the data directory
// is the server's and not the copy of a base backup any more. It holds the boot
// in which that is so: the server runs with fsync off, so another boot may find
// the data directory damaged.
const replayingFile = "replaying"

// replaying reads the mark. A mark of another boot is an error that wraps
// recovery.ErrGone.
func replaying(dir string, rebooted bool) (bool, error) {
	boot, err := os.ReadFile(filepath.Join(dir, replayingFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look whether the log is replayed: %w", err)
	}
	if string(boot) == ruined {
		return true, fmt.Errorf("the server in %s could not be started again: %w", filepath.Join(dir, dataDir), recovery.ErrGone)
	}
	if rebooted || string(boot) != ledger.Boot() {
		return true, fmt.Errorf("the machine was started again, and the server in %s ran with fsync off: %w", filepath.Join(dir, dataDir), recovery.ErrGone)
	}
	return true, nil
}

// ruined stands in the mark instead of a boot where the data directory is of no
// use any more: neither the replay nor the copy below it.
const ruined = "ruined"

// setReplaying leaves the mark, durably: a boot, or ruined.
func setReplaying(dir, text string) error {
	if err := durable.Replace(filepath.Join(dir, replayingFile), []byte(text)); err != nil {
		return fmt.Errorf("note that the log is replayed: %w", err)
	}
	return nil
}
