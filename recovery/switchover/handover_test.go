package switchover

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/postgres"
)

// A restored server whose directory is not in the run's scratch is another host's, or
// live: it is neither stopped nor moved, whoever tells where it lies.
func TestLeaveScratch_elsewhere(t *testing.T) {
	_, data, address := serving(t)
	refuses := func(what string, scratch recovery.Handle, url string) {
		t.Helper()
		h, err := leaveScratch(t.Context(), scratch, url)
		if err == nil || !strings.Contains(err.Error(), data+" does not lie in this run's scratch") || recovery.ExitOf(err) != recovery.Refused || recovery.HintOf(err) == "" {
			t.Errorf("%s: %+v, error %v", what, h, err)
		}
	}
	empty := recovery.Handle{Dir: t.TempDir()}
	refuses("by its address", empty, address)
	if h, err := postgres.ReadHandOver(empty.Dir); h != nil || err != nil {
		t.Errorf("it is marked: %+v, %v", h, err)
	}
	marked := recovery.Handle{Dir: t.TempDir()}
	if err := (postgres.HandOver{Data: data}).Write(marked.Dir); err != nil {
		t.Fatal(err)
	}
	refuses("by a mark", marked, "")
	if pids, err := postgres.Processes(data); err != nil || len(pids) == 0 {
		t.Errorf("the server does not run any more: %v, %v", pids, err)
	}
	// The way to scratch may lead through a link, before and after it has left.
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(filepath.Dir(data), link); err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{data, filepath.Join(filepath.Dir(data), "moved"), filepath.Join(link, "moved")} {
		if err := inScratch(link, at); err != nil {
			t.Error(err)
		}
	}
	for _, at := range []string{link, filepath.Join(link, "..", "other"), filepath.Dir(data) + "-other"} {
		if err := inScratch(link, at); err == nil {
			t.Errorf("%s is taken for a directory in %s", at, link)
		}
	}
}
