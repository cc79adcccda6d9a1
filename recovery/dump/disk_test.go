package dump_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/storage"
)

// fullDiskEnv names, for a process with a small disk, the directory of the copy; its
// TMPDIR is the disk.
const fullDiskEnv = "COMEBACK_TEST_FULL_DISK"

// A disk that fills up midway is told in PostgreSQL's own words, with what to
// do, and the run cleans up after itself. The small disk is a file system in
// memory in a mount namespace of a process of its own.
func TestRestore_FullDisk(t *testing.T) {
	dir := os.Getenv(fullDiskEnv)
	if dir == "" {
		for name, key := range map[string]string{"script": "a.sql.gz", "archive": "a.dump"} {
			t.Run(name, func(t *testing.T) { withSmallDisk(t, largeCopy(t, key)) })
		}
		return
	}
	store, err := storage.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	disk := os.TempDir()
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil { // nothing of it is seen outside
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=80m,mode=1777"); err != nil {
		t.Fatal(err)
	}
	end, _ := run(t, enginetest.Options{Event: func(e recovery.Event) {
		p, _ := e.Payload()
		if _, err := os.Stat(filepath.Join(dir, "a.dump")); err == nil && p == (recovery.StepStarted{Step: "restore", Attempt: 1}) {
			fill(t, filepath.Join(disk, "filler"), 600<<10)
		}
	}}, store)
	says, hint := enginetest.Failure(end)
	full := strings.Contains(strings.ToLower(says), "no space left on device") || strings.Contains(says, "wrote only ")
	if end.Result != recovery.ResultFailed || !full || !strings.Contains(hint, "make room") {
		t.Errorf("the run ended as %s: %q (%s)", end.Result, says, hint)
	}
}

// fill fills a disk with a file, but for some bytes.
func fill(t *testing.T, path string, left int64) {
	f, err := os.Create(path)
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	var size int64
	for zeros := make([]byte, 64<<10); err == nil; {
		var n int
		n, err = f.Write(zeros)
		size += int64(n)
	}
	if err := f.Truncate(size - left); err != nil {
		t.Error(err)
	}
}

// withSmallDisk runs the test again in a process that has a small one.
func withSmallDisk(t *testing.T, copy string) {
	disk, err := os.MkdirTemp("", "dump-test-") // t.TempDir is closed to the server's user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Remove(disk); err != nil {
			t.Error(err)
		}
	})
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRestore_FullDisk$", "-test.v")
	cmd.Env = append(os.Environ(), fullDiskEnv+"="+copy, "TMPDIR="+disk)
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
}

// largeCopy is a copy with one dump: a script that is small as it is stored and
// large as a table, or an archive that fits until somebody fills the disk.
func largeCopy(t *testing.T, key string) string {
	t.Helper()
	dir := t.TempDir()
	row := "1\t" + strings.Repeat("all work and no play ", 40) + "\n"
	content := gz(t, plainDump("15.1", "CREATE TABLE t (id integer, note text);\nCOPY t (id, note) FROM stdin;\n"+strings.Repeat(row, 60_000)+"\\.\n"))
	if key == "a.dump" {
		if err := query(t.Context(), "postgres", `create table large as select i, repeat('all work and no play ', 60) from generate_series(1, 1000) i`); err != nil {
			t.Fatal(err)
		}
		content = dumpOf(t, "postgres", "--format=custom", "--compress=0", "--table=large")
		if err := query(t.Context(), "postgres", "drop table large"); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, key), content, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}
