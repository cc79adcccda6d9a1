package shop

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"comeback/recovery"
	"comeback/recovery/postgres"
	"comeback/storage"
)

// Layout is where the parts of a shop lie below its directory.
type Layout struct{ Dir string }

// Cluster is the server's data directory.
func (l Layout) Cluster() string { return filepath.Join(l.Dir, "cluster") }

// Copy is the copy that holds every backup; its URL is CopyURL.
func (l Layout) Copy() string { return filepath.Join(l.Dir, "copies", "nearby") }

// CopyURL is the copy as a runbook names it.
func (l Layout) CopyURL() string { return (&url.URL{Scheme: "file", Path: l.Copy()}).String() }

// Archive is where the server's WAL goes.
func (l Layout) Archive() string { return filepath.Join(l.Copy(), "wal") }

// Uploads is the tree of files that the table uploads lists.
func (l Layout) Uploads() string { return filepath.Join(l.Dir, "uploads") }

// Settings is the tree of the configuration, App the application's repository;
// a shop has them once it is furnished.
func (l Layout) Settings() string { return filepath.Join(l.Dir, "etc") }
func (l Layout) App() string      { return filepath.Join(l.Dir, "app") }

// store is the copy as a store.
func (l Layout) store() (storage.Store, error) { return storage.OpenDir(l.Copy()) }

// outbox is where a segment is copied to before it appears in the archive.
func (l Layout) outbox() string { return filepath.Join(l.Dir, "outbox") }

// log is the server's log.
func (l Layout) log() string { return filepath.Join(l.Dir, "server.log") }

// Socket is the directory of the server's socket: in the shop's own directory
// where the path is short enough for the kernel.
func (l Layout) Socket() string {
	dir := filepath.Join(l.Dir, "run")
	if len(dir)+len("/.s.PGSQL.5432.lock") > 107 {
		return postgres.SocketDir(l.Cluster())
	}
	return dir
}

// URL is how a role reaches a database of the cluster.
func (l Layout) URL(role, database string) string {
	q := url.Values{"host": {l.Socket()}, "port": {"5432"}, "user": {role}}
	return "postgres:///" + database + "?" + q.Encode()
}

// make makes the directories. Those that the server writes to are its user's,
// and it must be able to pass through those above.
func (l Layout) make(owner recovery.User) error {
	if !filepath.IsAbs(l.Dir) {
		return fmt.Errorf("open a shop in %s: the path is not absolute", l.Dir)
	}
	// Runbooks and configuration files name it: no reference, no line's end.
	if strings.ContainsFunc(l.Dir, func(r rune) bool { return r == '$' || unicode.IsControl(r) }) {
		return recovery.Errorf("choose another directory", "open a shop in %q: the path holds a character that a runbook cannot", l.Dir).WithExit(recovery.Usage)
	}
	if _, err := os.Lstat(l.Cluster()); err == nil {
		return recovery.Errorf("choose another directory", "open a shop in %s: there is one already", l.Dir).WithExit(recovery.Refused)
	}
	for _, dir := range []string{l.Dir, filepath.Dir(l.Copy()), l.Copy(), filepath.Join(l.Copy(), "db"), filepath.Join(l.Copy(), "base"), l.Uploads()} {
		if err := makeDir(dir, 0o711); err != nil {
			return err
		}
	}
	for _, dir := range []string{l.Cluster(), l.Archive(), l.outbox(), l.Socket()} {
		if err := makeDir(dir, 0o700); err != nil {
			return err
		}
		if err := own(dir, owner); err != nil {
			return err
		}
		if err := postgres.Reachable(dir, owner); err != nil {
			return err
		}
	}
	return nil
}

// own gives a path to the server's user.
func own(path string, owner recovery.User) error {
	if owner.UID < 0 {
		return nil
	}
	if err := os.Chown(path, owner.UID, owner.GID); err != nil {
		return fmt.Errorf("give %s to %s: %w", path, owner.Name, err)
	}
	return nil
}

func makeDir(dir string, mode fs.FileMode) error {
	if err := os.MkdirAll(dir, mode); err != nil {
		return recovery.Errorf("choose a directory that you may write to", "make the shop's directory: %w", err).WithExit(recovery.Usage)
	}
	return nil
}

func (l Layout) removeSocket() error {
	if err := os.RemoveAll(l.Socket()); err != nil {
		return fmt.Errorf("remove the socket's directory: %w", err)
	}
	return nil
}

// Remove stops the server and the application of a shop, whoever started them, proves that they are
// gone, and removes everything of the shop from its directory. It may be
// repeated, and works on whatever an interruption has left.
func Remove(ctx context.Context, dir string) error {
	l := Layout{dir}
	if err := l.closeApp(); err != nil {
		return fmt.Errorf("remove the shop: %w", err)
	}
	release := postgres.ReleaseCluster{}
	err := release.Release(ctx, recovery.Resource{Kind: recovery.Cluster, ID: l.Cluster(), Details: map[string]string{"socket": l.Socket()}})
	if err != nil {
		return fmt.Errorf("remove the shop: %w", err)
	}
	paths := []string{filepath.Dir(l.Copy()), l.Uploads(), l.Settings(), l.App(), l.outbox(), l.log(), l.visits(), l.serving()}
	for _, live := range []string{l.Cluster(), l.Uploads()} {
		old, errOld := filepath.Glob(live + ".old-*") // what recoveries have put aside
		paths, err = append(paths, old...), errors.Join(err, errOld)
	}
	for _, path := range paths {
		err = errors.Join(err, os.RemoveAll(path))
	}
	if err != nil {
		return fmt.Errorf("remove the shop: %w", err)
	}
	return nil
}
