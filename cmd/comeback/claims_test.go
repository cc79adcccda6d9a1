package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
)

// twins is a runbook with two trees, two checkouts and two databases of which none says
// where its backups lie.
func twins(t *testing.T) (place, book string) {
	t.Helper()
	place = t.TempDir()
	book = filepath.Join(place, "shop.md")
	text := fmt.Sprintf("---\ncomeback: 1\nsystem: shop\nrpo: 5m\nrto: 30m\ncopies:\n  nearby: {url: \"file://%[1]s/nearby\"}\ncomponents:\n"+
		"  uploads: {kind: files, path: %[1]s/uploads}\n  invoices: {kind: files, path: %[1]s/invoices}\n"+
		"  site: {kind: code, path: %[1]s/site}\n  worker: {kind: code, path: %[1]s/worker}\n"+
		"  orders: {kind: postgres, with: dump, backup: none}\n  stock: {kind: postgres, with: dump, backup: none}\n---\n# Shop\n\n## Restore\n\n```yaml\nrestore: [uploads, invoices, site, worker]\n```\n", place)
	if err := os.WriteFile(book, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"nearby", "uploads", "invoices", "site", "worker"} {
		dir := filepath.Join(place, name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if name == "nearby" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, "of-"+name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
		if name == "site" || name == "worker" {
			for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", name}} {
				cmd := exec.CommandContext(t.Context(), "git", args...)
				cmd.Dir = dir
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("git %v: %v\n%s", args, err, out)
				}
			}
		}
	}
	return place, book
}

// dumped puts a dump of a database into the copy, as it was stored at a time.
func dumped(t *testing.T, place, name string, at time.Time) {
	t.Helper()
	path := filepath.Join(place, "nearby", name, name+".sql")
	text := "--\n-- PostgreSQL database dump\n--\n\n-- Dumped from database version 15.18\n-- Dumped by pg_dump version 15.18\n\nselect 1;\n\n--\n-- PostgreSQL database dump complete\n--\n\n"
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

// Components of one kind that do not say where their backups lie each come back from their
// own, although another's is newer; and one that has none any more has none.
func TestClaims(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	place, book := twins(t)
	r := newRig(t)
	for _, component := range []string{"uploads", "site", "invoices", "worker"} { // the first of each kind is the older
		r.run(ctx, "backup", book, component).has(t, recovery.CameBack)
	}
	r.run(ctx, "rehearse", book, "--plain").has(t, recovery.CameBack)
	var plan recovery.Plan
	raw, err := os.ReadFile(filepath.Join(r.only(t), "plan.json"))
	if err == nil {
		err = json.Unmarshal(raw, &plan)
	}
	if err != nil || len(plan.Moment.Points) != 4 {
		t.Fatalf("the plan has %d points, %v", len(plan.Moment.Points), err)
	}
	for _, p := range plan.Moment.Points {
		if !strings.HasPrefix(p.Backup.ID, p.Component+"/") {
			t.Errorf("%s comes back from %s", p.Component, p.Backup.ID)
		}
	}
	dumped(t, place, "orders", time.Now().Add(-time.Hour))
	dumped(t, place, "stock", time.Now())
	text, err := os.ReadFile(book)
	if err == nil {
		err = os.WriteFile(book, []byte(strings.Replace(string(text), "[uploads, invoices, site, worker]", "[orders]", 1)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	r.run(ctx, "rehearse", book, "--dry-run").has(t, recovery.CameBack, "orders/orders.sql")
	for _, name := range []string{"uploads", "site", "orders"} {
		if err := os.RemoveAll(filepath.Join(place, "nearby", name)); err != nil {
			t.Fatal(err)
		}
	}
	checked := r.run(ctx, "check", book, "--no-canary")
	for _, name := range []string{"uploads", "site", "orders"} {
		if said := name + ": no copy holds a backup that can be restored"; !strings.Contains(strings.Join(strings.Fields(checked.out), " "), said) {
			t.Errorf("%q is not said:\n%s", said, checked.out)
		}
	}
	for _, name := range []string{"invoices", "worker", "stock"} {
		if said := name + ": no copy holds a backup that can be restored"; strings.Contains(strings.Join(strings.Fields(checked.out), " "), said) {
			t.Errorf("%q is said:\n%s", said, checked.out)
		}
	}
}

// Two components with one prefix are told of; with their own they are not.
func TestLint_alike(t *testing.T) {
	t.Parallel()
	_, book := twins(t)
	text, err := os.ReadFile(book)
	if err != nil {
		t.Fatal(err)
	}
	told := func(text string) (said []string) {
		_, problems := parse(book, []byte(text))
		for _, p := range problems {
			if strings.Contains(p.Says, "other's") {
				said = append(said, p.String())
			}
		}
		return said
	}
	if said := told(string(text)); len(said) > 0 {
		t.Errorf("it says %q", said)
	}
	both := strings.NewReplacer("/uploads}", "/uploads, prefix: files/}", "/invoices}", "/invoices, prefix: files/}").Replace(string(text))
	if said := told(both); len(said) != 1 || !strings.Contains(said[0], "warning: the backups of `uploads` and of `invoices` both begin with `files/`") {
		t.Errorf("it says %q", said)
	}
}
