package rescue

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"comeback/recovery"
)

// placed is an Env that has one scratch target.
type placed struct {
	recovery.Env
	dir string
}

func (p placed) Target(context.Context, recovery.TargetID) (recovery.Handle, error) {
	return recovery.Handle{Dir: p.dir, Scratch: true}, nil
}

// What a step leaves for the next lies in a directory of our own user, and what somebody else
// had put there before is not written through.
func TestPlace(t *testing.T) {
	dir, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "elsewhere")
	if err := os.WriteFile(elsewhere, []byte("\"theirs\""), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{differenceFile, differenceFile + ".new", "1.difference", samplesFile} {
		if err := os.Symlink(elsewhere, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	theirs := filepath.Join(dir, appliedFile)
	if err := syscall.Mkfifo(filepath.Join(dir, definitionsFile), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(theirs, []byte(`"theirs"`), 0o644); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(theirs, 54321, 54321); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(dir, 54321, 54321); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	got, err := place(t.Context(), placed{dir: dir}, "scratch/database.rescue")
	if err != nil || got != dir {
		t.Fatalf("%s, %v", got, err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if st := info.Sys().(*syscall.Stat_t); int(st.Uid) != os.Geteuid() || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory is of user %d, %v", st.Uid, info.Mode())
	}
	var read string
	planted := []string{samplesFile, definitionsFile}
	if os.Geteuid() == 0 {
		planted = append(planted, appliedFile)
	}
	for _, name := range planted {
		if ok, err := kept(dir, name, &read); ok || err == nil {
			t.Errorf("%s of somebody else is read: %q", name, read)
		}
	}
	if err := keep(dir, differenceFile, "ours"); err != nil {
		t.Error(err)
	}
	if ok, err := kept(dir, differenceFile, &read); !ok || err != nil || read != "ours" {
		t.Errorf("%q, %v, %v", read, ok, err)
	}
	w, err := createFile(dir, "1.difference")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.finish(w.row("=", []byte("a"))); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(elsewhere); string(b) != "\"theirs\"" || err != nil {
		t.Errorf("elsewhere is %q, %v", b, err)
	}
}
