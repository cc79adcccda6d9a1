package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/catalogue"
)

// A copy that is gone is told of once by each command, with why and what to do, however many
// components and engines it was looked into for.
func TestRefused_once(t *testing.T) {
	r, book := newRig(t), pictures(t)
	text, err := os.ReadFile(book)
	if err != nil {
		t.Fatal(err)
	}
	gone := filepath.Join(t.TempDir(), "gone")
	two := strings.NewReplacer("copies:\n", "copies:\n  away: {url: \"file://"+gone+"\"}\n", "components:\n", "components:\n  thumbs: {kind: files, path: "+filepath.Dir(book)+"/tree, prefix: \"thumbs/\"}\n",
		"restore: uploads", "restore: [uploads, thumbs]").Replace(string(text))
	if err := os.WriteFile(book, []byte(two), 0o600); err != nil {
		t.Fatal(err)
	}
	r.run(t.Context(), "backup", book).has(t, recovery.WithExceptions)
	databases := filepath.Join(filepath.Dir(book), "databases.md")
	if err := os.WriteFile(databases, []byte("---\ncomeback: 1\nsystem: shop\nrpo: 5m\nrto: 30m\ncopies:\n  away: {url: \"file://"+gone+"\"}\ncomponents:\n"+
		"  database: {kind: postgres, url: \"postgres://127.0.0.1:1/shop\", prefix: \"shop/\"}\n  stats: {kind: postgres, url: \"postgres://127.0.0.1:1/stats\", prefix: \"stats/\"}\n"+
		"---\n# Shop\n\n## Restore\n\n```yaml\nrestore: [database, stats]\n```\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code recovery.Exit
	}{
		{[]string{"moments", book}, recovery.CameBack},
		{[]string{"moments", book, "--json"}, recovery.CameBack},
		{[]string{"retain", book}, recovery.WithExceptions},
		{[]string{"retain", book, "--remove"}, recovery.WithExceptions},
		{[]string{"moments", databases}, recovery.Failed},
		{[]string{"rescue", databases, "--xid", "5", "--preview", "--plain"}, recovery.Failed},
		{[]string{"rescue", databases, "--to", "latest", "--table", "carts", "--preview", "--plain"}, recovery.Failed},
	} {
		got := r.run(t.Context(), c.args...)
		all := got.out + got.err
		if got.code != c.code || strings.Count(all, "the directory "+gone+" does not exist") != 1 || strings.Count(all, "check the url of the copy away in the runbook") != 1 {
			t.Errorf("%q: exit %d\n%s", c.args, got.code, all)
		}
	}
	// What an error says that follows is not said before it, too.
	var out strings.Builder
	a := r.app(&out, &out)
	cat := catalogue.Catalogue{Refusals: []catalogue.Refusal{{Copy: "away", Component: "uploads", Engine: "files", Err: recovery.Errorf("look", "it is gone")},
		{Copy: "away", Component: "thumbs", Engine: "files", Err: recovery.Errorf("look", "it is gone")}}}
	say := &plainWriter{out: &out, now: a.now, redact: a.redact}
	if tellRefused(say, cat, cat.Empty("uploads")); out.Len() > 0 {
		t.Errorf("before the error it says %s", &out)
	}
	if tellRefused(say, cat, nil); strings.Count(out.String(), "\n") != 1 || !strings.Contains(out.String(), "copy away could not be judged for uploads, thumbs: it is gone; next: look\n") {
		t.Errorf("it says %s", &out)
	}
}
