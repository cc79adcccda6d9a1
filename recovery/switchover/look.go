package switchover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"comeback/recovery"
	"comeback/recovery/live"
	"comeback/recovery/postgres"
)

// Look reads the live database that the component's url names.
func (switcher) Look(ctx context.Context, c recovery.Component, _ []recovery.Copy, expand func(string) (string, error)) (recovery.Live, error) {
	how, err := into(c)
	if err != nil {
		return recovery.Live{}, err
	}
	reference, err := c.Lives("admin", "url")
	if err != nil {
		return recovery.Live{}, err
	}
	address, err := expand(reference)
	if err != nil {
		return recovery.Live{}, err
	}
	server, err := live.Look(ctx, address)
	if err != nil {
		if how == intoCluster {
			return lookDown(ctx, c, reference, address, err)
		}
		return recovery.Live{}, noServer(err)
	}
	if err := admissible(c, server, how); err != nil {
		return recovery.Live{}, err
	}
	if how == intoDatabase {
		if err := live.Entitled(ctx, address); err != nil {
			return recovery.Live{}, err
		}
	}
	facts, err := json.Marshal(server)
	if err != nil {
		return recovery.Live{}, fmt.Errorf("keep what the live server says: %w", err)
	}
	host := hostOf(server, address)
	l := recovery.Live{
		Component: c.Name, At: server.At, Only: server.Database, Facts: facts, Effects: effects(c, host, server),
		Target: recovery.Target{
			ID: recovery.TargetID("live/" + c.Name), Component: c.Name, Switches: recovery.Postgres, Address: reference,
			// Two runs on the same database of the same server must not meet,
			// however each of them came to it.
			Place: fmt.Sprintf("%s, database %s, system %s", host, server.Database, server.SystemIdentifier),
			Name:  host + "/" + server.Database, Identity: server.OfDatabase(), Within: postgres.Lineage(server.SystemIdentifier),
		},
	}
	if how == intoCluster {
		return lookCluster(c, server, l)
	}
	return l, nil
}

// ways are how a database comes back where its server is gone.
const ways = "`into: hand-over` (it is restored on this host and left running on its own), `into: cluster` with data: (a base backup becomes the data directory of a server of this host), " +
	"or a url that leads to a server that runs, with an empty database of that name, whose place it takes"

// noServer gives a database whose server is gone the ways in which it comes back without it,
// and one that is gone from its server the way there.
func noServer(err error) error {
	var answered *pgconn.PgError
	hint := ""
	switch {
	case errors.Is(err, live.ErrNoDatabase):
		hint = "correct the address; where the database is gone, or the server is a new one, make it there, empty (create database), and what comes back takes its place"
	case errors.Is(err, context.Canceled), errors.As(err, &answered), recovery.ExitOf(err) != recovery.Failed:
		return err
	default:
		hint = "start the server, or correct the address; where the server is gone, the runbook says how the database comes back without it: " + ways
	}
	return recovery.Errorf(hint, "%w", err).WithExit(recovery.ExitOf(err))
}

// admissible refuses a target that cannot be switched, before anything runs.
func admissible(c recovery.Component, s live.Server, how string) error {
	switch {
	case s.Standby:
		return recovery.Errorf("give the address of the primary as the url of "+c.Name,
			"refused: %s is a standby, and what comes back there would be overwritten by its primary", s.Address).WithExit(recovery.Refused)
	case how == intoCluster:
		return nil
	case s.Target.Template:
		return recovery.Errorf("name the system's own database", "refused: %s is a template database", s.Database).WithExit(recovery.Refused)
	case slices.Contains([]string{"postgres", "template0", "template1"}, s.Database):
		return recovery.Errorf("name the system's own database in the url of "+c.Name,
			"refused: database %s is the server's own and cannot be renamed while it is used", s.Database).WithExit(recovery.Refused)
	}
	return nil
}

// hostOf is what people call the server's host: this machine's name where the
// server runs on it, else what the address says.
func hostOf(s live.Server, address string) string {
	if s.Host != "" {
		return s.Host
	}
	if config, err := pgx.ParseConfig(address); err == nil && config.Host != "" {
		return config.Host
	}
	return s.Address
}

// Identify reads a live database's identity anew.
func (switcher) Identify(ctx context.Context, t recovery.Target, expand func(string) (string, error)) (recovery.Identity, error) {
	address, err := expand(t.Address)
	if err != nil {
		return nil, err
	}
	if old, ok := isOld(t); ok {
		return identifyOld(ctx, old, address)
	}
	if c, ok := isCluster(t); ok {
		return identifyCluster(ctx, c, address)
	}
	return identify(ctx, address)
}

func identify(ctx context.Context, address string) (recovery.Identity, error) {
	i, err := live.Identify(ctx, address)
	if err != nil {
		return nil, err
	}
	return i.OfDatabase(), nil
}

// newCode says, of a database that a superuser loads beside the live one, that nothing tells
// which of its code is new; empty where that is told before it is loaded.
func newCode(c recovery.Component, s live.Server) string {
	why := ""
	switch {
	case !s.Superuser:
		return ""
	case !s.Target.Open:
		why = "lets nobody in"
	case s.Empty:
		why = "is empty"
	default:
		return ""
	}
	return fmt.Sprintf("%s: what code from the copy does with the rights of superuser %s while it is loaded; there is none of live to compare it with, because database %s %s", c.Name, s.User, s.Database, why)
}

// effects are what a switch of the database does beyond bringing it back.
func effects(c recovery.Component, host string, s live.Server) recovery.Effects {
	var e recovery.Effects
	role := "primary"
	if s.Data != "" {
		role = s.Data + ", primary"
	}
	sessions := int64(0)
	for _, one := range s.Sessions {
		if one.Database == s.Database {
			sessions += one.Count
		}
	}
	e.Target = []string{fmt.Sprintf("%s, %s, system %s, timeline %d, database %s (oid %d, %s), %s",
		host, role, s.SystemIdentifier, s.Timeline, s.Database, s.OID, recovery.FormatBytes(s.Target.Size), recovery.FormatCount(sessions, "session"))}
	for _, slot := range s.Slots {
		if slot.Database == s.Database {
			e.Rebuild = append(e.Rebuild, fmt.Sprintf("%s: logical slot %s (%s) stays with the old database: its reader needs a new one and a new copy", c.Name, slot.Name, slot.Plugin))
		}
	}
	for _, sub := range s.Subscriptions {
		if sub.Database == s.Database {
			e.Rebuild = append(e.Rebuild, fmt.Sprintf("%s: subscription %s stays with the old database", c.Name, sub.Name))
		}
	}
	for _, p := range s.Publications {
		e.Rebuild = append(e.Rebuild, fmt.Sprintf("%s: publication %s: its subscribers need a new copy", c.Name, p))
	}
	for _, p := range s.Prepared {
		if p.Database == s.Database {
			e.NotUndone = append(e.NotUndone, fmt.Sprintf("%s: transaction %q of %s is prepared: commit or roll it back before the switch, which refuses it", c.Name, p.GID, p.Owner))
		}
	}
	for _, u := range s.Unknown {
		e.NotUndone = append(e.NotUndone, fmt.Sprintf("%s: not known: %s (%s)", c.Name, u.What, u.Why))
	}
	if says := newCode(c, s); says != "" {
		e.NotUndone = append(e.NotUndone, says)
	}
	e.NotUndone = append(e.NotUndone, c.Name+": what the system has done outside of it: e-mails sent, cards charged")
	return e
}
