package trees

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// users are the programs that hold on to a tree itself, whatever it is called by now: by
// their working directory, their root, something in it that they have open, or a mount
// of it in another place, such as a container's. Of those that share such a mount the
// first is named. What this process may not look at is passed over.
func users(dir string) ([]string, error) {
	dir, err := filepath.EvalSymlinks(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	pids := map[int]string{}
	for _, at := range processes {
		if pid, err := strconv.Atoi(filepath.Base(at)); err == nil && pid != os.Getpid() {
			pids[pid] = at
		}
	}
	lies := mountedAt(dir)
	var found []string
	seen := map[string]bool{} // the namespaces whose mounts were looked at
	for _, pid := range slices.Sorted(maps.Keys(pids)) {
		at := pids[pid]
		comm, err := os.ReadFile(filepath.Join(at, "comm"))
		if err != nil {
			continue // it has ended
		}
		says := fmt.Sprintf("%s (%d)", strings.TrimSpace(string(comm)), pid)
		if holds(at, dir) {
			found = append(found, says)
		}
		namespace, err := os.Readlink(filepath.Join(at, "ns", "mnt"))
		if err != nil || seen[namespace] {
			continue
		}
		seen[namespace] = true
		for m := range mounts(at) {
			if m.device == lies.device && within(m.root, lies.root) {
				found = append(found, says+", for which it is mounted at "+m.point)
				break
			}
		}
	}
	return found, nil
}

// holds reports whether a process has something of a directory open.
func holds(process, dir string) bool {
	open, err := filepath.Glob(filepath.Join(process, "fd", "*"))
	if err != nil {
		return false
	}
	return slices.ContainsFunc(append(open, filepath.Join(process, "cwd"), filepath.Join(process, "root")), func(link string) bool {
		to, err := os.Readlink(link)
		return err == nil && within(to, dir)
	})
}

func within(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

// mount is a line of the kernel's table of mounts: what of which device is mounted where.
// The kernel says the name by which it goes now.
type mount struct{ id, device, root, point string }

func mounts(process string) func(yield func(mount) bool) {
	return func(yield func(mount) bool) {
		table, err := os.ReadFile(filepath.Join(process, "mountinfo"))
		if err != nil {
			return
		}
		for line := range strings.Lines(string(table)) {
			// "36 35 98:0 /root /the/mount/point options …", where \040 is a space.
			fields := strings.Fields(line)
			if len(fields) >= 5 && !yield(mount{fields[0], fields[2], unescaped.Replace(fields[3]), unescaped.Replace(fields[4])}) {
				return
			}
		}
	}
}

// unescaped are the characters that the kernel's table of mounts escapes.
var unescaped = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

// mountedAt is where a directory lies in its file system; it lies nowhere where that is
// not known.
func mountedAt(dir string) mount {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, dir, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_MNT_ID, &st); err != nil || st.Mask&unix.STATX_MNT_ID == 0 {
		return mount{}
	}
	for m := range mounts("/proc/self") {
		rel, err := filepath.Rel(m.point, dir)
		if m.id == strconv.FormatUint(st.Mnt_id, 10) && err == nil {
			m.root = filepath.Join(m.root, rel)
			return m
		}
	}
	return mount{}
}
