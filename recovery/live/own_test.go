package live_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"comeback/recovery"
	"comeback/recovery/live"
)

// seen is a context of which somebody else sees how often it was asked whether it has ended:
// before each file.
type seen struct {
	context.Context
	asked func()
}

func (s seen) Err() error {
	s.asked()
	return s.Context.Err()
}

// The restored directory is another user's. What he puts in the place of a directory while
// it is gone through leads nowhere else: what lies there keeps its owner and its permissions.
func TestPrepare_own(t *testing.T) {
	dir := t.TempDir()
	data, elsewhere := filepath.Join(dir, "data"), filepath.Join(dir, "elsewhere")
	base, victim := filepath.Join(data, "base"), filepath.Join(elsewhere, "file")
	for _, err := range []error{os.MkdirAll(base, 0o755), os.Mkdir(elsewhere, 0o755), os.WriteFile(filepath.Join(base, "file"), nil, 0o600), os.WriteFile(victim, nil, 0o600),
		os.Chmod(victim, 0o644)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	owner := recovery.User{UID: os.Geteuid(), GID: os.Getegid()}
	if os.Geteuid() == 0 {
		owner = recovery.User{UID: 65534, GID: 65534}
	}
	untouched := func() {
		t.Helper()
		info, err := os.Stat(victim)
		if err != nil {
			t.Fatal(err)
		}
		if st := info.Sys().(*syscall.Stat_t); int(st.Uid) != os.Geteuid() || info.Mode().Perm() != 0o644 {
			t.Errorf("what lies elsewhere is of user %d, %v", st.Uid, info.Mode())
		}
	}
	asked := 0
	err := live.Own(seen{t.Context(), func() {
		if asked++; asked == 3 { // data, base, and now the file in it
			if err := errors.Join(os.Rename(base, base+".aside"), os.Symlink(elsewhere, base)); err != nil {
				t.Error(err)
			}
		}
	}}, &env{}, data, owner)
	if err == nil || asked != 3 {
		t.Errorf("asked %d times; a link in the place of a directory was not noticed", asked)
	}
	untouched()
	// Undisturbed, everything is the owner's.
	if err := errors.Join(os.Remove(base), os.Rename(base+".aside", base), os.Symlink(elsewhere, filepath.Join(data, "link"))); err != nil {
		t.Fatal(err)
	}
	if err := live.Own(t.Context(), &env{}, data, owner); err != nil {
		t.Error(err)
	}
	untouched()
	for path, mode := range map[string]os.FileMode{data: 0o700, base: 0o700, filepath.Join(base, "file"): 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if st := info.Sys().(*syscall.Stat_t); int(st.Uid) != owner.UID || info.Mode().Perm() != mode {
			t.Errorf("%s is of user %d, %v", path, st.Uid, info.Mode())
		}
	}
}

// Another directory in the place of the one that was looked at is not gone into, and what
// is removed is removed below it.
func TestPrepare_swapped(t *testing.T) {
	dir := t.TempDir()
	data, elsewhere := filepath.Join(dir, "data"), filepath.Join(dir, "elsewhere")
	victim := filepath.Join(elsewhere, "slot", "state")
	if err := errors.Join(os.Mkdir(data, 0o700), os.MkdirAll(filepath.Dir(victim), 0o700), os.WriteFile(victim, nil, 0o600), os.Symlink(elsewhere, filepath.Join(data, "pg_replslot"))); err != nil {
		t.Fatal(err)
	}
	if err := live.LeaveSlots(t.Context(), data, func() error { return nil }); err == nil {
		t.Error("slots were looked for elsewhere")
	}
	err := live.LeaveSlots(t.Context(), data, func() error { return errors.Join(os.Rename(data, data+".aside"), os.Symlink(elsewhere, data)) })
	refused(t, err, "another directory than the restored one stands at")
	if _, err := os.Lstat(victim); err != nil {
		t.Error(err)
	}
}
