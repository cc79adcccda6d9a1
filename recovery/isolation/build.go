package isolation

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// writable are the host's directories that stay writable in every box.
var writable = []string{"/tmp", "/var/tmp"}

// build turns the mount namespace of this process into the box's: what is kept
// is held fast, what is hidden is covered, what is kept comes back on top, and
// all the rest becomes read-only.
func (o orders) build() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("separate the mounts: %w", err)
	}
	defer unix.Umask(unix.Umask(0o022))
	keep := slices.Clone(o.Keep)
	for _, dir := range writable {
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			keep = append(keep, real)
		}
	}
	kept, err := hold(keep)
	if err != nil {
		return fmt.Errorf("%w: %w", errHiding, err)
	}
	nodes := slices.Clone(deviceNodes)
	if o.Terminal { // else it could be somebody's, whose session we are in
		nodes = append(nodes, "/dev/tty")
	}
	devices, err := hold(nodes)
	if err != nil {
		return err
	}
	links, err := linksIn("/run")
	if err != nil {
		return err
	}
	for _, dir := range private {
		if err := coverDirectory(dir, 0, "mode=0755"); err != nil {
			return err
		}
	}
	if err := furnishDevices(devices); err != nil {
		return err
	}
	for path, to := range links { // where a system's own paths begin, on some
		if err := os.Symlink(to, path); err != nil {
			return fmt.Errorf("furnish /run: %w", err)
		}
	}
	if err := o.cover(); err != nil {
		return err
	}
	for _, k := range kept {
		if err := k.putBack(); err != nil {
			return fmt.Errorf("%w: keep %s: %w", errHiding, k.path, err)
		}
	}
	for _, path := range o.Hide {
		if !o.keepsBelow(path) {
			continue // it is read-only from the beginning
		}
		// One below another that is hidden is a part of that by now.
		err := setReadOnly(path)
		if err != nil && !slices.ContainsFunc(o.Hide, func(other string) bool { return other != path && below(path, other) }) {
			return fmt.Errorf("%w: hide %s: %w", errHiding, path, err)
		}
	}
	spared := append(slices.Clone(private), "/proc")
	for _, k := range kept {
		spared = append(spared, k.path)
	}
	if err := setRestReadOnly(spared); err != nil {
		return err
	}
	if o.Processes {
		return mountProc()
	}
	return setReadOnly("/proc")
}

// cover hides what is to be hidden: a directory under an empty one, anything
// else under an empty file. Both are read-only from the moment that they are
// there, but for directories in which something is to be put back. The deepest
// come first, so that what is kept below one directory still has another below
// it covered.
func (o orders) cover() error {
	const place = "/run/hidden"
	const empty = place + "/file"
	if err := os.Mkdir(place, 0o700); err != nil {
		return fmt.Errorf("make an empty file: %w", err)
	}
	if err := coverDirectory(place, 0, "mode=0700"); err != nil {
		return err
	}
	if err := os.WriteFile(empty, nil, 0o400); err != nil {
		return fmt.Errorf("make an empty file: %w", err)
	}
	if err := unix.Mount("", place, "", unix.MS_REMOUNT|unix.MS_RDONLY|hiding, ""); err != nil {
		return fmt.Errorf("make an empty file: %w", err)
	}
	for _, path := range slices.Backward(o.Hide) {
		if err := o.coverOne(path, empty); err != nil {
			return fmt.Errorf("%w: hide %s: %w", errHiding, path, err)
		}
	}
	if err := unix.Unmount(place, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("put the empty file away: %w", err)
	}
	return os.Remove(place)
}

// coverOne hides one path, as it is now: no link that somebody has put in its place is
// followed.
func (o orders) coverOne(path, empty string) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // sockets and their directories come and go
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	flags := uintptr(unix.MS_RDONLY)
	if o.keepsBelow(path) {
		flags = 0
	}
	switch at := openFile(fd); st.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		return errors.New("it has become a link meanwhile")
	case unix.S_IFDIR:
		return unlessGone(unix.Mount("tmpfs", at, "tmpfs", hiding|flags, "mode=0555"))
	default:
		return unlessGone(unix.Mount(empty, at, "", unix.MS_BIND, ""))
	}
}

// unlessGone is an error but that of what has been removed meanwhile, which need not be
// hidden.
func unlessGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// openFile is the path of what an open file is, whatever is mounted over that.
func openFile(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }

// keepsBelow reports whether something is kept below a path.
func (o orders) keepsBelow(path string) bool {
	return slices.ContainsFunc(o.Keep, func(k string) bool { return k != path && below(k, path) })
}

// hiding are the flags of a mount that hides.
const hiding = unix.MS_NOSUID | unix.MS_NODEV

func coverDirectory(dir string, flags uintptr, options string) error {
	if err := unix.Mount("tmpfs", dir, "tmpfs", hiding|flags, options); err != nil {
		return fmt.Errorf("cover %s: %w", dir, err)
	}
	return nil
}

// held is a path of the host that is held by an open file, whatever is mounted
// over it.
type held struct {
	path string
	dir  bool
	fd   int
}

// hold opens paths, the shorter ones first; one that is not there is left out.
func hold(paths []string) ([]held, error) {
	slices.SortFunc(paths, func(a, b string) int { return len(a) - len(b) })
	var all []held
	for _, path := range slices.Compact(paths) {
		fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("hold %s: %w", path, err)
		}
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return nil, fmt.Errorf("hold %s: %w", path, err)
		}
		all = append(all, held{path: path, dir: st.Mode&unix.S_IFMT == unix.S_IFDIR, fd: fd})
	}
	return all, nil
}

// putBack mounts what is held at its path again, and makes the path where that
// was covered. What was covered below it stays covered.
func (h held) putBack() error {
	defer unix.Close(h.fd)
	if _, err := os.Lstat(h.path); errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(h.path), 0o755); err != nil {
			return err
		}
		if h.dir {
			err = os.Mkdir(h.path, 0o755)
		} else {
			err = os.WriteFile(h.path, nil, 0o600)
		}
		if err != nil {
			return err
		}
	}
	return unix.Mount(openFile(h.fd), h.path, "", unix.MS_BIND|unix.MS_REC, "")
}

// linksIn are the symbolic links of a directory, and where they lead.
func linksIn(dir string) (map[string]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("look for links: %w", err)
	}
	links := map[string]string{}
	for _, e := range entries {
		if e.Type()&fs.ModeSymlink == 0 {
			continue
		}
		path := filepath.Join(dir, e.Name())
		if to, err := os.Readlink(path); err == nil && !strings.HasPrefix(to, "/dev") {
			links[path] = to
		}
	}
	return links, nil
}
