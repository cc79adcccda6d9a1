package isolation

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// deviceNodes are the devices of a box: no disk, no terminal of another.
var deviceNodes = []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"}

// deviceLinks are names that programs expect.
var deviceLinks = map[string]string{
	"/dev/fd": "/proc/self/fd", "/dev/stdin": "/proc/self/fd/0", "/dev/stdout": "/proc/self/fd/1",
	"/dev/stderr": "/proc/self/fd/2", "/dev/ptmx": "pts/ptmx",
}

// furnishDevices fills an empty /dev: the harmless nodes of the host, pseudo
// terminals and shared memory of its own.
func furnishDevices(nodes []held) error {
	for _, n := range nodes {
		if err := n.putBack(); err != nil {
			return fmt.Errorf("furnish %s: %w", n.path, err)
		}
	}
	for path, to := range deviceLinks {
		if err := os.Symlink(to, path); err != nil {
			return fmt.Errorf("furnish /dev: %w", err)
		}
	}
	for _, m := range []struct{ dir, kind, options string }{
		{"/dev/pts", "devpts", "newinstance,ptmxmode=0666,mode=0620"},
		{"/dev/shm", "tmpfs", "mode=1777"},
	} {
		if err := os.Mkdir(m.dir, 0o755); err != nil {
			return fmt.Errorf("furnish /dev: %w", err)
		}
		if err := unix.Mount(m.kind, m.dir, m.kind, unix.MS_NOSUID|unix.MS_NOEXEC, m.options); err != nil {
			return fmt.Errorf("furnish %s: %w", m.dir, err)
		}
	}
	return nil
}
