package cnpg

import (
	"io/fs"
	"os"
	"syscall"
)

// ownedByUs reports whether a file is this process's user's.
func ownedByUs(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) == os.Geteuid()
}
