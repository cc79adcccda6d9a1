package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
