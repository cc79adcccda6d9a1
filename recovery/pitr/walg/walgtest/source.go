// Package walgtest makes a cluster that WAL-G archives and backs up, of which everything is
// known, for tests.
//
// Where wal-g is on the path, it is WAL-G itself. Where it is not, a stand-in is: the test's
// own program under that name, which takes backups of a directory and keeps log in one, in the
// layout of WAL-G 3.0.8 and with its commands, words and exit codes as far as comeback uses
// them. Source.Log says which of both it was.
package walgtest

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"comeback/recovery/pitr/pitrtest"
)

// Key opens the second storage. It was made for these tests and opens nothing else. It
// stands in no configuration.
//
//go:embed key.asc
var Key string

// Source is a cluster that WAL-G archives into two storages, in plain and, encrypted, in
// sealed, with a full and a delta backup in the first and a full one in the second.
type Source struct {
	*pitrtest.Kept
	// Program is the WAL-G that keeps it, and StandIn that it is none.
	Program string
	StandIn bool
	// Beside is what the names of its storages begin with, where they lie beside those of
	// another program.
	Beside string
}

// Make makes one, a part of it in a tablespace, if that is wanted. Remove removes it, also
// where Make fails.
func Make(tablespace bool) (*Source, error) {
	s := &Source{}
	var err error
	s.Kept, err = pitrtest.Make(s, tablespace)
	return s, err
}

// Log says which program it is.
func (s *Source) Log(log func(...any)) {
	if s.StandIn {
		log("wal-g is not installed: this ran with a stand-in for it")
		return
	}
	log("this ran with " + s.Program)
}

// Prepare makes the places of both storages.
func (s *Source) Prepare(k *pitrtest.Kept) (archive string, err error) {
	s.Kept = k
	if err := s.Mkdir(s.Beside+"plain", s.Beside+"sealed", "bin"); err != nil {
		return "", err
	}
	if err := os.Chmod(s.Path("bin"), 0o755); err != nil {
		return "", err
	}
	if s.Program, err = exec.LookPath("wal-g"); err != nil {
		s.Program, s.StandIn = s.Path("bin/wal-g"), true
		if err := placeStandIn(s.Program); err != nil {
			return "", err
		}
	}
	if err := errors.Join(s.Config("plain.json", "plain"), s.Config("sealed.json", "sealed"), s.Write("key", Key, 0o600)); err != nil {
		return "", err
	}
	script := fmt.Sprintf("#!/bin/sh\nset -e\n%[1]s wal-push \"$1\" --config %[2]s\nWALG_PGP_KEY=\"$(cat %[4]s)\" exec %[1]s wal-push \"$1\" --config %[3]s\n",
		s.Program, s.Path("plain.json"), s.Path("sealed.json"), s.Path("key"))
	return s.Path("archive-wal-g") + " " + s.Path("data") + "/%p", s.Write("archive-wal-g", script, 0o755)
}

// placeStandIn puts this program where the server's user can start it: its own directory
// may be closed to that user.
func placeStandIn(path string) error {
	exe := os.Getenv("COMEBACK_CHILD") // without the race detector
	if exe == "" {
		var err error
		if exe, err = os.Executable(); err != nil {
			return err
		}
	}
	in, err := os.Open(exe)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// Begin has nothing to make.
func (s *Source) Begin() error { return nil }

// Backup makes a full backup in both storages, or a delta backup in the first.
func (s *Source) Backup(first bool) error {
	if err := s.WALG("plain.json", "backup-push", s.Path("data")); err != nil || !first {
		return err
	}
	return s.WALG("sealed.json", "backup-push", s.Path("data"))
}

// WALG runs WAL-G with a configuration, as people do.
func (s *Source) WALG(config string, args ...string) error {
	return s.Run([]string{"WALG_PGP_KEY=" + s.key(config)}, s.Program, append(args, "--config", s.Path(config))...)
}

func (s *Source) key(config string) string {
	if strings.HasPrefix(config, "sealed") {
		return Key
	}
	return ""
}

// Config writes a configuration whose storage is a directory; more are further settings, a
// name and a value each.
func (s *Source) Config(name, storage string, more ...string) error {
	settings := map[string]string{
		"WALG_FILE_PREFIX": s.Path(s.Beside + storage), "WALG_COMPRESSION_METHOD": "lz4", "WALG_PG_WAL_SIZE": strconv.Itoa(1),
		"WALG_DELTA_MAX_STEPS": "6", "WALG_UPLOAD_CONCURRENCY": "1", "WALG_DOWNLOAD_FILE_RETRIES": "0",
		"PGHOST": s.Path("socket"), "PGUSER": "postgres", "PGDATABASE": "postgres",
	}
	for i := 0; i+1 < len(more); i += 2 {
		settings[more[i]] = more[i+1]
	}
	text, err := json.MarshalIndent(settings, "", "  ")
	if err != nil {
		return err
	}
	return s.Write(name, string(text), 0o600)
}
