package postgres

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// memoryLine is the line of postmaster.pid that names the server's System V
// shared memory, by key and identifier (PostgreSQL: utils/pidfile.h). It holds a
// few bytes and a kernel has room for 4096 of such; a server that was killed
// leaves it.
const memoryLine = 7

// removeMemory removes the shared memory that a killed server of a data
// directory left. What a process still holds, or what is another's by now, stays.
// The larger part, for parallel workers, lies in files of the data directory
// (dynamic_shared_memory_type in ScratchSettings).
func removeMemory(data string) error {
	b, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	lines := strings.Split(string(b), "\n")
	if len(lines) < memoryLine {
		return nil // it was killed before it had any
	}
	fields := strings.Fields(lines[memoryLine-1])
	if len(fields) != 2 {
		return nil
	}
	key, errKey := strconv.ParseUint(fields[0], 10, 32)
	id, errID := strconv.ParseInt(fields[1], 10, 32)
	if errKey != nil || errID != nil {
		return nil // torn: it was killed while it wrote
	}
	var info unix.SysvShmDesc
	_, err = unix.SysvShmCtl(int(id), unix.IPC_STAT, &info)
	switch {
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EIDRM), errors.Is(err, unix.EACCES):
		return nil // gone, or not this server's
	case err != nil:
		return fmt.Errorf("look at its shared memory: %w", err)
	case uint32(info.Perm.Key) != uint32(key) || info.Nattch > 0:
		return nil
	}
	if _, err = unix.SysvShmCtl(int(id), unix.IPC_RMID, nil); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EIDRM) {
		return fmt.Errorf("remove its shared memory: %w", err)
	}
	return nil
}
