package postgres

import (
	"strconv"

	"comeback/recovery/room"
)

const leastTemporary = 1 << 30

// RoomSettings keep a session of a server from filling the disk that dir lies
// on: what it sorts on disk may take a third of what is free, or a gigabyte if
// that is more. They are for a server that is looked at: building an index in a
// restore may need more.
func RoomSettings(dir string) (map[string]string, error) {
	free, _, err := room.On(dir)
	if err != nil {
		return nil, err
	}
	limit := max(free/3, leastTemporary)
	return map[string]string{"temp_file_limit": strconv.FormatInt(limit>>10, 10) + "kB"}, nil
}
