package runner

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"comeback/recovery"
	"comeback/recovery/journal"
)

// Refuse records that a prepared run ended before its first step, because something
// refused to let it begin: its number is taken, and nobody need ask where it is. It
// changes nothing but the run's directory.
func Refuse(o Options, cause error) (err error) {
	dir := o.Home.RunDir(o.Plan.Run)
	b, err := os.ReadFile(filepath.Join(dir, recovery.PlanFile))
	if err != nil {
		return fmt.Errorf("record that run %s was refused: %w", o.Plan.Run, err)
	}
	path := filepath.Join(dir, journal.Name)
	j, err := journal.Create(path, o.Plan.Runbook.SHA256)
	if err != nil {
		return err
	}
	held, err := lock(path)
	if err != nil {
		return errors.Join(refused(o.Plan.Run, path, err), j.Close())
	}
	defer func() { err = errors.Join(err, held.Close()) }()
	err = o.Home.open(path, 0o640)
	for _, p := range []recovery.Payload{o.started(b), recovery.RunEnded{Result: recovery.ResultRefused, Exit: recovery.Refused, Says: cause.Error()}} {
		if err != nil {
			break
		}
		var e recovery.Event
		if e, err = recovery.NewEvent(o.Now(), p); err == nil {
			e.Data = o.Secrets.RedactJSON(e.Data)
			_, err = j.Append(e)
		}
	}
	if err = errors.Join(err, j.Close()); err != nil {
		return fmt.Errorf("record that run %s was refused: %w", o.Plan.Run, err)
	}
	return o.report(dir)
}

// Conclude writes the report of a run whose runner died between its last event
// and its report. It refuses while a runner lives.
func Conclude(o Options) error {
	dir := o.Home.RunDir(o.Plan.Run)
	path := filepath.Join(dir, journal.Name)
	held, err := lock(path)
	if err != nil {
		return refused(o.Plan.Run, path, err)
	}
	return errors.Join(o.report(dir), os.RemoveAll(o.Home.LiveDir(o.Plan.Run)), held.Close())
}
