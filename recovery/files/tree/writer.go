package tree

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"comeback/recovery/files/tally"
	"comeback/storage"
)

// Writer writes a tree's files into a directory and nowhere else: whatever a path or a
// link says, package os keeps it inside. Files get their owner, mode and time
// at once, directories and links at the end (finish.go), so that nothing is
// written through a link of the tree's own. It is safe for concurrent use.
type Writer struct {
	// Room is asked now and then whether there still is some; nil where it was seen before.
	Room     func(more int64) error
	unlooked atomic.Int64 // how much was written since

	root *os.Root
	// aside is where files wait that come in the place of a link or a directory; it is made
	// when there is one.
	aside     *os.Root
	asidePath string
	reached   string // a directory that Finish has seen to be one
	// give says that files can be given to other users.
	give bool

	files, bytes atomic.Int64
	// outside counts links that lead out of the tree.
	outside atomic.Int64
	leads   atomic.Pointer[string] // one of them
	// unset are attributes that were not set, by why, grants files that give rights.
	unset  *tally.Tally
	grants grants
}

// Open opens a directory to write into.
func Open(dir string) (*Writer, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the tree: %w", err)
	}
	return &Writer{root: root, asidePath: dir + ".aside", give: os.Geteuid() == 0, unset: tally.New(dir+".unset", 0), grants: grantsIn(dir + keptGrants)}, nil
}

// Written is how many files this attempt has written, and their bytes.
func (t *Writer) Written() (files, bytes int64) { return t.files.Load(), t.bytes.Load() }

// Open opens a file of the tree.
func (t *Writer) Open(name string) (*os.File, error) { return t.root.Open(name) }

// Close gives the tree up; what is in it stays.
func (t *Writer) Close() error {
	err := t.root.Close()
	if t.aside != nil {
		err = errors.Join(err, t.aside.Close())
	}
	return err
}

// Put writes a file from body, which must give exactly its size and, where the
// record has one, its digest. Nothing is read of body where the failure is ErrOther.
func (t *Writer) Put(r Record, body io.Reader) error {
	out, err := t.create(r.Path)
	if err != nil {
		return fmt.Errorf("write %s: %w", Show(r.Path), err)
	}
	return t.fill(out, t.root, r.Path, r, body)
}

// fill writes a file that was just created, under the name that it has there.
func (t *Writer) fill(out *os.File, in *os.Root, name string, r Record, body io.Reader) error {
	if err := t.look(Hole); err != nil { // what the smallest file takes
		return errors.Join(fmt.Errorf("write %s: %w", Show(r.Path), err), out.Close())
	}
	sum := sha256.New()
	if r.SHA256 != "" {
		body = io.TeeReader(body, sum)
	}
	n, err := copySparse(out, roomy{body, t})
	switch {
	case err != nil:
	case n != r.Size:
		err = fmt.Errorf("%w: it has %d bytes, and %d were promised", storage.ErrCorrupt, n, r.Size)
	case r.SHA256 != "" && hex.EncodeToString(sum.Sum(nil)) != r.SHA256:
		err = fmt.Errorf("%w: its SHA-256 is %x, and %s was recorded", storage.ErrCorrupt, sum.Sum(nil), r.SHA256)
	default:
		err = t.dress(out, r)
	}
	if err == nil {
		err = date(out, in, name, r.Modified)
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("write %s: %w", Show(r.Path), err)
	}
	t.files.Add(1)
	t.bytes.Add(n)
	return nil
}

// roomEvery is how much is written between two looks for room.
const roomEvery = 16 << 20

// look looks for room now and then, of so many bytes that are about to be written.
func (t *Writer) look(n int64) error {
	if t.Room == nil || t.unlooked.Add(n) < roomEvery {
		return nil
	}
	t.unlooked.Store(0)
	return t.Room(0)
}

// roomy reads what a tree is about to write, while there is room.
type roomy struct {
	in   io.Reader
	tree *Writer
}

func (r roomy) Read(b []byte) (int, error) {
	n, err := r.in.Read(b)
	if n > 0 && (err == nil || err == io.EOF) {
		if full := r.tree.look(int64(n)); full != nil {
			err = full
		}
	}
	return n, err
}

// create makes a new file in the place of whatever an earlier attempt has left
// there, and the directories above it.
func (t *Writer) create(name string) (*os.File, error) {
	const flags = os.O_WRONLY | os.O_CREATE | os.O_EXCL
	out, err := t.root.OpenFile(name, flags, 0o600)
	switch {
	case notThere(err):
		if err := t.mkdir(path.Dir(name)); err != nil {
			return nil, err
		}
	case errors.Is(err, fs.ErrExist):
		if err := t.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	default:
		return out, err
	}
	return t.root.OpenFile(name, flags, 0o600)
}

// ErrOther says of a directory that something else has its name.
var ErrOther = errors.New("is a directory and something else")

// notThere reports whether nothing has a name, be it that what it lies in is no directory.
func notThere(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// mkdir makes a directory and those above it, private until they are dressed.
func (t *Writer) mkdir(name string) error {
	info, err := t.root.Lstat(name)
	switch {
	case err == nil && info.IsDir():
		return nil
	case err == nil:
		return fmt.Errorf("%w: %s %w", storage.ErrCorrupt, Show(name), ErrOther)
	case !notThere(err):
		return err
	}
	if err := t.mkdir(path.Dir(name)); err != nil {
		return err
	}
	if err := t.root.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// dress gives an open file its owner, attributes and mode. The mode comes after the
// owner, whose change takes the set-user-ID bit away, and capabilities.
func (t *Writer) dress(out *os.File, r Record) error {
	if err := t.own(r, out.Chown); err != nil {
		return err
	}
	group, err := t.attribute(out, r)
	if err != nil {
		return err
	}
	r = r.without(group)
	if err := out.Chmod(r.permissions()); err != nil {
		return err
	}
	if !t.give && !thisProcess().can(r.UID, r.GID) {
		r.UID, r.GID = os.Geteuid(), os.Getegid()
	}
	return t.grants.see(r.Path, r.Mode, r.UID, r.GID)
}

// date gives an open file its time, under the name that it has there where the kernel dates
// no open files by themselves (before Linux 5.8). By its name the directory above it would be
// opened once more for each file.
func date(out *os.File, in *os.Root, name string, modified time.Time) error {
	at, err := unix.TimeToTimespec(modified)
	if err == nil {
		err = unix.UtimesNanoAt(int(out.Fd()), "", []unix.Timespec{{Nsec: unix.UTIME_OMIT}, at}, unix.AT_EMPTY_PATH)
	}
	switch {
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOENT), errors.Is(err, unix.ERANGE):
		return in.Chtimes(name, time.Time{}, modified)
	case err != nil:
		return &fs.PathError{Op: "set the time", Path: out.Name(), Err: err}
	}
	return nil
}

// own keeps the owner where this process may give files away, or the group where it is one of
// its own.
func (t *Writer) own(r Record, chown func(uid, gid int) error) error {
	switch {
	case t.give:
		return chown(r.UID, r.GID)
	case thisProcess().can(r.UID, r.GID) && r.GID != os.Getegid():
		return chown(-1, r.GID)
	}
	return nil
}

// Show is a path as a sentence can hold it.
func Show(p string) string { return fmt.Sprintf("%.200q", p) }
