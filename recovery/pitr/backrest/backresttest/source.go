// Package backresttest makes a cluster that pgBackRest archives and backs up, of which
// everything is known, for tests.
package backresttest

import (
	"fmt"
	"os/exec"
	"strings"

	"comeback/recovery/pitr/pitrtest"
)

// Key is what opens the second repository; it stands in no configuration, and in the
// cluster's own program that archives.
const Key = "correct-horse-battery"

// Source is a cluster that pgBackRest archives into two repositories, in plain and,
// encrypted, in sealed, with a full and an incremental backup in the first and a full one in
// the second. What its configuration says of restores must not come to pass in scratch.
type Source struct {
	*pitrtest.Kept
	// Program is the pgBackRest that keeps it. It starts itself again by this name, with
	// a path on which another may lie.
	Program string
	// Bucket are the options of a bucket, repo2-s3-bucket=NAME and the like, in which the
	// second repository lies in place of a directory, below sealed/. Opens is what
	// pgBackRest needs to know to open it, and stands in no configuration.
	Bucket, Opens []string
}

// Make makes one, a part of it in a tablespace, if that is wanted. Remove removes it,
// also where Make fails.
func Make(tablespace bool) (*Source, error) {
	s := &Source{}
	return s, s.Make(tablespace)
}

// Make makes one of which it is said where its second repository lies.
func (s *Source) Make(tablespace bool) (err error) {
	s.Kept, err = pitrtest.Make(s, tablespace)
	return err
}

// Prepare makes the places of both repositories.
func (s *Source) Prepare(k *pitrtest.Kept) (archive string, err error) {
	s.Kept = k
	s.Environ = append([]string{"PGBACKREST_REPO2_CIPHER_PASS=" + Key}, s.Opens...)
	if err := s.Mkdir("plain", "sealed", "lock"); err != nil {
		return "", err
	}
	if err := s.Config("pgbackrest.conf", "plain"); err != nil {
		return "", err
	}
	if s.Program, err = exec.LookPath("pgbackrest"); err != nil {
		return "", err
	}
	script := fmt.Sprintf("#!/bin/sh\n%s exec %s --config=%s --stanza=shop archive-push \"$1\"\n", strings.Join(s.Environ, " "), s.Program, s.Path("pgbackrest.conf"))
	return s.Path("archive-pgbackrest") + " %p", s.Write("archive-pgbackrest", script, 0o755)
}

// Begin makes the stanza.
func (s *Source) Begin() error { return s.Backrest("stanza-create") }

// Backup makes a full backup in both repositories, or an incremental one in the first.
func (s *Source) Backup(first bool) error {
	if !first {
		return s.Backrest("--repo=1", "--type=incr", "backup")
	}
	if err := s.Backrest("--repo=1", "--type=full", "backup"); err != nil {
		return err
	}
	return s.Backrest("--repo=2", "--type=full", "backup")
}

// Backrest runs pgBackRest on the stanza, as people do.
func (s *Source) Backrest(args ...string) error {
	return s.Run(nil, s.Program, append([]string{"--config=" + s.Path("pgbackrest.conf"), "--stanza=shop"}, args...)...)
}

// Config writes a configuration whose first repository is a directory. It has an option
// that no pgBackRest knows, of which each command complains.
func (s *Source) Config(name, repo string, more ...string) error {
	sealed := s.Path("sealed")
	if s.Bucket != nil {
		sealed = "/sealed\n" + strings.Join(s.Bucket, "\n")
	}
	text := fmt.Sprintf(`[global]
repo1-path=%s
repo1-retention-full=9
repo2-path=%s
repo2-retention-full=9
repo2-cipher-type=aes-256-cbc
compress-type=lz4
start-fast=y
log-level-file=off
unheard-of=y
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
`, s.Path(repo), sealed, s.Path("lock"), strings.Join(more, "\n"), s.Path("production"), s.Path("data"), s.Path("socket"))
	return s.Write(name, text, 0o600)
}
