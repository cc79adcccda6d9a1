package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comeback/recovery"
)

// A secret that the new shell does not have is asked for, unseen; without a
// terminal it is named, with where to find it. Its value is recorded nowhere.
func TestResume_missingSecret(t *testing.T) {
	l, r := theShop(t), newRig(t)
	r.environ["SHOP_COPY"] = l.CopyURL()
	book := runbook(t, `{url: "${SHOP_COPY}"}`, l.atDump, "")
	text, err := os.ReadFile(book)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(book, []byte(strings.Replace(string(text), `needs: {`, `needs: {SHOP_COPY: "from the vault, path shop/copy", `, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	r.environ["COMEBACK_TEST_KILL"] = "after:3"
	if got := r.run(t.Context(), "rehearse", book, "--plain", "--to", l.dump); got.code == recovery.CameBack { // where the kill comes early the runner is not seen to begin
		t.Fatalf("killed: exit %d\n%s%s", got.code, got.out, got.err)
	}
	delete(r.environ, "COMEBACK_TEST_KILL")
	delete(r.environ, "SHOP_COPY")
	id := filepath.Base(r.only(t))
	got := r.run(t.Context(), "resume", id, "--plain")
	if got.code != recovery.Usage || !strings.Contains(got.err, "SHOP_COPY is not set") || !strings.Contains(got.err, "path shop/copy") {
		t.Errorf("without a terminal: exit %d, %s", got.code, got.err)
	}
	s := openTerminal(t, r, t.TempDir(), 80, 24, "resume", id)
	s.shows("SHOP_COPY (from the vault, path shop/copy):")
	s.press(l.CopyURL(), enter)
	s.shows("REHEARSED, EVERY CHECK HELD")
	s.press("q")
	if code := s.ends(); code != int(recovery.CameBack) {
		t.Errorf("exit %d", code)
	}
	<-s.ended
	if strings.Contains(s.raw.String(), l.CopyURL()) {
		t.Error("what was typed was shown")
	}
	err = filepath.WalkDir(filepath.Join(r.state, "runs", id), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if strings.Contains(string(b), l.CopyURL()) {
			t.Errorf("%s holds the value", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
