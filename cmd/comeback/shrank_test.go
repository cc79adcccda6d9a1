package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/recovery/report"
	"comeback/storage"
)

// A tree of which nearly all was removed is backed up all the same. The check says so, and so do
// the moments and the plan that would go there; what was in it stays; and all of that ends when
// somebody has rehearsed the smaller one and signed.
func TestShrank(t *testing.T) {
	t.Parallel()
	ctx, book, r := t.Context(), pictures(t), newRig(t)
	place := filepath.Dir(book)
	text, err := os.ReadFile(book)
	if err != nil {
		t.Fatal(err)
	}
	text = []byte(strings.Replace(string(text), `prefix: "uploads/"`, `prefix: "uploads/", retain: [1 daily]`, 1))
	if err := os.WriteFile(book, text, 0o600); err != nil {
		t.Fatal(err)
	}
	more := make([]string, 40)
	for i := range more {
		more[i] = filepath.Join(place, "tree", fmt.Sprint(i, ".jpg"))
		err = errors.Join(err, os.WriteFile(more[i], []byte("another picture"), 0o600))
	}
	for range 5 {
		r.run(ctx, "backup", book).has(t, recovery.CameBack)
	}
	for _, name := range more {
		err = errors.Join(err, os.Remove(name))
	}
	r.run(ctx, "backup", book).has(t, recovery.CameBack)
	store, errStore := storage.OpenDir(filepath.Join(place, "nearby"))
	if err := errors.Join(err, errStore); err != nil {
		t.Fatal(err)
	}
	known, err := backup.Manifests(ctx, store, "uploads")
	if err != nil || len(known) != 6 {
		t.Fatalf("%d backups, %v", len(known), err)
	}
	smaller, last := known[5].ID, known[4].ID
	const less = "1 file, 9 B; the 5 before held at least 41 files, 609 B"
	finding := func() (says string) {
		t.Helper()
		got := r.run(ctx, "check", book, "--json", "--no-canary")
		var a recovery.Assessment
		if err := json.Unmarshal([]byte(got.out), &a); err != nil {
			t.Fatalf("exit %d: %v\n%s", got.code, err, got.err)
		}
		for _, f := range a.Findings {
			if f.ID == "shrank/uploads/nearby/files" {
				says += f.Says + "; " + f.Do
			}
		}
		return says
	}
	warnings := func(to string) []string {
		t.Helper()
		return slices.DeleteFunc(r.planned(t, "rehearse", book, "--plain", "--to", to).Warnings, func(text string) bool { return !strings.Contains(text, recovery.Shrunk) })
	}
	if says := finding(); !strings.Contains(says, less) || !strings.Contains(says, "comeback rehearse "+book+" --to "+smaller) || !strings.Contains(says, "before "+last+" is removed") {
		t.Errorf("the check says %q", says)
	}
	r.run(ctx, "moments", book).has(t, recovery.CameBack, "snapshot, 9 B", "snapshot, 609 B", recovery.Shrunk+less)
	if says := warnings("latest"); len(says) != 1 || !strings.HasSuffix(says[0], recovery.Shrunk+less+"; the last before: --to "+last) {
		t.Errorf("the plan warns %q", says)
	}
	if says := warnings(last); len(says) > 0 {
		t.Errorf("of the last before the plan warns %q", says)
	}
	r.run(ctx, "retain", book, "--remove").has(t, recovery.CameBack, "one of the last before they shrank", "removed 2 backups")
	if says := finding(); !strings.Contains(says, "1 file, 9 B; the 3 before held") {
		t.Errorf("when older ones are gone, the check says %q", says)
	}

	key := filepath.Join(r.environ["HOME"], "key")
	if _, err := report.CreateKey(key, "ops1"); err != nil {
		t.Fatal(err)
	}
	r.run(ctx, "rehearse", book, "--plain", "--to", smaller, "--key", key).has(t, recovery.CameBack, "warning: uploads: "+recovery.Shrunk)
	if says := finding(); says != "" {
		t.Errorf("when it was rehearsed and signed, the check says %q", says)
	}
	if got := r.run(ctx, "moments", book); strings.Contains(got.out, recovery.Shrunk) {
		t.Errorf("the moments say\n%s", got.out)
	}
	if says := warnings("latest"); len(says) > 0 {
		t.Errorf("the plan warns %q", says)
	}
	r.run(ctx, "retain", book, "--remove").has(t, recovery.CameBack, "removed 3 backups")
}
