package postgres

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

const leastTemporary = 1 << 30

// RoomSettings keep a session of a server from filling the disk that dir lies
// on: what it sorts on disk may take a third of what is free, or a gigabyte if
// that is more. They are for a server that is looked at: building an index in a
// restore may need more.
func RoomSettings(dir string) (map[string]string, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return nil, fmt.Errorf("look for room in %s: %w", dir, err)
	}
	limit := max(int64(s.Bavail)*s.Bsize/3, leastTemporary)
	return map[string]string{"temp_file_limit": strconv.FormatInt(limit>>10, 10) + "kB"}, nil
}
