package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// archived is a cluster whose base backup and log lie twice on one medium: as
// comeback stores them and as pgBackRest does, both with zstd at its level 3.
type archived struct {
	inS3, far     bool
	base          string // where it lies
	s3            *gateway
	query, digest string // what it held at its end
}

// moments is the row of a base backup and log to the latest moment, from the
// beginning of the restore until the server answers queries.
func moments(name, work string, a *archived) row {
	peer := "pgBackRest with two processes, until the server answers"
	if a.far {
		peer = "pgBackRest with four processes, until the server answers"
	}
	return row{name: name, work: work, peer: peer, goal: 0.90, far: a.far,
		prepare: a.prepare, ours: a.restore, theirs: a.backrest}
}

// momentsRunbook restores the cluster and compares what came back.
const momentsRunbook = `---
comeback: 1
system: bench
rpo: 1d
rto: 1d
needs: {DATABASE_URL: "of the bench"}
copies:
  nearby: {%s}
components:
  database: {kind: postgres, url: "${DATABASE_URL}", database: bench, backup: base, record: no, prefix: ours/}
---

# Bring the bench back

## Restore the database
Owner: nobody. Budget: 1h.

` + "```yaml\nrestore: database\n```" + `

## Check the copy
` + "```sql\n-- check: everything came back\n-- on: database\n-- expect: in {%s}\n%s;\n```\n"

func (a *archived) book() string { return filepath.Join(a.base, "bench.md") }

// prepare makes the cluster with the shop in it, backs it up with both, and then
// changes a fifth of its rows, which makes the log that is replayed.
func (a *archived) prepare(ctx context.Context, b *bench) error {
	a.base = filepath.Join(b.dir, "moments")
	if err := errors.Join(os.RemoveAll(a.base), os.MkdirAll(a.base, 0o711)); err != nil {
		return err
	}
	b.stopLater(func() { _ = os.RemoveAll(a.base) })
	s, err := b.startServer(ctx, "archived", map[string]string{"archive_mode": "on", "archive_command": "true", "max_wal_size": "4GB"})
	if err != nil {
		return err
	}
	b.stopLater(func() { s.stop(ctx) })
	for _, name := range []string{"copy", "spool", "lock"} {
		dir := filepath.Join(a.base, name)
		if err := errors.Join(os.Mkdir(dir, 0o700), os.Chown(dir, s.owner.UID, s.owner.GID)); err != nil {
			return err
		}
	}
	if a.inS3 {
		if a.s3, err = b.startGateway(ctx, filepath.Join(a.base, "s3"), gatewayOptions{TLS: true, Far: a.far}); err != nil {
			return err
		}
		defer a.s3.begin()
	}
	if _, err := s.ask(ctx, "postgres", "create database bench template template0"); err != nil {
		return err
	}
	if err := b.fillShop(ctx, s, b.size*1_000_000/116); err != nil {
		return err
	}
	if a.query, err = s.ask(ctx, "bench", digestQuery); err != nil {
		return err
	}
	a.query = strings.Join(strings.Fields(a.query), " ")
	if err := a.describe(s); err != nil {
		return err
	}
	if err := a.archive(ctx, b, s); err != nil {
		return err
	}
	if err := a.changed(ctx, s); err != nil {
		return err
	}
	return a.describe(s)
}

// describe writes what both programs need to know.
func (a *archived) describe(s *server) error {
	where := fmt.Sprintf("url: %q", "file://"+filepath.Join(a.base, "copy"))
	repo := []string{"repo1-type=posix", "repo1-path=" + filepath.Join(a.base, "copy", "theirs")}
	if a.inS3 {
		where = fmt.Sprintf(`url: "s3://bench", endpoint: %q, path_style: true, region: eu-central-1`, a.s3.url)
		_, port, _ := strings.Cut(strings.TrimPrefix(a.s3.url, "https://"), ":")
		repo = []string{"repo1-type=s3", "repo1-path=/theirs", "repo1-s3-bucket=bench", "repo1-s3-endpoint=127.0.0.1", "repo1-s3-region=eu-central-1",
			"repo1-s3-uri-style=path", "repo1-storage-verify-tls=n", "repo1-storage-port=" + port, "repo1-s3-key=bench", "repo1-s3-key-secret=bench-secret"}
	}
	conf := append([]string{"[global]"}, repo...)
	processes := "process-max=2"
	if a.far {
		processes = "process-max=4"
	}
	conf = append(conf, processes, "repo1-retention-full=1", "compress-type=zst", "compress-level=3", "start-fast=y", "log-level-file=off", "log-level-console=warn",
		"lock-path="+filepath.Join(a.base, "lock"), "[bench]", "pg1-path="+s.data(), "pg1-socket-path="+s.dir, "pg1-user=postgres", "")
	return errors.Join(os.WriteFile(filepath.Join(a.base, "pgbackrest.conf"), []byte(strings.Join(conf, "\n")), 0o644),
		os.WriteFile(a.book(), fmt.Appendf(nil, momentsRunbook, where, a.digest, a.query), 0o644))
}

// env is what both programs find in their environment.
func (a *archived) env(s *server) []string {
	env := append(os.Environ(), "DATABASE_URL="+s.url("bench"), "COMEBACK_STATE="+filepath.Join(a.base, "state"))
	if a.s3 != nil {
		env = append(a.s3.env(), env[len(env)-2:]...)
	}
	return env
}

// archive lets the server archive with both, one after the other, and takes a
// base backup with each.
func (a *archived) archive(ctx context.Context, b *bench, s *server) error {
	script := filepath.Join(a.base, "archive-pgbackrest") // whose name pgBackRest looks for
	var text strings.Builder
	text.WriteString("#!/bin/sh\nset -e\n")
	for _, v := range a.env(s) {
		for _, name := range []string{"AWS_", "DATABASE_URL="} {
			if strings.HasPrefix(v, name) {
				fmt.Fprintf(&text, "export '%s'\n", v)
			}
		}
	}
	fmt.Fprintf(&text, "'%s' wal push '%s' \"$1\" --spool '%s'\npgbackrest --config='%s' --stanza=bench archive-push \"$1\"\n",
		b.program(), a.book(), filepath.Join(a.base, "spool"), filepath.Join(a.base, "pgbackrest.conf"))
	if err := os.WriteFile(script, []byte(text.String()), 0o755); err != nil {
		return err
	}
	if err := s.run(ctx, "pgbackrest", "--config="+filepath.Join(a.base, "pgbackrest.conf"), "--stanza=bench", "stanza-create"); err != nil {
		return err
	}
	for _, sql := range []string{"alter system set archive_command = '" + script + " %p'", "select pg_reload_conf()"} {
		if _, err := s.ask(ctx, "postgres", sql); err != nil {
			return err
		}
	}
	ours := exec.CommandContext(ctx, b.program(), "backup", a.book(), "database")
	ours.Env = a.env(s)
	if out, err := ours.CombinedOutput(); err != nil {
		return fmt.Errorf("comeback backup: %w: %s", err, out)
	}
	return s.run(ctx, "pgbackrest", "--config="+filepath.Join(a.base, "pgbackrest.conf"), "--stanza=bench", "--type=full", "backup")
}

// changed makes log, and waits until the last of it is archived.
func (a *archived) changed(ctx context.Context, s *server) (err error) {
	for part := range 10 { // small enough that checkpoints lie between them
		if _, err := s.ask(ctx, "bench", fmt.Sprintf("update orders set note = coalesce(note, '') || ' changed' where id %% 50 = %d", part)); err != nil {
			return err
		}
	}
	if a.digest, err = s.ask(ctx, "bench", a.query); err != nil {
		return err
	}
	last, err := s.ask(ctx, "postgres", "select pg_walfile_name(pg_switch_wal())")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, time.Hour, errors.New("the log is not archived: the server's log says why"))
	defer cancel()
	for {
		done, err := s.ask(ctx, "postgres", "select last_archived_wal >= '"+last+"' from pg_stat_archiver")
		if err != nil {
			return err
		}
		if done == "t" {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (a *archived) restore(ctx context.Context, b *bench) (took, error) {
	s := &server{dir: filepath.Join(b.dir, "archived")}
	return b.rehearseFile(ctx, rehearsal{file: a.book(), first: "copy", last: "replay", env: a.env(s)})
}

// backrest restores with pgBackRest, and starts the server with the settings that
// it was backed up with, until it answers queries and can be written to.
func (a *archived) backrest(ctx context.Context, b *bench) (t took, err error) {
	s, err := b.emptyServer("peer")
	if err != nil {
		return took{}, err
	}
	defer s.stop(ctx)
	c := startClock()
	if err := s.run(ctx, "pgbackrest", "--config="+filepath.Join(a.base, "pgbackrest.conf"), "--stanza=bench", "--pg1-path="+s.data(), "restore"); err != nil {
		return took{}, err
	}
	copied := c.stop()
	auto, err := os.OpenFile(filepath.Join(s.data(), "postgresql.auto.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return took{}, err
	}
	_, err = fmt.Fprintf(auto, "archive_mode = off\nunix_socket_directories = '%s'\n", s.dir)
	if err = errors.Join(err, auto.Close()); err != nil {
		return took{}, err
	}
	if err := s.program(ctx, "pg_ctl", "--pgdata", s.data(), "--wait", "--silent", "--timeout", strconv.Itoa(3600), "--log", filepath.Join(s.dir, "log"), "start"); err != nil {
		return took{}, err
	}
	for {
		recovering, err := s.ask(ctx, "postgres", "select pg_is_in_recovery()")
		if err != nil {
			return took{}, err
		}
		if recovering == "f" {
			break
		}
		select {
		case <-ctx.Done():
			return took{}, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	t = c.stop()
	fmt.Fprintf(os.Stderr, "  pgBackRest: copied in %.2f s, ready after %.2f s\n", copied.wall.Seconds(), t.wall.Seconds())
	digest, err := s.ask(ctx, "bench", a.query)
	if err == nil && digest != a.digest {
		err = errors.New("pgBackRest brought something else back")
	}
	return t, err
}
