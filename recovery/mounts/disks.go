package mounts

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Disks are the names of the whole disks on which a place lies that is there: "sda", several
// where a volume has parts of each. A partition fails with its disk, a volume with what it
// lies on, and a part of btrfs or of a pool of ZFS with all of that. It is nil where the kernel
// does not tell: of what lies in memory, in layers, in a file of another file system, or far
// away.
func Disks(place string) ([]string, error) {
	real, err := filepath.EvalSymlinks(place)
	if err != nil {
		return nil, fmt.Errorf("look on which disk %s lies: %w", place, err)
	}
	m, seen, err := Through(real)
	if err != nil {
		return nil, err
	}
	if !seen {
		var st unix.Stat_t
		if err := unix.Stat(real, &st); err != nil {
			return nil, fmt.Errorf("look on which disk %s lies: %w", place, err)
		}
		m.Device = fmt.Sprintf("%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev))
	}
	return m.disks("/sys"), nil
}

// disks goes by what the kernel shows in sys.
func (m Mount) disks(sys string) []string {
	if m.Type == "zfs" {
		pool, _, _ := strings.Cut(m.Source, "/")
		return []string{"ZFS pool " + pool}
	}
	device := filepath.Join(sys, "dev/block", m.Device)
	if _, err := os.Stat(device); err == nil {
		return whole(sys, device, 0)
	}
	// btrfs gives each part of itself a number that is no device's.
	name, ok := strings.CutPrefix(m.Source, "/dev/")
	if !ok {
		return nil
	}
	if real, err := filepath.EvalSymlinks(m.Source); err == nil {
		name = filepath.Base(real)
	}
	parts := []string{filepath.Join(sys, "class/block", name)}
	if of, err := filepath.Glob(filepath.Join(sys, "fs/btrfs/*/devices", name)); err == nil && len(of) > 0 {
		parts, _ = filepath.Glob(filepath.Join(filepath.Dir(of[0]), "*"))
	}
	return union(sys, parts, 0)
}

// deepest bounds how many layers a volume has.
const deepest = 16

// whole are the disks that a block device lies on, by its directory in sys; nil where not all
// of them are known.
func whole(sys, device string, depth int) []string {
	dir, err := filepath.EvalSymlinks(device)
	if err != nil || depth > deepest {
		return nil
	}
	there := func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	}
	if there("partition") {
		dir = filepath.Dir(dir)
	}
	if there("loop/backing_file") {
		return nil
	}
	if below, err := filepath.Glob(filepath.Join(dir, "slaves/*")); err == nil && len(below) > 0 {
		return union(sys, below, depth+1)
	}
	return []string{filepath.Base(dir)}
}

// union are the disks of several devices, by their names in sys.
func union(sys string, devices []string, depth int) (all []string) {
	for _, d := range devices {
		disks := whole(sys, filepath.Join(sys, "class/block", filepath.Base(d)), depth)
		if disks == nil {
			return nil
		}
		all = append(all, disks...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
