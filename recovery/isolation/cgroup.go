package isolation

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"comeback/recovery/mounts"
)

// A program that has no process namespace can leave others behind it, in a session and a
// group of their own. None of them leaves the control group in which it was started, unless
// it may write to the hierarchy, which takes root. So what runs in a box by somebody else's
// code, such as a database server that has the functions of a copy, is put into one with a
// name, and is ended by that.

// ErrNoCgroup: this host gives this process no control group. It needs version 2 of them
// (man 7 cgroups) and the right to write there.
var ErrNoCgroup = errors.New("no control group can be made here")

// MakeCgroup makes a control group with a name below that of this process, for
// [Box.Cgroup], and gives its directory. One that is there already is it.
func MakeCgroup(name string) (dir string, err error) {
	root, err := cgroupRoot()
	if err != nil {
		return "", err
	}
	own, err := ownCgroup()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(root, own, name)
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("%w: %w", ErrNoCgroup, err)
	}
	return dir, nil
}

// EndCgroups kills whatever is left in control groups with a name, whoever has made them
// and below whichever, and removes them when nothing is left. There may be none.
func EndCgroups(name string) error {
	root, err := cgroupRoot()
	if errors.Is(err, ErrNoCgroup) {
		return nil
	}
	if err != nil {
		return err
	}
	var found []string
	err = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil || !e.IsDir(): // groups of others come and go
			return nil
		case e.Name() == name:
			found = append(found, path)
			return fs.SkipDir
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("look for the control group %s: %w", name, err)
	}
	for _, dir := range found {
		if err := endCgroup(dir); err != nil {
			return fmt.Errorf("end what is left in the control group %s: %w", dir, err)
		}
	}
	return nil
}

// endCgroup kills what is in a control group and removes it.
func endCgroup(dir string) error {
	deadline := time.Now().Add(dying)
	for {
		err := os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0)
		if errors.Is(err, fs.ErrNotExist) { // before Linux 5.14, or there is no such group any more
			err = killEach(dir)
		}
		if err != nil {
			return err
		}
		// What is dying is not gone, and what is gone is in nobody's way.
		err = unix.Rmdir(dir)
		switch {
		case err == nil, errors.Is(err, unix.ENOENT):
			return nil
		case !errors.Is(err, unix.EBUSY):
			return &os.PathError{Op: "remove", Path: dir, Err: err}
		case time.Now().After(deadline):
			return errors.New("its processes do not end, not even by force")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// killEach kills what a control group lists; what they start meanwhile is in the next list.
func killEach(dir string) error {
	list, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, text := range strings.Fields(string(list)) {
		pid, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("kill process %d: %w", pid, err)
		}
	}
	return nil
}

// cgroupRoot is where the hierarchy of version 2 is mounted.
func cgroupRoot() (string, error) {
	all, err := mounts.Read()
	if err != nil {
		return "", err
	}
	for _, m := range all {
		if m.Type == "cgroup2" && m.Root == "/" {
			return m.Point, nil
		}
	}
	return "", fmt.Errorf("%w: the hierarchy of version 2 is not mounted", ErrNoCgroup)
}

// ownCgroup is the control group of this process in the hierarchy of version 2.
func ownCgroup() (string, error) {
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	for lines := bufio.NewScanner(bytes.NewReader(groups)); lines.Scan(); {
		if path, ok := strings.CutPrefix(lines.Text(), "0::"); ok {
			return path, nil
		}
	}
	return "", fmt.Errorf("%w: this process is in none of version 2", ErrNoCgroup)
}

// join puts a process into a control group.
func join(dir string, pid int) error {
	return os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0)
}
