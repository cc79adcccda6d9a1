package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/journal"
	"comeback/recovery/plan"
	"comeback/recovery/report"
	"comeback/shop"
	"comeback/shop/shoptest"

	"filippo.io/age"
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
	t.Parallel()
	l := ownShop(t)
	r := newRig(t).live(l)
	path := liveRunbook(t, l, l.before)
	harmed, err := digests(t.Context(), l.URL())
	if err != nil {
		t.Fatal(err)
	}
	load := startBench(t, l)
	got := r.run(t.Context(), "recover", path, "--plain", "--to", fmt.Sprintf("before-xid:%d", l.incident.Harm.XID), "--confirm", target(t), "--outage", "1 minute ago")
	if got.code != recovery.CameBack {
		t.Fatalf("exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	load.cutOff(t)
	if said := fmt.Sprintf("gone from live: database: all from %s on: ", l.incident.Harm.Time.UTC().Format("2006-01-02 15:04:05Z")); !strings.Contains(got.out, said) {
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
	benchedIn(t, l).loses(t, l, rep)
	// To switch again, that switch back is switched back: as often as anybody likes.
	for _, want := range [][]digest{now, harmed} {
		refuses("was switched back already", "switch-back", run, "--plain", "--confirm", target(t))
		run = r.lastState(t).Run
		if got := r.run(t.Context(), "switch-back", run, "--plain", "--confirm", target(t)); got.code != recovery.CameBack {
			t.Fatalf("switch back of %s: exit %d\n%s\n%s", run, got.code, got.out, got.err)
		}
		if after, err := digests(t.Context(), l.URL()); err != nil || !slices.Equal(after, want) {
			t.Errorf("after the switch back of %s live is not what it was before: %v", run, err)
		}
	}
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

// A recovery whose runner is killed at any journal entry is either resumed, and
// then live is the restored system, whole; or stopped, and then it is the old one,
// whole. make test takes a few entries of the switch, make soak all.
func TestRecover_afterKillAtEveryEntry(t *testing.T) {
	t.Parallel()
	l := ownShop(t)
	l.killing(t, liveRunbook(t, l, l.before), target(t)).anywhere(t, "database.fence", 0, "before:step.finished/1 database.open-live", "before:step.finished/1 database.swap")
	l.killedBack(t)
}

// killedBack kills a switch back after it has let people into the old database, and before
// that is recorded. Stopped, it makes live again what was before it, and what people wrote
// meanwhile is kept, whatever the date; taken up again, it ends.
func (l *lost) killedBack(t *testing.T) {
	r := newRig(t).live(l)
	if got := r.run(t.Context(), "recover", liveRunbook(t, l, l.atDump), "--plain", "--to", l.dump, "--confirm", target(t)); got.code != recovery.CameBack {
		t.Fatalf("exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	parent := r.lastState(t)
	killed := func(customer int) string {
		t.Helper()
		r.environ["COMEBACK_TEST_KILL"] = "before:step.finished/1 database.open-live"
		run := filepath.Base(r.begun(t, func() { r.run(t.Context(), "switch-back", parent.Run, "--plain", "--confirm", target(t)) }))
		delete(r.environ, "COMEBACK_TEST_KILL")
		l.do(t, fmt.Sprintf("update customers set name = 'theirs' where id = %d", customer))
		return run
	}
	r.run(t.Context(), "stop", killed(1))
	if now := rowsOf(t, l.URL()); !slices.Equal(now, l.atDump) {
		t.Error("stopped, live is not what it was before the switch back")
	}
	r.ahead = 8 * 24 * time.Hour
	if got := r.run(t.Context(), "expire", parent.Run, "--plain", "--done", "all", "--confirm", parent.Old[0].Place); got.code != recovery.Refused || !strings.Contains(got.err, "let people into it and then gave up") {
		t.Errorf("what people wrote expires: exit %d\n%s%s", got.code, got.out, got.err)
	}
	r.ahead = 0
	if got := r.run(t.Context(), "resume", killed(2), "--plain", "--unattended"); got.code != recovery.CameBack {
		t.Errorf("resumed: exit %d\n%s%s", got.code, got.out, got.err)
	}
	if theirs := l.ask(t, "select count(*) from customers where name = 'theirs'"); theirs != "2" {
		t.Errorf("%s of the two that were written are live", theirs)
	}
}

// switchEntries finds the journal entry with which the switch began, and the last.
func switchEntries(t *testing.T, dir, first string) (switching, entries int) {
	t.Helper()
	p, err := os.ReadFile(filepath.Join(dir, "plan.json"))
	if err != nil {
		t.Fatal(err)
	}
	plan, err := plan.Decode(p)
	if err != nil {
		t.Fatal(err)
	}
	events, err := journal.Read(filepath.Join(dir, journal.Name), plan.Runbook.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range events {
		if payload, ok := e.Payload(); ok && switching == 0 {
			if s, ok := payload.(recovery.StepStarted); ok && s.Step == first {
				switching = i + 1
			}
		}
	}
	return switching, len(events)
}

func (r *rig) stateDir(run string) string { return filepath.Join(r.state, "runs", run) }

// A role that may not switch is refused before anything runs, with what would
// entitle it, or the address of one that may.
func TestRecover_notEntitled(t *testing.T) {
	l, r := theShop(t), newRig(t)
	r.environ["DATABASE_URL"] = l.Layout.URL("shop", "shop")
	got := r.run(t.Context(), "recover", liveRunbook(t, l, l.before), "--plain", "--to", "latest", "--confirm", target(t))
	if got.code != recovery.Refused || !strings.Contains(got.err, "role shop may not switch database shop") || !strings.Contains(got.err, `alter role "shop" createdb; grant pg_signal_backend to "shop"`) {
		t.Errorf("exit %d: %s", got.code, got.err)
	}
	r.noRun(t)
}

// Database and uploads come back together, to one moment, and go back together;
// what was uploaded after the moment is listed and stays in the old data.
func TestRecover_wholeSystem(t *testing.T) {
	t.Parallel()
	s := shoptest.Open(t, shop.Options{Scale: 50, Seed: 4})
	l, r := &lost{Shop: s}, newRig(t)
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	r.live(l)
	r.environ["ADMIN_URL"], r.environ["CONFIG_IDENTITY"] = r.environ["DATABASE_URL"], identity.String()
	var text []byte
	for _, step := range []func() error{
		func() error { return s.Furnish(t.Context()) },
		func() error { _, err := s.Backup(t.Context(), shop.BackupOptions{}); return err },
		func() error { return s.Write(t.Context(), 10) },
		func() error {
			_, _, err := s.BackupFiles(t.Context(), identity.Recipient().String())
			return err
		},
		func() (err error) { l.before, err = digests(t.Context(), s.URL()); return },
		func() (err error) {
			text, err = s.Runbook(shop.RunbookOptions{Whole: true, NoShell: true})
			return
		},
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	was := treeOf(t, s.Uploads())
	if l.incident, err = s.Incident(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Vandalize(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Write(t.Context(), 8), s.Archived(t.Context())); err != nil {
		t.Fatal(err)
	}
	harmed, harmedRows := treeOf(t, s.Uploads()), rowsOf(t, s.URL())
	// Nobody is there for ticks, and no application for the smoke test.
	book := filepath.Join(t.TempDir(), "shop.md")
	text, _, _ = bytes.Cut(text, []byte("## Verify and open"))
	text = bytes.ReplaceAll(text, []byte("- [ ]"), []byte("-"))
	if err := os.WriteFile(book, text, 0o600); err != nil {
		t.Fatal(err)
	}
	got := r.run(t.Context(), "recover", book, "--plain", "--to", fmt.Sprintf("before-xid:%d", l.incident.Harm.XID), "--confirm", target(t))
	if got.code != recovery.CameBack {
		t.Fatalf("exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	if now := treeOf(t, s.Uploads()); !maps.Equal(now, was) {
		t.Error("the uploads are not what they were")
	}
	if now := rowsOf(t, s.URL()); !slices.Equal(now, l.before) {
		t.Error("the database is not what it was")
	}
	state := r.stateOf(t, filepath.Base(r.only(t)))
	// What the files lost counts, too: the RPO of the whole system is known.
	rep, err := report.Make(r.only(t))
	if err != nil {
		t.Fatal(err)
	}
	if rpo := rep.Objectives.RPO; rpo.Achieved == nil || len(rep.Live.Losses) != 2 {
		t.Errorf("the RPO: %+v, losses %+v", rpo, rep.Live.Losses)
	}
	if len(state.Old) != 2 || len(state.Held()) != 0 {
		t.Fatalf("old data %+v, held %+v", state.Old, state.Held())
	}
	// Configuration and code have come back beside, whence people bring them in.
	if len(state.HandedOver) != 2 {
		t.Errorf("handed over %+v", state.HandedOver)
	}
	r.takeAway(t)
	for _, old := range state.Old {
		if old.Component == "uploads" && !maps.Equal(treeOf(t, old.Place), harmed) {
			t.Errorf("the old uploads in %s are not what was live", old.Place)
		}
	}
	if !strings.Contains(got.out, "were written after the moment; they stay in the old data") {
		t.Errorf("it does not tell of what came after the moment\n%s", got.out)
	}
	// The old database stays as long as something of the run is to do, also the files'.
	there := func(name string) bool { return slices.Contains(databases(t, l), name) }
	for _, old := range state.Old {
		if old.Component == "database" {
			r.ahead = 8 * 24 * time.Hour
			got := r.run(t.Context(), "expire", state.Run, "--plain", "--confirm", old.Place)
			r.ahead = 0
			if got.code != recovery.Refused || !strings.Contains(got.err, "of the run is open") || !there(old.Place) {
				t.Errorf("with an open to-do: exit %d, old database there %v\n%s", got.code, there(old.Place), got.err)
			}
		}
	}
	if got := r.run(t.Context(), "switch-back", state.Run, "--plain", "--confirm", target(t)); got.code != recovery.CameBack {
		t.Fatalf("switch back: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	if !maps.Equal(treeOf(t, s.Uploads()), harmed) || !slices.Equal(rowsOf(t, s.URL()), harmedRows) {
		t.Error("switched back, live is not what it was")
	}
}

func rowsOf(t *testing.T, url string) []digest {
	t.Helper()
	d, err := digests(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// treeOf is the content of every file below a directory.
func treeOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(p)
		rel, _ := filepath.Rel(dir, p)
		all[rel] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// While people go on ordering, the recovery ends their sessions, and the report's
// loss is what they were told had been committed: not one commit less, and at most
// the one that was under way when its session was ended.
func TestRecover_underLoad(t *testing.T) {
	t.Parallel()
	l := ownShop(t)
	r := newRig(t).live(l)
	if err := l.StartWrites(25); err != nil {
		t.Fatal(err)
	}
	got := r.run(t.Context(), "recover", liveRunbook(t, l, l.before), "--plain", "--to", fmt.Sprintf("before-xid:%d", l.incident.Harm.XID), "--confirm", target(t))
	cut := l.StopWrites()
	if got.code != recovery.CameBack {
		t.Fatalf("exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	state := r.stateOf(t, filepath.Base(r.only(t)))
	truth := l.lostCommits(t)
	if len(state.Losses) != 1 || !state.Losses[0].Final {
		t.Fatalf("losses %+v", state.Losses)
	}
	switch told := state.Losses[0].Commits; {
	case told == truth, told == truth+1 && cut != nil:
	default:
		t.Errorf("the report tells of %d lost commits, %d were made (the writes ended with: %v)", told, truth, cut)
	}
	if !slices.Equal(rowsOf(t, l.URL()), l.before) {
		t.Error("live is not what it was before the harm")
	}
	mergeBack(t, l, r, state.Losses[0], cut != nil)
	if got := r.run(t.Context(), "switch-back", state.Run, "--plain", "--confirm", target(t)); got.code != recovery.CameBack {
		t.Fatalf("switch back: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	conn, err := pgx.Connect(t.Context(), l.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	var orders int64
	if err := conn.QueryRow(t.Context(), "select count(*) from orders").Scan(&orders); err != nil {
		t.Fatal(err)
	}
	if want := l.Counts()["orders"]; orders != want && (orders != want+1 || cut == nil) {
		t.Errorf("switched back, there are %d orders, and %d were placed", orders, want)
	}
	// What had come back goes when its time has come, and the one that is live stays.
	back := r.lastState(t)
	if len(back.Old) != 1 {
		t.Fatalf("old data of the switch back: %+v", back.Old)
	}
	expires(t, r, back.Run, back.Old[0].Place, func() bool { return slices.Contains(databases(t, l), back.Old[0].Place) })
	if all := databases(t, l); !slices.Contains(all, "shop") {
		t.Errorf("databases: %v", all)
	}
	dumpUnderLoad(t, l)
}

// mergeBack brings back what people wrote to the old system after the moment: it is listed
// for each table, and live has it beside what came back.
func mergeBack(t *testing.T, l *lost, r *rig, lost recovery.LossState, cut bool) {
	came := l.ask(t, "select count(*) from orders")
	others := l.ask(t, digestOf("customers r")) + l.ask(t, digestOf("carts r"))
	var got output
	run := filepath.Base(r.begun(t, func() {
		got = r.run(t.Context(), "rescue", liveRunbook(t, l, l.before), "--plain", "--since", fmt.Sprintf("after-xid:%d", l.incident.Drop.XID),
			"--until", fmt.Sprintf("after-xid:%d", lost.To.XID), "--confirm", target(t))
	}))
	if got.code != recovery.CameBack {
		t.Fatalf("merged: exit %d\n%s%s", got.code, got.out, got.err)
	}
	state := r.stateOf(t, run)
	merged := 0
	facts := state.Step("database.preview").Outcome.Facts
	if _, err := fmt.Sscanf(facts["rescue of orders"], "%d to insert", &merged); err != nil || !strings.Contains(facts["rescue of order_items"], " to insert") {
		t.Errorf("what would be merged, by table: %v", facts)
	}
	if want := int(l.Counts()["orders"]); merged != want && (merged != want+1 || !cut) {
		t.Errorf("%d orders are merged, and %d were placed", merged, want)
	}
	if now := l.ask(t, "select count(*) from orders"); now != fmt.Sprint(atoi(t, came)+merged) {
		t.Errorf("there are %s orders after %d were added to %s", now, merged, came)
	}
	if l.ask(t, digestOf("customers r"))+l.ask(t, digestOf("carts r")) != others {
		t.Error("what was written to none of it was changed")
	}
	if got := r.run(t.Context(), "rescue", "undo", run, "--plain", "--confirm", target(t)); got.code != recovery.CameBack {
		t.Fatalf("undo: exit %d\n%s%s", got.code, got.out, got.err)
	}
	if !slices.Equal(rowsOf(t, l.URL()), l.before) {
		t.Error("after the undo live is not what had come back")
	}
}

func atoi(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// databases are those of the shop's server.
func databases(t *testing.T, l *lost) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), l.Layout.URL("postgres", "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	var names []string
	if err := conn.QueryRow(t.Context(), "select array_agg(datname::text) from pg_database").Scan(&names); err != nil {
		t.Fatal(err)
	}
	return names
}
