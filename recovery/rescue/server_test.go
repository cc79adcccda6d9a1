package rescue_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/isolation"
	"comeback/recovery/pitr/pitrtest"
	"comeback/recovery/postgres"
)

// server is the one that all tests share; each makes databases of its own.
var server *postgres.Server

func TestMain(m *testing.M) {
	isolation.Init()
	os.Exit(serve(m))
}

func serve(m *testing.M) int {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "comeback-rescue-")
	if err == nil {
		defer os.RemoveAll(dir)
		err = os.Chmod(dir, 0o711)
	}
	tools, errTools := postgres.FindTools(0)
	owner, errOwner := postgres.ServerUser()
	for _, err := range []error{err, errTools, errOwner} {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	c := postgres.Cluster{Data: filepath.Join(dir, "data"), Owner: owner, Tools: tools}
	defer func() {
		if err := (postgres.ReleaseCluster{}).Release(context.Background(), c.Resource()); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	if err = c.Init(ctx, place{}, postgres.InitOptions{}); err == nil {
		err = c.Configure(map[string]string{"fsync": "off", "max_connections": "60"})
	}
	if err == nil {
		server, err = postgres.Start(ctx, place{}, c, postgres.StartOptions{WaitReady: true})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// place is an environment in which a server can be started.
type place struct{ recovery.Env }

func (place) Claim(context.Context, recovery.Resource) error { return nil }
func (place) Now() time.Time                                 { return time.Now() }
func (place) Meter() recovery.Meter                          { return silent{} }
func (place) Command(ctx context.Context, c recovery.Cmd) error {
	cmd := exec.CommandContext(ctx, c.Path, c.Args...)
	var stderr bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Dir, c.Env, c.Stdin, c.Stdout, &stderr
	if c.User != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(c.User.UID), Gid: uint32(c.User.GID)}}
	}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(c.Path), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return nil
}

type silent struct{ recovery.Meter }

func (silent) Log(string)  {}
func (silent) Note(string) {}

var databases atomic.Int64

// world is a live database and, once harm was done, the copies around it. They
// go with the server.
type world struct {
	*testing.T
	live   string
	before string
	after  string
}

// newWorld is a live database in which some SQL was executed.
func newWorld(t *testing.T, sql string) *world {
	t.Helper()
	w := &world{T: t, live: fmt.Sprintf("live %d", databases.Add(1))}
	w.admin(`create database "` + w.live + `"` + pitrtest.ByFiles(server.Cluster().Tools))
	w.exec(sql)
	return w
}

// harm is one transaction in live, with a copy from before it and one from after.
func (w *world) harm(sql string) {
	w.Helper()
	w.before = w.copy("before")
	w.exec("begin; " + sql + "; commit")
	w.after = w.copy("after")
}

// copy copies the live database as it is now.
func (w *world) copy(name string) string {
	w.Helper()
	name = w.live + " " + name
	w.admin(fmt.Sprintf(`create database "%s" template "%s"%s`, name, w.live, pitrtest.ByFiles(server.Cluster().Tools)))
	return name
}

func (w *world) admin(sql string) {
	w.Helper()
	w.query(w.conn("postgres"), sql)
}

// conn is a session that ends with the test.
func (w *world) conn(database string) *pgx.Conn {
	w.Helper()
	c, err := server.Connect(within(w.T), database)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { c.Close(context.Background()) })
	return c
}

// exec executes SQL in live.
func (w *world) exec(sql string) {
	w.Helper()
	c := w.conn(w.live)
	defer c.Close(context.Background())
	w.query(c, sql)
}

// query executes SQL and gives the rows of its last statement, a line each.
func (w *world) query(c *pgx.Conn, sql string) string {
	w.Helper()
	results, err := c.PgConn().Exec(within(w.T), sql).ReadAll()
	if err != nil {
		w.Fatalf("%v: %.300s", err, sql)
	}
	var lines []string
	if len(results) > 0 {
		for _, row := range results[len(results)-1].Rows {
			lines = append(lines, string(bytes.Join(row, []byte("|"))))
		}
	}
	return strings.Join(lines, "\n")
}

// rows are what a query gives in live.
func (w *world) rows(sql string) string {
	w.Helper()
	c := w.conn(w.live)
	defer c.Close(context.Background())
	return w.query(c, sql)
}

// within bounds a test's waiting.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// digest is that of every row of live, by its table.
func (w *world) digest() string {
	w.Helper()
	c := w.conn(w.live)
	defer c.Close(context.Background())
	digests := w.query(c, `set search_path = pg_catalog;
		select format('select %L || coalesce(md5(string_agg(t::text, chr(10) order by t::text collate "C")), ''empty'') from only %I.%I t', format('%I.%I: ', nspname, relname), nspname, relname)
		from pg_class c join pg_namespace n on n.oid = relnamespace where relkind = 'r' and nspname !~ '^pg_' and nspname <> 'information_schema' order by 1`)
	var all []string
	for _, sql := range strings.Split(digests, "\n") {
		all = append(all, w.query(c, sql))
	}
	return strings.Join(all, "\n")
}

// sum is the digest of an artifact.
func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
