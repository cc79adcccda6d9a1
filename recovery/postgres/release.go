package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"comeback/recovery"
	"comeback/recovery/mounts"
)

// ReleaseCluster implements recovery.Releaser for recovery.Cluster: it stops
// the server of the data directory, proves that no process of it is left, and
// removes the data and socket directories. It works from the record alone, on
// whatever an interruption left, and may be repeated.
type ReleaseCluster struct {
	// Now measures how long a server may take to end; nil is the system's
	// clock.
	Now func() time.Time
}

// Resource is recovery.Cluster.
func (ReleaseCluster) Resource() recovery.ResourceKind { return recovery.Cluster }

// Release gives the cluster back. A tablespace's directory is not the
// cluster's: only the link to it goes.
func (c ReleaseCluster) Release(ctx context.Context, r recovery.Resource) error {
	data := filepath.Clean(r.ID)
	if !filepath.IsAbs(data) || data == "/" || r.Kind != recovery.Cluster {
		return fmt.Errorf("release cluster %q: this is no data directory", r.ID)
	}
	if info, err := os.Lstat(data); err == nil && !info.IsDir() {
		return recovery.Errorf("look at it and remove it by hand", "release cluster %s: it is not a directory", data)
	}
	now := c.Now
	if now == nil {
		now = time.Now
	}
	if err := stopServer(ctx, data, now); err != nil {
		return recovery.Errorf("end the processes by hand, then release again", "release cluster %s: %w", data, err)
	}
	if err := removeMemory(data); err != nil {
		return recovery.Errorf("remove it with ipcrm", "release cluster %s: %w", data, err)
	}
	if socket := r.Details["socket"]; socket != "" {
		if err := removeSocket(socket); err != nil {
			return fmt.Errorf("release cluster %s: remove the socket directory: %w", data, err)
		}
	}
	if err := mounts.NothingIn(data); err != nil {
		return fmt.Errorf("release cluster %s: %w", data, err)
	}
	if err := os.RemoveAll(data); err != nil {
		return recovery.Errorf("remove it by hand", "release cluster %s: %w", data, err)
	}
	if _, err := os.Lstat(data); !errors.Is(err, fs.ErrNotExist) {
		return recovery.Errorf("find out who writes there", "release cluster %s: the directory is back after its removal", data)
	}
	return nil
}

// removeSocket removes a socket directory with the files that a server makes
// in it, and nothing else.
func removeSocket(dir string) error {
	if !filepath.IsAbs(dir) {
		return fmt.Errorf("%q is not an absolute path", dir)
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".s.PGSQL.") {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func ownerOf(info fs.FileInfo) int {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid)
	}
	return -1
}
