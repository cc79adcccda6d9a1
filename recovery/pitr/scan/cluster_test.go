package scan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/postgres"
)

// segment is the size of the test clusters' segments: a little history has many.
const segment = 1 << 20

// cluster is a server whose whole log stays in its pg_wal.
type cluster struct {
	postgres.Cluster
	server *postgres.Server
	dir    string
	// start and end enclose the log that is read.
	start, end recovery.LSN
	ended      sync.Once
}

// newCluster makes and starts a cluster that is gone when the test is over.
func newCluster(t testing.TB, settings map[string]string) *cluster {
	t.Helper()
	return newClusterOf(t, segment>>20, settings)
}

// newClusterOf is newCluster with segments of so many megabytes.
func newClusterOf(t testing.TB, megabytes int, settings map[string]string) *cluster {
	t.Helper()
	tools, err := postgres.FindTools(0)
	if err != nil {
		t.Fatal(err)
	}
	owner, err := postgres.ServerUser()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "cbs-")
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{dir: dir, Cluster: postgres.Cluster{Data: filepath.Join(dir, "data"), Owner: owner, Tools: tools}}
	t.Cleanup(func() {
		err := postgres.ReleaseCluster{}.Release(context.Background(), c.Resource())
		if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
			t.Errorf("remove the cluster: %v", err)
		}
	})
	for _, d := range []string{c.Data, c.spaces()} {
		err = errors.Join(err, os.Mkdir(d, 0o700))
		if owner.UID >= 0 {
			err = errors.Join(err, os.Chown(d, owner.UID, owner.GID))
		}
	}
	if err := errors.Join(err, os.Chmod(dir, 0o711)); err != nil {
		t.Fatal(err)
	}
	initdb := exec.CommandContext(t.Context(), tools.Program("initdb"), "-D", c.Data, "-U", "postgres", "-A", "trust",
		"-E", "UTF8", "--locale=C.UTF-8", fmt.Sprintf("--wal-segsize=%d", megabytes), "--no-sync")
	initdb.Dir, initdb.Env = "/", []string{"PATH=/usr/bin:/bin", "TZ=UTC", "LC_ALL=C"}
	if owner.UID >= 0 {
		initdb.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(owner.UID), Gid: uint32(owner.GID)}}
	}
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v: %s", err, out)
	}
	all := map[string]string{"wal_level": "replica", "wal_keep_size": "100GB", "max_wal_size": "4GB", "checkpoint_timeout": "1h",
		"max_prepared_transactions": "20", "max_connections": "40", "fsync": "off", "autovacuum": "off", "shared_buffers": "32MB"}
	for k, v := range settings {
		all[k] = v
	}
	if err := c.Configure(all); err != nil {
		t.Fatal(err)
	}
	if c.server, err = postgres.Start(t.Context(), testEnv{}, c.Cluster, postgres.StartOptions{WaitReady: true}); err != nil {
		t.Fatal(err)
	}
	// initdb leaves the first segments of its history to be used again.
	c.start = c.connect(t, "postgres").lsn() / recovery.LSN(megabytes<<20) * recovery.LSN(megabytes<<20)
	return c
}

func (c *cluster) spaces() string { return filepath.Join(c.dir, "spaces") }

// connect opens a connection that is closed with the test.
func (c *cluster) connect(t testing.TB, database string) *session {
	t.Helper()
	conn, err := c.server.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return &session{t, conn}
}

// session is a connection whose errors end the test.
type session struct {
	testing.TB
	*pgx.Conn
}

// do runs statements and gives the number of rows that the last one touched.
func (s *session) do(statements ...string) int64 {
	s.Helper()
	var n int64
	for _, sql := range statements {
		tag, err := s.Exec(s.Context(), sql)
		if err != nil {
			s.Fatalf("%s: %v", sql, err)
		}
		n = tag.RowsAffected()
	}
	return n
}

func (s *session) text(sql string, args ...any) string {
	s.Helper()
	var text string
	if err := s.QueryRow(s.Context(), sql, args...).Scan(&text); err != nil {
		s.Fatalf("%s: %v", sql, err)
	}
	return text
}

func (s *session) number(sql string, args ...any) int64 {
	s.Helper()
	var n int64
	if err := s.QueryRow(s.Context(), sql, args...).Scan(&n); err != nil {
		s.Fatalf("%s: %v", sql, err)
	}
	return n
}

// lsn is where the log ends.
func (s *session) lsn() recovery.LSN {
	s.Helper()
	l, err := recovery.ParseLSN(s.text("select pg_current_wal_insert_lsn()::text"))
	if err != nil {
		s.Fatal(err)
	}
	return l
}

// finish ends the history: the log is read up to here.
func (c *cluster) finish(t testing.TB) {
	t.Helper()
	c.ended.Do(func() {
		s := c.connect(t, "postgres")
		s.do("checkpoint")
		c.end = s.lsn()
		// What is asked for has to be on disk.
		s.do("select pg_switch_wal()", "checkpoint")
	})
}

// fetch copies a segment of pg_wal.
func (c *cluster) fetch(_ context.Context, name, path string) error {
	return copyFile(filepath.Join(c.Data, "pg_wal", name), path)
}

func copyFile(from, path string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// reader reads the cluster's log.
func (c *cluster) reader(t testing.TB, names recovery.Names) Reader {
	return Reader{Tools: c.Tools, Fetch: c.fetch, SegmentSize: segment, Dir: t.TempDir(), Names: names}
}

// whole is all of the log, as it was when the history ended.
func (c *cluster) whole(t testing.TB) Stretch {
	c.finish(t)
	return Stretch{First: c.start, To: c.end}
}

// read reads a stretch and leaves nothing in the directory.
func read(t testing.TB, r Reader, s Stretch) []recovery.Transaction {
	t.Helper()
	var all []recovery.Transaction
	for tx, err := range r.Read(t.Context(), s) {
		if err != nil {
			t.Fatalf("Read: %v", err)
		}
		if n := len(all); n > 0 && all[n-1].LSN <= tx.LSN {
			t.Fatalf("%s was yielded after %s", tx.LSN, all[n-1].LSN)
		}
		all = append(all, tx)
	}
	empty(t, r.Dir)
	return all
}

// empty checks that nothing is left of unpacked segments.
func empty(t testing.TB, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) > 0 {
		t.Errorf("%d files are left in the directory, the first is %s", len(left), left[0].Name())
	}
}

// within gives the test a deadline of its own.
func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeoutCause(t.Context(), d, fmt.Errorf("it took more than %s", d))
	t.Cleanup(cancel)
	return ctx
}

// testEnv is the little of a step's world that starting a server needs.
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
