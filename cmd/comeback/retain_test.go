package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/recovery/exclusive"
	"comeback/recovery/report"
	"comeback/storage"

	"github.com/jackc/pgx/v5"
)

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

// Where the clocks of a host and of a copy differ nobody knows what is old: nothing goes
// there, and that is told, until one of them is set.
func TestRetain_oneClock(t *testing.T) {
	t.Parallel()
	ctx, book, r := t.Context(), pictures(t), newRig(t)
	text, err := os.ReadFile(book)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(book, []byte(strings.Replace(string(text), "prefix: \"uploads/\"", "prefix: \"uploads/\", retain: [1 daily]", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		r.run(ctx, "backup", book).has(t, recovery.CameBack)
	}
	for _, ahead := range []time.Duration{time.Hour, -time.Hour} {
		r.ahead = ahead
		got := r.run(ctx, "retain", book, "--remove")
		got.has(t, recovery.WithExceptions, "the clock of nearby and of this host differ by 1h00", "chronyc tracking")
		if strings.Contains(got.out, "removed 1") {
			t.Errorf("%s: it says %s", ahead, got.out)
		}
	}
	r.ahead = 5 * time.Minute
	r.run(ctx, "retain", book, "--remove").has(t, recovery.CameBack, "removed 1 backup")
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
		got.has(t, recovery.CameBack, "has restored, with no checks and none proven, a key that is not known here")
		if strings.Contains(got.out, "  goes") {
			t.Errorf("it says %s", got.out)
		}
	}
}

// A component of which a backup is at work keeps nobody from the others: they are done
// first, and it is waited for. Where it takes too long, that is a refusal.
func TestRetain_busy(t *testing.T) {
	t.Parallel()
	ctx, book, r := t.Context(), pictures(t), newRig(t)
	text, err := os.ReadFile(book)
	if err != nil {
		t.Fatal(err)
	}
	uploads := "uploads: {kind: files, path: " + filepath.Dir(book) + "/tree, prefix: \"uploads/\""
	two := strings.NewReplacer(uploads+"}", uploads+", retain: [1 daily]}\n  thumbs: {kind: files, path: "+filepath.Dir(book)+"/tree, prefix: \"thumbs/\", retain: [1 daily]}",
		"restore: uploads", "restore: [uploads, thumbs]").Replace(string(text))
	if err := os.WriteFile(book, []byte(two), 0o600); err != nil {
		t.Fatal(err)
	}
	store, err := storage.OpenDir(filepath.Join(filepath.Dir(book), "nearby"))
	if err != nil {
		t.Fatal(err)
	}
	left := func(component string) int {
		t.Helper()
		known, err := backup.Manifests(ctx, store, component)
		if err != nil {
			t.Fatal(err)
		}
		return len(known)
	}
	backUp := func() {
		t.Helper()
		r.run(ctx, "backup", book).has(t, recovery.CameBack, "thumbs", "uploads")
	}
	backUp()
	backUp()
	a := r.app(io.Discard, io.Discard)
	hold := func(component string) func() error {
		t.Helper()
		_, release, err := a.holdBackupsOf(ctx, "shop", exclusive.Holder{Work: backupWork}, nil, component)
		if err != nil {
			t.Fatal(err)
		}
		return release
	}
	release := hold("uploads")

	none := time.Duration(0)
	var out, errs bytes.Buffer
	hurried := r.app(&out, &errs)
	hurried.longest = &none
	code := hurried.run(ctx, []string{"retain", book, "--remove"})
	if code != recovery.Refused || !strings.Contains(out.String(), "removed 1 backup") || !strings.Contains(errs.String(), "refused: comeback backup of ") || !strings.Contains(errs.String(), "backup of shop/uploads") {
		t.Errorf("exit %d: %s%s", code, &out, &errs)
	}
	if left("thumbs") != 1 || left("uploads") != 2 {
		t.Errorf("left are %d backups of thumbs and %d of uploads", left("thumbs"), left("uploads"))
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}

	backUp()
	release = hold("uploads")
	got := r.whileWaiting(ctx, "waiting: comeback backup of ", func() {
		if left("thumbs") != 1 || left("uploads") != 3 {
			t.Errorf("while it waits, left are %d backups of thumbs and %d of uploads", left("thumbs"), left("uploads"))
		}
		if err := release(); err != nil {
			t.Error(err)
		}
	}, "retain", book, "--remove")
	got.has(t, recovery.CameBack, "removed 2 backups")
	if left("uploads") != 1 {
		t.Errorf("left are %d backups of uploads", left("uploads"))
	}
}

// A backup waits for what is removed of its component, and not for another backup.
func TestBackup_whileRetaining(t *testing.T) {
	t.Parallel()
	ctx, book, r := t.Context(), pictures(t), newRig(t)
	a := r.app(io.Discard, io.Discard)
	for work, waits := range map[string]bool{retainWork: true, backupWork: false} {
		_, release, err := a.holdBackupsOf(ctx, "shop", exclusive.Holder{Work: work}, nil, "uploads")
		if err != nil {
			t.Fatal(err)
		}
		if !waits {
			r.run(ctx, "backup", book).has(t, recovery.Refused, "refused: comeback backup of ", "at work on backup of shop/uploads")
		} else {
			r.whileWaiting(ctx, "waiting: comeback retain of ", func() {
				if err := release(); err != nil {
					t.Error(err)
				}
			}, "backup", book).has(t, recovery.CameBack, "in nearby")
		}
		if err := release(); err != nil {
			t.Fatal(err)
		}
	}
}

// A step of a run waits for whatever is at work on the backups of its component, another
// backup, too: with that of the old data the system would not be protected.
func TestBackup_ofARun(t *testing.T) {
	t.Parallel()
	ctx, a := t.Context(), newRig(t).app(io.Discard, io.Discard)
	for _, by := range []exclusive.Holder{{Work: backupWork}, {Work: retainWork}, {Run: "7c31"}} {
		_, first, err := a.holdBackupsOf(ctx, "shop", by, nil, "uploads")
		if err != nil {
			t.Fatal(err)
		}
		var told []string
		_, second, err := a.holdBackup(ctx, "shop", "uploads", "7c32", func(says string) {
			told = append(told, says)
			if err := first(); err != nil {
				t.Error(err)
			}
		})
		if err != nil {
			t.Fatalf("beside %+v: %v", by, err)
		}
		if len(told) != 1 || !strings.HasPrefix(told[0], "waiting: ") || !strings.Contains(told[0], " has been at work on backup of shop/uploads since ") {
			t.Errorf("it told %q", told)
		}
		if err := second(); err != nil {
			t.Fatal(err)
		}
	}
}

// whileWaiting runs a command, and does something once it has told on stderr that it
// waits.
func (r *rig) whileWaiting(ctx context.Context, tells string, do func(), args ...string) output {
	stdout, stderr := &screen{}, &screen{watch: tells, seen: do}
	code := r.app(stdout, stderr).run(ctx, args)
	return output{code, stdout.text.String(), stderr.text.String()}
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
	b.run(ctx, "retain", b.book, "database", "--remove").has(t, recovery.CameBack, "goes   "+taken[0].ID, "of the log and of names in it", "removed 1 backup and ")
	for copy := range b.copies {
		if left := b.manifests(t, copy); len(left) != 1 || left[0].ID != taken[1].ID {
			t.Errorf("%s knows %d backups", copy, len(left))
		}
		b.run(ctx, "rehearse", book, "--to", "latest", "--copy", copy, "--plain").has(t, recovery.CameBack, "EVERY CHECK HELD", taken[1].ID)
	}
}
