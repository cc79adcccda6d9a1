package room_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"comeback/recovery/room"
)

// A place that is not there yet lies where the nearest directory above it does.
func TestFree(t *testing.T) {
	dir := t.TempDir()
	free, device, err := room.Free(dir)
	if err != nil || free <= 0 {
		t.Fatalf("%d free, %v", free, err)
	}
	var st syscall.Stat_t
	if err := syscall.Stat(dir, &st); err != nil || device != st.Dev {
		t.Errorf("the device is %d, want %d, %v", device, st.Dev, err)
	}
	if all, err := room.Total(filepath.Join(dir, "later")); err != nil || all < free {
		t.Errorf("%d in all, %d free, %v", all, free, err)
	}
	later := filepath.Join(dir, "a", "b")
	if _, got, err := room.Free(later); err != nil || got != device {
		t.Errorf("where it will lie: device %d, want %d, %v", got, device, err)
	}
	if _, _, err := room.On(later); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("On a place that is not there: %v", err)
	}
	if _, other, err := room.Free("/proc/self/nothing"); err != nil || other == device {
		t.Errorf("elsewhere: device %d as here, %v", other, err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := room.Free(filepath.Join(file, "below")); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("below a file: %v", err)
	}
	if _, err := room.Total(filepath.Join(file, "below")); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("all of what is below a file: %v", err)
	}
}

// What the kernel has given counts: holes do not, and what is linked does once, where it lies.
func TestTaken(t *testing.T) {
	dir := t.TempDir()
	const much = 1 << 20
	empty := taken(t, dir)
	if err := os.Mkdir(filepath.Join(dir, "below"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "below", "full"), make([]byte, much), 0o600); err != nil {
		t.Fatal(err)
	}
	full := taken(t, dir)
	if full < empty+much || full > empty+much+much/4 {
		t.Errorf("with a file of %d bytes it takes %d, before %d", much, full, empty)
	}
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	if err := errors.Join(os.WriteFile(elsewhere, make([]byte, much), 0o600), os.Symlink(elsewhere, filepath.Join(dir, "link"))); err != nil {
		t.Fatal(err)
	}
	sparse := filepath.Join(dir, "sparse")
	if err := errors.Join(os.WriteFile(sparse, nil, 0o600), os.Truncate(sparse, 1<<40)); err != nil {
		t.Fatal(err)
	}
	if got := taken(t, dir); got >= full+much {
		t.Errorf("with a link and a file of a hole it takes %d, before %d", got, full)
	}
	if n := taken(t, filepath.Join(dir, "nowhere")); n != 0 {
		t.Errorf("what is not there takes %d", n)
	}
}

func taken(t *testing.T, dir string) int64 {
	t.Helper()
	n, err := room.Taken(dir)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
