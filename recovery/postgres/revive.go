package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

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
	if lost(err) {
		return nil, fmt.Errorf("%w; %w", err, recovery.ErrGone)
	}
	if err != nil {
		return nil, err
	}
	s.LogTo(nil)
	id, err := s.identity(ctx, database)
	if err != nil {
		return nil, s.Failure(ctx, err)
	}
	if id.SystemIdentifier != system || id.DataDirectory != c.Data {
		return nil, fmt.Errorf("the server of %s says that it is %s in %s, and was %s: %w", c.Data, id.SystemIdentifier, id.DataDirectory, system, recovery.ErrGone)
	}
	return s, nil
}

func (s *Server) identity(ctx context.Context, database string) (Identity, error) {
	conn, err := s.Connect(ctx, database)
	if err != nil {
		return Identity{}, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return ReadIdentity(ctx, conn)
}

// Failure is why a server that was revived does not answer as it should: its own
// last words where it ends within seconds, else err. It wraps recovery.ErrGone
// where the reason lies in the data directory.
func (s *Server) Failure(ctx context.Context, err error) error {
	if !lost(err) {
		timer := time.NewTimer(lastBreath)
		defer timer.Stop()
		select {
		case <-s.Exited():
			if ended := s.Err(); ended != nil {
				err = ended
			}
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	if lost(err) {
		return fmt.Errorf("%w; %w", err, recovery.ErrGone)
	}
	return err
}

// lastBreath is how long a server that gives no session may take to end.
const lastBreath = 5 * time.Second

// lost reports whether a server ended, or gives no session, because of what
// lies, or does not lie, in its data directory.
func lost(err error) bool {
	if errors.Is(err, errByItself) {
		return true
	}
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		return false
	}
	switch class := refused.Code[:min(2, len(refused.Code))]; class {
	case "58", "XX", "3D": // a file, a page, the database
		return !noSpace.MatchString(refused.Message)
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
