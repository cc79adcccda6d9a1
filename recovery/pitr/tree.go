package pitr

import (
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"comeback/recovery"
	"comeback/storage"
)

// The parts of a scratch target. Everything in it is the run's own.
const (
	dataDir   = "data"
	spacesDir = "tablespaces"
	feedDir   = "wal"
	exeFile   = "comeback"
)

// control is what makes a data directory startable. It is written under another
// name until everything else is there and proven.
const (
	control        = "global/pg_control"
	controlWaiting = control + ".waiting"
)

// emptyDirs are what PostgreSQL wants to find and object stores cannot hold.
var emptyDirs = []string{
	"base", "global", "pg_commit_ts", "pg_dynshmem", "pg_logical", "pg_logical/mappings", "pg_logical/snapshots",
	"pg_multixact", "pg_multixact/members", "pg_multixact/offsets", "pg_notify", "pg_replslot", "pg_serial",
	"pg_snapshots", "pg_stat", "pg_stat_tmp", "pg_subtrans", "pg_tblspc", "pg_twophase", "pg_wal",
	"pg_wal/archive_status", "pg_xact",
}

// tree writes the files of a base backup into a scratch target, compares each
// with the manifest, and gives them to the server's user. Links to tablespaces
// lead into the target, wherever they led on their own host. It is safe for
// concurrent use.
type tree struct {
	dir   string
	root  *os.Root // at dir
	owner recovery.User

	mu       sync.Mutex
	manifest *manifest
	written  map[string]bool // paths as the manifest names them
	unproven bool            // a file came before the manifest
	made     map[string]bool
	size     int64
	// foreign counts files that the manifest does not know; they are left out.
	foreign int

	// past is what an earlier attempt has left, and the ledger of this one;
	// kept counts the files of it that are not written again.
	past *copies
	kept int
	// unsynced is about how much was written since the last checkpoint, which
	// is due when it is syncEvery.
	unsynced, syncEvery int64
	checkpoint          func(says string) error
	meter               recovery.Meter // nil where nobody looks
}

// newTree begins, or goes on with what an earlier attempt left. Where nothing of
// that is believed it is removed.
func newTree(dir string, owner recovery.User, past *copies) (*tree, error) {
	if len(past.files) == 0 {
		for _, name := range []string{dataDir, spacesDir} {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				return nil, fmt.Errorf("remove what an earlier attempt left: %w", err)
			}
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the scratch directory: %w", err)
	}
	return &tree{dir: dir, root: root, owner: owner, written: map[string]bool{}, made: map[string]bool{".": true},
		past: past, syncEvery: defaultSyncEvery, checkpoint: func(string) error { return nil }}, nil
}

func (t *tree) Close() error { return t.root.Close() }

// Put writes one entry.
func (t *tree) Put(e Entry) error {
	name := path.Clean(e.Path)
	if !filepath.IsLocal(filepath.FromSlash(e.Path)) || strings.ContainsRune(e.Path, 0) {
		return fmt.Errorf("%w: the path %q leads out of the data directory", storage.ErrCorrupt, e.Path)
	}
	place, err := t.place(name)
	if err != nil {
		return err
	}
	switch {
	case e.Dir && leftOut(name):
		return t.finished(e, "")
	case e.Dir:
		if err := t.mkdir(place); err != nil || e.Object == "" {
			return err
		}
		return t.finished(e, place)
	case name == manifestName:
		return t.putManifest(place, e)
	}
	known, sum, err := t.expected(name, e)
	if err != nil {
		return err
	}
	if !known || leftOut(name) {
		place = ""
	}
	if err := t.write(place, e, sum); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := t.check(name, sum); err != nil {
		return err
	}
	return t.finished(e, place)
}

// leftOut reports whether a file must not come into the data directory. Replication slots
// are none of a server's that was restored: pg_basebackup brings none, and one of them may
// keep it from starting.
func leftOut(name string) bool {
	return strings.HasPrefix(name, "pg_replslot/") || name == "tablespace_map" || name == "postmaster.pid" || name == "postmaster.opts" || path.Dir(name) == "pg_wal/archive_status"
}

// place is where in the target a file of the data directory is written.
func (t *tree) place(name string) (string, error) {
	if name == control {
		return path.Join(dataDir, controlWaiting), nil
	}
	rest, ok := strings.CutPrefix(name, "pg_tblspc/")
	if !ok {
		return path.Join(dataDir, name), nil
	}
	oid, rest, _ := strings.Cut(rest, "/")
	if oid == "" || strings.Trim(oid, "0123456789") != "" {
		return "", fmt.Errorf("%w: %q is not a tablespace", storage.ErrCorrupt, name)
	}
	return path.Join(spacesDir, oid, rest), t.link(oid)
}

// link makes a tablespace and the link to it.
func (t *tree) link(oid string) error {
	space, link := path.Join(spacesDir, oid), path.Join(dataDir, "pg_tblspc", oid)
	if err := errors.Join(t.mkdir(space), t.mkdir(path.Dir(link))); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.made[link] {
		return nil
	}
	t.made[link] = true
	if to, err := t.root.Readlink(link); err == nil && to == filepath.Join(t.dir, space) {
		return nil // an earlier attempt made it
	}
	if err := t.root.Symlink(filepath.Join(t.dir, space), link); err != nil {
		return fmt.Errorf("link tablespace %s: %w", oid, err)
	}
	return t.own(link)
}

// mkdir makes a directory and those above it, private to the server's user.
func (t *tree) mkdir(name string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.mkdirLocked(name)
}

func (t *tree) mkdirLocked(name string) error {
	if t.made[name] {
		return nil
	}
	if err := t.mkdirLocked(path.Dir(name)); err != nil {
		return err
	}
	if err := t.root.Mkdir(name, 0o700); err != nil {
		if info, errStat := t.root.Lstat(name); errStat != nil || !info.IsDir() {
			return fmt.Errorf("make directory: %w", err)
		}
	}
	t.made[name] = true
	return t.own(name)
}

// Progress is told what came from the store.
func (t *tree) Progress(n int) {
	if t.meter != nil {
		t.meter.Add(int64(n))
	}
}

func (t *tree) own(name string) error {
	if t.owner.UID < 0 {
		return nil
	}
	if err := t.root.Lchown(name, t.owner.UID, t.owner.GID); err != nil {
		return fmt.Errorf("give %s to %s: %w", name, t.owner.Name, err)
	}
	return nil
}

// putManifest keeps the manifest, in the data directory and in memory.
func (t *tree) putManifest(place string, e Entry) error {
	out, err := t.create(place)
	if err != nil {
		return err
	}
	m, err := parseManifest(io.TeeReader(e.Body, out), nil)
	if err == nil { // to the end, where the object's own checksum is compared
		_, err = io.Copy(out, e.Body)
	}
	if err := errors.Join(err, out.Close()); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.manifest = &m
	return nil
}

// create makes a new file, private to the server's user.
func (t *tree) create(place string) (*os.File, error) {
	if err := t.mkdir(path.Dir(place)); err != nil {
		return nil, err
	}
	// A part of an earlier attempt is replaced, never written into.
	if err := t.root.Remove(place); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	out, err := t.root.OpenFile(place, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err := t.own(place); err != nil {
		return nil, errors.Join(err, out.Close())
	}
	return out, nil
}

// write writes a new file of the target. An empty place only sums it up; what
// is neither kept nor summed up is not even read.
func (t *tree) write(place string, e Entry, sum hash.Hash) error {
	var to []io.Writer
	if sum != nil {
		to = append(to, sum)
	}
	if place == "" {
		if sum == nil {
			return nil
		}
		_, err := io.Copy(sum, e.Body)
		return err
	}
	out, err := t.create(place)
	if err != nil {
		return err
	}
	n, err := io.Copy(io.MultiWriter(append(to, out)...), e.Body)
	t.mu.Lock()
	t.size += n
	t.mu.Unlock()
	return errors.Join(err, out.Close())
}
