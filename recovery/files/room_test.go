package files_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/recovery/files"
	"comeback/storage"
)

// onSmallDisk runs a test in a process of its own, whose files lie on a disk of 288 MB: 32 MB
// more than what must stay free for what lives on it. Nothing of that is seen outside. It
// gives no disk where the process was only begun.
func onSmallDisk(t *testing.T) (disk string) {
	t.Helper()
	const env = "COMEBACK_TEST_SMALL_DISK"
	if os.Getenv(env) != "" {
		disk = os.TempDir()
		for _, err := range []error{unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""), unix.Mount("tmpfs", disk, "tmpfs", 0, "size=288m,mode=1777")} {
			if err != nil {
				t.Fatal(err)
			}
		}
		return disk
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env, cmd.Dir = append(os.Environ(), env+"=1", "TMPDIR="+t.TempDir()), "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Geteuid(), HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getegid(), HostID: os.Getegid(), Size: 1}}
		cmd.SysProcAttr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN}
	}
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Fatalf("%v\n%s", err, out)
	}
	return ""
}

// An archive that is larger than it looks is not unpacked to the end of a disk that something
// lives on; elsewhere it is.
func TestRestore_room(t *testing.T) {
	disk := onSmallDisk(t)
	if disk == "" {
		return
	}
	lives := filepath.Join(disk, "live")
	if err := os.Mkdir(lives, 0o700); err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("all work and no play ", 64<<20/21)
	var many []member
	for i := range 10_000 {
		many = append(many, member{tar.Header{Name: fmt.Sprint("f", i)}, "x"})
	}
	for name, members := range map[string][]member{"one large": {{tar.Header{Name: "a"}, text}}, "many small": many} {
		store := directory(t, map[string][]byte{"a.tar.gz": packed(t, tarOf(t, members...), "gzip", "-c")})
		for _, path := range []string{lives, "/srv/shop/uploads"} {
			c := recovery.Component{Name: "uploads", Kind: recovery.Files, Settings: recovery.Settings{"path": {path}}}
			var least int64
			o := options(t, engine(), c, store)
			o.Event = func(recovery.Event) {
				var s unix.Statfs_t
				if err := unix.Statfs(disk, &s); err != nil {
					t.Error(err)
				}
				if free := int64(s.Bavail) * s.Bsize; least == 0 || free < least {
					least = free
				}
			}
			end := enginetest.Restore(t, o)
			says, hint := enginetest.Failure(end)
			switch {
			case path != lives:
				passed(t, end)
			case end.Result != recovery.ResultRefused || !strings.Contains(says, "must stay free for what lives on that disk") || hint == "":
				t.Errorf("%s: the run ended as %s: %s (%s)", name, end.Result, says, hint)
			case least < 224<<20:
				t.Errorf("%s: %s were left of the disk", name, recovery.FormatBytes(least))
			}
		}
	}
}

// What restic would restore to the end of a disk is refused before it is begun; of a snapshot
// of more than the tree, the tree counts.
func TestRestic_room(t *testing.T) {
	disk := onSmallDisk(t)
	if disk == "" {
		return
	}
	lives, at := filepath.Join(disk, "live"), t.TempDir()
	text := []byte(strings.Repeat("all work and no play ", 40<<20/21))
	for _, err := range []error{os.MkdirAll(filepath.Join(lives, "small"), 0o700), os.MkdirAll(filepath.Join(lives, "large"), 0o700),
		os.WriteFile(filepath.Join(lives, "small", "a"), text[:1<<20], 0o600), os.WriteFile(filepath.Join(lives, "large", "a"), text, 0o600)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	restic(t, filepath.Join(at, "restic"), "/", "init")
	restic(t, filepath.Join(at, "restic"), "/", "backup", lives)
	if err := os.Truncate(filepath.Join(lives, "large", "a"), 0); err != nil {
		t.Fatal(err)
	}
	store, err := storage.OpenDir(at)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]recovery.Result{"small": recovery.ResultPassed, "large": recovery.ResultRefused} {
		c := recovery.Component{Name: "uploads", Kind: recovery.Files, With: files.Restic, Settings: recovery.Settings{
			"path": {filepath.Join(lives, name)}, "prefix": {"restic/"}, "password": {"${PASS}"}}}
		o := options(t, resticEngine(resticPassword), c, store)
		o.Environ = map[string]string{"PASS": resticPassword}
		end := enginetest.Restore(t, o)
		if says, hint := enginetest.Failure(end); end.Result != want || want == recovery.ResultRefused && (!strings.Contains(says, "of which") || hint == "") {
			t.Errorf("%s: the run ended as %s: %s (%s)", name, end.Result, says, hint)
		}
	}
}
