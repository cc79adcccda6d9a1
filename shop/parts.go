package shop

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed" // the application
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/recovery/files"
)

// server is the application: a web server that answers from the database, the
// uploads and the configuration.
//
//go:embed serve.pl
var server string

// Furnish gives the shop what stands beside its database: configuration with a
// secret in it, and an application in a git repository, deployed once. The table
// deployed lists the files of both as they were at each deploy.
func (s *Shop) Furnish(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	conn, err := s.session(ctx)
	if err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "create table deployed (part text, path text, sha256 text not null, primary key (part, path))"); err != nil {
		return fmt.Errorf("furnish the shop: %w", err)
	}
	for name, text := range map[string]string{
		"shop.conf":       "name = The shop\ncurrency = EUR\nuploads_max = 4 MB\n",
		"secrets/payment": "pk_" + s.word(24) + "\n",
		"secrets/session": s.word(40) + "\n",
	} {
		if err := writeFile(filepath.Join(s.Settings(), name), text, 0o640); err != nil {
			return fmt.Errorf("furnish the shop: %w", err)
		}
	}
	if err := os.Chmod(filepath.Join(s.Settings(), "secrets"), 0o700); err != nil {
		return fmt.Errorf("furnish the shop: %w", err)
	}
	if err := os.MkdirAll(s.App(), 0o755); err != nil {
		return fmt.Errorf("furnish the shop: %w", err)
	}
	if _, err := s.git(ctx, "init", "--quiet", "--template=", "--initial-branch=main", "."); err != nil {
		return err
	}
	_, err = s.deploy(ctx, "the first version")
	return err
}

// word is a random word of lower-case letters.
func (s *Shop) word(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a' + byte(s.random.IntN(26))
	}
	return string(b)
}

// Deploy changes the application and deploys it: a commit, a bundle in the copy,
// a line of the deploy record, and a transaction that lists what is live now.
func (s *Shop) Deploy(ctx context.Context, what string) (commit string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deploy(ctx, what)
}

func (s *Shop) deploy(ctx context.Context, what string) (string, error) {
	s.deploys++
	for name, text := range map[string]string{
		"VERSION":   fmt.Sprintf("%d: %s\n", s.deploys, what),
		"bin/serve": server,
	} {
		if err := writeFile(filepath.Join(s.App(), name), text, 0o755); err != nil {
			return "", fmt.Errorf("deploy: %w", err)
		}
	}
	if _, err := s.git(ctx, "add", "--all"); err != nil {
		return "", err
	}
	if _, err := s.git(ctx, "commit", "--quiet", "--message", what); err != nil {
		return "", err
	}
	commit, err := s.git(ctx, "rev-parse", "HEAD")
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Join(s.Copy(), "code"), 0o711); err != nil {
		return "", fmt.Errorf("deploy: %w", err)
	}
	if _, err := s.git(ctx, "bundle", "create", "--quiet", filepath.Join(s.Copy(), "code", fmt.Sprintf("shop-%d.bundle", s.deploys)), "--all"); err != nil {
		return "", err
	}
	at := s.options.Now().UTC()
	if err := s.listDeployed(ctx, what); err != nil {
		return "", err
	}
	record, err := os.OpenFile(filepath.Join(s.Copy(), "code", "deploys"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err == nil {
		_, err = fmt.Fprintf(record, "%s %s %s\n", at.Format(time.RFC3339Nano), commit, what)
		err = errors.Join(err, record.Close())
	}
	if err != nil {
		return "", fmt.Errorf("record the deploy: %w", err)
	}
	return commit, nil
}

// listDeployed lists the files of the application and of the configuration.
func (s *Shop) listDeployed(ctx context.Context, what string) error {
	var rows [][]any
	for part, dir := range map[string]string{"code": s.App(), "config": s.Settings()} {
		err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
			if err == nil && e.IsDir() && e.Name() == ".git" {
				return fs.SkipDir
			}
			if err != nil || e.IsDir() {
				return err
			}
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			name, err := filepath.Rel(dir, p)
			sum := sha256.Sum256(b)
			rows = append(rows, []any{part, name, hex.EncodeToString(sum[:])})
			return err
		})
		if err != nil {
			return fmt.Errorf("list what is deployed: %w", err)
		}
	}
	_, err := s.commit(ctx, transaction{does: "deploy " + what, counts: s.counts, do: func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "delete from deployed"); err != nil {
			return err
		}
		_, err := tx.CopyFrom(ctx, pgx.Identifier{"deployed"}, []string{"part", "path", "sha256"}, pgx.CopyFromRows(rows))
		return err
	}})
	if err != nil {
		return fmt.Errorf("list what is deployed: %w", err)
	}
	return nil
}

// BackupFiles makes snapshots of the uploads, and of the configuration for the
// recipients, while nobody writes. It gives their keys in the copy.
func (s *Shop) BackupFiles(ctx context.Context, recipients ...string) (uploads, config files.Captured, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	store, err := s.store()
	if err != nil {
		return uploads, config, err
	}
	uploads, err = files.Capture(ctx, files.CaptureOptions{Dir: s.Uploads(), Store: store, Prefix: "uploads/", Temp: s.Dir, Now: s.options.Now})
	if err != nil {
		return uploads, config, err
	}
	seal, err := files.Sealer(recipients, "")
	if err != nil {
		return uploads, config, err
	}
	config, err = files.Capture(ctx, files.CaptureOptions{Dir: s.Settings(), Store: store, Prefix: "config/", Temp: s.Dir, Now: s.options.Now, Seal: seal})
	return uploads, config, err
}

// Damage is what happened to the parts beside the database, each at its time.
type Damage struct {
	// Deleted and Overwritten are numbers of uploads.
	Deleted, Overwritten int
	// Setting is the file of the configuration that was changed, Commit the one
	// that was deployed in a hurry.
	Setting, Commit                 string
	UploadsAt, SettingsAt, CommitAt time.Time
}

// Vandalize damages what the migration has not: a clean-up job deletes every
// third upload and overwrites one, somebody changes a setting, and a fix that
// fixes nothing is deployed.
func (s *Shop) Vandalize(ctx context.Context) (Damage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var d Damage
	n := 0
	err := filepath.WalkDir(s.Uploads(), func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		switch n++; {
		case n%3 == 0:
			d.Deleted++
			return os.Remove(p)
		case n == 1:
			d.Overwritten++
			return os.WriteFile(p, []byte("encrypted; send one bitcoin\n"), 0o600)
		}
		return nil
	})
	if err != nil {
		return d, fmt.Errorf("damage the uploads: %w", err)
	}
	d.UploadsAt = s.options.Now()
	d.Setting = "shop.conf"
	if err := writeFile(filepath.Join(s.Settings(), d.Setting), "name = The shop\ncurrency = BTC\n", 0o640); err != nil {
		return d, fmt.Errorf("damage the configuration: %w", err)
	}
	d.SettingsAt = s.options.Now()
	d.Commit, err = s.deploy(ctx, "a fix in a hurry")
	d.CommitAt = s.options.Now()
	return d, err
}

// git runs git in the application's repository, with nothing of the user's own.
func (s *Shop) git(ctx context.Context, args ...string) (string, error) {
	var out bytes.Buffer
	own := []string{"-C", s.App(), "-c", "user.name=The shop", "-c", "user.email=shop@example.com", "-c", "core.hooksPath=/dev/null", "-c", "commit.gpgSign=false"}
	err := s.run(ctx, program{path: "git", args: append(own, args...), stdout: &out,
		env: []string{"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null"}})
	if err != nil {
		return "", fmt.Errorf("git %s: %w", args[0], err)
	}
	return strings.TrimSpace(out.String()), nil
}

func writeFile(name, text string, mode fs.FileMode) error {
	if err := os.MkdirAll(path.Dir(name), 0o711); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, text)
	return errors.Join(err, f.Close())
}
