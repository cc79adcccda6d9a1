//go:build race

package isolation

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// initProgram is the program that is the init of a box: in tests under the race
// detector one without it, where this user may execute that.
func initProgram() string {
	if tools := os.Getenv("COMEBACK_TOOLS"); tools != "" {
		if path := filepath.Join(tools, "standin"); unix.Access(path, unix.X_OK) == nil {
			return path
		}
	}
	return "/proc/self/exe"
}
