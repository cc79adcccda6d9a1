package runner

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comeback/recovery"
)

// An id is free where neither a run of this host, nor one that is being prepared, nor
// one that was fetched, nor one that was to be brought has it.
func TestHome_taken(t *testing.T) {
	h := Home{Dir: t.TempDir()}
	for id, dir := range map[string]string{"0001": h.RunDir("0001"), "0002": h.draft("0002"), "0003": h.Filed().RunDir("0003"), "0004": h.came("0004"), "0005": h.foreign("0005")} {
		if h.taken(id) {
			t.Errorf("%s is taken before it is", id)
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if !h.taken(id) {
			t.Errorf("%s is free, and %s is there", id, dir)
		}
	}
	if id, err := h.NewID(); err != nil || !runID.MatchString(id) || h.taken(id) {
		t.Errorf("the new id is %q: %v", id, err)
	}
}

// A state that cannot be read is the environment's fault, and it is said what to do.
func TestHome_unread(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h := Home{Dir: file}
	_, list := h.List()
	_, newest := h.Newest()
	for _, err := range []error{list, newest, h.unread("read run 7c31", &fs.PathError{Op: "open", Path: file, Err: fs.ErrPermission})} {
		if recovery.ExitOf(err) != recovery.Usage || !strings.Contains(recovery.HintOf(err), "COMEBACK_STATE") {
			t.Errorf("%v, next: %s, exit %d", err, recovery.HintOf(err), recovery.ExitOf(err))
		}
	}
}
