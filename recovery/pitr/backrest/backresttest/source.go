// Package backresttest makes a cluster that pgBackRest archives and backs up, of which
// everything is known, for tests.
package backresttest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/postgres"
)

// Key is what opens the second repository; it stands in no configuration, and in the
// cluster's own program that archives.
const Key = "correct-horse-battery"

// Source is a cluster that pgBackRest archives into two repositories, in plain and,
// encrypted, in sealed, with a full and an incremental backup in the first and a full one in
// the second.
type Source struct {
	// Dir holds everything.
	Dir   string
	Owner recovery.User
	Tools postgres.Tools
	Conn  *pgx.Conn
	// Incident is the transaction that removed all orders, IncidentAt when it committed,
	// and Before what Everything was then.
	Incident   recovery.XID
	IncidentAt time.Time
	Before     string

	tablespace bool
}

// Remove ends the server and removes everything.
func (s *Source) Remove() error {
	if s.Dir == "" {
		return nil
	}
	err := s.Run(nil, s.Tools.Program("pg_ctl"), "-D", s.Path("data"), "-m", "immediate", "-w", "stop")
	return errors.Join(err, os.RemoveAll(s.Dir))
}

// Path is where something of it lies.
func (s *Source) Path(name string) string { return filepath.Join(s.Dir, name) }

// Run runs a program as the server's user.
func (s *Source) Run(env []string, program string, args ...string) error {
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Env = "/", append(env, "PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C.UTF-8", "TZ=UTC", "PGBACKREST_REPO2_CIPHER_PASS="+Key)
	if s.Owner.UID >= 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(s.Owner.UID), Gid: uint32(s.Owner.GID)}}
	}
	log, err := os.Create(s.Path("run.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log // no pipe: a server would hold it open
	if err := cmd.Run(); err != nil {
		said, errRead := os.ReadFile(s.Path("run.log"))
		return errors.Join(fmt.Errorf("%s %v: %w: %s", program, args, err, said), errRead)
	}
	return nil
}

// Backrest runs pgBackRest on the stanza, as people do.
func (s *Source) Backrest(args ...string) error {
	return s.Run(nil, "pgbackrest", append([]string{"--config=" + s.Path("pgbackrest.conf"), "--stanza=shop"}, args...)...)
}

// Exec executes statements in the shop.
func (s *Source) Exec(sql ...string) error {
	for _, q := range sql {
		if _, err := s.Conn.Exec(context.Background(), q); err != nil {
			return fmt.Errorf("%s: %w", q, err)
		}
	}
	return nil
}

// Text is the answer to a question to the shop.
func (s *Source) Text(sql string) (text string, err error) {
	err = s.Conn.QueryRow(context.Background(), sql).Scan(&text)
	return text, err
}

// Everything is a question whose answer is different for different data.
const Everything = `select (select coalesce(string_agg(id || note, ',' order by id), '') from orders) || ' ' ||
	(select count(*) || coalesce(md5(string_agg(id || filler, '' order by id)), '') from bulk)`

// Make makes one, a part of it in a tablespace, if that is wanted. Remove removes it,
// also where Make fails.
func Make(tablespace bool) (*Source, error) {
	s := &Source{tablespace: tablespace}
	return s, s.make()
}

// make makes the cluster and its history. What its configuration says of restores must
// not come to pass in scratch.
func (s *Source) make() (err error) {
	if s.Dir, err = os.MkdirTemp("", "cbr-"); err != nil {
		return err
	}
	if s.Owner, err = postgres.ServerUser(); err != nil {
		return err
	}
	if s.Tools, err = postgres.FindTools(0); err != nil {
		return err
	}
	if err := os.Chmod(s.Dir, 0o711); err != nil {
		return err
	}
	for _, name := range []string{"data", "plain", "sealed", "spaces", "socket", "production", "lock"} {
		if err := os.Mkdir(s.Path(name), 0o700); err != nil {
			return err
		}
		if s.Owner.UID >= 0 {
			if err := os.Chown(s.Path(name), s.Owner.UID, s.Owner.GID); err != nil {
				return err
			}
		}
	}
	if err := s.Config("pgbackrest.conf", "plain"); err != nil {
		return err
	}
	archive := fmt.Sprintf("#!/bin/sh\nPGBACKREST_REPO2_CIPHER_PASS=%s exec pgbackrest --config=%s --stanza=shop archive-push \"$1\"\n", Key, s.Path("pgbackrest.conf"))
	if err := os.WriteFile(s.Path("archive-pgbackrest"), []byte(archive), 0o755); err != nil {
		return err
	}
	if err := s.Run(nil, s.Tools.Program("initdb"), "-D", s.Path("data"), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--wal-segsize=1", "--no-sync"); err != nil {
		return err
	}
	conf, err := os.OpenFile(s.Path("data/postgresql.auto.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	fmt.Fprintf(conf, "listen_addresses = ''\nunix_socket_directories = '%s'\nfsync = off\nautovacuum = off\ntrack_commit_timestamp = on\nshared_buffers = '16MB'\narchive_mode = on\narchive_command = '%s %%p'\n",
		s.Path("socket"), s.Path("archive-pgbackrest"))
	if err := conf.Close(); err != nil {
		return err
	}
	if err := s.Run(nil, s.Tools.Program("pg_ctl"), "-D", s.Path("data"), "-l", s.Path("data/log"), "-w", "start"); err != nil {
		return err
	}
	if s.Conn, err = s.connect("postgres"); err != nil {
		return err
	}
	return s.history()
}

func (s *Source) connect(database string) (*pgx.Conn, error) {
	return pgx.Connect(context.Background(), fmt.Sprintf("host=%s user=postgres dbname=%s", s.Path("socket"), database))
}

// Config writes a configuration whose first repository is a directory.
func (s *Source) Config(name, repo string, more ...string) error {
	text := fmt.Sprintf(`[global]
repo1-path=%s
repo1-retention-full=9
repo2-path=%s
repo2-retention-full=9
repo2-cipher-type=aes-256-cbc
compress-type=lz4
start-fast=y
log-level-file=off
lock-path=%s
%s
[global:restore]
link-all=y
recovery-option=archive_command=false
tablespace-map-all=%s
delta=y

[shop]
pg1-path=%s
pg1-socket-path=%s
`, s.Path(repo), s.Path("sealed"), s.Path("lock"), strings.Join(more, "\n"), s.Path("production"), s.Path("data"), s.Path("socket"))
	if err := os.WriteFile(s.Path(name), []byte(text), 0o600); err != nil {
		return err
	}
	if s.Owner.UID < 0 {
		return nil
	}
	return os.Chown(s.Path(name), s.Owner.UID, s.Owner.GID)
}

// history is what the tests are about.
func (s *Source) history() (err error) {
	do := func(err1 error) {
		if err == nil {
			err = err1
		}
	}
	do(s.Backrest("stanza-create"))
	do(s.Exec("create database shop"))
	place := ""
	if s.tablespace {
		do(s.Exec("create tablespace fast location '" + s.Path("spaces") + "'"))
		place = " tablespace fast"
	}
	if err != nil {
		return err
	}
	s.Conn.Close(context.Background())
	if s.Conn, err = s.connect("shop"); err != nil {
		return err
	}
	do(s.Exec("create table orders (id int primary key, note text)", "create table bulk (id int, filler text)"+place,
		"insert into orders values (1, 'first')", "insert into bulk select i, repeat('x', 500) from generate_series(1, 2000) i"))
	do(s.Backrest("--repo=1", "--type=full", "backup"))
	do(s.Backrest("--repo=2", "--type=full", "backup"))
	do(s.Exec("insert into orders values (2, 'second')"))
	do(s.Backrest("--repo=1", "--type=incr", "backup"))
	do(s.Exec("insert into orders values (3, 'third')", "insert into bulk select i, repeat('y', 500) from generate_series(2001, 6000) i", "insert into orders values (4, 'fourth')"))
	if err != nil {
		return err
	}
	if s.Before, err = s.Text(Everything); err != nil {
		return err
	}
	do(s.Exec("begin", "delete from orders"))
	xid, errXID := s.Text("select pg_current_xact_id()::text")
	do(errXID)
	do(s.Exec("commit"))
	if err != nil {
		return err
	}
	if _, err := fmt.Sscan(xid, &s.Incident); err != nil {
		return err
	}
	if err := s.Conn.QueryRow(context.Background(), "select pg_xact_commit_timestamp($1::text::xid)", xid).Scan(&s.IncidentAt); err != nil {
		return err
	}
	do(s.Exec("insert into bulk select i, repeat('z', 500) from generate_series(6001, 9000) i", "insert into orders values (9, 'after it')"))
	if err != nil {
		return err
	}
	return s.Archive()
}

// Archive returns when everything that was written is in both repositories.
func (s *Source) Archive() error {
	segment, err := s.Text("select pg_walfile_name(pg_switch_wal())")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return postgres.AwaitArchived(ctx, s.Conn, segment, func(ctx context.Context) (bool, error) {
		var at string
		err := s.Conn.QueryRow(ctx, "select coalesce(last_archived_wal, '') from pg_stat_archiver").Scan(&at)
		return at >= segment, err
	})
}
