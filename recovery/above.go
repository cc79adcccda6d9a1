package recovery

import (
	"path/filepath"
	"strings"
)

// Above is the directory that all of some absolute paths lie in, the nearest: what a backup of
// several is taken below, and what the names in it are relative to.
func Above(paths []string) string {
	dir := filepath.Dir(filepath.Clean(paths[0]))
	for _, p := range paths[1:] {
		for p = filepath.Clean(p); dir != "/" && p != dir && !strings.HasPrefix(p, dir+"/"); {
			dir = filepath.Dir(dir)
		}
	}
	return dir
}
