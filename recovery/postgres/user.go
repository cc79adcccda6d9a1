package postgres

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"comeback/recovery"
)

// ServerUser is who servers run as: the current user, with ids of -1, or for
// root, whom PostgreSQL refuses, the user postgres (else nobody).
func ServerUser() (recovery.User, error) {
	if os.Geteuid() != 0 {
		u, err := user.Current()
		if err != nil {
			return recovery.User{}, fmt.Errorf("find the current user: %w", err)
		}
		return recovery.User{Name: u.Username, UID: -1, GID: -1}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.Atoi(u.Uid)
		gid, errGID := strconv.Atoi(u.Gid)
		if errUID == nil && errGID == nil && uid != 0 {
			return recovery.User{Name: name, UID: uid, GID: gid}, nil
		}
	}
	return recovery.User{}, recovery.Errorf("create the user postgres, or run comeback as an ordinary user",
		"PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody").WithExit(recovery.Usage)
}

// own gives a path to the server's user.
func own(path string, u recovery.User) error {
	if u.UID < 0 {
		return nil
	}
	if err := os.Lchown(path, u.UID, u.GID); err != nil {
		return fmt.Errorf("give %s to %s: %w", path, u.Name, err)
	}
	return nil
}

// Reachable reports whether the server's user can get through every directory
// above path, and names the first that is closed to it.
func Reachable(path string, u recovery.User) error {
	if u.UID < 0 {
		return nil
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("look at the directories above %s: %w", path, err)
	}
	for {
		info, err := os.Stat(dir)
		if err != nil {
			return fmt.Errorf("look at the directories above %s: %w", path, err)
		}
		if !passable(info, u) {
			return recovery.Errorf(fmt.Sprintf("let it pass (chmod o+x %s), or choose a place outside, for example under /var/tmp", dir),
				"the server runs as %s, who may not enter %s", u.Name, dir).WithExit(recovery.Refused)
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
		dir = filepath.Dir(dir)
	}
}

// passable reports whether u may search a directory; groups other than the
// user's own are not counted, because servers are started without them.
func passable(info fs.FileInfo, u recovery.User) bool {
	mode := info.Mode().Perm()
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return mode&0o001 != 0
	case int(st.Uid) == u.UID:
		return mode&0o100 != 0
	case int(st.Gid) == u.GID:
		return mode&0o010 != 0
	}
	return mode&0o001 != 0
}
