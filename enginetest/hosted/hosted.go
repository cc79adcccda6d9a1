// Package hosted is what a provider of PostgreSQL has behind it, for tests: a real server
// with a base backup, an archive of its log and an incident of which everything is known.
// From these copies are restored to a moment and served, so that what comes back is what was
// there then.
package hosted

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/port"
	"comeback/recovery"
	"comeback/recovery/postgres"
)

// The database, its role and that role's password, percent-encoded and as it is.
const (
	Database = "shop"
	Role     = "shop"
	Encoded  = "correct%2Fhorse"
	Password = "correct/horse"
)

// Everything is a question whose answer is different for different data.
const Everything = `select coalesce(string_agg(id || note, ',' order by id), '') || ' ' || count(*) from orders`

// Source is the server that the provider has backups of.
type Source struct {
	// Admin is a role that the provider itself signs on as.
	Admin string

	Dir   string
	Owner recovery.User
	Tools postgres.Tools
	// Certificates is the file with the service's certificate authority.
	Certificates string
	// At is a whole second at which Before is what Everything was; a moment later
	// everything was deleted. Snapshot is when the base backup was taken, AtSnapshot
	// what Everything was then.
	At         time.Time
	Before     string
	Snapshot   time.Time
	AtSnapshot string
	// Lost is the transaction that deleted everything.
	Lost uint32
	// Latest is when the last commit was that is in the archive.
	Latest time.Time
	// System is the system identifier, BackupEnd where the log is when the base backup has ended.
	System, BackupEnd string
	// Port is where the source answers on loopback.
	Port int
}

// Path is where something of the provider lies: made/ holds what is restored.
func (s *Source) Path(name string) string { return filepath.Join(s.Dir, name) }

// run runs a program as the server's user.
func (s *Source) run(program string, args ...string) error {
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Env = "/", []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C.UTF-8", "TZ=UTC"}
	if s.Owner.UID >= 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(s.Owner.UID), Gid: uint32(s.Owner.GID)}}
	}
	log, err := os.CreateTemp("", "cb-hosted-")
	if err != nil {
		return err
	}
	defer os.Remove(log.Name())
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log // no pipe: a server would hold it open
	if err := cmd.Run(); err != nil {
		said, errRead := os.ReadFile(log.Name())
		return errors.Join(fmt.Errorf("%s %v: %w: %s", program, args, err, said), errRead)
	}
	return nil
}

// own gives a file to the server's user.
func (s *Source) own(path string) error {
	if s.Owner.UID < 0 {
		return nil
	}
	return os.Chown(path, s.Owner.UID, s.Owner.GID)
}

// Make makes the server and its history.
func (s *Source) Make(ctx context.Context) (err error) {
	if s.Dir, err = os.MkdirTemp("", "cbhosted-"); err != nil {
		return err
	}
	if s.Owner, err = postgres.ServerUser(); err != nil {
		return err
	}
	if s.Tools, err = postgres.FindTools(0); err != nil {
		return err
	}
	if err := errors.Join(os.Chmod(s.Dir, 0o711), s.own(s.Dir)); err != nil {
		return err
	}
	for _, name := range []string{"archive", "made", "socket"} {
		if err := errors.Join(os.Mkdir(s.Path(name), 0o700), s.own(s.Path(name))); err != nil {
			return err
		}
	}
	if err := s.run(s.Tools.Program("initdb"), "-D", s.Path("data"), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--wal-segsize=1", "--no-sync"); err != nil {
		return err
	}
	if err := s.certify(s.Path("data")); err != nil {
		return err
	}
	if err := s.configure(s.Path("data"), "archive_mode = on\narchive_command = 'cp %p "+s.Path("archive")+"/%f.part && mv "+s.Path("archive")+"/%f.part "+s.Path("archive")+"/%f'\n"); err != nil {
		return err
	}
	if s.Port, err = s.start(s.Path("data")); err != nil {
		return err
	}
	return s.history(ctx)
}

// configure appends to the configuration of a data directory; who comes over the
// network shows a password, over TLS.
func (s *Source) configure(data, more string) error {
	conf, err := os.OpenFile(filepath.Join(data, "postgresql.auto.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(conf, "listen_addresses = '127.0.0.1'\nunix_socket_directories = '%s'\nfsync = off\nshared_buffers = '16MB'\nmax_connections = 20\ntrack_commit_timestamp = on\nssl = on\npassword_encryption = 'scram-sha-256'\n%s", s.Path("socket"), more)
	return errors.Join(err, conf.Close(), os.WriteFile(filepath.Join(data, "pg_hba.conf"), []byte("local all all trust\nlocal replication all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n"), 0o600))
}

// start starts a server on a free port.
func (s *Source) start(data string) (number int, err error) {
	kept, err := port.Keep()
	if err != nil {
		return 0, err
	}
	err = s.run(s.Tools.Program("pg_ctl"), "-D", data, "-l", data+".log", "-w", "-t", "600", "-o", fmt.Sprintf("-p %d -c log_line_prefix=%%e:", kept.Number), "start")
	if err != nil {
		log, errRead := os.ReadFile(data + ".log")
		err = errors.Join(err, errRead, errors.New(string(log)))
	}
	return kept.Number, errors.Join(err, kept.Close())
}

// Stop ends a server, if it runs.
func (s *Source) Stop(data string) error {
	if _, err := os.Stat(filepath.Join(data, "postmaster.pid")); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return s.run(s.Tools.Program("pg_ctl"), "-D", data, "-m", "immediate", "-w", "stop")
}

func (s *Source) connect(ctx context.Context, port int, database string) (*pgx.Conn, error) {
	return pgx.Connect(ctx, fmt.Sprintf("host=%s port=%d user=postgres dbname=%s", s.Path("socket"), port, database))
}

// history is what the tests are about.
func (s *Source) history(ctx context.Context) error {
	conn, err := s.connect(ctx, s.Port, "postgres")
	if err != nil {
		return err
	}
	defer func() { conn.Close(ctx) }()
	exec := func(all ...string) error {
		for _, q := range all {
			if _, err := conn.Exec(ctx, q); err != nil {
				return fmt.Errorf("%s: %w", q, err)
			}
		}
		return nil
	}
	if err := exec("create role "+s.Admin+" superuser login", "create role "+Role+" login password '"+Password+"'", "create database "+Database+" owner "+Role); err != nil {
		return err
	}
	conn.Close(ctx)
	if conn, err = s.connect(ctx, s.Port, Database); err != nil {
		return err
	}
	text := func(into *string) func() error {
		return func() error { return conn.QueryRow(ctx, Everything).Scan(into) }
	}
	insert := func(id int, note string) func() error {
		return func() error { return exec(fmt.Sprintf("insert into orders values (%d, '%s')", id, note)) }
	}
	for _, do := range []func() error{
		func() error {
			return exec("create table orders (id int primary key, note text)", "alter table orders owner to "+Role)
		},
		insert(1, "first"), text(&s.AtSnapshot),
		func() error {
			s.Snapshot = time.Now()
			return s.run(s.Tools.Program("pg_basebackup"), "-h", s.Path("socket"), "-p", fmt.Sprint(s.Port), "-U", "postgres", "-D", s.Path("base"), "-X", "fetch", "-c", "fast", "--no-sync")
		},
		func() error {
			return conn.QueryRow(ctx, "select (select system_identifier::text from pg_control_system()), pg_current_wal_lsn()::text").Scan(&s.System, &s.BackupEnd)
		},
		insert(2, "second"), insert(3, "third"), text(&s.Before),
		func() error {
			s.At = time.Now().UTC().Truncate(time.Second).Add(time.Second)
			// Services tell times in milliseconds, cut off: what follows is visibly later.
			return await(ctx, s.At.Add(2*time.Millisecond))
		},
		func() error {
			return conn.QueryRow(ctx, "with gone as (delete from orders) select pg_current_xact_id()::text::bigint").Scan(&s.Lost)
		},
		insert(9, "after it"),
		func() error {
			return conn.QueryRow(ctx, "select timestamp from pg_last_committed_xact()").Scan(&s.Latest)
		},
		func() error {
			segment, err := postgres.CloseSegment(ctx, conn)
			if err != nil {
				return err
			}
			return postgres.AwaitArchived(ctx, conn, segment, func(ctx context.Context) (bool, error) {
				_, err := os.Stat(filepath.Join(s.Path("archive"), segment))
				return err == nil, nil
			})
		},
	} {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

// await returns when the wall clock has come to a time. It is asked again after every timer,
// for those go by another clock and may end before it.
func await(ctx context.Context, until time.Time) error {
	for {
		left := time.Until(until.Round(0))
		if left <= 0 {
			return nil
		}
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// ToTime is the target of a recovery to a moment; of the zero time it is that of the base
// backup.
func ToTime(to time.Time) string {
	if to.IsZero() {
		return "recovery_target = 'immediate'"
	}
	return fmt.Sprintf("recovery_target_time = '%s'", to.UTC().Format("2006-01-02 15:04:05.999999")+"+00")
}

// Restore makes a data directory of its own that a server brings to a target; without one,
// to the end of the archive.
func (s *Source) Restore(data, target string) error {
	if err := s.run("cp", "-a", s.Path("base"), data); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(data, "recovery.signal"), nil, 0o600); err != nil {
		return err
	}
	if err := s.own(filepath.Join(data, "recovery.signal")); err != nil {
		return err
	}
	return s.configure(data, "archive_mode = off\nrestore_command = 'cp "+s.Path("archive")+"/%f %p'\nrecovery_target_action = promote\n"+target+"\n")
}

// Serve starts what was restored and returns when it takes writes.
func (s *Source) Serve(ctx context.Context, data string) (port int, err error) {
	if port, err = s.start(data); err != nil {
		return 0, err
	}
	conn, err := s.connect(ctx, port, Database)
	if err != nil {
		return 0, err
	}
	defer conn.Close(ctx)
	for in := true; in && err == nil; {
		err = conn.QueryRow(ctx, "select pg_is_in_recovery() and pg_sleep(0.02) is not null").Scan(&in)
	}
	return port, err
}

// Quiet returns when nobody but the provider is connected to a server, at its port.
func (s *Source) Quiet(ctx context.Context, port int) error {
	config, err := pgx.ParseConfig(fmt.Sprintf("host=%s port=%d user=%s dbname=%s", s.Path("socket"), port, s.Admin, Database))
	if err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for n := 1; n > 0 && err == nil; {
		err = conn.QueryRow(ctx, "select count(*) from pg_stat_activity, pg_sleep(0.01) where backend_type = 'client backend' and usename <> $1", s.Admin).Scan(&n)
	}
	return err
}

// certify makes the certificate that every server of the provider shows.
func (s *Source) certify(data string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	certificate := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "provider of a test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	signed, err := x509.CreateCertificate(rand.Reader, certificate, certificate, &key.PublicKey, key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed})
	s.Certificates = s.Path("certificates.pem")
	return errors.Join(os.WriteFile(s.Certificates, public, 0o644), os.WriteFile(filepath.Join(data, "server.crt"), public, 0o600),
		os.WriteFile(filepath.Join(data, "server.key"), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private}), 0o600),
		s.own(filepath.Join(data, "server.crt")), s.own(filepath.Join(data, "server.key")))
}

// Remove ends every server and removes everything.
func (s *Source) Remove() error {
	if s.Dir == "" {
		return nil
	}
	var failed error
	all, err := filepath.Glob(s.Path("made/*"))
	for _, data := range append(all, s.Path("data")) {
		if !strings.HasSuffix(data, ".log") {
			failed = errors.Join(failed, s.Stop(data))
		}
	}
	return errors.Join(err, failed, os.RemoveAll(s.Dir))
}
