package runner

import (
	"errors"
	"os"
	"path/filepath"

	"comeback/recovery/journal"
)

// Conclude writes the report of a run whose runner died between its last event
// and its report. It refuses while a runner lives.
func Conclude(o Options) error {
	dir := o.Home.RunDir(o.Plan.Run)
	held, err := lock(filepath.Join(dir, journal.Name))
	if err != nil {
		return refused(o.Plan.Run, err)
	}
	return errors.Join(o.report(dir), os.RemoveAll(o.Home.LiveDir(o.Plan.Run)), held.Close())
}
