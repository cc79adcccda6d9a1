package pitr

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"comeback/durable"
	"comeback/recovery"
)

// openKind takes a paused server, which people have looked at, to the point: it
// is shut down where it pauses, goes on from there, and is proven and opened. An
// interruption leaves a cluster that goes on from its last restart point when the
// step is done again; one that was opened already is only proven.
type openKind struct{ *engine }

func (k openKind) Name() string            { return k.name() + ".open" }
func (openKind) Restart() recovery.Restart { return recovery.Continue }

func (k openKind) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	var args replayArgs
	if err := s.Decode(&args); err != nil {
		return recovery.Outcome{}, err
	}
	h, err := env.Target(ctx, args.Target)
	if err != nil {
		return recovery.Outcome{}, err
	}
	if err := setOpening(h.Dir); err != nil {
		return recovery.Outcome{}, err
	}
	return do(ctx, k.engine, env, s)
}

// Revive starts the opened server again.
func (k openKind) Revive(ctx context.Context, env recovery.Env, s recovery.Step, o recovery.Outcome, rebooted bool) error {
	r := &replay{engine: k.engine, env: env}
	if err := s.Decode(&r.args); err != nil {
		return err
	}
	return r.reviveOpened(ctx, o, rebooted)
}

// openingFile is a mark in a scratch target: from then on the server may have
// gone on from where people looked at it, and cannot be paused there again.
const openingFile = "opening"

// setOpening leaves the mark, durably.
func setOpening(dir string) error {
	f, err := os.OpenFile(filepath.Join(dir, openingFile), os.O_WRONLY|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err == nil {
		err = errors.Join(f.Close(), durable.SyncDir(dir))
	}
	if err != nil {
		return fmt.Errorf("note that the database is opened: %w", err)
	}
	return nil
}

// opening reads the mark.
func opening(dir string) (bool, error) {
	_, err := os.Lstat(filepath.Join(dir, openingFile))
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	}
	return false, fmt.Errorf("look whether the database is opened: %w", err)
}
