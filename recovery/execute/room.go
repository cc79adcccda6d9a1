package execute

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"

	"comeback/recovery"
)

// guard checks a condition immediately before a step.
func (x *Executor) guard(g recovery.Guard) error {
	if g.Kind != recovery.GuardRoom {
		return recovery.Errorf("use the version of comeback that made the plan",
			"refused: this version does not know the guard %q", g.Kind).WithExit(recovery.Refused)
	}
	t, err := x.target(g.Target)
	if err != nil {
		return err
	}
	return CheckRoom(t.Place, g.Bytes)
}

// CheckRoom refuses where fewer than need bytes are free for this user on the
// file system that dir lies on, or will lie on once it is created.
func CheckRoom(dir string, need int64) error {
	free, err := Room(dir)
	if err != nil {
		return err
	}
	if free < need {
		return recovery.Errorf("make room, or choose another place with --scratch",
			"refused: %s needs %s and has %s free", dir, recovery.FormatBytes(need), recovery.FormatBytes(free)).WithExit(recovery.Refused)
	}
	return nil
}

// Room is the number of bytes free for this user where dir lies.
func Room(dir string) (int64, error) {
	for {
		var s syscall.Statfs_t
		err := syscall.Statfs(dir, &s)
		if err == nil {
			return int64(s.Bavail) * s.Bsize, nil
		}
		parent := filepath.Dir(dir)
		if !errors.Is(err, fs.ErrNotExist) || parent == dir {
			return 0, fmt.Errorf("look for room in %s: %w", dir, err)
		}
		dir = parent
	}
}
