package dump_test

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"comeback/enginetest"
	"comeback/recovery"
)

const fullDiskEnv = "COMEBACK_TEST_FULL_DISK"

// A disk that fills up midway is told in PostgreSQL's own words, with what to
// do, and the run cleans up after itself. The small disk is a file system in
// memory in place of /tmp, in a mount namespace of a process of its own.
func TestRestore_FullDisk(t *testing.T) {
	if os.Getenv(fullDiskEnv) == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRestore_FullDisk$", "-test.v")
		cmd.Env = append(os.Environ(), fullDiskEnv+"=1", "TMPDIR=/tmp")
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
		if os.Geteuid() != 0 {
			id := []syscall.SysProcIDMap{{ContainerID: os.Geteuid(), HostID: os.Geteuid(), Size: 1}}
			gid := []syscall.SysProcIDMap{{ContainerID: os.Getegid(), HostID: os.Getegid(), Size: 1}}
			cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
			cmd.SysProcAttr.UidMappings, cmd.SysProcAttr.GidMappings = id, gid
			cmd.SysProcAttr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN}
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	for _, mount := range []struct {
		source, kind, options string
		flags                 uintptr
	}{
		{flags: unix.MS_REC | unix.MS_PRIVATE, kind: ""}, // nothing of it is seen outside
		{source: "tmpfs", kind: "tmpfs", options: "size=80m,mode=1777"},
	} {
		at := "/tmp"
		if mount.kind == "" {
			at = "/"
		}
		if err := unix.Mount(mount.source, at, mount.kind, mount.flags, mount.options); err != nil {
			t.Fatal(err)
		}
	}
	// Small as it is stored, large as a table.
	row := "1\t" + strings.Repeat("all work and no play ", 40) + "\n"
	content := gz(t, plainDump("15.1", "CREATE TABLE t (id integer, note text);\nCOPY t (id, note) FROM stdin;\n"+strings.Repeat(row, 60_000)+"\\.\n"))
	end, _ := run(t, enginetest.Options{}, directory(t, map[string][]byte{"a.sql.gz": content}))
	says, hint := enginetest.Failure(end)
	if end.Result != recovery.ResultFailed || !strings.Contains(says, "No space left on device") || !strings.Contains(hint, "make room") {
		t.Errorf("the run ended as %s: %q (%s)", end.Result, says, hint)
	}
}
