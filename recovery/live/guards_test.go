package live_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/live"
	"comeback/recovery/postgres"
)

// two are a live and a scratch server with a database shop each, and nothing else.
type two struct {
	live, scratch *postgres.Server
	root          *pgx.Conn // on live
	inScratch     *pgx.Conn
	dir           string
}

func openTwo(t *testing.T) *two {
	t.Helper()
	w := &two{dir: scratchDir(t)}
	settings := postgres.TuneSettings(2, 0)
	settings["wal_level"], settings["max_wal_senders"], settings["max_prepared_transactions"] = "logical", "4", "4"
	w.live = startServer(t, filepath.Join(w.dir, "live"), settings)
	w.scratch = startServer(t, filepath.Join(w.dir, "scratch"), settings)
	w.root = connect(t, w.live.URL("postgres"))
	run(t, w.root, "create database shop")
	run(t, connect(t, w.scratch.URL("postgres")), "create database shop")
	inShop := connect(t, w.live.URL("shop"))
	run(t, inShop, "create table orders as select 1 as id, 'old' as says")
	inShop.Close(within(t))
	w.inScratch = connect(t, w.scratch.URL("shop"))
	run(t, w.inScratch, "create table orders as select 1 as id, 'new' as says")
	return w
}

func startServer(t *testing.T, data string, settings map[string]string) *postgres.Server {
	t.Helper()
	ctx := within(t)
	tools, err := postgres.FindTools(0)
	if err != nil {
		t.Fatal(err)
	}
	owner, err := postgres.ServerUser()
	if err != nil {
		t.Fatal(err)
	}
	c := postgres.Cluster{Data: data, Owner: owner, Tools: tools}
	t.Cleanup(func() {
		if err := (postgres.ReleaseCluster{}).Release(context.Background(), c.Resource()); err != nil {
			t.Error(err)
		}
	})
	if _, err := os.Lstat(data); errors.Is(err, os.ErrNotExist) {
		if err := c.Init(ctx, &env{}, postgres.InitOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Configure(settings); err != nil {
		t.Fatal(err)
	}
	s, err := postgres.Start(ctx, &env{}, c, postgres.StartOptions{WaitReady: true})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (w *two) source() live.Source {
	return live.Source{Address: w.scratch.URL("shop"), Tools: w.live.Cluster().Tools, Dir: filepath.Join(w.dir, "transfer")}
}

// refusesPlaces wants the dump to go nowhere where somebody else may have put something.
func (w *two) refusesPlaces(t *testing.T, d live.Database) {
	t.Helper()
	dir, elsewhere := w.source().Dir, filepath.Join(w.dir, "elsewhere")
	kept := filepath.Join(elsewhere, "dump", "kept")
	if err := errors.Join(os.MkdirAll(filepath.Dir(kept), 0o700), os.WriteFile(kept, []byte("untouched"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for name, put := range map[string]func() error{
		"a link":           func() error { return os.Symlink(elsewhere, dir) },
		"open to others":   func() error { return errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o777)) },
		"no directory":     func() error { return os.WriteFile(dir, nil, 0o700) },
		"of somebody else": func() error { return errors.Join(os.Mkdir(dir, 0o700), own(dir, w.live.Cluster().Owner)) },
	} {
		if name == "of somebody else" && os.Geteuid() != 0 {
			continue // there is nobody else
		}
		if err := put(); err != nil {
			t.Fatal(err)
		}
		_, err := d.Load(within(t), &env{}, w.source())
		refused(t, err, "is no private directory of this run")
		if b, err := os.ReadFile(kept); string(b) != "untouched" || err != nil {
			t.Errorf("%s: elsewhere there is %q, %v", name, b, err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
}

func own(path string, u recovery.User) error { return os.Chown(path, u.UID, u.GID) }

// database is the switch of a database of the live server.
func (w *two) database(t *testing.T, name string) live.Database {
	t.Helper()
	id, err := live.Identify(within(t), address(w.live, name))
	if err != nil {
		t.Fatal(err)
	}
	return live.Database{Address: address(w.live, name), Run: runID, Was: id.OID}
}

// address has a password, which nothing may show.
func address(s *postgres.Server, database string) string {
	u := url.URL{Scheme: "postgres", Path: "/" + database}
	q := url.Values{"host": {s.Cluster().Socket}, "port": {"5432"}, "user": {"postgres"}, "password": {"very-secret"}}
	return u.Scheme + "://" + u.EscapedPath() + "?" + q.Encode()
}

// says is what the table orders of a database holds.
func (w *two) says(t *testing.T, database string) string {
	t.Helper()
	conn, err := postgres.ConnectLive(within(t), address(w.live, database))
	if err != nil {
		return err.Error()
	}
	defer conn.Close(context.Background())
	return text(t, conn, "select says from orders")
}

// list is every database of live, with OID and whether it lets anybody in.
func (w *two) list(t *testing.T) string {
	t.Helper()
	return text(t, w.root, "select string_agg(format('%s %s %s', oid, datname, datallowconn), ', ' order by datname) from pg_database")
}

// carried is what belongs to databases and is in none of their dumps, as a query.
const carried = `select string_agg(format('%s %s %s %s %s', datname, datdba::regrole, datacl, datconnlimit,
	(select string_agg(format('%s %s', setrole::regrole, setconfig), ', ' order by setrole) from pg_db_role_setting where setdatabase = d.oid)), E'\n' order by datname) from pg_database d`

// Every way to switch the wrong database, or the right one at the wrong time, is
// refused, and live is what it was.
func TestDatabase_refuses(t *testing.T) {
	ctx := within(t)
	w := openTwo(t)
	d := w.database(t, "shop")
	w.refusesPlaces(t, d)
	l, err := d.Load(ctx, &env{}, w.source())
	if err != nil {
		t.Fatal(err)
	}
	loaded := d
	loaded.New = l.Database.OID
	other := connect(t, w.live.URL("postgres"))
	swap := func(d live.Database) error { _, err := d.Swap(ctx); return err }
	fence := func(d live.Database) error { _, err := d.Fence(ctx); return err }
	load := func(d live.Database) error { _, err := d.Load(ctx, &env{}, w.source()); return err }
	for _, c := range []struct {
		name string
		// before and after are on live, in scratch are on the restored database.
		before, after, inScratch, inScratchAfter []string
		d                                        live.Database
		do                                       []func(live.Database) error
		says                                     string
	}{
		{name: "recreated under the same name", d: live.Database{Address: d.Address, Run: runID, Was: d.Was + 100000, New: loaded.New},
			do: []func(live.Database) error{swap, fence, load, func(d live.Database) error { return d.Undo(ctx) }, func(d live.Database) error { return d.Unfence(ctx) }}, says: "that was live, oid"},
		{name: "the restored one is gone", d: live.Database{Address: d.Address, Run: runID, Was: d.Was, New: loaded.New + 100000}, do: []func(live.Database) error{swap, fence}, says: "is gone"},
		{name: "renamed by somebody", before: []string{"alter database shop rename to elsewhere"}, after: []string{"alter database elsewhere rename to shop"},
			d: loaded, do: []func(live.Database) error{swap, fence, load}, says: "called elsewhere"},
		{name: "renamed, and another in its place", before: []string{"alter database shop rename to elsewhere", "create database shop"}, after: []string{"drop database shop", "alter database elsewhere rename to shop"},
			d: loaded, do: []func(live.Database) error{swap, fence, load}, says: "another"},
		{name: "not fenced", d: loaded, do: []func(live.Database) error{swap}, says: "is open"},
		{name: "the name for the old one is taken", before: []string{"create database shop_old_7c31", "alter database shop allow_connections false"},
			after: []string{"drop database shop_old_7c31", "alter database shop allow_connections true"}, d: loaded, do: []func(live.Database) error{swap}, says: "there is a database shop_old_7c31 already"},
		{name: "loaded by nobody", before: []string{"comment on database shop_cb_7c31 is 'mine'", "alter database shop allow_connections false"},
			after: []string{"comment on database shop_cb_7c31 is 'comeback 7c31: loaded, not live'", "alter database shop allow_connections true"}, d: loaded, do: []func(live.Database) error{swap}, says: "not one that this run has loaded"},
		{name: "the name for the new one is taken", before: []string{"create database shop_cb_8d42"}, after: []string{"drop database shop_cb_8d42"},
			d: live.Database{Address: d.Address, Run: "8d42", Was: d.Was}, do: []func(live.Database) error{load, func(d live.Database) error { return d.Drop(ctx) }}, says: "this run has not made it"},
		{name: "a prepared transaction", before: []string{"set dblink = ''"}, d: loaded, says: "prepared"},
		{name: "another comeback is at work", d: loaded, do: []func(live.Database) error{swap, fence, load}, says: "another comeback is at work"},
		{name: "an extension is missing", inScratch: []string{"create extension pg_trgm", "update pg_extension set extname = 'vector' where extname = 'pg_trgm'"},
			inScratchAfter: []string{"update pg_extension set extname = 'pg_trgm' where extname = 'vector'", "drop extension pg_trgm"},
			d:              live.Database{Address: d.Address, Run: "8d42", Was: d.Was}, do: []func(live.Database) error{load}, says: "no extension vector"},
		{name: "a role of another major", inScratch: []string{"create role future", "alter table orders owner to future", "update pg_authid set rolname = 'pg_future' where rolname = 'future'"},
			inScratchAfter: []string{"alter table orders owner to postgres", "update pg_authid set rolname = 'future' where rolname = 'pg_future'", "drop role future"},
			d:              live.Database{Address: d.Address, Run: "8d42", Was: d.Was}, do: []func(live.Database) error{load}, says: "needs the role pg_future"},
		{name: "a role that may not end a superuser's session", before: []string{"create role ops login createdb", "alter database shop owner to ops"}, after: []string{"alter database shop owner to postgres", "drop role ops"},
			d:  live.Database{Address: strings.Replace(d.Address, "user=postgres", "user=ops", 1), Run: runID, Was: d.Was},
			do: []func(live.Database) error{fence}, says: "may not end the sessions"},
		{name: "not the owner", before: []string{"create role guest login"}, after: []string{"drop role guest"}, d: live.Database{Address: strings.Replace(d.Address, "user=postgres", "user=guest", 1), Run: runID, Was: d.Was},
			do: []func(live.Database) error{fence}, says: "must be owner"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inShop := connect(t, w.live.URL("shop"))
			switch c.name {
			case "a prepared transaction":
				run(t, inShop, "begin", "insert into orders values (2, 'prepared')", "prepare transaction 'it''s'")
				c.do = []func(live.Database) error{fence, func(d live.Database) error { _, err := d.Check(ctx); return err }}
				t.Cleanup(func() { run(t, connect(t, w.live.URL("shop")), "rollback prepared 'it''s'") })
			case "another comeback is at work":
				live.SetLockWait(200 * time.Millisecond)
				t.Cleanup(func() { live.SetLockWait(20 * time.Second) })
				run(t, other, "select pg_advisory_lock(classid::int4, objid::int4) from (select "+lockOf("shop")+") l")
				t.Cleanup(func() { run(t, other, "select pg_advisory_unlock_all()") })
			default:
				if !strings.HasPrefix(c.name, "a role that may not") {
					inShop.Close(ctx)
				}
				run(t, w.root, c.before...)
			}
			run(t, w.inScratch, c.inScratch...)
			before := w.list(t)
			for i, do := range c.do {
				err := do(c.d)
				refused(t, err, c.says)
				if err != nil && strings.Contains(err.Error()+recovery.HintOf(err), "very-secret") {
					t.Errorf("%d: the password is shown: %v", i, err)
				}
				if now := w.list(t); now != before {
					t.Errorf("%d: databases were %s and are %s", i, before, now)
				}
			}
			inShop.Close(ctx)
			run(t, w.root, c.after...)
			run(t, w.inScratch, c.inScratchAfter...)
			if got := w.says(t, "shop"); got != "old" {
				t.Errorf("live says %q", got)
			}
		})
	}
}

// lockOf is the advisory lock of a database as SQL: what Database takes.
func lockOf(name string) string {
	h := uint32(2166136261)
	for _, b := range []byte(name) {
		h = (h ^ uint32(b)) * 16777619
	}
	return fmt.Sprintf("%d as classid, %d as objid", 0x6362, int32(h))
}

// A switch that fails in its middle, for whatever reason, is undone: the old
// database has its name and lets people in.
func TestDatabase_undone(t *testing.T) {
	ctx := within(t)
	w := openTwo(t)
	d := w.database(t, "shop")
	e := &env{}
	l, err := d.Load(ctx, e, w.source())
	if err != nil {
		t.Fatal(err)
	}
	if all := e.everything(); strings.Contains(all, "very-secret") || !strings.Contains(all, "pg_restore") {
		t.Errorf("what a log and a list of processes show:\n%s", all)
	}
	d.New = l.Database.OID
	before := w.list(t)
	other := connect(t, w.live.URL("postgres"))
	// Each of its steps fails.
	lost := recovery.Errorf("look who has it", "the lease is lost").WithExit(recovery.Refused)
	has := func() string { return w.list(t) + text(t, w.root, carried) }
	run(t, w.root, "create role app", "alter database shop set work_mem = '8MB'", "alter role app in database shop set work_mem = '9MB'", "comment on database shop is 'the shop'",
		"grant temp on database shop to app", "alter database shop connection limit 9", "alter database shop owner to app")
	run(t, w.root, "alter database shop_cb_7c31 allow_connections false")
	open := has()
	for at := 1; ; at++ {
		var did []string
		d := d
		if _, err := d.Fence(ctx); err != nil {
			t.Fatal(err)
		}
		run(t, w.root, "alter database shop_cb_7c31 allow_connections true")
		d.Before = func(_ context.Context, what string) error {
			if did = append(did, what); len(did) == at {
				return lost
			}
			return nil
		}
		_, err := d.Swap(ctx)
		if err == nil {
			// The new one is closed, then it gets owner, limit, comment, privileges and
			// settings, then both are renamed, and that is committed.
			if len(did) != 9 {
				t.Errorf("it failed at each of %q only", did)
			}
			break
		}
		if !strings.Contains(err.Error(), "the lease is lost") {
			t.Errorf("failing at %d, %s: %v", at, did[len(did)-1], err)
		}
		run(t, w.root, "alter database shop_cb_7c31 allow_connections false")
		if now := has(); now != open || w.says(t, "shop") != "old" {
			t.Errorf("failed at %s: databases were %s and are %s", did[len(did)-1], open, now)
		}
	}
	if err := d.Undo(ctx); err != nil {
		t.Fatal(err)
	}
	run(t, w.root, "alter database shop_cb_7c31 allow_connections true")
	for name, c := range map[string]struct {
		at     string
		spoil  func() error
		mend   string
		says   string // a regular expression
		cancel bool
	}{
		"a name is taken under way": {at: "rename database shop to", spoil: func() error {
			_, err := other.Exec(ctx, "create database shop_old_7c31")
			return err
		}, mend: "drop database shop_old_7c31", says: "already exists"},
		"our session is ended": {at: "rename database shop_cb", spoil: func() error {
			_, err := other.Exec(ctx, "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'comeback' and datname = 'postgres' and pid <> pg_backend_pid() and pid <> $1::int4", int64(w.root.PgConn().PID()))
			return err
		}, says: "terminating connection|broken pipe|connection reset"}, // the server may be gone before it is asked
		"the run is stopped": {at: "commit: make", cancel: true, says: "context canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := d.Fence(ctx); err != nil {
				t.Fatal(err)
			}
			stopped, stop := context.WithCancel(ctx)
			defer stop()
			d := d
			d.Before = func(_ context.Context, what string) error {
				if !strings.HasPrefix(what, c.at) {
					return nil
				}
				if c.cancel {
					stop()
					return nil
				}
				return c.spoil()
			}
			_, err := d.Swap(stopped)
			if err == nil || !regexp.MustCompile(c.says).MatchString(err.Error()) {
				t.Errorf("error %v, want one about %q", err, c.says)
			}
			if c.mend != "" {
				run(t, other, c.mend)
			}
			if got := w.says(t, "shop"); got != "old" {
				t.Errorf("live says %q", got)
			}
			run(t, w.root, "alter database shop_cb_7c31 allow_connections true")
			if now := w.list(t); now != before {
				t.Errorf("databases were %s and are %s", before, now)
			}
		})
	}
	t.Run("what is written to the loaded one is noticed", func(t *testing.T) {
		if _, err := d.Load(ctx, &env{}, w.source()); err != nil { // what was given back does not say of what it is
			t.Fatal(err)
		}
		conn := connect(t, w.live.URL("shop_cb_7c31"))
		run(t, conn, "insert into orders values (2, 'stranger')")
		conn.Close(ctx)
		if _, err := d.Load(ctx, &env{}, w.source()); err == nil || !strings.Contains(err.Error(), "has 1 rows in the restored database and 2") {
			t.Errorf("error %v", err)
		}
		again, err := d.Load(ctx, &env{}, w.source())
		if err != nil || again.Rows != 1 {
			t.Errorf("%+v, %v", again, err)
		}
	})
}

// Between two servers whatever a database has comes over, whatever it is called.
func TestDatabase_between(t *testing.T) {
	w := openTwo(t)
	t.Run("everything that it has", w.carries)
	t.Run("hostile names", w.hostileNames)
}

// No name of a database is taken for anything else.
func (w *two) hostileNames(t *testing.T) {
	ctx := within(t)
	for _, name := range []string{
		`"; drop database shop; --`, "two\nlines\r\n\\connect shop", "it's", "Mixed Case ", `back\slash`, "dbname=shop host=nowhere", "postgres://nowhere/shop", "-c", "%s%d$USER`id`",
		strings.Repeat("x", 63), strings.Repeat("x", 62) + "y", strings.Repeat("ü", 31),
	} {
		t.Run(name, func(t *testing.T) {
			run(t, w.root, "create database "+pgx.Identifier{name}.Sanitize())
			conn := connect(t, address(w.live, name))
			run(t, conn, "create table orders as select 1 as id, 'old' as says")
			conn.Close(ctx)
			before := w.list(t)
			d := w.database(t, name)
			e := &env{}
			l, err := d.Load(ctx, e, w.source())
			if err != nil {
				t.Fatal(err)
			}
			d.New = l.Database.OID
			if _, err := d.Fence(ctx); err != nil {
				t.Fatal(err)
			}
			if _, err := d.Swap(ctx); err != nil {
				t.Fatal(err)
			}
			if err := d.Unfence(ctx); err != nil {
				t.Fatal(err)
			}
			if got := w.says(t, name); got != "new" {
				t.Errorf("live says %q", got)
			}
			if err := errors.Join(d.Undo(ctx), d.Drop(ctx)); err != nil {
				t.Fatal(err)
			}
			if got := w.says(t, name); got != "old" {
				t.Errorf("live says %q", got)
			}
			if now := w.list(t); now != before {
				t.Errorf("databases were %s and are %s", before, now)
			}
			if a, b := live.BesideName(name, runID), live.AsideName(name, runID); len(a) > 63 || len(b) > 63 || a == b {
				t.Errorf("%q, %q", a, b)
			}
		})
	}
	if got := w.says(t, "shop"); got != "old" {
		t.Errorf("a neighbour says %q", got)
	}
}
