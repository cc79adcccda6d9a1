package shop_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/shop"
	"comeback/shop/shoptest"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
)

// small is enough for everything that tests look at.
const small = 500

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// eventually looks until found holds or time is up.
func eventually(t *testing.T, what string, found func() bool) {
	t.Helper()
	ctx := within(t)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !found() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("never happened: %s", what)
		}
	}
}

func ask[T any](t *testing.T, url, sql string, args ...any) T {
	t.Helper()
	ctx := within(t)
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	var v T
	if err := conn.QueryRow(ctx, sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

func TestShop_KnowsTheTruth(t *testing.T) {
	s := shoptest.Open(t, shop.Options{Scale: small})
	ctx := within(t)
	if err := s.Write(ctx, 25); err != nil {
		t.Fatal(err)
	}
	for table, n := range s.Counts() {
		if found := ask[int64](t, s.URL(), "select count(*) from "+table); found != n {
			t.Errorf("%s: %d rows, the shop says %d", table, found, n)
		}
	}
	if n := ask[int64](t, s.URL(), "select count(*) from orders where total_cents <> order_total(id)"); n != 0 {
		t.Errorf("%d orders do not add up", n)
	}
	commits := s.Commits()
	if len(commits) != 25 || commits[24].Counts["orders"] != small+25 {
		t.Fatalf("%d commits: %+v", len(commits), commits)
	}
	if c, err := s.Truth(commits[7].XID); err != nil || c.Counts["orders"] != small+8 {
		t.Errorf("truth %+v, %v", c, err)
	}
	if _, err := s.Truth(3); err == nil {
		t.Error("a foreign transaction is known")
	}
	// The log is an independent witness of ids, times and positions.
	if err := s.Archived(ctx); err != nil {
		t.Fatal(err)
	}
	logged := waldump(t, s)
	for _, c := range commits {
		line, ok := logged[c.XID]
		if !ok {
			t.Fatalf("the archived log has no commit %d", c.XID)
		}
		if want := c.Time.Format("2006-01-02 15:04:05.000000 UTC"); !strings.Contains(line, want) {
			t.Errorf("commit %d of %s is logged as %s", c.XID, want, line)
		}
	}
}

// waldump gives the commit records of a shop's archive.
func waldump(t *testing.T, s *shop.Shop) map[recovery.XID]string {
	t.Helper()
	entries, err := os.ReadDir(s.Archive())
	if err != nil {
		t.Fatal(err)
	}
	var segments []string
	for _, e := range entries {
		if len(e.Name()) == 24 {
			segments = append(segments, e.Name())
		}
	}
	cmd := exec.Command(s.Tools.Program("pg_waldump"), "--rmgr", "Transaction", "--path", s.Archive(), segments[0], segments[len(segments)-1])
	cmd.Env = []string{"TZ=UTC"}
	out, _ := cmd.Output() // the last segment may end in zeros, which it complains about
	commits := map[recovery.XID]string{}
	for line := range strings.Lines(string(out)) {
		var xid recovery.XID
		if _, after, ok := strings.Cut(line, "tx:"); ok && strings.Contains(line, "desc: COMMIT") {
			if _, err := fmt.Sscan(after, &xid); err != nil {
				t.Fatal(err)
			}
			commits[xid] = line
		}
	}
	return commits
}

func TestShop_SameSeedSameShop(t *testing.T) {
	clock := func() time.Time { return time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC) }
	digests := map[int64][]map[string]string{}
	for _, seed := range []int64{1, 1, 2} {
		s := shoptest.Open(t, shop.Options{Scale: small, Seed: seed, Now: clock})
		d, err := shop.Digest(within(t), s.URL())
		if err != nil {
			t.Fatal(err)
		}
		digests[seed] = append(digests[seed], d)
	}
	if diff := cmp.Diff(digests[1][0], digests[1][1]); diff != "" {
		t.Errorf("the same seed gives two shops:\n%s", diff)
	}
	for _, table := range []string{"orders", "order_items", "customers", "uploads", "carts"} {
		if digests[1][0][table] == digests[2][0][table] {
			t.Errorf("two seeds give the same %s", table)
		}
	}
	if _, ok := digests[1][0]["search_cache"]; ok {
		t.Error("an unlogged table is part of the digest")
	}
}

func TestShop_UploadsBelongToRows(t *testing.T) {
	s := shoptest.Open(t, shop.Options{Scale: small})
	ctx := within(t)
	if err := s.Write(ctx, 20); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(ctx, s.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, "select path, sha256 from uploads")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]string{}
	var path, sum string
	if _, err := pgx.ForEachRow(rows, []any{&path, &sum}, func() error { listed[path] = sum; return nil }); err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for path := range listed {
		out, err := exec.Command("sha256sum", filepath.Join(s.Uploads(), path)).Output()
		if err != nil {
			t.Fatal(err)
		}
		found[path], _, _ = strings.Cut(string(out), " ")
	}
	if diff := cmp.Diff(listed, found); diff != "" || len(found) < 21 {
		t.Errorf("%d uploads; rows and files differ:\n%s", len(found), diff)
	}
}

func TestShop_DumpEqualsSource(t *testing.T) {
	s := shoptest.Open(t, shop.Options{Scale: small})
	ctx := within(t)
	if err := s.Write(ctx, 5); err != nil {
		t.Fatal(err)
	}
	key, err := s.Dump(ctx)
	if err != nil {
		t.Fatal(err)
	}
	script, err := exec.Command("gzip", "-dc", filepath.Join(s.Copy(), key)).Output()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(script, []byte("PostgreSQL database dump complete")) {
		t.Error("the dump is not complete")
	}
	admin, err := pgx.Connect(ctx, s.Layout.URL("postgres", "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(ctx)
	if _, err := admin.Exec(ctx, "create database restored owner shop"); err != nil {
		t.Fatal(err)
	}
	restored := s.Layout.URL("shop", "restored")
	psql := exec.Command(s.Tools.Program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", restored)
	psql.Stdin = bytes.NewReader(script)
	if out, err := psql.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want, err := s.Content(ctx)
	if err != nil {
		t.Fatal(err)
	}
	got, err := shop.Digest(ctx, restored)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.Digest, got); diff != "" {
		t.Errorf("the restored rows differ:\n%s", diff)
	}
	// The digest can tell: one changed value is another digest.
	if _, err := s.Dump(ctx); err != nil {
		t.Errorf("a second dump of the same day: %v", err)
	}
	ask[int64](t, restored, "update orders set total_cents = total_cents + 1 where id = 17 returning id")
	if got, err = shop.Digest(ctx, restored); err != nil {
		t.Fatal(err)
	}
	if got["orders"] == want.Digest["orders"] || got["customers"] != want.Digest["customers"] {
		t.Error("the digest does not tell which table was changed")
	}
}

func TestShop_Backup(t *testing.T) {
	s := shoptest.Open(t, shop.Options{Scale: small})
	ctx := within(t)
	// zstd, where the major has it; only gzip packs the log that is beside it, too.
	best := s.Tools.Packing()
	log := "pg_wal.tar"
	if best.Name == "gzip" {
		log += best.Suffix
	}
	for _, c := range []struct {
		name  string
		o     shop.BackupOptions
		files []string
	}{
		{"as most people do", shop.BackupOptions{}, []string{"backup_manifest", "base.tar.gz", "pg_wal.tar.gz"}},
		{"the best that there is", shop.BackupOptions{Compress: best.Name}, []string{"backup_manifest", "base.tar" + best.Suffix, log}},
		{"tar alone, log from the archive", shop.BackupOptions{Compress: "none", WAL: "none"}, []string{"backup_manifest", "base.tar"}},
		{"log inside", shop.BackupOptions{WAL: "fetch"}, []string{"backup_manifest", "base.tar.gz"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			key, err := s.Backup(ctx, c.o)
			if err != nil {
				t.Fatal(err)
			}
			entries, err := os.ReadDir(filepath.Join(s.Copy(), key))
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, e := range entries {
				names = append(names, e.Name())
			}
			slices.Sort(names)
			if diff := cmp.Diff(c.files, names); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("plain", func(t *testing.T) {
		key, err := s.Backup(ctx, shop.BackupOptions{Plain: true})
		if err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(s.Tools.Program("pg_verifybackup"), filepath.Join(s.Copy(), key)).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
}

func TestShop_Incident(t *testing.T) {
	s := shoptest.Open(t, shop.Options{Scale: small})
	ctx := within(t)
	if err := s.Write(ctx, 3); err != nil {
		t.Fatal(err)
	}
	before, err := s.Content(ctx)
	if err != nil {
		t.Fatal(err)
	}
	i, err := s.Incident(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, i.Before); diff != "" {
		t.Errorf("what was there before:\n%s", diff)
	}
	if i.Harm.XID <= before.After.XID || i.Drop.XID <= i.Harm.XID || i.Drop.Time.Before(i.Harm.Time) {
		t.Errorf("harm %d, drop %d after %d", i.Harm.XID, i.Drop.XID, before.After.XID)
	}
	if err := s.Write(ctx, 4); err != nil {
		t.Fatalf("the shop does not go on: %v", err)
	}
	counts := s.Counts()
	for table, n := range counts {
		if found := ask[int64](t, s.URL(), "select count(*) from "+table); found != n {
			t.Errorf("%s: %d rows, the shop says %d", table, found, n)
		}
	}
	if _, ok := counts["carts"]; ok || counts["orders"] != 4 || !ask[bool](t, s.URL(), "select to_regclass('carts') is null") {
		t.Errorf("after the incident: %v", counts)
	}
	if err := s.Archived(ctx); err != nil {
		t.Fatal(err)
	}
	logged := waldump(t, s)
	for _, c := range s.Commits() {
		if _, ok := logged[c.XID]; !ok {
			t.Errorf("the archive lacks commit %d: %s", c.XID, c.Does)
		}
	}
	if err := s.Archived(ctx); err != nil {
		t.Errorf("with nothing new to archive: %v", err)
	}
}

func TestShop_SteadyWrites(t *testing.T) {
	s := shoptest.Open(t, shop.Options{Scale: small})
	if err := s.StartWrites(200); err != nil {
		t.Fatal(err)
	}
	eventually(t, "ten writes", func() bool { return len(s.Commits()) >= 10 })
	if err := s.StopWrites(); err != nil {
		t.Fatal(err)
	}
	n := len(s.Commits())
	if found := ask[int64](t, s.URL(), "select count(*) from orders"); found != int64(small+n) {
		t.Errorf("%d orders after %d writes", found, n)
	}
	times := map[string]bool{}
	for _, c := range s.Commits() {
		times[c.Time.String()] = true
	}
	if len(times) != n {
		t.Errorf("%d commits have %d times", n, len(times))
	}
	// What goes wrong with them is not lost.
	if err := s.StartWrites(1000); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(within(t), s.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(within(t), "alter table orders rename to lost"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the failure", func() bool {
		err = s.StopWrites()
		if err == nil {
			err = s.StartWrites(1000)
		}
		return err != nil
	})
	if !strings.Contains(err.Error(), "orders") {
		t.Errorf("error %v", err)
	}
}

func TestShop_ArchivedSaysWhatFails(t *testing.T) {
	s := shoptest.Open(t, shop.Options{Scale: small})
	away := s.Archive() + ".away"
	if err := os.Rename(s.Archive(), away); err != nil {
		t.Fatal(err)
	}
	err := s.Archived(within(t))
	if err := os.Rename(away, s.Archive()); err != nil { // or the server's end waits for it
		t.Fatal(err)
	}
	if err == nil || !strings.Contains(err.Error(), "archive_command failed") {
		t.Errorf("error %v", err)
	}
}

func TestCounts_String(t *testing.T) {
	c := shop.Counts{"orders": 1048211, "order_items": 12, "customers": 1000}
	if got, want := c.String(), "1 048 211 orders, 12 items, 1 000 customers"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if keys := slices.Sorted(maps.Keys(c)); len(keys) != 3 {
		t.Errorf("the counts were changed: %v", keys)
	}
}
