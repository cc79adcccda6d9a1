package pitr

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"comeback/recovery"
	"comeback/recovery/postgres"
)

// standing is how far a server is, as it says itself.
type standing struct {
	// known is false while the server does not accept connections.
	known      bool
	recovering bool
	paused     bool
	replayed   recovery.LSN
	// time is that of the last transaction that was replayed, which may be
	// an abort; zero before the first.
	time time.Time
}

// look asks the server, connecting first where it must.
func (r *replay) look(ctx context.Context) (standing, error) {
	select {
	case <-r.server.Ready():
	default:
		return standing{}, nil
	}
	if r.conn == nil || r.conn.IsClosed() {
		if err := r.connect(ctx); err != nil {
			var refused *pgconn.PgError
			if errors.As(err, &refused) && refused.Code == cannotConnectNow {
				return standing{}, nil
			}
			select {
			case <-r.server.Exited(): // its own words say more
				return standing{}, nil
			default:
				return standing{}, err
			}
		}
	}
	query := "select pg_is_in_recovery(), " + r.cluster.Tools.ReplayPaused() + ", pg_last_wal_replay_lsn()::text, pg_last_xact_replay_timestamp()"
	// The pause functions exist only during recovery.
	var recovering bool
	if err := r.conn.QueryRow(ctx, "select pg_is_in_recovery()").Scan(&recovering); err != nil {
		return standing{}, r.lostSession(ctx, err)
	}
	if !recovering {
		return standing{known: true}, nil
	}
	s := standing{known: true}
	var lsn *string
	var at *time.Time
	if err := r.conn.QueryRow(ctx, query).Scan(&s.recovering, &s.paused, &lsn, &at); err != nil {
		return standing{}, r.lostSession(ctx, err)
	}
	if at != nil {
		s.time = *at
	}
	if lsn != nil {
		var err error
		if s.replayed, err = recovery.ParseLSN(*lsn); err != nil {
			return standing{}, fmt.Errorf("ask how far the server is: %w", err)
		}
	}
	return s, nil
}

// SQLSTATEs that are told apart.
const (
	operatorIntervention = "57" // a class
	cannotConnectNow     = "57P03"
	invalidAuthorization = "28000"
	noSuchDatabase       = "3D000"
	notInPrerequisite    = "55000" // the server left recovery between two questions
	invalidParameter     = "22023"
)

// lostSession judges a failed question: a session may be ended by a replayed
// record that it stands in the way of, and by the server's end, which its own
// words explain. Both are looked at again.
func (r *replay) lostSession(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("ask how far the server is: %w", context.Cause(ctx))
	}
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == notInPrerequisite || r.conn.IsClosed() {
		return nil
	}
	return fmt.Errorf("ask how far the server is: %w", err)
}

// connectTime bounds one attempt to connect: a catalog may be locked by the
// very record that replay stands before.
const connectTime = 20 * time.Second

// connect opens a session as a superuser: the first of the candidates that is
// one.
func (r *replay) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	var tried []string
	for _, role := range r.superusers() {
		tried = append(tried, role)
		r.cluster.Superuser = role
		conn, err := r.dial(ctx, "postgres")
		var refused *pgconn.PgError
		if errors.As(err, &refused) && refused.Code == noSuchDatabase {
			conn, err = r.dial(ctx, "template1")
		}
		if errors.As(err, &refused) && refused.Code == invalidAuthorization {
			continue // there is no such role
		}
		if err != nil {
			return err
		}
		var super bool
		if err := conn.QueryRow(ctx, "select rolsuper from pg_roles where rolname = current_user").Scan(&super); err != nil {
			return errors.Join(fmt.Errorf("ask for the rights of %s: %w", role, err), conn.Close(ctx))
		}
		if super {
			r.conn = conn
			return nil
		}
		if err := conn.Close(ctx); err != nil {
			return fmt.Errorf("close a session: %w", err)
		}
	}
	return recovery.Errorf("set `superuser:` of the component to the name of the cluster's superuser",
		"the restored cluster has no superuser called %s", strings.Join(tried, " or "))
}

// dial opens a session that never waits long for a lock: what replay holds, it
// holds until it goes on.
func (r *replay) dial(ctx context.Context, database string) (*pgx.Conn, error) {
	config, err := postgres.ParseAddress(r.cluster.URL(database))
	if err != nil {
		return nil, err
	}
	config.RuntimeParams["lock_timeout"] = "10s"
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect to the restored server: %w", err)
	}
	return conn, nil
}

func (r *replay) disconnect(ctx context.Context) {
	if r.conn != nil {
		_ = r.conn.Close(ctx) // the server ends, or the session is of no use any more
		r.conn = nil
	}
}

// superusers are the candidates, in order: the setting, the user of the live
// database's url, postgres.
func (r *replay) superusers() []string {
	candidates := []string{r.args.Superuser}
	if u := r.liveURL(); u != nil {
		candidates = append(candidates, u.User.Username(), u.Query().Get("user"))
	}
	var all []string
	for _, c := range append(candidates, "postgres") {
		if c != "" && !slices.Contains(all, c) {
			all = append(all, c)
		}
	}
	return all
}

// liveURL is the live database's url, of which the names in it are used and
// nothing else; nil where it is not known here.
func (r *replay) liveURL() *url.URL {
	if r.args.URL == "" {
		return nil
	}
	text, err := r.env.Secret(r.args.URL)
	if err != nil { // the runbook's own checks complain about it
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return nil
	}
	return u
}
