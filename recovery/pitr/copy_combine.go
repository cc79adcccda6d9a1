package pitr

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"comeback/durable"
	"comeback/recovery"
	"comeback/recovery/written"
)

const (
	// chainDir holds the backups that are combined, combinedDir what
	// pg_combinebackup makes of them until it is whole.
	chainDir    = "chain"
	combinedDir = "combined"
)

// combine copies a full backup and those that are incremental to it, each into a
// directory of its own and proven against its own manifest, and has pg_combinebackup
// make the data directory of them, which gets its name last. An interruption leaves
// the backups, each with a ledger, from which doing the step again goes on.
func (c copying) combine(ctx context.Context, env recovery.Env, r Unpacker) (recovery.Outcome, error) {
	if err := c.cluster.Tools.Need("pg_combinebackup"); err != nil {
		return recovery.Outcome{}, err
	}
	data, spaces, combined := c.cluster.Data, filepath.Join(c.handle.Dir, spacesDir), filepath.Join(c.handle.Dir, combinedDir)
	parts := c.base.parts()
	args := []string{"--output", combined}
	var last *tree
	var files int
	var bytes int64
	for i, p := range parts {
		t, err := c.part(ctx, r, i, p)
		if err != nil {
			return recovery.Outcome{}, fmt.Errorf("backup %s of its chain: %w", p.ID, err)
		}
		last, files, bytes = t, files+len(t.written), bytes+t.size
	}
	for _, oid := range slices.Concat(c.base.Tablespaces, c.base.Bare) {
		args = append(args, "--tablespace-mapping", filepath.Join(last.dir, spacesDir, oid)+"="+filepath.Join(spaces, oid))
	}
	for i := range parts {
		args = append(args, filepath.Join(c.handle.Dir, chainDir, strconv.Itoa(i), dataDir))
	}
	// The ledger does not end with a copy that is whole while there is none.
	err := errors.Join(c.past.ledger.Add(copied{Path: dataDir, Dir: true}), c.past.ledger.Sync())
	if err != nil {
		return recovery.Outcome{}, err
	}
	err = errors.Join(os.RemoveAll(data), os.RemoveAll(spaces), os.RemoveAll(combined))
	for _, dir := range []string{spaces, combined} {
		if err == nil {
			err = c.makeDir(dir)
		}
	}
	if err != nil {
		return recovery.Outcome{}, fmt.Errorf("make room for the combined backup: %w", err)
	}
	c.meter.Phase("combine "+strconv.Itoa(len(parts))+" backups", 0, recovery.InBytes)
	cmd := recovery.Cmd{Path: c.cluster.Tools.Program("pg_combinebackup"), Args: args, Dir: "/", Env: []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}}
	if c.handle.Owner.UID >= 0 {
		cmd.User = &c.handle.Owner
	}
	seen := written.Show(c.meter, 0, combined, spaces)
	err = env.Command(ctx, cmd)
	seen()
	if err != nil {
		return recovery.Outcome{}, err
	}
	err = leaveOut(combined)
	if err == nil {
		err = enclosed(combined, c.handle.Dir)
	}
	if err == nil {
		err = os.Rename(combined, data)
	}
	if err == nil {
		err = errors.Join(durable.SyncDir(c.handle.Dir), c.past.whole())
	}
	if err == nil { // what is combined is not needed any more
		err = os.RemoveAll(filepath.Join(c.handle.Dir, chainDir))
	}
	if err != nil {
		return recovery.Outcome{}, fmt.Errorf("put the combined backup in place: %w", err)
	}
	o := last.outcome(c.base, c.args.Facts)
	o.Says = fmt.Sprintf("base backup %s copied with the %d before it, every checksum of their manifests holds, and combined by pg_combinebackup %s",
		c.base.ID, len(c.base.Chain), c.cluster.Tools.Version)
	o.Facts["files"], o.Facts["bytes"] = strconv.Itoa(files), strconv.FormatInt(bytes, 10)
	o.Facts["full backup"], o.Facts["backups combined"] = parts[0].ID, strconv.Itoa(len(parts))
	return o, nil
}

// part copies one backup of a chain, or what an earlier attempt has left of it to copy.
func (c copying) part(ctx context.Context, r Unpacker, i int, b Base) (*tree, error) {
	dir := filepath.Join(c.handle.Dir, chainDir, strconv.Itoa(i))
	for _, dir := range []string{filepath.Dir(dir), dir} {
		if err := c.makePassable(dir); err != nil {
			return nil, err
		}
	}
	args := copyArgs{Copy: c.args.Copy, Backup: b.ID, Objects: b.Objects}
	past, err := openCopies(dir, args)
	if err != nil {
		return nil, err
	}
	defer past.ledger.Close()
	part := c
	part.args, part.base, part.handle.Dir, part.past = args, b, dir, past
	t, err := part.copyFiles(ctx, r)
	if err != nil {
		return nil, err
	}
	return t, t.Close()
}

// makePassable makes a directory in which we alone make files, and through which the server's
// user goes to his. It may be there.
func (c copying) makePassable(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrExist) {
		err = nil
	}
	if err == nil && c.handle.Owner.UID >= 0 {
		if err = os.Lchown(dir, os.Geteuid(), c.handle.Owner.GID); err == nil {
			err = os.Chmod(dir, 0o710)
		}
	}
	return err
}

// makeDir makes a directory of the server's user, which may be there.
func (c copying) makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return ownFile(dir, c.handle.Owner)
}
