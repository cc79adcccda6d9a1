package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comeback/recovery"
)

// A database and a directory that come back together are both old or both new, whenever
// the runner dies while they are opened and the run is stopped: old until the database is
// open, new from then on, and then both can be switched back.
func TestRecover_twoComponents(t *testing.T) {
	t.Parallel()
	l, p := ownShop(t), newPages(t)
	book := liveRunbook(t, l, l.atDump)
	b, err := os.ReadFile(book)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for old, with := range map[string]string{
		"components:\n":            fmt.Sprintf("  site: {url: \"file://%s\"}\ncomponents:\n  pages: {kind: files, path: %q}\n", filepath.Join(filepath.Dir(p.book), "copy"), p.live),
		"restore: database\n```\n": "restore: database\n```\n\n```yaml\nrestore: pages\n```\n",
		"switch: database\n":       "switch: [pages, database]\n",
	} {
		if !strings.Contains(text, old) {
			t.Fatalf("the runbook has no %q", old)
		}
		text = strings.Replace(text, old, with, 1)
	}
	if err := os.WriteFile(book, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	rows, tree := rowsOf(t, l.URL()), treeOf(t, p.live)
	stands := func(where string, restored bool) {
		t.Helper()
		wantRows, wantTree := rows, tree
		if restored {
			wantRows, wantTree = l.atDump, map[string]string{"index.html": "<h1>shop</h1>", "about/us.html": "we sell"}
		}
		if !slices.Equal(rowsOf(t, l.URL()), wantRows) {
			t.Errorf("%s: the database is not the one that was wanted (restored: %v)", where, restored)
		}
		if now := treeOf(t, p.live); !maps.Equal(now, wantTree) {
			t.Errorf("%s: the directory holds %v (restored: %v)", where, now, restored)
		}
	}
	for _, c := range []struct {
		at       string
		restored bool
	}{{"before:step.finished/1 database.open-live", false}, {"after:step.finished/1 database.open-live", true}} {
		r := newRig(t).live(l)
		r.environ["COMEBACK_TEST_KILL"] = c.at
		run := filepath.Base(r.begun(t, func() {
			r.run(t.Context(), "recover", book, "--plain", "--to", l.dump, "--confirm", target(t))
		}))
		delete(r.environ, "COMEBACK_TEST_KILL")
		got := r.run(t.Context(), "stop", run)
		r.runnersEnd(t)
		stands("killed "+c.at+" and stopped", c.restored)
		state := r.stateOf(t, run)
		if n := len(state.Old); state.Result == "" || (n == 2) != c.restored || n != 0 && n != 2 {
			t.Fatalf("killed %s: ended as %q, old data %+v\n%s%s", c.at, state.Result, state.Old, got.out, got.err)
		}
		if !c.restored {
			continue
		}
		if got := r.run(t.Context(), "switch-back", run, "--plain", "--confirm", target(t)); got.code != recovery.CameBack {
			t.Errorf("switch back: exit %d\n%s\n%s", got.code, got.out, got.err)
		}
		stands("switched back", false)
	}
}
