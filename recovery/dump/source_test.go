package dump_test

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/recovery/isolation"
	"comeback/recovery/postgres"
	"comeback/storage"
)

//go:embed testdata/shop.sql
var shopSQL string

// source is the server whose databases the tests dump. Its roles are not on the
// servers that they restore into. empty is a scratch server, tuned as runs do,
// for restores that need none of their own.
var source, empty *postgres.Server

func TestMain(m *testing.M) {
	isolation.Init()
	enginetest.Main(crashEngine, postgres.ReleaseCluster{})
	if os.Getenv(fullDiskEnv) != "" { // a child of TestRestore_FullDisk
		os.Exit(m.Run())
	}
	code, err := withServers(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// withServers runs the tests with servers that are gone afterwards.
func withServers(run func() int) (code int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "dump-test-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o711); err != nil {
		return 0, err
	}
	for name, server := range map[string]**postgres.Server{"source": &source, "empty": &empty} {
		data := filepath.Join(dir, name)
		defer func() {
			r := postgres.Cluster{Data: data}.Resource()
			if gone := (postgres.ReleaseCluster{}).Release(context.Background(), r); err == nil {
				err = gone
			}
		}()
		if *server, err = start(ctx, data, postgres.TuneSettings(2, 0)); err != nil {
			return 0, err
		}
	}
	if err := query(ctx, "postgres", `create role "shop owner"; create role app login password 'not to be restored';
		create role reporting; grant reporting to app
--
create database shop owner "shop owner"
--
create database another
--
alter database shop set statement_timeout to '1h'; alter database shop set session_preload_libraries to 'auto_explain'; comment on database shop is 'the shop'`); err != nil {
		return 0, err
	}
	sql := shopSQL
	if source.Cluster().Tools.Major < 14 { // it has no functions in the words of the standard
		sql = strings.Replace(sql, "begin atomic; select case when n > 0 then n * 2 end; end;", "as 'select case when n > 0 then n * 2 end';", 1)
	}
	if err := query(ctx, "shop", sql); err != nil {
		return 0, err
	}
	return run(), nil
}

func start(ctx context.Context, data string, settings map[string]string) (*postgres.Server, error) {
	tools, err := postgres.FindTools(0)
	if err != nil {
		return nil, err
	}
	owner, err := postgres.ServerUser()
	if err != nil {
		return nil, err
	}
	c := postgres.Cluster{Data: data, Owner: owner, Tools: tools}
	if err := c.Init(ctx, plainEnv{}, postgres.InitOptions{}); err != nil {
		return nil, err
	}
	if err := c.Configure(settings); err != nil {
		return nil, err
	}
	return postgres.Start(ctx, plainEnv{}, c, postgres.StartOptions{WaitReady: true})
}

// query executes statements on the source.
func query(ctx context.Context, database, sql string) error {
	for _, statement := range strings.Split(sql, "\n--\n") {
		conn, err := source.Connect(ctx, database)
		if err != nil {
			return err
		}
		_, err = conn.Exec(ctx, statement)
		conn.Close(ctx)
		if err != nil {
			return fmt.Errorf("%.60s…: %w", statement, err)
		}
	}
	return nil
}

// plainEnv is as much of an Env as it takes to make a server and to restore into
// it.
type plainEnv struct {
	recovery.Env
	store storage.Store
}

func (e plainEnv) Store(context.Context, string) (storage.Store, error) { return e.store, nil }

func (plainEnv) Claim(context.Context, recovery.Resource) error { return nil }

func (plainEnv) Meter() recovery.Meter { return noMeter{} }

func (plainEnv) Command(ctx context.Context, c recovery.Cmd) error {
	cmd := exec.CommandContext(ctx, c.Path, c.Args...)
	var stderr bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Dir, c.Env, c.Stdin, c.Stdout, &stderr
	if c.Stderr != nil {
		cmd.Stderr = io.MultiWriter(c.Stderr, &stderr)
	}
	if c.User != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(c.User.UID), Gid: uint32(c.User.GID)}}
	}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %s (%w)", filepath.Base(c.Path), bytes.TrimSpace(stderr.Bytes()), err)
	}
	return nil
}

type noMeter struct{}

func (noMeter) Phase(string, int64, recovery.Unit)       {}
func (noMeter) Add(int64)                                {}
func (noMeter) Set(int64)                                {}
func (noMeter) Note(string)                              {}
func (noMeter) Log(string)                               {}
func (noMeter) Checkpoint(context.Context, string) error { return nil }

// program runs one of PostgreSQL's programs and gives what it prints.
func program(t testing.TB, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), source.Cluster().Tools.Program(name), args...)
	cmd.Env = []string{"LC_ALL=C", "TZ=UTC", "PATH=/usr/bin:/bin"}
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v: %s", name, err, stderr.Bytes())
	}
	return out.Bytes()
}

// dumpOf dumps a database of the source.
func dumpOf(t testing.TB, database string, args ...string) []byte {
	t.Helper()
	return program(t, "pg_dump", append(args, "--dbname", source.URL(database))...)
}

var token = regexp.MustCompile(`(?m)^\\(un)?restrict .*$`)

// state is a database as its dump, without what differs from dump to dump.
func state(t testing.TB, url string) string {
	t.Helper()
	return token.ReplaceAllString(string(program(t, "pg_dump", "--dbname", url)), "")
}

func (plainEnv) Now() time.Time { return time.Now() }
