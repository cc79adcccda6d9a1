package files_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/recovery/files"
	"comeback/storage"
)

const (
	disownedEnv = "COMEBACK_TEST_DISOWNED"
	nobody      = 65534
)

// An ordinary user gives nobody files: how many names are not their owners' is told with the
// restored tree, whatever the backup, and as often by the attempt after one that was cut off.
func TestRestore_disowned(t *testing.T) {
	place := os.Getenv(disownedEnv)
	switch {
	case place != "":
		restoreDisowned(t, place)
	case os.Geteuid() != 0:
		t.Fatal("files of others can be made by root only")
	default:
		asNobody(t, backupsOfOthers(t))
	}
}

// backupsOfOthers makes a place of nobody's with backups of a tree that is others' mostly, and
// how many names are.
func backupsOfOthers(t *testing.T) string {
	t.Helper()
	place, err := os.MkdirTemp("", "cbd-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(place); err != nil {
			t.Error(err)
		}
	})
	dir, names := manyFiles(t, 60, 4000), 0
	chown := func(top string, uid int, seen func(path string)) {
		t.Helper()
		err := filepath.WalkDir(top, func(path string, _ fs.DirEntry, err error) error {
			seen(path)
			return errors.Join(err, os.Lchown(path, uid, uid))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("00", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	chown(dir, 33, func(string) { names++ })
	chown(filepath.Join(dir, "00"), nobody, func(string) { names-- })
	inside := archived(t, dir, ".")
	copy := filepath.Join(place, "copy")
	for name, content := range map[string][]byte{"copy/archive/uploads.tar": inside, "copy/packed/uploads.tar.gz": packed(t, inside, "gzip", "-c"), "tmp/names": fmt.Append(nil, names), "tmp/dir": []byte(dir)} {
		path := filepath.Join(place, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	store, err := storage.OpenDir(copy)
	if err != nil {
		t.Fatal(err)
	}
	capture(t, dir, store, later(1))
	restic(t, filepath.Join(copy, "restic"), "/", "init")
	restic(t, filepath.Join(copy, "restic"), "/", "backup", dir)
	chown(place, nobody, func(string) {})
	return place
}

// asNobody runs this test as an ordinary user, in a copy of this program that others may reach.
func asNobody(t *testing.T, place string) {
	t.Helper()
	program := filepath.Join(place, "files.test")
	b, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(program, b, 0o755)
	}
	if err := errors.Join(err, os.Chmod(program, 0o755)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "-test.v", "-test.run=^TestRestore_disowned$")
	cmd.Dir, cmd.Env = place, append(os.Environ(), disownedEnv+"="+place, "TMPDIR="+filepath.Join(place, "tmp"), "HOME="+place)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("\n--- PASS: TestRestore_disowned")) {
		t.Errorf("as an ordinary user: %v\n%s", err, out)
	}
}

func restoreDisowned(t *testing.T, place string) {
	names, err := os.ReadFile(filepath.Join(place, "tmp", "names"))
	dir, errDir := os.ReadFile(filepath.Join(place, "tmp", "dir"))
	store, errStore := storage.OpenDir(filepath.Join(place, "copy"))
	if err := errors.Join(err, errDir, errStore); err != nil {
		t.Fatal(err)
	}
	want := string(names) + " names, the first "
	told := func(_ context.Context, env recovery.Env) (string, error) {
		b, _ := env.Binding("uploads")
		return b.Disowned, nil
	}
	for _, prefix := range []string{"archive/", "packed/", "uploads/"} {
		t.Run(prefix, func(t *testing.T) {
			c := liveAt(string(dir))
			c.Settings["prefix"] = []string{prefix}
			crash := crashingIn(t, engine(), c, store)
			crash.Digest = told
			whole := crash.Run(t)
			if !strings.HasPrefix(whole.Restored, want) || !strings.HasSuffix(whole.Restored, " of user 33, group 33") {
				t.Errorf("it tells %q, want %s", whole.Restored, want)
			}
			if says := strings.Join(whole.Steps[0].Outcome.Remarks, "; "); !strings.Contains(says, whole.Restored+", belong to the user of this run") {
				t.Errorf("the remarks are %q", says)
			}
			crash.Cuts = []enginetest.Cut{{Bytes: whole.Read / 2}}
			crash.Whole(t, whole.Restored)
		})
	}
	t.Run("restic", func(t *testing.T) {
		c := recovery.Component{Name: "uploads", Kind: recovery.Files, With: files.Restic, Settings: recovery.Settings{"path": {string(dir)}, "prefix": {"restic/"}, "password": {"${PASS}"}}}
		o := options(t, resticEngine(resticPassword), c, store)
		o.Environ = map[string]string{"PASS": resticPassword}
		said := ""
		o.Probe = func(ctx context.Context, env recovery.Env) (err error) {
			said, err = told(ctx, env)
			return err
		}
		passed(t, enginetest.Restore(t, o))
		if !strings.HasPrefix(said, want) {
			t.Errorf("it tells %q, want %s", said, want)
		}
	})
}
