// Package mounts reads the kernel's table of mounts: what of which file system is seen at
// which place, and where a place lies in its file system, whatever it is called.
//
// It reads /proc/PID/mountinfo, each line whole, and gives paths as they are, without the
// kernel's escapes. A line that it cannot read is passed over; that the table cannot be read
// is an error. It changes nothing, and follows no link but that of a directory which it is
// given.
package mounts

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"comeback/recovery"
)

// Mount is a line of the table. The kernel says the names by which things go now.
type Mount struct {
	ID uint64
	// Device is the file system's, as "98:0".
	Device string
	// Root is what of the file system is mounted, "/" where that is all of it; Point is where.
	Root, Point string
	// Type is the file system's: "ext4", "cgroup2"; Source is what it was mounted from:
	// "/dev/vda1", "tank/data".
	Type, Source string
}

// Read is the table of this process: of the mount namespace that it is in, as far as its own
// root lets it see.
func Read() ([]Mount, error) { return Of("/proc/self") }

// Of is the table of a process, which goes by its directory: "/proc/4711".
func Of(process string) ([]Mount, error) {
	table, err := os.ReadFile(filepath.Join(process, "mountinfo"))
	if err != nil {
		return nil, fmt.Errorf("read the table of mounts: %w", err)
	}
	return parse(string(table)), nil
}

// parse reads lines like "36 35 98:0 /root /the/mount/point rw,noatime shared:1 - ext4
// /dev/vda1 rw", of which the number of fields before the dash differs; see man 5 proc.
func parse(table string) (all []Mount) {
	for line := range strings.Lines(table) {
		before, after, _ := strings.Cut(line, " - ")
		fields := strings.Fields(before)
		if len(fields) < 5 {
			continue
		}
		id, err := strconv.ParseUint(fields[0], 10, 64)
		if err != nil {
			continue
		}
		m := Mount{ID: id, Device: fields[2], Root: unescape(fields[3]), Point: unescape(fields[4])}
		m.Type, after, _ = strings.Cut(after, " ")
		source, _, _ := strings.Cut(after, " ")
		m.Source = unescape(source)
		all = append(all, m)
	}
	return all
}

// unescape reads the three-digit octal numbers in which the kernel writes blanks and
// backslashes of a path.
func unescape(path string) string {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] == '\\' && i+3 < len(path) {
			if n, err := strconv.ParseUint(path[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(path[i])
	}
	return b.String()
}

// Mounted is why a directory is not removed: what is mounted there, or below it, would lose
// what it holds.
type Mounted struct{ Point, Dir string }

func (m *Mounted) Error() string {
	if m.Point == m.Dir {
		return fmt.Sprintf("something is mounted at %s", m.Dir)
	}
	return fmt.Sprintf("%s is mounted below %s", m.Point, m.Dir)
}

// NothingIn refuses, as *Mounted, a directory that is about to be removed, or to be moved, where
// something is mounted at it or below. Links above it are followed; a directory that is not
// there is no error.
func NothingIn(dir string) error {
	above, err := filepath.EvalSymlinks(filepath.Dir(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var all []Mount
	if err == nil {
		dir = filepath.Join(above, filepath.Base(dir))
		all, err = Read()
	}
	if err != nil {
		return fmt.Errorf("look what is mounted below %s: %w", dir, err)
	}
	for _, m := range all {
		if m.Point == dir || strings.HasPrefix(m.Point, strings.TrimSuffix(dir, "/")+"/") {
			return recovery.Errorf("unmount it, then try again", "%w", &Mounted{Point: m.Point, Dir: dir}).WithExit(recovery.Refused)
		}
	}
	return nil
}

// Through is the mount through which a place is seen; links above it are followed, one that
// it is itself is not. Seen is false where the kernel does not tell, as before Linux 5.8, and
// where this process's table does not have that mount.
func Through(place string) (m Mount, seen bool, err error) {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, place, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_MNT_ID, &st); err != nil {
		return Mount{}, false, fmt.Errorf("look through which mount %s is seen: %w", place, err)
	}
	if st.Mask&unix.STATX_MNT_ID == 0 {
		return Mount{}, false, nil
	}
	all, err := Read()
	if err != nil {
		return Mount{}, false, err
	}
	for _, m := range all {
		if m.ID == st.Mnt_id {
			return m, true, nil
		}
	}
	return Mount{}, false, nil
}

// Inside is where a place that is seen through the mount lies in the file system; the place
// is a whole path without links in it.
func (m Mount) Inside(place string) (string, error) {
	rel, err := filepath.Rel(m.Point, place)
	if err != nil {
		return "", fmt.Errorf("look where %s lies below %s: %w", place, m.Point, err)
	}
	return filepath.Join(m.Root, rel), nil
}
