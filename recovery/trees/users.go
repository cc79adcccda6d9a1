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

	"comeback/recovery/mounts"
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
		theirs, err := mounts.Of(at)
		if err != nil {
			continue // it has ended, or may not be looked at
		}
		for _, m := range theirs {
			if m.Device == lies.Device && within(m.Root, lies.Root) {
				found = append(found, says+", for which it is mounted at "+m.Point)
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

// mountedAt is where a directory lies in its file system, as a mount of it there would be
// called; it lies nowhere where that is not known.
func mountedAt(dir string) mounts.Mount {
	m, seen, err := mounts.Through(dir)
	if err != nil || !seen {
		return mounts.Mount{}
	}
	if m.Root, err = m.Inside(dir); err != nil {
		return mounts.Mount{}
	}
	return m
}
