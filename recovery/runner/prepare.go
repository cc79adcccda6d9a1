package runner

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"comeback/durable"
	"comeback/recovery"
	"comeback/recovery/plan"
)

// Prepare makes the directory of a new run with its plan and runbook, whole or
// not at all. Of plans that are recorded at once each gets a number of its own: p
// gets the next one where its own is taken, and the report before it as it is now.
func Prepare(h Home, p *recovery.Plan, runbook []byte) error {
	const hint = "make room, or set COMEBACK_STATE to a directory that you may write to"
	if err := h.mkdirAll(h.Runs()); err != nil {
		return recovery.Errorf(hint, "create the state directory: %w", err)
	}
	runs, err := h.lockRuns()
	if err != nil {
		return recovery.Errorf(hint, "%w", err)
	}
	defer runs.Close()
	if err := h.number(p); err != nil {
		return recovery.Errorf(hint, "number the run: %w", err)
	}
	b, err := plan.Encode(p)
	if err != nil {
		return err
	}
	dir := h.RunDir(p.Run)
	draft := h.draft(p.Run)
	if err := os.Mkdir(draft, 0o700); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return recovery.Errorf("prepare it again", "another process prepares run %s", p.Run).WithExit(recovery.Refused)
		}
		return recovery.Errorf(hint, "create the run's directory: %w", err)
	}
	err = h.open(draft, 0o770|fs.ModeSetgid)
	for name, content := range map[string][]byte{recovery.PlanFile: b, recovery.RunbookFile: runbook} {
		if err == nil {
			err = writeFile(filepath.Join(draft, name), content)
		}
		if err == nil {
			err = h.open(filepath.Join(draft, name), 0o640)
		}
	}
	if err == nil {
		err = unix.Renameat2(unix.AT_FDCWD, draft, unix.AT_FDCWD, dir, unix.RENAME_NOREPLACE)
	}
	if err == nil {
		err = durable.SyncDir(h.Runs())
	}
	if err == nil {
		return nil
	}
	left := os.RemoveAll(draft)
	if errors.Is(err, fs.ErrExist) {
		return recovery.Errorf("prepare it again", "run %s exists already", p.Run).WithExit(recovery.Refused)
	}
	return recovery.Errorf(hint, "record the run: %w", errors.Join(err, left))
}

// writeFile makes a new file, durable when it returns.
func writeFile(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(path))
}
