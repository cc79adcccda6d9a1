package pitr

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/pitr/pitrtest"
	"comeback/recovery/pitr/walfile"
	"comeback/recovery/postgres"
	"comeback/storage"
)

// live is a cluster with a history that the tests know: base backups in all
// forms, an archive, and for every commit what the orders were after it.
type live struct {
	dir     string
	cluster postgres.Cluster
	server  *postgres.Server
	archive string
	marks   []mark
	// spaces is the tablespace's directory on the source's host.
	spaces string
	// special are transactions by what they did.
	special map[string]recovery.XID
	aborted recovery.XID
	sub     recovery.XID // a subtransaction of the mark "subtransactions"
	// settings are those of a server that is not like the others.
	settings map[string]string
}

// mark is one commit.
type mark struct {
	name string
	xid  recovery.XID
	time time.Time
	// before is a position in the log before the transaction began to write.
	before recovery.LSN
	// orders are the ids of all orders after the commit.
	orders string
}

// source makes the cluster once for all tests.
var source = &lazyLive{}

type lazyLive struct {
	once sync.Once
	live *live
	err  error
}

// get is the cluster, whose history does not change any more.
func (l *lazyLive) get(t testing.TB) *live {
	t.Helper()
	l.once.Do(func() { l.live, l.err = makeLive() })
	if l.err != nil {
		t.Fatalf("make the source: %v", l.err)
	}
	return l.live
}

func (l *lazyLive) remove() error {
	if l.live == nil {
		return nil
	}
	err := postgres.ReleaseCluster{}.Release(context.Background(), l.live.cluster.Resource())
	return errors.Join(err, os.RemoveAll(l.live.dir))
}

// maker builds the history; the first error stops it.
type maker struct {
	*live
	ctx  context.Context
	conn *pgx.Conn
	err  error
}

func makeLive() (*live, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "cbp-")
	if err != nil {
		return nil, err
	}
	l := &live{dir: dir, archive: filepath.Join(dir, "archive"), spaces: filepath.Join(dir, "spaces"), special: map[string]recovery.XID{}}
	m := &maker{live: l, ctx: ctx}
	m.create()
	m.history()
	if m.conn != nil {
		m.conn.Close(ctx)
	}
	if m.server != nil {
		m.fail(m.server.Stop(ctx))
	}
	return l, m.err
}

func (m *maker) fail(err error) {
	if m.err == nil {
		m.err = err
	}
}

// create makes and starts the cluster. Its segments have one megabyte, so that
// a little history has many.
func (m *maker) create() {
	tools, err := postgres.FindTools(0)
	m.fail(err)
	owner, err := postgres.ServerUser()
	m.fail(err)
	if m.err != nil {
		return
	}
	m.cluster = postgres.Cluster{Data: filepath.Join(m.dir, "data"), Owner: owner, Tools: tools}
	m.fail(os.Chmod(m.dir, 0o711))
	for _, dir := range []string{m.cluster.Data, m.archive, m.spaces} {
		m.fail(os.Mkdir(dir, 0o700))
		if owner.UID >= 0 {
			m.fail(os.Chown(dir, owner.UID, owner.GID))
		}
	}
	m.run(tools.Program("initdb"), "-D", m.cluster.Data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--wal-segsize=1", "--no-sync")
	m.start("20")
}

// run runs a program as the server's user.
func (m *maker) run(path string, args ...string) {
	if m.err != nil {
		return
	}
	cmd := exec.CommandContext(m.ctx, path, args...)
	cmd.Env, cmd.Dir = []string{"PATH=/usr/bin:/bin", "TZ=UTC", "LC_ALL=C"}, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if o := m.cluster.Owner; o.UID >= 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(o.UID), Gid: uint32(o.GID)}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		m.fail(fmt.Errorf("%s %v: %w: %s", path, args, err, out))
	}
}

func (m *maker) start(maxConnections string) {
	if m.err != nil {
		return
	}
	settings := map[string]string{
		"archive_mode": "on", "archive_command": "test ! -f " + m.archive + "/%f && cp %p " + m.archive + "/%f.new && mv " + m.archive + "/%f.new " + m.archive + "/%f",
		"wal_level": "replica", "max_connections": maxConnections, "max_wal_senders": "4", "max_prepared_transactions": "4",
		"track_commit_timestamp": "on", "fsync": "off", "shared_buffers": "16MB", "autovacuum": "off",
	}
	if postgres.TakesIncremental(m.cluster.Tools.Major) {
		settings["summarize_wal"] = "on"
	}
	maps.Copy(settings, m.settings)
	m.fail(m.cluster.Configure(settings))
	if m.err != nil {
		return
	}
	var err error
	m.server, err = postgres.Start(m.ctx, &testEnv{}, m.cluster, postgres.StartOptions{WaitReady: true})
	m.fail(err)
	if err != nil {
		return
	}
	m.conn, err = m.server.Connect(m.ctx, "postgres")
	m.fail(err)
}

// restart ends the server and starts it with another setting, which the log
// records.
func (m *maker) restart(maxConnections string) {
	if m.err != nil {
		return
	}
	m.conn.Close(m.ctx)
	m.fail(m.server.Stop(m.ctx))
	m.start(maxConnections)
	m.use("shop")
}

func (m *maker) use(database string) {
	if m.err != nil {
		return
	}
	m.conn.Close(m.ctx)
	var err error
	m.conn, err = m.server.Connect(m.ctx, database)
	m.fail(err)
}

func (m *maker) exec(sql string) {
	if m.err != nil {
		return
	}
	if _, err := m.conn.Exec(m.ctx, sql); err != nil {
		m.fail(fmt.Errorf("%s: %w", sql, err))
	}
}

func (m *maker) text(sql string) string {
	if m.err != nil {
		return ""
	}
	var s string
	if err := m.conn.QueryRow(m.ctx, sql).Scan(&s); err != nil {
		m.fail(fmt.Errorf("%s: %w", sql, err))
	}
	return s
}

const ordersQuery = "select coalesce(string_agg(id::text, ',' order by id), '') from orders"

// commit is one transaction of statements, and what is after it.
func (m *maker) commit(name string, statements ...string) recovery.XID {
	k := mark{name: name}
	k.before, _ = recovery.ParseLSN(m.text("select pg_current_wal_insert_lsn()::text"))
	m.exec("begin")
	for _, s := range statements {
		m.exec(s)
	}
	xid := m.text("select pg_current_xact_id()::text")
	m.exec("commit")
	fmt.Sscan(xid, &k.xid)
	m.note(k)
	return k.xid
}

// note completes a mark after its commit.
func (m *maker) note(k mark) {
	if m.err != nil {
		return
	}
	k.orders = m.text(ordersQuery)
	m.fail(m.conn.QueryRow(m.ctx, "select pg_xact_commit_timestamp($1::text::xid)", fmt.Sprint(k.xid)).Scan(&k.time))
	m.marks = append(m.marks, k)
}

// order is a transaction that adds one order.
func (m *maker) order(id int) { m.commit(fmt.Sprintf("order %d", id), insert(id)) }

func insert(id int) string { return fmt.Sprintf("insert into orders values (%d, 'order')", id) }

// bulk writes some segments in one transaction, without touching the orders.
func (m *maker) bulk(name string, rows int) {
	m.commit(name, fmt.Sprintf("insert into bulk select i, repeat('x', 500) from generate_series(1, %d) i", rows))
}

// backup makes a base backup.
func (m *maker) backup(name string, args ...string) {
	dir := filepath.Join(m.dir, "base", name)
	m.fail(os.MkdirAll(filepath.Dir(dir), 0o777))
	m.fail(os.Chmod(filepath.Dir(dir), 0o777))
	m.run(m.cluster.Tools.Program("pg_basebackup"), append([]string{"-d", m.server.URL("postgres"), "-D", dir, "-c", "fast", "-l", name}, args...)...)
}

// history is what the tests are about.
func (m *maker) history() {
	m.exec("create database shop")
	m.backup("early", "-Ft")
	m.exec("create tablespace fast location '" + m.spaces + "'")
	m.use("shop")
	m.exec("create table orders (id int primary key, note text)")
	m.exec("create table bulk (id int, filler text) tablespace fast")
	m.exec("create table carts (id int)")
	m.order(1)
	m.backup("plain", "-Fp", "-T", m.spaces+"="+filepath.Join(m.dir, "base", "plain-spaces"))
	m.order(2)
	m.bulk("first bulk", 3000)
	m.order(3)
	m.order(4)
	m.backup("tar", "-Ft")
	m.order(5)
	m.order(6)
	m.restart("60") // more than the source had when the first backups were made
	m.order(7)
	m.backup("gzip", "-Ft", "-z")
	m.order(8)
	m.bulk("second bulk", 5000)
	m.order(9)

	m.commit("subtransactions", insert(10), "savepoint a", insert(11), "release a")
	m.sub = m.marks[max(len(m.marks)-1, 0)].xid + 1
	m.exec("begin")
	m.exec(insert(99))
	fmt.Sscan(m.text("select pg_current_xact_id()::text"), &m.aborted)
	m.exec("rollback")

	// A long transaction: its id is old when it commits.
	k := mark{name: "long"}
	other, err := m.other()
	m.fail(err)
	if m.err == nil {
		for _, s := range []string{"begin", insert(12)} {
			_, err := other.Exec(m.ctx, s)
			m.fail(err)
		}
		m.fail(other.QueryRow(m.ctx, "select pg_current_xact_id()::text::int8").Scan(&k.xid))
		m.order(13)
		m.bulk("third bulk", 3000)
		m.exec("checkpoint")
		m.order(14)
		k.before, _ = recovery.ParseLSN(m.text("select pg_current_wal_insert_lsn()::text"))
		_, err = other.Exec(m.ctx, "commit")
		m.fail(err)
		m.fail(other.Close(m.ctx))
		m.note(k)
	}

	m.prepared(15)
	m.backup("zstd", "-Ft", m.cluster.Tools.Packing().Argument) // the best that the major has
	m.order(16)
	if postgres.TakesIncremental(m.cluster.Tools.Major) {
		m.backup("incremental", "-Ft", "--incremental="+filepath.Join(m.dir, "base", "zstd", manifestName))
	}
	m.switchSegment()
	m.order(17)
	m.special["drop table"] = m.commit("drop table", "drop table carts", "delete from orders where id < 5")
	m.alone("create database", "create database coupons"+pitrtest.ByFiles(m.cluster.Tools))
	m.order(18)
	m.alone("drop database", "drop database coupons")
	m.order(19)
	m.switchSegment()
	m.order(20)
	m.switchSegment()
	m.archived()
}

func (m *maker) other() (*pgx.Conn, error) {
	if m.err != nil {
		return nil, m.err
	}
	return m.server.Connect(m.ctx, "shop")
}

// prepared is a transaction in two phases.
func (m *maker) prepared(id int) {
	k := mark{name: "prepared"}
	m.exec("begin")
	m.exec(insert(id))
	fmt.Sscan(m.text("select pg_current_xact_id()::text"), &k.xid)
	m.exec("prepare transaction 'two'")
	k.before, _ = recovery.ParseLSN(m.text("select pg_current_wal_insert_lsn()::text"))
	m.exec("commit prepared 'two'")
	m.note(k)
}

// alone is a statement that cannot be part of a transaction.
func (m *maker) alone(name, sql string) {
	k := mark{name: name}
	k.before, _ = recovery.ParseLSN(m.text("select pg_current_wal_insert_lsn()::text"))
	fmt.Sscan(m.text("select pg_snapshot_xmax(pg_current_snapshot())::text"), &k.xid)
	m.exec(sql)
	m.note(k)
	m.special[name] = k.xid
}

func (m *maker) switchSegment() { m.exec("select pg_switch_wal()") }

// archived waits until everything but the segment in use is in the archive.
func (m *maker) archived() {
	if m.err != nil {
		return
	}
	last, err := postgres.CloseSegment(m.ctx, m.conn)
	if err != nil {
		m.fail(err)
	}
	for m.err == nil {
		done := m.text("select coalesce(max(last_archived_wal), '') from pg_stat_archiver")
		if done >= last {
			return
		}
		select {
		case <-m.ctx.Done():
			m.fail(fmt.Errorf("wait for the archive to hold %s: it holds %s", last, done))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// prior is the segment before, within the same log.
func prior(name string) string {
	f, _ := ParseFileName(name)
	return walfile.SegmentName(f.Timeline, f.Seg(1<<20)-1, 1<<20)
}

// mark finds a commit by its name.
func (l *live) mark(t testing.TB, name string) mark {
	t.Helper()
	i := slices.IndexFunc(l.marks, func(m mark) bool { return m.name == name })
	if i < 0 {
		t.Fatalf("no commit %q", name)
	}
	return l.marks[i]
}

// prior is the commit before.
func (l *live) prior(t testing.TB, name string) mark {
	t.Helper()
	i := slices.IndexFunc(l.marks, func(m mark) bool { return m.name == name })
	if i < 1 {
		t.Fatalf("no commit before %q", name)
	}
	return l.marks[i-1]
}

// copyOf makes a copy in a directory: base backups and the archive, which the
// test may change. Files are links where that is possible.
type copyOf struct {
	dir   string
	store storage.Store
}

func (l *live) copy(t testing.TB, bases ...string) *copyOf {
	t.Helper()
	c := &copyOf{dir: t.TempDir()}
	for _, b := range bases {
		c.add(t, filepath.Join(l.dir, "base", b), "base/"+b)
	}
	c.add(t, l.archive, "wal")
	var err error
	if c.store, err = storage.OpenDir(c.dir); err != nil {
		t.Fatal(err)
	}
	return c
}

// add links a tree into the copy, as an upload does: links are followed and
// empty directories left out.
func (c *copyOf) add(t testing.TB, from, to string) {
	t.Helper()
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		path, key := filepath.Join(from, e.Name()), to+"/"+e.Name()
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() {
			c.add(t, path, key)
			continue
		}
		target := c.path(key)
		if err := errors.Join(os.MkdirAll(filepath.Dir(target), 0o700), os.Link(path, target)); err != nil {
			t.Fatal(err)
		}
	}
}

func (c *copyOf) path(key string) string { return filepath.Join(c.dir, key) }

// replace gives an object other bytes, and leaves the source's as they are.
func (c *copyOf) replace(t testing.TB, key string, change func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(c.path(key))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(c.path(key)), os.WriteFile(c.path(key), change(b), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func (c *copyOf) remove(t testing.TB, key string) {
	t.Helper()
	if err := os.RemoveAll(c.path(key)); err != nil {
		t.Fatal(err)
	}
}

// segments lists the names of the raw segments in the archive.
func (c *copyOf) segments(t testing.TB) []string {
	t.Helper()
	entries, err := os.ReadDir(c.path("wal"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if f, ok := ParseFileName(e.Name()); ok && f.Kind == walfile.Segment {
			names = append(names, e.Name())
		}
	}
	return names
}

// pack compresses every segment of the archive with a program.
func (c *copyOf) pack(t testing.TB, suffix string, program ...string) {
	t.Helper()
	for _, name := range c.segments(t) {
		in, err := os.Open(c.path("wal/" + name))
		if err != nil {
			t.Fatal(err)
		}
		out, err := os.Create(c.path("wal/" + name + suffix))
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), program[0], program[1:]...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, os.Stderr
		err = errors.Join(cmd.Run(), in.Close(), out.Close(), os.Remove(c.path("wal/"+name)))
		if err != nil {
			t.Fatal(err)
		}
	}
}

// testEngine is the engine as the program makes it.
func testEngine(t testing.TB) recovery.Engine {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return New(Options{Exe: exe, Temp: t.TempDir()})
}

var database = recovery.Component{Name: "database", Kind: recovery.Postgres, Settings: recovery.Settings{"database": {"shop"}}}

// survey surveys a copy.
func survey(t testing.TB, store storage.Store, c recovery.Component) recovery.Survey {
	t.Helper()
	s, err := testEngine(t).Survey(t.Context(), c, recovery.Copy{Name: "nearby"}, store)
	if err != nil {
		t.Fatalf("Survey: %v", err)
	}
	return s
}

// resolve resolves a want as it is typed.
func resolve(t testing.TB, store storage.Store, s recovery.Survey, to string) (recovery.Point, error) {
	t.Helper()
	want, err := recovery.ParseWant(to, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return testEngine(t).Resolve(t.Context(), s, want, store)
}

func mustResolve(t testing.TB, store storage.Store, s recovery.Survey, to string) recovery.Point {
	t.Helper()
	p, err := resolve(t, store, s, to)
	if err != nil {
		t.Fatalf("Resolve %s: %v (%s)", to, err, recovery.HintOf(err))
	}
	return p
}

// refused is a refusal and its hint, and fails where either is missing.
func refused(t testing.TB, store storage.Store, s recovery.Survey, to string, parts ...string) {
	t.Helper()
	p, err := resolve(t, store, s, to)
	if err == nil {
		t.Fatalf("Resolve %s gives %q, want a refusal", to, p.Says)
	}
	said := err.Error() + " | " + recovery.HintOf(err)
	for _, part := range parts {
		if !strings.Contains(said, part) {
			t.Errorf("Resolve %s says %q, want %q in it", to, said, part)
		}
	}
	if recovery.HintOf(err) == "" {
		t.Errorf("Resolve %s gives no hint: %v", to, err)
	}
	if recovery.ExitOf(err) != recovery.Refused {
		t.Errorf("Resolve %s gives exit code %d, want %d", to, recovery.ExitOf(err), recovery.Refused)
	}
}

// testEnv is an Env for a server that belongs to no run.
type testEnv struct{ recovery.Env }

func (testEnv) Claim(context.Context, recovery.Resource) error { return nil }
func (testEnv) Meter() recovery.Meter                          { return noMeter{} }

type noMeter struct{}

func (noMeter) Phase(string, int64, recovery.Unit)       {}
func (noMeter) Add(int64)                                {}
func (noMeter) Set(int64)                                {}
func (noMeter) Note(string)                              {}
func (noMeter) Log(string)                               {}
func (noMeter) Checkpoint(context.Context, string) error { return nil }
