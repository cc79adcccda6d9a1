package execute

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"

	"comeback/recovery"
)

// guard checks a condition immediately before an attempt at a step.
func (x *Executor) guard(g recovery.Guard, attempt int) error {
	if g.Kind != recovery.GuardRoom {
		return recovery.Errorf("use the version of comeback that made the plan",
			"refused: this version does not know the guard %q", g.Kind).WithExit(recovery.Refused)
	}
	t, err := x.target(g.Target)
	if err != nil {
		return err
	}
	need := g.Bytes
	if attempt > 1 { // what an earlier one has left is gone on with or replaced
		left, err := size(t.Place)
		if err != nil {
			return err
		}
		need = max(0, need-left)
	}
	return CheckRoom(t.Place, need)
}

// size is how many bytes of disk lie in a directory; none if it is not there.
// What vanishes meanwhile does not count.
func size(dir string) (int64, error) {
	var n int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			var info fs.FileInfo
			if info, err = d.Info(); err == nil {
				if s, ok := info.Sys().(*syscall.Stat_t); ok {
					n += s.Blocks * 512
				}
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("look how much lies in %s: %w", dir, err)
	}
	return n, nil
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
