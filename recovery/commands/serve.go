package commands

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/files/tree"
	"comeback/recovery/postgres"
	"comeback/recovery/provider"
)

// serveKind takes what was fetched into service: a tree is counted, a data directory
// is given a configuration of our own and started in scratch, an address is tried.
// It may be repeated.
type serveKind struct{ engine }

func (serveKind) Name() string              { return "commands.serve" }
func (serveKind) Restart() recovery.Restart { return recovery.Repeat }

func (k serveKind) Do(ctx context.Context, env recovery.Env, step recovery.Step) (recovery.Outcome, error) {
	return k.serve(ctx, env, step, false)
}

// Revive takes it into service again: a server of ours has ended with its runner.
func (k serveKind) Revive(ctx context.Context, env recovery.Env, step recovery.Step, o recovery.Outcome, rebooted bool) error {
	again, err := k.serve(ctx, env, step, rebooted)
	if err != nil {
		return err
	}
	if was, is := o.Facts[recovery.SystemIdentifier], again.Facts[recovery.SystemIdentifier]; was != is {
		return fmt.Errorf("another cluster than before answers, %s and not %s: %w", is, was, recovery.ErrGone)
	}
	return nil
}

func (k serveKind) serve(ctx context.Context, env recovery.Env, step recovery.Step, rebooted bool) (recovery.Outcome, error) {
	p, err := openPlace(ctx, env, step)
	if err != nil {
		return recovery.Outcome{}, err
	}
	f, err := p.fetched(rebooted)
	if err != nil {
		return recovery.Outcome{}, err
	}
	var o recovery.Outcome
	switch {
	case f.Tree != "":
		o, err = p.tree(env.Meter(), f)
	case f.Cluster != "":
		o, err = k.cluster(ctx, env, p, f)
	default:
		o, err = p.elsewhere(ctx, env, f)
	}
	if err != nil {
		return o, err
	}
	reached := recovery.Reached{Component: p.Component, Time: p.Taken.To, Evidence: []string{"list says so; nothing in what was fetched was held against it"}}
	if !f.Reached.IsZero() {
		reached.Time, reached.Evidence = f.Reached.UTC(), []string{"the command that fetched says so"}
	}
	o.Reached = &reached
	return o, nil
}

// tree binds a directory of files, and tells what in it gives rights to whoever reaches it.
func (p place) tree(meter recovery.Meter, f fetched) (recovery.Outcome, error) {
	dir := filepath.Join(p.dir(), f.Tree)
	meter.Phase("count the files", 0, recovery.InItems)
	var files, bytes int64
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			files, bytes = files+1, bytes+info.Size()
			meter.Add(1)
		}
		return err
	})
	if err != nil {
		return recovery.Outcome{}, fmt.Errorf("count what was fetched: %w", err)
	}
	o := recovery.Outcome{Says: fmt.Sprintf("%s stands: %d files, %s", p.Backup, files, recovery.FormatBytes(bytes)),
		Facts:    map[string]string{"files": strconv.FormatInt(files, 10), "bytes": strconv.FormatInt(bytes, 10)},
		Bindings: []recovery.Binding{{Component: p.Component, URL: (&url.URL{Scheme: "file", Path: dir}).String(), Scratch: true}}}
	meter.Phase("look which files give rights", 0, recovery.NoUnit)
	err = tree.TellGrants(dir, &o)
	return o, err
}

// cluster starts a data directory in scratch.
func (k serveKind) cluster(ctx context.Context, env recovery.Env, p place, f fetched) (recovery.Outcome, error) {
	data, err := filepath.EvalSymlinks(filepath.Join(p.dir(), f.Cluster))
	if err != nil {
		return recovery.Outcome{}, fmt.Errorf("look at what was fetched: %w", err)
	}
	major, err := postgres.MajorOf(data)
	if err != nil {
		return recovery.Outcome{}, recovery.Errorf("let the command name a data directory", "what was fetched is no data directory: %w", err)
	}
	if err := enclosed(data, p.handle.Dir); err != nil {
		return recovery.Outcome{}, err
	}
	tools, err := k.Tools(major)
	if err != nil {
		return recovery.Outcome{}, err
	}
	c := postgres.Cluster{Data: data, Owner: p.handle.Owner, Tools: tools, Superuser: p.Superuser}
	env.Meter().Phase("give it to the server's user", 0, recovery.InItems)
	if err := p.own(data, env.Meter()); err != nil {
		return recovery.Outcome{}, err
	}
	if err := c.Claim(ctx, env); err != nil {
		return recovery.Outcome{}, err
	}
	if err := c.Halt(ctx); err != nil {
		return recovery.Outcome{}, err
	}
	slots, err := leaveSlots(data)
	if err != nil {
		return recovery.Outcome{}, err
	}
	control, err := postgres.ReadControl(ctx, tools, data)
	if err != nil {
		return recovery.Outcome{}, err
	}
	if err := c.Configure(map[string]string{
		"max_connections":           strconv.Itoa(max(control.MaxConnections, 40)),
		"max_prepared_transactions": strconv.Itoa(control.MaxPreparedXacts),
		"track_commit_timestamp":    control.CommitTimes(),
		"max_locks_per_transaction": strconv.Itoa(max(control.MaxLocksPerXact, 64)),
	}); err != nil {
		return recovery.Outcome{}, err
	}
	env.Meter().Phase("start the server", 0, recovery.NoUnit)
	server, err := postgres.Start(ctx, env, c, postgres.StartOptions{WaitReady: true})
	if err != nil {
		return recovery.Outcome{}, err
	}
	server.LogTo(nil) // it runs on, this step's log does not
	database, err := p.choose(ctx, c.URL("postgres"))
	if err != nil {
		return recovery.Outcome{}, errors.Join(err, server.Stop(ctx))
	}
	var remarks []string
	if len(slots) > 0 {
		remarks = append(remarks, "replication slots were left out, which are none of a restored server's and may keep it from starting: "+strings.Join(slots, ", "))
	}
	o := recovery.Outcome{Says: fmt.Sprintf("PostgreSQL %s runs on what was fetched, database %s", tools.Version, database), Remarks: remarks,
		Facts:    map[string]string{"data directory": data, recovery.SystemIdentifier: control.SystemIdentifier, "PostgreSQL": tools.Version, "archiving": "off"},
		Bindings: []recovery.Binding{{Component: p.Component, URL: c.URL(database), Scratch: true}}}
	server.TellIsolation(&o)
	return o, nil
}

// leaveSlots removes the replication slots from a data directory, and tells their names: one
// that reads changes keeps a server from starting whose log tells less.
func leaveSlots(data string) (names []string, err error) {
	root, err := postgres.OpenDir(data)
	if err != nil {
		return nil, fmt.Errorf("leave out replication slots: %w", err)
	}
	defer root.Close() // it was only gone through
	const dir = "pg_replslot"
	slots, err := fs.ReadDir(root.FS(), dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // the server says what it misses
	}
	for _, e := range slots {
		names, err = append(names, e.Name()), errors.Join(err, root.RemoveAll(filepath.Join(dir, e.Name())))
	}
	if err != nil {
		return nil, fmt.Errorf("leave out replication slots: %w", err)
	}
	return names, nil
}

// own gives what was fetched to the server's user; nobody else may enter it.
func (p place) own(data string, meter recovery.Meter) error {
	if p.handle.Owner.UID < 0 {
		return os.Chmod(data, 0o700)
	}
	// Where it was served before, programs of the restored database may go on in there.
	root, err := postgres.OpenDir(data)
	if err == nil {
		defer root.Close() // it was only gone through
		err = fs.WalkDir(root.FS(), ".", func(name string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			meter.Add(1)
			return root.Lchown(name, p.handle.Owner.UID, p.handle.Owner.GID)
		})
		err = errors.Join(err, root.Chmod(".", 0o700))
	}
	if err == nil {
		// On the way there the server's user may pass and not look.
		for dir := filepath.Dir(data); err == nil && len(dir) > len(p.handle.Dir); dir = filepath.Dir(dir) {
			err = os.Chmod(dir, 0o711)
		}
	}
	if err != nil {
		return fmt.Errorf("give what was fetched to %s: %w", p.handle.Owner.Name, err)
	}
	return nil
}

// enclosed refuses a data directory of which a part lies elsewhere: a server on it
// would write there.
func enclosed(data, scratch string) error {
	root, err := filepath.EvalSymlinks(scratch)
	if err != nil {
		return fmt.Errorf("look at what was fetched: %w", err)
	}
	return filepath.WalkDir(data, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("look at what was fetched: %w", err)
		}
		if e.Type()&fs.ModeSymlink == 0 {
			return nil
		}
		real, err := filepath.EvalSymlinks(path)
		if errors.Is(err, fs.ErrNotExist) {
			if real, err = os.Readlink(path); err == nil && !filepath.IsAbs(real) {
				real = filepath.Join(filepath.Dir(path), real)
			}
		}
		if err != nil {
			return fmt.Errorf("look at what was fetched: %w", err)
		}
		if rel, err := filepath.Rel(root, real); err != nil || !filepath.IsLocal(rel) {
			name, err := filepath.Rel(data, path)
			return errors.Join(provider.Refused("let the command map it below COMEBACK_DIR", "a part of what was fetched lies outside of scratch: %s leads to %s", name, real), err)
		}
		return nil
	})
}

// elsewhere tries the address of a server that the command has made.
func (p place) elsewhere(ctx context.Context, env recovery.Env, f fetched) (recovery.Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, answersWithin)
	defer cancel()
	address, err := env.Secret(f.Address)
	if err != nil {
		return recovery.Outcome{}, err
	}
	live, err := env.Secret(p.Live)
	if err != nil {
		return recovery.Outcome{}, err
	}
	env.Meter().Phase("sign on to the server that the command has made", 0, recovery.NoUnit)
	conn, err := postgres.ConnectLive(ctx, address)
	if err != nil {
		return recovery.Outcome{}, fmt.Errorf("the server that the command has made: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	env.Meter().Phase("ask what answers", 0, recovery.NoUnit)
	if is, err := isLive(ctx, conn, live); err != nil || is {
		return recovery.Outcome{}, errors.Join(provider.Refused("let the command make a server of its own; remove nothing before you have looked", "the command answers with the address of the live server"), err)
	}
	identity, err := postgres.ReadIdentity(ctx, conn)
	if err != nil {
		return recovery.Outcome{}, err
	}
	return recovery.Outcome{Says: fmt.Sprintf("%s answers, database %s", p.name(), identity.Database),
		Facts:    map[string]string{"address": f.Address, "made elsewhere": p.name(), recovery.SystemIdentifier: identity.SystemIdentifier},
		Bindings: []recovery.Binding{{Component: p.Component, URL: f.Address, Scratch: true}}}, nil
}

// answersWithin is how long a server that was made elsewhere may take to answer.
const answersWithin = time.Minute

// isLive reports whether a session is with the live server: by where it leads, and
// where that answers by when it was started, which no copy shares.
func isLive(ctx context.Context, conn *pgx.Conn, live string) (bool, error) {
	if live == "" {
		return false, nil
	}
	config, err := postgres.LiveConfig(live)
	if err != nil {
		return false, err
	}
	if own := conn.Config(); strings.EqualFold(own.Host, config.Host) && own.Port == config.Port {
		return true, nil
	}
	other, err := postgres.DialLive(ctx, config)
	if err != nil {
		return false, nil // it is down, or out of reach
	}
	defer other.Close(context.WithoutCancel(ctx))
	var begun [2]string
	for i, c := range []*pgx.Conn{conn, other} { // as text a time depends on the session's zone
		if err := c.QueryRow(ctx, "select system_identifier::text || ' ' || extract(epoch from pg_postmaster_start_time()) from pg_control_system()").Scan(&begun[i]); err != nil {
			return false, fmt.Errorf("hold it against the live server: %w", err)
		}
	}
	return begun[0] == begun[1], nil
}

// choose picks the database that checks look at.
func (p place) choose(ctx context.Context, address string) (string, error) {
	config, err := postgres.ParseAddress(address)
	if err != nil {
		return "", err
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return "", recovery.Errorf("set `superuser:` of the component to the name of the cluster's superuser", "open a session on what was fetched: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	rows, err := conn.Query(ctx, "select datname from pg_database where not datistemplate and datallowconn and datname <> 'postgres' order by datname")
	if err != nil {
		return "", fmt.Errorf("list its databases: %w", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return "", fmt.Errorf("list its databases: %w", err)
	}
	for _, name := range all {
		if name == p.Database || p.Database == "" && len(all) == 1 {
			return name, nil
		}
	}
	hint := "set `database:` of the component to one of them, then make a new plan"
	return "", recovery.Errorf(hint, "what was fetched has no database %q, but: %s", p.Database, strings.Join(all, ", ")).WithExit(recovery.Usage)
}
