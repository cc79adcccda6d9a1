package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"comeback/recovery"
)

// Revive gives the server of a cluster that an earlier step has made, started
// again where it has ended, and proves that it is that cluster: by its data
// directory and its system identifier. The server's log goes nowhere when it
// returns. An error that wraps recovery.ErrGone says that the data directory is
// not there, is damaged, or is another cluster's.
func Revive(ctx context.Context, env recovery.Env, c Cluster, o StartOptions, system, database string) (*Server, error) {
	if err := c.Is(ctx, system); err != nil {
		return nil, err
	}
	o.WaitReady = true
	s, err := Ensure(ctx, env, c, o)
	if errors.Is(err, errByItself) {
		return nil, fmt.Errorf("%w; %w", err, recovery.ErrGone)
	}
	if err != nil {
		return nil, err
	}
	s.LogTo(nil)
	conn, err := s.Connect(ctx, database)
	if lost(err) {
		return nil, fmt.Errorf("%w; %w", err, recovery.ErrGone)
	}
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	id, err := ReadIdentity(ctx, conn)
	if err != nil {
		return nil, err
	}
	if id.SystemIdentifier != system || id.DataDirectory != c.Data {
		return nil, fmt.Errorf("the server of %s says that it is %s in %s, and was %s: %w", c.Data, id.SystemIdentifier, id.DataDirectory, system, recovery.ErrGone)
	}
	return s, nil
}

// lost reports whether a server refuses a session because of what lies, or does
// not lie, in its data directory.
func lost(err error) bool {
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		return false
	}
	switch class := refused.Code[:min(2, len(refused.Code))]; class {
	case "58", "XX", "3D": // a file, a page, the database
		return !strings.Contains(refused.Message, noSpace)
	}
	return false
}

// Is proves that the data directory is that of a cluster, by its control data.
// An error that wraps recovery.ErrGone says that it is not.
func (c Cluster) Is(ctx context.Context, system string) error {
	if err := c.Tools.Need("pg_controldata"); err != nil {
		return err
	}
	if _, err := os.Lstat(filepath.Join(c.Data, "global", "pg_control")); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the cluster in %s is not there any more: %w", c.Data, recovery.ErrGone)
	}
	control, err := ReadControl(ctx, c.Tools, c.Data)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("%w; %w", err, recovery.ErrGone)
	}
	if control.SystemIdentifier != system {
		return fmt.Errorf("the cluster in %s is another one, %s and not %s: %w", c.Data, control.SystemIdentifier, system, recovery.ErrGone)
	}
	return nil
}
