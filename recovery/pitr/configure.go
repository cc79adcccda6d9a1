package pitr

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"comeback/recovery"
	"comeback/recovery/postgres"
)

// atLeast are the settings that must be as large as they were on the source,
// at any point of the log that is replayed.
type atLeast map[string]int

// sourceSettings are those of the source when the backup was made.
func sourceSettings(c postgres.Control) atLeast {
	return atLeast{
		"max_connections":           c.MaxConnections,
		"max_worker_processes":      c.MaxWorkerProcesses,
		"max_wal_senders":           c.MaxWALSenders,
		"max_prepared_transactions": c.MaxPreparedXacts,
		"max_locks_per_transaction": c.MaxLocksPerXact,
	}
}

// raise takes over what the server says it lacks; it reports whether that
// changes anything.
func (a atLeast) raise(lacking map[string]int) bool {
	changed := false
	for name, n := range lacking {
		if n > a[name] {
			a[name] = n
			changed = true
		}
	}
	return changed
}

// serveSettings are those of the restored server, while it recovers and after.
// What becomes a live server keeps its log for the archive from its promotion on,
// the new timeline's history with it: an empty archive_command leaves it waiting
// for the live server's own.
func serveSettings(c postgres.Cluster, sizes atLeast, becomesLive bool) (map[string]string, error) {
	s := map[string]string{
		"wal_level":          "replica",
		"hot_standby":        "on",
		"shared_buffers":     "256MB",
		"max_wal_size":       "2GB",
		"checkpoint_timeout": "5min",
		// Scratch only: a crash of the machine loses the cluster. One of the
		// server does not, so full_page_writes stays on.
		"fsync":              "off",
		"synchronous_commit": "off",
		// Where it is off, opening the database removes the times of all commits that the
		// source has kept; it may have begun to keep them at any point of the log.
		"track_commit_timestamp": "on",
	}
	if becomesLive {
		s["archive_mode"], s["archive_command"] = "on", ""
	}
	for name, n := range sizes {
		s[name] = strconv.Itoa(n)
	}
	room, err := postgres.RoomSettings(c.Data)
	maps.Copy(s, room)
	return s, err
}

// configureServing writes the configuration of a server that is open.
func configureServing(c postgres.Cluster, sizes atLeast, becomesLive bool) error {
	settings, err := serveSettings(c, sizes, becomesLive)
	if err != nil {
		return err
	}
	return c.Configure(settings)
}

// recoverySettings tell the server where to stop, and to wait there.
func recoverySettings(args replayArgs, tools postgres.Tools) map[string]string {
	s := map[string]string{
		"restore_command":           restoreCommand,
		"recovery_target_lsn":       args.Stop.String(),
		"recovery_target_inclusive": strconv.FormatBool(args.Inclusive),
		"recovery_target_timeline":  strconv.FormatUint(uint64(args.Timeline), 10),
		"recovery_target_action":    "pause",
	}
	maps.Copy(s, tools.TellsReplay())
	return s
}

// configureRecovery writes the configuration of a recovery. Nothing of the
// source's configuration is left in force.
func configureRecovery(c postgres.Cluster, args replayArgs, sizes atLeast) error {
	settings, err := serveSettings(c, sizes, args.BecomesLive)
	if err != nil {
		return err
	}
	maps.Copy(settings, recoverySettings(args, c.Tools))
	if err := c.Configure(settings); err != nil {
		return err
	}
	// Servers from 12 on refuse to start beside it.
	conf := filepath.Join(c.Data, "recovery.conf")
	if err := os.Rename(conf, conf+".source"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("set recovery.conf aside: %w", err)
	}
	// Configure has removed one that was there.
	f, err := os.OpenFile(filepath.Join(c.Data, "recovery.signal"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		if c.Owner.UID >= 0 {
			err = f.Chown(c.Owner.UID, c.Owner.GID)
		}
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return fmt.Errorf("ask for a recovery: %w", err)
	}
	return nil
}

func ownFile(path string, u recovery.User) error {
	if u.UID < 0 {
		return nil
	}
	if err := os.Lchown(path, u.UID, u.GID); err != nil {
		return fmt.Errorf("give %s to %s: %w", path, u.Name, err)
	}
	return nil
}

// placeExe puts a copy of this program where the server's user can start it:
// the place it was installed in may be closed to that user, and may get another
// version while the run lasts.
func placeExe(from, to string, owner recovery.User) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("copy this program into scratch: %w", err)
		}
	}()
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	temp := to + ".new"
	out, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o700)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Close()); err != nil {
		return err
	}
	if err := ownFile(temp, owner); err != nil {
		return err
	}
	return os.Rename(temp, to)
}
