package pitr

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strconv"

	"comeback/recovery"
	"comeback/storage"
)

// ownDir is for what a program needs that restores base backups.
const ownDir = "program"

// restore has a base backup restored by the program that keeps the repository. The
// ledger says which backup is in the data directory, so that a part of another one is
// never gone on with.
func (c copying) restore(ctx context.Context, r Restorer) (recovery.Outcome, error) {
	to := Restoring{Data: c.cluster.Data, Spaces: filepath.Join(c.handle.Dir, spacesDir), Own: filepath.Join(c.handle.Dir, ownDir),
		Owner: c.handle.Owner, Resumed: c.past.begun}
	if err := c.room(to); err != nil {
		return recovery.Outcome{}, err
	}
	c.meter.Phase("copy the base backup", c.base.Unpacked, recovery.InBytes)
	done, err := r.Restore(ctx, c.base, to)
	if err != nil {
		return recovery.Outcome{}, err
	}
	c.meter.Phase("prove the base backup", 0, recovery.NoUnit)
	err = errors.Join(os.RemoveAll(to.Own), leaveOut(to.Data))
	if err == nil {
		err = enclosed(to.Data, c.handle.Dir)
	}
	if err == nil {
		err = c.past.whole()
	}
	if err != nil {
		return recovery.Outcome{}, err
	}
	o := recovery.Outcome{Says: fmt.Sprintf("base backup %s restored: %d files, %s; %s", c.base.ID, done.Files, recovery.FormatBytes(done.Bytes), done.Proof),
		Facts: map[string]string{
			"base backup":             c.base.ID,
			recovery.SystemIdentifier: c.args.Facts.Line.System,
			recovery.ServerMajor:      strconv.Itoa(c.args.Facts.Line.Major),
			"files":                   strconv.Itoa(done.Files),
			"bytes":                   strconv.FormatInt(done.Bytes, 10),
		}}
	maps.Copy(o.Facts, done.Facts)
	o.Remarks = append(o.Remarks, done.Remarks...)
	if done.Kept > 0 {
		o.Says += fmt.Sprintf("; %d of them were there from the attempt before", done.Kept)
	}
	return o, nil
}

// room makes the directories, empty ones unless an earlier attempt at this backup has
// begun to fill them, and notes that this one begins.
func (c copying) room(to Restoring) error {
	var err error
	if !to.Resumed {
		err = errors.Join(os.RemoveAll(to.Data), os.RemoveAll(to.Spaces))
	}
	err = errors.Join(err, os.RemoveAll(to.Own))
	for _, dir := range []string{to.Data, to.Spaces, to.Own} {
		errMake := os.Mkdir(dir, 0o700)
		if errMake == nil {
			errMake = ownFile(dir, to.Owner)
		}
		if !errors.Is(errMake, fs.ErrExist) {
			err = errors.Join(err, errMake)
		}
	}
	if err == nil {
		err = errors.Join(c.past.ledger.Add(copied{Path: dataDir, Dir: true}), c.past.ledger.Sync())
	}
	if err != nil {
		return fmt.Errorf("make room for the base backup: %w", err)
	}
	return nil
}

// Space makes the directory of a tablespace, the owner's, where it is not there yet.
func (to Restoring) Space(oid string) (string, error) {
	dir := filepath.Join(to.Spaces, oid)
	err := os.Mkdir(dir, 0o700)
	if err == nil {
		err = ownFile(dir, to.Owner)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("make room for tablespace %s: %w", oid, err)
	}
	return dir, nil
}

// Clear removes what an earlier attempt has left, for a program that does not go on with it.
func (to Restoring) Clear() error {
	for _, dir := range []string{to.Data, to.Spaces} {
		all, err := os.ReadDir(dir)
		for _, e := range all {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
		if err != nil {
			return fmt.Errorf("remove what an earlier attempt left: %w", err)
		}
	}
	return nil
}

// leaveOut removes what must not be in a data directory: the source's tablespaces by
// their paths there, and what a running server leaves.
func leaveOut(data string) error {
	for _, name := range []string{"tablespace_map", "postmaster.pid", "postmaster.opts"} {
		if err := os.Remove(filepath.Join(data, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("leave out %s: %w", name, err)
		}
	}
	return nil
}

// enclosed refuses a data directory of which a part lies outside of scratch: a server
// on it would write there.
func enclosed(data, scratch string) error {
	root, err := filepath.EvalSymlinks(scratch)
	if err != nil {
		return fmt.Errorf("look at what was restored: %w", err)
	}
	return filepath.WalkDir(data, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("look at what was restored: %w", err)
		}
		if e.Type()&fs.ModeSymlink == 0 {
			return nil
		}
		real, err := filepath.EvalSymlinks(path)
		if err != nil {
			return fmt.Errorf("look at what was restored: %w", err)
		}
		if rel, err := filepath.Rel(root, real); err != nil || !filepath.IsLocal(rel) {
			name, errName := filepath.Rel(data, path)
			return errors.Join(fmt.Errorf("%w: %s leads out of scratch, to %s", storage.ErrCorrupt, name, real), errName)
		}
		return nil
	})
}
