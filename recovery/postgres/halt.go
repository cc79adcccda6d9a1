package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// Halt ends whatever is left of the cluster's server, whoever started it, waits
// out one that is shutting down already, and returns when none of its processes
// is left. The lock files of a server that was killed go too: after a reboot
// the number in them may be another program's, and then no server would start.
func (c Cluster) Halt(ctx context.Context) error {
	c = c.withDefaults()
	if own, ok := children.Load(c.Data); ok {
		if err := own.(*Server).Stop(ctx); err != nil {
			return err
		}
	}
	if err := stopServer(ctx, c.Data, time.Now); err != nil {
		return fmt.Errorf("stop the server of %s: %w", c.Data, err)
	}
	if err := removeMemory(c.Data); err != nil {
		return fmt.Errorf("remove what the server of %s left: %w", c.Data, err)
	}
	socket := filepath.Join(c.Socket, ".s.PGSQL."+strconv.Itoa(socketPort))
	for _, path := range []string{filepath.Join(c.Data, "postmaster.pid"), socket + ".lock", socket} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove what a server left: %w", err)
		}
	}
	return nil
}
