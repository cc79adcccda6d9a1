package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/recovery/check"
	"comeback/recovery/report"
	"comeback/storage"

	"github.com/jackc/pgx/v5"
)

// A backup is proven by whoever restored it in a run that passed and is signed, known
// here or not, and by no other run.
func TestProvers(t *testing.T) {
	k := recovery.Backup{ID: "base/1", Component: "database", Copy: "offsite"}
	points := []recovery.Point{{Component: "database", Copy: "offsite", Backup: k}}
	ci := &check.Stranger{Fingerprint: "SHA256:ci"}
	got := provers([]check.Proof{
		{Passed: true, Stranger: ci, Points: points},
		{Passed: true, Signed: true, Points: points},
		{Passed: true, Points: points}, // unsigned
		{Stranger: &check.Stranger{Fingerprint: "SHA256:failed"}, Points: points},
		{Passed: true, Stranger: &check.Stranger{Fingerprint: "SHA256:elsewhere"}, Points: []recovery.Point{{Component: "database", Copy: "nearby", Backup: k}}},
	})(k)
	if want := []string{ci.Fingerprint, backup.Known}; !slices.Equal(got, want) {
		t.Errorf("proven by %q, want %q", got, want)
	}
}

// What a run restores stays while it is at work, also where another host removes what is
// old, and where the copy was not told; and goes when it has ended.
func TestRetain_restored(t *testing.T) {
	t.Parallel()
	ctx, book, here, elsewhere := t.Context(), pictures(t), newRig(t), newRig(t)
	text, err := os.ReadFile(book)
	if err != nil {
		t.Fatal(err)
	}
	waits := strings.NewReplacer("## Restore\n", "## Begin\n\n- [ ] The page is up\n\n## Restore\n", "prefix: \"uploads/\"", "prefix: \"uploads/\", retain: [1 daily]").Replace(string(text))
	if err := os.WriteFile(book, []byte(waits), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		here.run(ctx, "backup", book).has(t, recovery.CameBack)
	}
	store, err := storage.OpenDir(filepath.Join(filepath.Dir(book), "nearby"))
	if err != nil {
		t.Fatal(err)
	}
	snapshots := func() (ids []string) {
		known, err := backup.Manifests(ctx, store, "uploads")
		if err != nil || len(known) == 0 {
			t.Fatal(known, err)
		}
		for _, m := range known {
			if _, err := store.Stat(ctx, m.ID); err == nil {
				ids = append(ids, m.ID)
			}
		}
		return ids
	}
	all := snapshots()
	s := here.attended(t, book, all[0])
	untilState(t, s, waitsFor("1.1.ticks", recovery.WaitTicks))
	said, err := filepath.Glob(filepath.Join(filepath.Dir(book), "nearby", "comeback", "restoring", "shop", s.Plan().Run+"-*.json"))
	if err != nil || len(said) != 1 {
		t.Fatalf("the copy was told %q, %v", said, err)
	}
	elsewhere.run(ctx, "retain", book, "--remove").has(t, recovery.CameBack, "run "+s.Plan().Run+" on ", "restores it")
	if err := os.Remove(said[0]); err != nil {
		t.Fatal(err)
	}
	here.run(ctx, "retain", book, "--remove").has(t, recovery.CameBack, "run "+s.Plan().Run+" restores it")
	if now := snapshots(); !slices.Equal(now, all) {
		t.Errorf("left are %q of %q", now, all)
	}
	here.run(ctx, "stop", s.Plan().Run).has(t, recovery.CameBack)
	untilEnd(t, s)
	elsewhere.run(ctx, "retain", book, "--remove").has(t, recovery.CameBack, "removed 1 backup")
}

// What another host has proven stays, although this host has never seen its run; and
// where the copy does not tell what was proven, nothing goes.
func TestRetain_provenElsewhere(t *testing.T) {
	t.Parallel()
	ctx, book, ci, here := t.Context(), pictures(t), newRig(t), newRig(t)
	text, err := os.ReadFile(book)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(book, []byte(strings.Replace(string(text), "prefix: \"uploads/\"", "prefix: \"uploads/\", retain: [1 daily]", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	here.run(ctx, "backup", book).has(t, recovery.CameBack)
	key := filepath.Join(ci.environ["HOME"], "key")
	if _, err := report.CreateKey(key, "ci"); err != nil {
		t.Fatal(err)
	}
	ci.run(ctx, "rehearse", book, "--plain", "--key", key).has(t, recovery.CameBack, "filed in nearby")
	ci.runnersEnd(t)
	here.run(ctx, "backup", book).has(t, recovery.CameBack)
	// It cannot be fetched: there is something else under its names here.
	run := filepath.Base(ci.only(t))
	sums, err := backup.Sums(ci.only(t))
	if err != nil {
		t.Fatal(err)
	}
	fetched := filepath.Join(here.state, "filed", "runs")
	for _, id := range []string{run, (run + sums)[:16]} {
		if err := os.MkdirAll(filepath.Join(fetched, id), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	got := here.run(ctx, "retain", book, "--remove")
	got.has(t, recovery.WithExceptions, "WHAT IS PROVEN COULD NOT BE READ")
	if strings.Contains(got.out, "removed 1") {
		t.Errorf("it says %s", got.out)
	}
	if err := os.RemoveAll(fetched); err != nil {
		t.Fatal(err)
	}
	for range 2 { // fetched, and here already
		got := here.run(ctx, "retain", book, "--remove")
		got.has(t, recovery.CameBack, "has proven, a key that is not known here")
		if strings.Contains(got.out, "  goes") {
			t.Errorf("it says %s", got.out)
		}
	}
}

// Of the log nothing goes that a base backup needs which stays: what is left leads to the
// last commit, from each copy, and what lies before it is gone.
func TestRetain_log(t *testing.T) {
	b, ctx := openBackedUp(t, ", backup: base, record: no, retain: [1 daily]"), t.Context()
	shop, err := pgx.Connect(ctx, b.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer shop.Close(context.WithoutCancel(ctx))
	for range 2 {
		b.run(ctx, "backup", b.book, "database").has(t, recovery.CameBack, "in nearby, offsite")
		if err := errors.Join(b.Write(ctx, 20), b.Archived(ctx)); err != nil {
			t.Fatal(err)
		}
	}
	var want string
	rows := "select count(*) || ' ' || md5(string_agg(o::text, '' order by o::text)) from orders o"
	if err := shop.QueryRow(ctx, rows).Scan(&want); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(b.recorded(t))
	if err != nil {
		t.Fatal(err)
	}
	book := filepath.Join(filepath.Dir(b.book), "rows.md")
	text = []byte(strings.Split(string(text), "## Check")[0] + "## Check\n\n```sql\n-- check: the rows are those of live\n-- on: database\n-- expect: = '" + want + "'\n" + rows + ";\n```\n")
	if err := os.WriteFile(book, text, 0o644); err != nil {
		t.Fatal(err)
	}
	taken := b.manifests(t, "nearby")
	b.run(ctx, "retain", b.book, "database", "--remove").has(t, recovery.CameBack, "goes   "+taken[0].ID, "of the log and of names in it", "removed 1 backup")
	for copy := range b.copies {
		if left := b.manifests(t, copy); len(left) != 1 || left[0].ID != taken[1].ID {
			t.Errorf("%s knows %d backups", copy, len(left))
		}
		b.run(ctx, "rehearse", book, "--to", "latest", "--copy", copy, "--plain").has(t, recovery.CameBack, "EVERY CHECK HELD", taken[1].ID)
	}
}
