package shop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"time"

	"comeback/recovery"
	"comeback/recovery/pitr"
	"comeback/storage"
)

// Dump makes the nightly dump as most people make it, `pg_dump | gzip` without
// any option, and gives its key in the copy, "db/2026-11-22.sql.gz". One of the
// same day is replaced.
func (s *Shop) Dump(ctx context.Context) (key string, err error) {
	key = path.Join("db", s.options.Now().UTC().Format(time.DateOnly)+".sql.gz")
	f, err := os.OpenFile(filepath.Join(s.Copy(), key), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return "", fmt.Errorf("dump the shop: %w", err)
	}
	r, w := io.Pipe()
	dumped := make(chan error, 1)
	go func() {
		err := s.run(ctx, program{path: s.Tools.Program("pg_dump"), args: []string{s.URL()}, stdout: w})
		w.CloseWithError(err)
		dumped <- err
	}()
	err = s.run(ctx, program{path: "gzip", stdin: r, stdout: f})
	r.CloseWithError(errors.New("gzip ended"))
	if err = errors.Join(<-dumped, err, f.Close()); err != nil {
		return "", fmt.Errorf("dump the shop: %w", err)
	}
	return key, nil
}

// BackupOptions say how a base backup is made. The zero value is what most
// people have: tar, gzip, with the WAL that it needs beside it.
type BackupOptions struct {
	// Plain asks for a directory as the server has it, instead of tar.
	Plain bool
	// Compress is "gzip", "zstd" (PostgreSQL 15 and newer) or "none"; empty
	// is gzip for tar and none for plain.
	Compress string
	// WAL is "stream", "fetch" or "none"; empty is stream.
	WAL string
}

// Backup makes a base backup and gives its key in the copy,
// "base/20261122T010000Z". The names of all relations are saved beside it, as
// comeback saves them.
func (s *Shop) Backup(ctx context.Context, o BackupOptions) (key string, err error) {
	key, err = s.backupKey()
	if err != nil {
		return "", err
	}
	args := []string{"--host", s.Socket(), "--port", "5432", "--username", "postgres", "--no-password", "--checkpoint", "fast", "--no-sync",
		"--label", "nightly", "--pgdata", filepath.Join(s.Copy(), key), "--wal-method", orElse(o.WAL, "stream")}
	compress := o.Compress
	if o.Plain {
		args = append(args, "--format", "plain")
	} else {
		args = append(args, "--format", "tar")
		compress = orElse(compress, "gzip")
	}
	switch compress {
	case "", "none":
	case "gzip":
		args = append(args, "--gzip")
	default:
		args = append(args, "--compress", "client-"+compress)
	}
	if err := s.run(ctx, program{path: s.Tools.Program("pg_basebackup"), args: args}); err != nil {
		return "", fmt.Errorf("back the shop up: %w", err)
	}
	return key, s.SaveNames(ctx)
}

// SaveNames saves the names of all relations in the copy, as whoever archives the
// log does now and then: a table that is dropped later still has its name.
func (s *Shop) SaveNames(ctx context.Context) error {
	conn, err := connect(ctx, s.Layout.URL("postgres", "shop"))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	store, err := storage.OpenDir(s.Copy())
	if err != nil {
		return fmt.Errorf("save the shop's names: %w", err)
	}
	_, err = pitr.SaveNames(ctx, pitr.NamesOptions{Store: store, Conn: conn})
	return err
}

// backupKey chooses a name that no other backup has.
func (s *Shop) backupKey() (string, error) {
	stamp := s.options.Now().UTC().Format("20060102T150405Z")
	for n := 1; n < 1000; n++ {
		key := path.Join("base", stamp)
		if n > 1 {
			key += fmt.Sprintf("-%d", n)
		}
		err := os.Mkdir(filepath.Join(s.Copy(), key), 0o700)
		if err == nil {
			return key, nil
		}
		if !errors.Is(err, os.ErrExist) {
			return "", fmt.Errorf("back the shop up: %w", err)
		}
	}
	return "", recovery.Errorf("let the clock go on", "back the shop up: every name of %s is taken", stamp)
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
