package files_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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

// A sparse file asks for the room of what is in it: of a snapshot before it, too, in which it
// had not changed. A snapshot that does not tell of holes, as those of earlier versions, asks
// for all of its bytes.
func TestSnapshot_sparse(t *testing.T) {
	disk := onSmallDisk(t)
	if disk == "" {
		return
	}
	lives := filepath.Join(disk, "live")
	if err := os.Mkdir(lives, 0o700); err != nil {
		t.Fatal(err)
	}
	const size, at = 128 << 20, 64<<20 + 100
	image := filepath.Join(lives, "image")
	f, err := os.Create(image)
	if err == nil {
		_, err = f.WriteAt([]byte("all work and no play"), at)
	}
	if err := errors.Join(err, f.Truncate(size), f.Close()); err != nil {
		t.Fatal(err)
	}
	store := directory(t, nil)
	var key string
	for n := range 2 {
		taken := capture(t, lives, store, later(n+1))
		if key = taken.Key; n == 1 && taken.New != 0 {
			t.Errorf("%d bytes are stored anew", taken.New)
		}
	}
	c := recovery.Component{Name: "uploads", Kind: recovery.Files, Settings: recovery.Settings{"path": {lives}}}
	o := options(t, engine(), c, store)
	o.Probe = func(_ context.Context, env recovery.Env) error {
		dir, err := treeOf(env, "uploads")
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Stat(filepath.Join(dir, "image"), &st); err != nil || st.Size != size || st.Blocks*512 > 64<<10 {
			t.Errorf("it has %d bytes, and takes %d: %v", st.Size, st.Blocks*512, err)
		}
		return nil
	}
	passed(t, enginetest.Restore(t, o))
	path := filepath.Join(strings.TrimPrefix(store.URL(), "file://"), filepath.FromSlash(key))
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before := regexp.MustCompile(`(?m)^holes \d+\n`).ReplaceAll(bytes.Replace(text, []byte("comeback-snapshot 3\n"), []byte("comeback-snapshot 1\n"), 1), nil)
	if err := os.WriteFile(path, before, 0o600); err != nil || bytes.Equal(before, text) {
		t.Fatalf("%v: %s", err, text)
	}
	if end := enginetest.Restore(t, options(t, engine(), c, store)); end.Result != recovery.ResultRefused {
		t.Errorf("without its holes the run ended as %s", end.Result)
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
