package dump

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"comeback/recovery"
	"comeback/recovery/postgres"
)

// toDisk returns when everything of the cluster is on disk. One call for the whole
// file system takes a fraction of what a call for each of thousands of files
// takes; what it costs besides is to write what others have not written yet. Kernels
// that would not tell it of a failed write are given the files one by one.
func (s scratch) toDisk(ctx context.Context, env recovery.Env, c postgres.Cluster) error {
	if !tellsOfFailures() {
		return env.Command(ctx, recovery.Cmd{Path: c.Tools.Program("initdb"), Args: []string{"--sync-only", "--pgdata", c.Data}, Dir: "/",
			Env: []string{"LC_ALL=C", "PATH=/usr/bin:/bin"}, User: userOf(s.handle)})
	}
	d, err := os.Open(c.Data)
	if err != nil {
		return err
	}
	defer d.Close()
	return unix.Syncfs(int(d.Fd()))
}

// tellsOfFailures reports whether syncfs gives the errors of earlier writes, as
// Linux does since 5.8.
func tellsOfFailures() bool {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return false
	}
	var major, minor int
	if _, err := fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &major, &minor); err != nil {
		return false
	}
	return major > 5 || major == 5 && minor >= 8
}
