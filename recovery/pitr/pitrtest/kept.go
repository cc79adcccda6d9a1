package pitrtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/postgres"
)

// Keeper is a program that archives and backs up a Kept cluster, set up as people do.
type Keeper interface {
	// Prepare makes the program's places and its configuration, and gives archive_command.
	Prepare(s *Kept) (archive string, err error)
	// Begin makes what must be there before anything is archived. The server runs.
	Begin() error
	// Backup makes a backup: the first, or one that builds on it.
	Backup(first bool) error
}

// Kept is a cluster of which everything is known and which a program keeps: it has an
// incident between two of its transactions, and a backup, one that builds on it, and log up to
// the last transaction lie in the program's repository.
type Kept struct {
	// Dir holds everything.
	Dir   string
	Owner recovery.User
	Tools postgres.Tools
	Conn  *pgx.Conn
	// Environ is what programs are run with beside what they always need.
	Environ []string
	// Incident is the transaction that removed all orders, IncidentAt when it committed,
	// and Before what Everything was then.
	Incident   recovery.XID
	IncidentAt time.Time
	Before     string

	keeper     Keeper
	tablespace bool
}

// Everything is a question whose answer is different for different data.
const Everything = `select (select coalesce(string_agg(id || note, ',' order by id), '') from orders) || ' ' ||
	(select count(*) || coalesce(md5(string_agg(id || filler, '' order by id)), '') from bulk)`

// Make makes one, a part of it in a tablespace, if that is wanted. Remove removes it,
// also where Make fails.
func Make(keeper Keeper, tablespace bool) (*Kept, error) {
	s := &Kept{keeper: keeper, tablespace: tablespace}
	return s, s.make()
}

// Remove ends the server and removes everything.
func (s *Kept) Remove() error {
	if s.Dir == "" {
		return nil
	}
	if s.Conn != nil {
		s.Conn.Close(context.Background())
	}
	err := s.Run(nil, s.Tools.Program("pg_ctl"), "-D", s.Path("data"), "-m", "immediate", "-w", "stop")
	return errors.Join(err, os.RemoveAll(s.Dir))
}

// Path is where something of it lies.
func (s *Kept) Path(name string) string { return filepath.Join(s.Dir, name) }

// Mkdir makes directories of the server's user.
func (s *Kept) Mkdir(names ...string) error {
	for _, name := range names {
		if err := os.Mkdir(s.Path(name), 0o700); err != nil {
			return err
		}
		if err := s.own(name); err != nil {
			return err
		}
	}
	return nil
}

// Write writes a file of the server's user.
func (s *Kept) Write(name, text string, mode os.FileMode) error {
	if err := os.WriteFile(s.Path(name), []byte(text), mode); err != nil {
		return err
	}
	return s.own(name)
}

func (s *Kept) own(name string) error {
	if s.Owner.UID < 0 {
		return nil
	}
	return os.Lchown(s.Path(name), s.Owner.UID, s.Owner.GID)
}

// Run runs a program as the server's user.
func (s *Kept) Run(env []string, program string, args ...string) error {
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Env = "/", append(append(env, "PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C.UTF-8", "TZ=UTC"), s.Environ...)
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

// Exec executes statements in the shop.
func (s *Kept) Exec(sql ...string) error {
	for _, q := range sql {
		if _, err := s.Conn.Exec(context.Background(), q); err != nil {
			return fmt.Errorf("%s: %w", q, err)
		}
	}
	return nil
}

// Text is the answer to a question to the shop.
func (s *Kept) Text(sql string) (text string, err error) {
	err = s.Conn.QueryRow(context.Background(), sql).Scan(&text)
	return text, err
}

// make makes the cluster and its history.
func (s *Kept) make() (err error) {
	if s.Dir, err = os.MkdirTemp("", "cbk-"); err != nil {
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
	if err := s.Mkdir("data", "spaces", "socket", "production"); err != nil {
		return err
	}
	archive, err := s.keeper.Prepare(s)
	if err != nil {
		return err
	}
	if err := s.Run(nil, s.Tools.Program("initdb"), "-D", s.Path("data"), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--wal-segsize=1", "--no-sync"); err != nil {
		return err
	}
	conf, err := os.OpenFile(s.Path("data/postgresql.auto.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	fmt.Fprintf(conf, "listen_addresses = ''\nunix_socket_directories = '%s'\nfsync = off\nautovacuum = off\ncheckpoint_timeout = '1d'\ntrack_commit_timestamp = on\nshared_buffers = '16MB'\narchive_mode = on\narchive_command = '%s'\n",
		s.Path("socket"), archive)
	if err := conf.Close(); err != nil {
		return err
	}
	if err := s.Run(nil, s.Tools.Program("pg_ctl"), "-D", s.Path("data"), "-l", s.Path("data/log"), "-w", "-t", "600", "start"); err != nil {
		return err
	}
	if s.Conn, err = s.connect("postgres"); err != nil {
		return err
	}
	return s.history()
}

func (s *Kept) connect(database string) (*pgx.Conn, error) {
	return pgx.Connect(context.Background(), fmt.Sprintf("host=%s user=postgres dbname=%s", s.Path("socket"), database))
}

// history is what the tests are about.
func (s *Kept) history() (err error) {
	do := func(err1 error) {
		if err == nil {
			err = err1
		}
	}
	do(s.keeper.Begin())
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
	do(s.keeper.Backup(true))
	do(s.Exec("insert into orders values (2, 'second')"))
	do(s.keeper.Backup(false))
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

// Archive returns when everything that was written is in the repositories.
func (s *Kept) Archive() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	segment, err := postgres.CloseSegment(ctx, s.Conn)
	if err != nil {
		return err
	}
	return postgres.AwaitArchived(ctx, s.Conn, segment, func(ctx context.Context) (bool, error) {
		var at string
		err := s.Conn.QueryRow(ctx, "select coalesce(last_archived_wal, '') from pg_stat_archiver").Scan(&at)
		return at >= segment, err
	})
}
