package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/report"
	"comeback/shop"
	"comeback/shop/shoptest"

	"github.com/jackc/pgx/v5"
)

// ownShop is a shop of a test's own, because what it does changes it: with backups,
// an incident, and people who went on ordering.
func ownShop(t *testing.T) *lost {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	s, err := shop.Open(ctx, shop.Options{Dir: shoptest.Dir(t), Scale: 100, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	l := &lost{Shop: s}
	for _, step := range []func() error{
		func() error { return s.Write(ctx, 20) },
		func() (err error) { l.dump, err = s.Dump(ctx); return },
		func() (err error) { l.atDump, err = digests(ctx, s.URL()); return },
		func() (err error) { l.base, err = s.Backup(ctx, shop.BackupOptions{}); return },
		func() error { return s.Write(ctx, 40) },
		func() (err error) { l.before, err = digests(ctx, s.URL()); return },
		func() (err error) { l.incident, err = s.Incident(ctx); return },
		func() error { return s.Write(ctx, 15) },
		func() error { return s.Archived(ctx) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// liveRunbook is a runbook whose checks are digests and that switches.
func liveRunbook(t *testing.T, l *lost, want []digest) string {
	t.Helper()
	return runbook(t, fmt.Sprintf("{url: %q}", l.CopyURL()), want, "\n## Switch\nBudget: 2m.\n\n```yaml\nswitch: database\n```\n\n## Open\n"+
		"\n```sql\n-- check: live has its orders\n-- on: database\n-- expect: >= 1\nselect count(*) from orders where pg_is_in_recovery() = false;\n```\n")
}

func (r *rig) live(l *lost) *rig {
	r.environ["DATABASE_URL"] = l.Layout.URL("postgres", "shop")
	return r
}

func target(t *testing.T) string {
	t.Helper()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	return host + "/shop"
}

// A database of a running server goes back to just before the harm: the restored
// one takes its name, what was live stays beside, and the report tells exactly what
// that cost.
func TestRecover_database(t *testing.T) {
	l := ownShop(t)
	r := newRig(t).live(l)
	path := liveRunbook(t, l, l.before)
	harmed, err := digests(t.Context(), l.URL())
	if err != nil {
		t.Fatal(err)
	}
	got := r.run(t.Context(), "recover", path, "--plain", "--to", fmt.Sprintf("before-xid:%d", l.incident.Harm.XID), "--confirm", target(t), "--outage", "1 minute ago")
	if got.code != recovery.CameBack {
		t.Fatalf("exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	if said := fmt.Sprintf("gone from live: database: all from %s on: %d commits", l.incident.Harm.Time.UTC().Format("2006-01-02 15:04:05Z"), l.lostCommits(t)); !strings.Contains(got.out, said) {
		t.Errorf("it does not say %q\n%s", said, got.out)
	}
	now, err := digests(t.Context(), l.URL())
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range l.before {
		if now[i] != d {
			t.Errorf("live %s is not what it was before the harm", d.table)
		}
	}
	rep, err := report.Make(r.only(t))
	if err != nil {
		t.Fatal(err)
	}
	if rep.Live == nil || len(rep.Live.Losses) != 1 || len(rep.Live.Old) != 1 || len(rep.Live.Confirmed) != 1 {
		t.Fatalf("live in the report: %+v", rep.Live)
	}
	if loss := rep.Live.Losses[0]; loss.Commits != l.lostCommits(t) || !loss.Final {
		t.Errorf("lost by the report %d commits, final %v; in truth %d", loss.Commits, loss.Final, l.lostCommits(t))
	}
	if rep.Objectives.RTO.Verdict != report.Met || rep.Objectives.RPO.Achieved == nil {
		t.Errorf("objectives: %+v", rep.Objectives)
	}
	conn, err := pgx.Connect(t.Context(), l.Layout.URL("postgres", "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	var names []string
	if err := conn.QueryRow(t.Context(), "select array_agg(datname::text order by datname) from pg_database where datname like 'shop%'").Scan(&names); err != nil {
		t.Fatal(err)
	}
	if strings.Join(names, " ") != "shop "+rep.Live.Old[0].Place {
		t.Errorf("databases: %v, old data by the report in %s", names, rep.Live.Old[0].Place)
	}

	// And back: live is what it was before the recovery, and what had come back
	// stays beside. It happens once.
	broken, err := digests(t.Context(), l.Layout.URL("postgres", rep.Live.Old[0].Place))
	if err == nil {
		t.Errorf("the old database lets people in: %v", broken)
	}
	run := filepath.Base(r.only(t))
	refuses := func(hint string, args ...string) {
		t.Helper()
		if got := r.run(t.Context(), args...); got.code != recovery.Refused || !strings.Contains(got.err, hint) {
			t.Errorf("%v: exit %d: %s", args, got.code, got.err)
		}
	}
	refuses("--confirm "+target(t), "switch-back", run, "--plain")
	refuses("is not the name of the target", "switch-back", run, "--plain", "--confirm", "db2/shop")
	if got := r.run(t.Context(), "switch-back", run, "--plain", "--confirm", target(t)); got.code != recovery.CameBack {
		t.Fatalf("switch back: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	after, err := digests(t.Context(), l.URL())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(after, harmed) {
		t.Error("live is not what it was before the recovery")
	}
	refuses("was switched back already", "switch-back", run, "--plain", "--confirm", target(t))
}

// lostCommits is how many commits of the shop came from the harm on.
func (l *lost) lostCommits(t *testing.T) int64 {
	t.Helper()
	n := int64(0)
	for _, c := range l.Commits() {
		if c.XID >= l.incident.Harm.XID {
			n++
		}
	}
	return n
}
