package execute

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"comeback/recovery"
)

// closedEnv names, for a process of a plain user, what it is to remove.
const closedEnv = "COMEBACK_TEST_CLOSED"

// A restored tree whose directories may not be written to is removed as well, by
// a user who is not root.
func TestRemoveDirectory_closed(t *testing.T) {
	if dir := os.Getenv(closedEnv); dir != "" {
		if err := (removeDirectory{}).Release(t.Context(), recovery.Resource{Kind: recovery.Directory, ID: dir}); err != nil {
			t.Error(err)
		}
		return
	}
	place, err := os.MkdirTemp("", "cbt-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(place) })
	dir := filepath.Join(place, "run", "uploads", "closed")
	for _, err := range []error{os.MkdirAll(filepath.Join(dir, "below"), 0o755), os.WriteFile(filepath.Join(dir, "below", "file"), nil, 0o400),
		os.Symlink("/etc", filepath.Join(dir, "link"))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(place, "test")
	b, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(program, b, 0o755)
	}
	if err == nil {
		err = os.Chmod(place, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestRemoveDirectory_closed$")
	cmd.Env, cmd.Dir = append(os.Environ(), closedEnv+"="+filepath.Join(place, "run")), "/"
	if os.Geteuid() == 0 {
		const nobody = 65534
		err := filepath.WalkDir(place, func(p string, _ fs.DirEntry, err error) error {
			return errors.Join(err, os.Lchown(p, nobody, nobody))
		})
		if err != nil {
			t.Fatal(err)
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	for _, closed := range []string{filepath.Join(dir, "below"), dir} {
		if err := os.Chmod(closed, 0o500); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if _, err := os.Lstat(filepath.Join(place, "run")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
}
