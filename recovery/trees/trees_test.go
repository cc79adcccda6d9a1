package trees

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/exchange"
)

func tree(t *testing.T, dir, says string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "says"), []byte(says), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func says(dir string) string {
	b, err := os.ReadFile(filepath.Join(dir, "says"))
	if err != nil {
		return ""
	}
	return string(b)
}

// At any point of an exchange the live path names one of the two, both directions
// can be taken up again, and the record of the claim is enough.
func TestRecord(t *testing.T) {
	for name, cut := range map[string]func(r record) error{
		"before":                    func(record) error { return nil },
		"between exchange and name": func(r record) error { return r.pair.Exchange() },
		"after":                     record.exchange,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			live, beside, aside := tree(t, filepath.Join(dir, "uploads"), "old"), tree(t, filepath.Join(dir, "scratch", "tree"), "new"), filepath.Join(dir, "uploads.old-7c31")
			pair, err := exchange.Look(live, beside)
			if err != nil {
				t.Fatal(err)
			}
			rec := record{pair, aside}
			if err := cut(rec); err != nil {
				t.Fatal(err)
			}
			r, err := rec.resource(live)
			if err != nil {
				t.Fatal(err)
			}
			again, err := recordOf(r)
			if err != nil || again != rec {
				t.Fatalf("its record reads as %+v, %v", again, err)
			}
			for range 2 {
				if err := again.exchange(); err != nil || says(live) != "new" || says(aside) != "old" {
					t.Errorf("gone on: %v; live is %q, aside %q", err, says(live), says(aside))
				}
			}
			for range 2 {
				if err := (undo{}).Release(t.Context(), r); err != nil || says(live) != "old" || says(beside) != "new" || says(aside) != "" {
					t.Errorf("given back: %v; live is %q, beside %q, aside %q", err, says(live), says(beside), says(aside))
				}
			}
		})
	}
}

func TestRecord_refuses(t *testing.T) {
	dir := t.TempDir()
	live, beside, aside := tree(t, filepath.Join(dir, "uploads"), "old"), tree(t, filepath.Join(dir, "scratch", "tree"), "new"), tree(t, filepath.Join(dir, "uploads.old-7c31"), "another")
	pair, err := exchange.Look(live, beside)
	if err != nil {
		t.Fatal(err)
	}
	rec := record{pair, aside}
	for name, do := range map[string]func() error{"exchange": rec.exchange, "undo": rec.undo} {
		if err := do(); recovery.ExitOf(err) != recovery.Refused || !strings.Contains(err.Error(), "something else at "+aside) || says(live) != "old" {
			t.Errorf("%s: %v; live is %q", name, err, says(live))
		}
	}
	if err := (undo{}).Release(t.Context(), recovery.Resource{Kind: exchangedTree, ID: live, Details: map[string]string{"pair": "{"}}); recovery.HintOf(err) == "" {
		t.Errorf("a record that cannot be read: %v", err)
	}
}

func TestSwitcher_Look(t *testing.T) {
	dir := t.TempDir()
	live := tree(t, filepath.Join(dir, "uploads"), "old")
	link := filepath.Join(dir, "link")
	if err := os.Symlink(live, link); err != nil {
		t.Fatal(err)
	}
	plain := func(s string) (string, error) { return s, nil }
	look := func(path string) (recovery.Live, error) {
		return New().Look(t.Context(), recovery.Component{Name: "uploads", Kind: recovery.Files, Settings: recovery.Settings{"path": {path}}}, nil, plain)
	}
	l, err := look(live)
	if err != nil || l.Beside != dir || l.Target.Place != live || l.Target.Identity["inode"] == nothing || !l.Target.Changes() {
		t.Errorf("%+v, %v", l, err)
	}
	again, err := New().Identify(t.Context(), l.Target, plain)
	if err != nil || l.Target.Identity.Differences(again) != nil {
		t.Errorf("%v, %v", again, err)
	}
	fresh, err := look(filepath.Join(dir, "none"))
	if err != nil || fresh.Target.Identity["inode"] != nothing {
		t.Errorf("a fresh host: %+v, %v", fresh, err)
	}
	for path, words := range map[string]string{"": "does not tell where", "uploads": "does not tell where", link: "is not a directory", filepath.Join(live, "says"): "is not a directory"} {
		if _, err := look(path); err == nil || !strings.Contains(err.Error(), words) || recovery.HintOf(err) == "" {
			t.Errorf("%q: %v", path, err)
		}
	}
}
