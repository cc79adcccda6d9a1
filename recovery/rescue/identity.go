package rescue

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/postgres"
)

// Into is the kind of live target that a rescue writes to: one database of a
// server, which stays where it is.
const Into recovery.ComponentKind = "postgres database"

// Look reads the live database of a component as the target of a rescue. It only
// reads.
func Look(ctx context.Context, c recovery.Component, expand func(string) (string, error)) (recovery.Target, error) {
	address, err := c.Lives("url")
	if err != nil {
		return recovery.Target{}, err
	}
	t := recovery.Target{ID: recovery.TargetID("live/" + c.Name), Component: c.Name, Switches: Into, Address: address}
	id, err := identify(ctx, t, expand)
	if err != nil {
		return t, err
	}
	if id.InRecovery {
		return t, refusedf("give the primary's address as the component's url", "the live server of %s is a standby, into which nothing can be written", c.Name)
	}
	host := id.Address
	if ip := net.ParseIP(host); host == "" || ip.IsLoopback() {
		if host, err = os.Hostname(); err != nil {
			return t, fmt.Errorf("name this host: %w", err)
		}
	}
	t.Name = host + "/" + id.Database
	// The lock is on the database, by what stays the same however it is reached.
	t.Place = fmt.Sprintf("postgres database %s of %s", id.Database, id.SystemIdentifier)
	t.Within = postgres.Lineage(id.SystemIdentifier)
	t.Identity = parts(id)
	return t, nil
}

// Identify reads the identity of a rescue's target anew.
func Identify(ctx context.Context, t recovery.Target, expand func(string) (string, error)) (recovery.Identity, error) {
	id, err := identify(ctx, t, expand)
	if err != nil {
		return nil, err
	}
	return parts(id), nil
}

func identify(ctx context.Context, t recovery.Target, expand func(string) (string, error)) (postgres.Identity, error) {
	conn, err := connect(ctx, t.Address, expand)
	if err != nil {
		return postgres.Identity{}, err
	}
	defer conn.Close(context.WithoutCancel(ctx)) // it only read
	return read(ctx, conn)
}

// read is the identity of whom a session is with.
func read(ctx context.Context, conn *pgx.Conn) (postgres.Identity, error) {
	id, err := postgres.ReadIdentity(ctx, conn)
	if err != nil || id.InRecovery {
		return id, err
	}
	// A server that was promoted a moment ago may not have made a checkpoint
	// since: the name of its segment says on which timeline it writes.
	var segment string
	if err := conn.QueryRow(ctx, "select pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn())").Scan(&segment); err != nil {
		return id, fmt.Errorf("read the identity of the server: %w", err)
	}
	n, err := strconv.ParseUint(segment[:min(8, len(segment))], 16, 32)
	if err != nil {
		return id, fmt.Errorf("read the identity of the server: it calls its segment %q", segment)
	}
	id.Timeline = uint32(n)
	return id, nil
}

// connect opens a session with live.
func connect(ctx context.Context, address string, expand func(string) (string, error)) (*pgx.Conn, error) {
	address, err := expand(address)
	if err != nil {
		return nil, err
	}
	config, err := postgres.OneLive(address)
	if err != nil {
		return nil, err
	}
	return postgres.DialLive(ctx, config)
}

// connectTo opens a session with the live database that is meant.
func connectTo(ctx context.Context, address string, want recovery.Identity, expand func(string) (string, error)) (*pgx.Conn, error) {
	conn, err := connect(ctx, address, expand)
	if err != nil {
		return nil, err
	}
	if err := prove(ctx, conn, want); err != nil {
		return nil, errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
	}
	return conn, nil
}

// prove refuses a session with any other database than the one that is meant. What
// was read in another session says nothing of this one, because a name or a proxy may
// lead elsewhere by now; within a transaction it holds to the end of that.
func prove(ctx context.Context, conn *pgx.Conn, want recovery.Identity) error {
	id, err := read(ctx, conn)
	if err != nil {
		return err
	}
	if differs := want.Differences(parts(id)); len(differs) > 0 {
		return refusedf("find out where the address of live leads to, then make a new plan",
			"refused: the session with live is not with the database that was planned for: %s", strings.Join(differs, "; "))
	}
	return nil
}

// parts are the identity in named parts: the database's own number tells one that
// was restored beside it apart, the timeline a server that was.
func parts(id postgres.Identity) recovery.Identity {
	role := "primary"
	if id.InRecovery {
		role = "standby"
	}
	p := recovery.Identity{
		recovery.SystemIdentifier: id.SystemIdentifier,
		"timeline":                strconv.FormatUint(uint64(id.Timeline), 10),
		"role":                    role,
		"database":                id.Database,
		"database oid":            strconv.FormatUint(uint64(id.DatabaseOID), 10),
	}
	if id.Address != "" {
		p["address"] = id.Address
	}
	if id.DataDirectory != "" {
		p["data directory"] = id.DataDirectory
	}
	return p
}
