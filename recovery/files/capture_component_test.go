package files_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/files"
)

// fingerprint is that of a live tree, as a component names it.
func fingerprint(t *testing.T, e recovery.Engine, c recovery.Component) string {
	t.Helper()
	f, err := e.(recovery.Capturer).Fingerprint(t.Context(), recovery.Capture{Component: c, Secret: func(text string) (string, error) { return text, nil }})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// What changes in a tree changes its fingerprint, also where the tree is named by a link:
// a constant one would say for ever that nothing has changed since the last backup.
func TestFingerprint_link(t *testing.T) {
	tree := t.TempDir()
	place := t.TempDir()
	link, up := filepath.Join(place, "current"), filepath.Join(place, "up")
	if err := os.Symlink(tree, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(place, up); err != nil {
		t.Fatal(err)
	}
	components := map[string]struct {
		engine recovery.Engine
		recovery.Component
	}{
		"the tree":                       {engine(), recovery.Component{Name: "uploads", Kind: recovery.Files, Settings: recovery.Settings{"path": {tree}}}},
		"a link to it":                   {engine(), recovery.Component{Name: "uploads", Kind: recovery.Files, Settings: recovery.Settings{"path": {link}}}},
		"a link through a link":          {engine(), recovery.Component{Name: "uploads", Kind: recovery.Files, Settings: recovery.Settings{"path": {up + "/current"}}}},
		"a link to configuration":        {configEngine(), recovery.Component{Name: "config", Kind: recovery.Config, Settings: recovery.Settings{"paths": {link}}}},
		"a link with a slash at its end": {engine(), recovery.Component{Name: "uploads", Kind: recovery.Files, Settings: recovery.Settings{"path": {link + "/"}}}},
	}
	before := map[string]string{}
	for name, c := range components {
		before[name] = fingerprint(t, c.engine, c.Component)
		if again := fingerprint(t, c.engine, c.Component); again != before[name] {
			t.Errorf("%s: nothing was changed, and its fingerprint was", name)
		}
	}
	if err := os.WriteFile(filepath.Join(tree, "new.jpg"), []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range components {
		if fingerprint(t, c.engine, c.Component) == before[name] {
			t.Errorf("%s: a file came, and its fingerprint is as it was", name)
		}
	}
}

// A link that is itself what is kept, beside others, comes into the backup as a link
// alone, and that is told.
func TestCapture_linkedPath(t *testing.T) {
	dir := t.TempDir()
	elsewhere := t.TempDir()
	for _, err := range []error{os.Symlink(elsewhere, filepath.Join(dir, "site")), os.Mkdir(filepath.Join(dir, "shop"), 0o700), os.Symlink("x", filepath.Join(dir, "shop", "within"))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	c, err := files.Capture(t.Context(), files.CaptureOptions{Dir: dir, Paths: []string{"shop", "site"}, Store: directory(t, nil), Prefix: "config/", Temp: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.LeftOut) != 1 || !slices.ContainsFunc(c.LeftOut, func(s string) bool { return strings.HasPrefix(s, `"site" is a link`) }) {
		t.Errorf("left out: %q", c.LeftOut)
	}
}
