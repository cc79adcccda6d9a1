package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comeback/recovery"
)

// What would refuse the switch of a tree is told by check, and not first by the recovery.
func TestCheck_switch(t *testing.T) {
	t.Parallel()
	p := newPages(t)
	dir := t.TempDir()
	link, seen := filepath.Join(dir, "link"), filepath.Join(dir, "seen")
	if err := os.Symlink(p.live, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(seen, 0o700); err != nil {
		t.Fatal(err)
	}
	at := func(path string) string {
		return copyBook(t, p.book, fmt.Sprintf("path: %q", p.live), fmt.Sprintf("path: %q", path))
	}
	both := copyBook(t, p.book, "}\n---", fmt.Sprintf("}\n  site: {kind: files, path: %q}\n---", filepath.Dir(p.live)))
	for _, word := range []string{"restore", "switch"} {
		both = copyBook(t, both, word+": pages", word+": [pages, site]")
	}
	for name, c := range map[string]struct {
		book, says, do string
		bind           [2]string
	}{
		"nothing":       {book: p.book},
		"a fresh host":  {book: at(filepath.Join(dir, "none"))},
		"a link":        {book: at(link), says: "but a symbolic link to " + p.live, do: "name the place that it leads to"},
		"a mount point": {book: at(seen), bind: [2]string{p.live, seen}, says: "is a mount point", do: "leave the component out of the `switch:`"},
		"a mount in it": {book: p.book, bind: [2]string{seen, filepath.Join(p.live, "blog")}, says: "is mounted below", do: "leave the component out of the `switch:`"},
		"in another":    {book: both, says: "would lie inside of " + filepath.Dir(p.live) + ", where site lives", do: "leave one of them out of the `switch:`"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			if c.bind[0] != "" {
				r.environ[bindEnv] = strings.Join(c.bind[:], ":")
			}
			_, said := r.process(t, "check", c.book).ends()
			said = strings.Join(strings.Fields(said), " ")
			const finding = "pages: a recovery could not put what it restores in live's place"
			if got := strings.Contains(said, finding); got != (c.says != "") || !strings.Contains(said, c.says) || !strings.Contains(said, c.do) {
				t.Errorf("want %q and %q\n%s", c.says, c.do, said)
			}
		})
	}
}

// A switch of what no stage restores refuses the recovery: lint, check and a rehearsal tell of
// it, each with what to write.
func TestSwitch_ofWhatNoStageRestores(t *testing.T) {
	t.Parallel()
	p := newPages(t)
	r := newRig(t)
	site := t.TempDir()
	book := copyBook(t, copyBook(t, p.book, "}\n---", fmt.Sprintf("}\n  site: {kind: files, path: %q}\n---", site)), "switch: pages", "switch: [pages, site]")
	const do = "`restore: site` in a stage before"
	for name, c := range map[string]struct {
		args []string
		says string
		code recovery.Exit
	}{
		"lint":     {[]string{"runbook", "lint", book}, "warning: no stage restores `site`, so there is nothing to switch to, and a recovery is refused", recovery.CameBack},
		"check":    {[]string{"check", book}, "site: a recovery could not put what it restores in live's place: no stage restores it", recovery.CheckWarning},
		"rehearse": {[]string{"rehearse", book, "--plain"}, "a recovery is refused", recovery.CameBack},
		"its plan": {[]string{"rehearse", book, "--dry-run"}, "site: a recovery with this runbook is refused: line", recovery.CameBack},
		"recover":  {[]string{"recover", book, "--plain", "--to", "latest", "--dry-run"}, "plan the switch of site: no stage before it restores it", recovery.Usage},
	} {
		got := r.run(t.Context(), c.args...)
		all := strings.Join(strings.Fields(got.out+got.err), " ")
		if got.code != c.code || !strings.Contains(all, c.says) || !strings.Contains(all, do) {
			t.Errorf("%s: exit %d, want %d, %q and %q\n%s\n%s", name, got.code, c.code, c.says, do, got.out, got.err)
		}
	}
}
