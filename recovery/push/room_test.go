package push_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/push"
)

// takesNothing puts a directory in the place of dir in which nobody can make a file, not
// even root: one that is removed and still open.
func takesNothing(t *testing.T, dir string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	gone := t.TempDir()
	f, err := os.Open(gone)
	if err == nil {
		t.Cleanup(func() { f.Close() })
		err = os.Remove(gone)
	}
	if err == nil {
		err = os.MkdirAll(filepath.Dir(dir), 0o700)
	}
	if err == nil {
		err = os.Symlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), dir)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A spool that takes nothing keeps no segment from copies that can be reached. What one
// of them lacks then is told of by its name, with what to do.
func TestPush_noRoom(t *testing.T) {
	h := newHost(t, 3)
	o := dirOptions(h.dir)
	takesNothing(t, filepath.Join(o.Spool, "out"))
	pushed, err := push.Push(t.Context(), o, h.wal(h.names[0]))
	if err != nil || len(pushed.Copies) != 2 || len(pushed.Ahead) > 0 {
		t.Fatalf("%+v, %v", pushed, err)
	}
	h.has(t, "nearby", h.names[0])
	h.has(t, "offsite", h.names[0])
	h.away(t, "offsite")
	_, err = push.Push(t.Context(), o, h.wal(h.names[1]))
	if err == nil || !strings.Contains(err.Error(), "nearby has it, but offsite does not, and the spool does not take what it lacks") || !strings.Contains(recovery.HintOf(err), "--catch-up --forget offsite") ||
		!strings.Contains(recovery.HintOf(err), o.Spool) {
		t.Errorf("what offsite lacks cannot be kept: %v; %s", err, recovery.HintOf(err))
	}
	o.Copies = o.Copies[:1]
	if _, err := push.Push(t.Context(), o, h.wal(h.names[1])); err != nil {
		t.Errorf("nobody wants it there any more: %v", err)
	}
	if err := os.Remove(h.wal(h.names[2])); err != nil {
		t.Fatal(err)
	}
	if _, err := push.Push(t.Context(), o, h.wal(h.names[2])); err == nil || !strings.Contains(err.Error(), "is not there") {
		t.Errorf("a segment that is not there: %v", err)
	}
}
