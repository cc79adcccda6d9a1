package isolation

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"comeback/recovery/mounts"
)

// setRestReadOnly makes every mount read-only but those at or below the spared
// paths.
func setRestReadOnly(spared []string) error {
	all, err := mounts.Read()
	if err != nil {
		return err
	}
	for _, m := range all {
		point := m.Point
		if below(point, spared...) {
			continue
		}
		err := setReadOnly(point)
		// A mount point that is covered by another, or closed to the user,
		// cannot be reached by the program either.
		if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EACCES) && (!errors.Is(err, unix.EINVAL) || point == "/") {
			return fmt.Errorf("protect %s: %w", point, err)
		}
	}
	return nil
}

// setReadOnly makes one mount read-only, in this namespace alone, and leaves
// its other flags as they are.
func setReadOnly(point string) error {
	err := unix.MountSetattr(unix.AT_FDCWD, point, 0, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
	if !errors.Is(err, unix.ENOSYS) {
		return err
	}
	// Before Linux 5.12 the other flags must be said again.
	var st unix.Statfs_t
	if err := unix.Statfs(point, &st); err != nil {
		return err
	}
	const same = unix.ST_NOSUID | unix.ST_NODEV | unix.ST_NOEXEC | unix.ST_NOATIME | unix.ST_NODIRATIME
	flags := uintptr(st.Flags) & same // the numbers of statfs and mount are the same
	if st.Flags&unix.ST_RELATIME != 0 {
		flags |= unix.MS_RELATIME
	}
	return unix.Mount("", point, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|flags, "")
}

// kernelFiles are what the kernel is told by way of /proc.
var kernelFiles = []string{"sys", "sysrq-trigger", "irq", "bus", "fs", "acpi", "scsi", "mtrr", "latency_stats"}

// mountProc shows the box's own processes in /proc, and lets nothing change
// the kernel by it.
func mountProc() error {
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	for _, name := range kernelFiles {
		path := "/proc/" + name
		err := unix.Mount(path, path, "", unix.MS_BIND|unix.MS_REC, "")
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err == nil {
			err = setReadOnly(path)
		}
		if err != nil {
			return fmt.Errorf("protect %s: %w", path, err)
		}
	}
	return nil
}
