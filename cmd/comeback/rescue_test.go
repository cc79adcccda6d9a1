package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/recovery/plan"
	"comeback/recovery/rescue"
	"comeback/recovery/runner"
	"comeback/shop"
	"comeback/shop/shoptest"

	"github.com/jackc/pgx/v5"
)

// harmedShop is a shop of a test's own, with a base backup and an incident: every
// order was deleted by one transaction, and the carts dropped by another.
// The last commit that is in the copy is the shop's last then.
func harmedShop(t *testing.T) (*lost, recovery.XID) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	s := shoptest.Open(t, shop.Options{Scale: 300, Seed: 3})
	l := &lost{Shop: s}
	for _, step := range []func() error{
		func() error { return s.Write(ctx, 20) },
		func() (err error) { l.base, err = s.Backup(ctx, shop.BackupOptions{}); return },
		func() error { return s.Write(ctx, 50) },
		func() (err error) { l.before, err = digests(ctx, s.URL()); return },
		func() (err error) { l.incident, err = s.Incident(ctx); return },
		func() error { return s.Write(ctx, 10) },
		func() error { return s.Archived(ctx) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	commits := s.Commits()
	return l, commits[len(commits)-1].XID
}

// ask asks the shop one question.
func (l *lost) ask(t *testing.T, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), l.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	var answer string
	if err := conn.QueryRow(t.Context(), "select ("+sql+")::text").Scan(&answer); err != nil {
		t.Fatalf("%v: %s", err, sql)
	}
	return answer
}

// do changes the shop.
func (l *lost) do(t *testing.T, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), l.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%v: %s", err, sql)
	}
}

// digestOf asks for one digest of some rows.
func digestOf(rows string) string {
	return `select md5(coalesce(string_agg(r::text, E'\n' order by r::text collate "C"), '')) from ` + rows
}

// planned is what --dry-run prints.
func (r *rig) planned(t *testing.T, args ...string) *recovery.Plan {
	t.Helper()
	got := r.run(t.Context(), append(args, "--dry-run")...)
	if got.code != recovery.CameBack {
		t.Fatalf("exit %d\n%s", got.code, got.err)
	}
	p, err := plan.Decode([]byte(got.out))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// newest is the directory of the run of the rig that a function begins.
func (r *rig) begun(t *testing.T, begin func()) string {
	t.Helper()
	list := func() map[string]bool {
		runs, err := filepath.Glob(filepath.Join(r.state, "runs", "*"))
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]bool{}
		for _, dir := range runs {
			all[dir] = true
		}
		return all
	}
	before := list()
	begin()
	for dir := range list() {
		if !before[dir] {
			return dir
		}
	}
	t.Fatal("no run was begun")
	return ""
}

func TestRescue(t *testing.T) {
	t.Parallel()
	l, last := harmedShop(t)
	t.Run("rows under load", func(t *testing.T) { rescueRows(t, l) })
	t.Run("a dropped table", func(t *testing.T) { rescueTable(t, l) })
	t.Run("killed", func(t *testing.T) { rescueKilled(t, l) })
	t.Run("killed anywhere", func(t *testing.T) { rescueKilledAnywhere(t, l) })
	t.Run("what was written since", func(t *testing.T) { rescueSince(t, l, last) })
	t.Run("several transactions", func(t *testing.T) { rescueSeveral(t, l, last) })
	t.Run("what its plan warns of", func(t *testing.T) { rescueWarns(t, l) })
}

// Where nobody is asked, a rescue tells what its plan warns of before it begins, as a
// recovery does, and what it misses: nothing is begun then.
func rescueWarns(t *testing.T, l *lost) {
	r := newRig(t)
	r.environ["DATABASE_URL"] = l.URL()
	book := runbook(t, fmt.Sprintf("{url: %q}\n  far: {url: %q}", l.CopyURL(), "file://"+t.TempDir()), nil, "")
	// A copy that seems to reach farther, and does not hold what leads there.
	r.surveyed = func(cat *catalogue.Catalogue) {
		for _, s := range slices.Clone(cat.Surveys) {
			if s.Copy != "nearby" || len(s.Windows) == 0 {
				continue
			}
			s.Copy, s.Windows = "far", slices.Clone(s.Windows)
			for i := range s.Windows {
				s.Windows[i].To.Time = s.Windows[i].To.Time.Add(time.Hour)
			}
			cat.Surveys = append(cat.Surveys, s)
		}
	}
	got := r.run(t.Context(), "rescue", book, "--to", "latest", "--table", "carts", "--preview", "--plain", "--key", filepath.Join(t.TempDir(), "none"))
	got.has(t, recovery.Usage, "warning: database.before: it could come back to a later moment by pitr in far, which refuses: ", "live: untouched", "--key ")
	r.noRun(t)
}

// Several transactions are taken back together, in the order of their commits, from as
// many copies as others' work between them asks for.
func rescueSeveral(t *testing.T, l *lost, last recovery.XID) {
	r := newRig(t)
	r.environ["DATABASE_URL"] = l.URL()
	asks := func(xids ...recovery.XID) []string {
		args := []string{"rescue", runbook(t, fmt.Sprintf("{url: %q}", l.CopyURL()), nil, ""), "--plain", "--preview"}
		for _, xid := range xids {
			args = append(args, "--xid", fmt.Sprint(xid))
		}
		return args
	}
	args := func(p *recovery.Plan) (a rescue.Args) {
		t.Helper()
		s, ok := p.Step("database.diff")
		if err := s.Decode(&a); !ok || err != nil {
			t.Fatalf("what is compared: %v, %v", ok, err)
		}
		return a
	}
	harm, drop := l.incident.Harm.XID, l.incident.Drop.XID
	if a := args(r.planned(t, asks(drop, harm, drop)...)); !slices.Equal(a.XIDs, []recovery.XID{harm, drop}) || len(a.Further) > 0 || len(a.Changes) < 3 {
		t.Errorf("with nobody between them: %+v", a)
	}
	var orders []recovery.XID // the last of the copy, each by somebody else
	for _, c := range l.Commits() {
		if c.XID > drop && c.XID <= last {
			orders = append(orders, c.XID)
		}
	}
	if got := r.run(t.Context(), asks(harm, orders[1], orders[3], orders[5], last)...); got.code != recovery.Refused || !strings.Contains(got.err, "restored 10 times") {
		t.Errorf("too many: exit %d, %s", got.code, got.err)
	}
	r.noRun(t)
	var got output
	dir := r.begun(t, func() { got = r.run(t.Context(), asks(last, harm)...) })
	if got.code != recovery.CameBack {
		t.Fatalf("exit %d\n%s%s", got.code, got.out, got.err)
	}
	want := fmt.Sprintf("%d to insert, 1 added since, left there", l.incident.Before.After.Counts["orders"])
	state := r.stateOf(t, filepath.Base(dir))
	if says := state.Step("database.preview").Outcome.Facts["rescue of orders"]; says != want {
		t.Errorf("the orders: %s, want %s", says, want)
	}
	if !strings.Contains(got.out, "before-2: ") {
		t.Errorf("it does not tell of the further copies\n%s", got.out)
	}
}

// The rows of one bad DELETE come back while the shop goes on writing: every
// other row is untouched, nobody but who names the database can do it, no value
// of a row stands in the journal or the report, and the undo leaves the state
// from before the rescue.
func rescueRows(t *testing.T, l *lost) {
	r := newRig(t)
	r.environ["DATABASE_URL"] = l.URL()
	book := runbook(t, fmt.Sprintf("{url: %q}", l.CopyURL()), nil, "")
	asked := []string{"rescue", book, "--xid", fmt.Sprint(l.incident.Harm.XID), "--plain"}
	p := r.planned(t, asked...)
	if host, err := os.Hostname(); err != nil || p.Confirm != host+"/shop" {
		t.Fatalf("the name to type is %q, %v", p.Confirm, err)
	}
	for _, refused := range [][]string{{}, {"--confirm", "shop"}, {"--confirm", p.Confirm + "_old"}} {
		if got := r.run(t.Context(), append(asked, refused...)...); got.code != recovery.Refused {
			t.Errorf("with %q: exit %d, %s", refused, got.code, got.err)
		}
	}
	r.noRun(t)

	// Rows from before the harm have the numbers up to this one.
	last := l.incident.Before.After.Counts["orders"]
	old, others := fmt.Sprintf("orders r where id <= %d", last), []string{"customers r", "products r", "sessions r", "search_cache r"}
	if got := l.ask(t, "select count(*) from "+old); got != "0" {
		t.Fatalf("%s orders of before are left after the harm", got)
	}
	newest := l.ask(t, "select max(id) from orders")
	others = append(others, fmt.Sprintf("orders r where id > %d and id <= %s", last, newest), fmt.Sprintf("order_items r where order_id > %d and order_id <= %s", last, newest))
	var untouched []string
	for _, rows := range others {
		untouched = append(untouched, l.ask(t, digestOf(rows)))
	}
	if err := l.StartWrites(20); err != nil {
		t.Fatal(err)
	}
	var got output
	dir := r.begun(t, func() { got = r.run(t.Context(), append(asked, "--confirm", p.Confirm)...) })
	if err := l.StopWrites(); err != nil {
		t.Errorf("the shop could not write meanwhile: %v", err)
	}
	if got.code != recovery.CameBack {
		t.Fatalf("exit %d\n%s%s", got.code, got.out, got.err)
	}
	check := func(when, count string) {
		t.Helper()
		if n := l.ask(t, "select count(*) from "+old); n != count {
			t.Errorf("%s: %s orders of before, want %s", when, n, count)
		}
		for i, rows := range others {
			if l.ask(t, digestOf(rows)) != untouched[i] {
				t.Errorf("%s: %s was touched", when, rows)
			}
		}
	}
	check("after the rescue", fmt.Sprint(last))
	for _, table := range []struct{ name, key string }{{"orders", "id"}, {"order_items", "order_id"}} {
		for _, d := range l.before {
			if d.table == table.name && l.ask(t, digestOf(fmt.Sprintf("%s r where %s <= %d", table.name, table.key, last))) != d.value {
				t.Errorf("%s is not what it was", table.name)
			}
		}
	}
	if items := l.ask(t, "select count(distinct order_id) from order_items where order_id > "+newest); items == "0" {
		t.Error("the shop has written nothing meanwhile")
	}
	undo, err := filepath.Glob(filepath.Join(dir, "artifacts", "undo-*.sql"))
	if err != nil || len(undo) != 1 {
		t.Fatalf("undo scripts: %q, %v", undo, err)
	}
	if info, err := os.Stat(undo[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the undo script: %v, %v", info, err)
	}
	// Nothing of a row is told.
	placed := l.ask(t, fmt.Sprintf("select placed_at from orders where id = %d", last))
	for _, name := range []string{"journal.jsonl", "report.json", "report.md", "plan.json", "artifacts/database.preview.log"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte(strings.TrimSuffix(placed, "+00"))) {
			t.Errorf("%s holds a value of a row", name)
		}
	}

	run := filepath.Base(dir)
	if got := r.run(t.Context(), "rescue", "show", run); got.code != recovery.Refused || !strings.Contains(got.err, "its rows are gone") {
		t.Errorf("the rows of a run that has ended: exit %d, %s", got.code, got.err)
	}
	if got := r.run(t.Context(), "rescue", "undo", run, "--plain", "--confirm", "shop"); got.code != recovery.Refused {
		t.Errorf("an undo with another name: exit %d, %s", got.code, got.err)
	}
	kept := filepath.Join(dir, recovery.RunbookFile)
	whole := read(t, kept)
	if err := os.WriteFile(kept, append(slices.Clone(whole), "\nAnother line.\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := r.run(t.Context(), "rescue", "undo", run, "--plain", "--confirm", p.Confirm); got.code != recovery.Refused || !strings.Contains(got.err, "is not the one that it was made from") {
		t.Errorf("an undo by another runbook: exit %d, %s", got.code, got.err)
	}
	if err := os.WriteFile(kept, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	got = r.run(t.Context(), "rescue", "undo", run, "--plain", "--confirm", p.Confirm)
	if got.code != recovery.CameBack {
		t.Fatalf("undo: exit %d\n%s%s", got.code, got.out, got.err)
	}
	if !strings.Contains(got.out, "locks: rows that go again: whoever is about to refer to one waits") {
		t.Errorf("it does not tell of its locks\n%s", got.out)
	}
	check("after the undo", "0")
}

// A person looks at the rows before they come back and types the name of the
// database; a dropped table is made again.
func rescueTable(t *testing.T, l *lost) {
	r := newRig(t)
	r.environ["DATABASE_URL"] = l.URL()
	a := r.app(nil, nil)
	b, _, err := a.open(t.Context(), runbook(t, fmt.Sprintf("{url: %q}", l.CopyURL()), nil, ""))
	if err != nil {
		t.Fatal(err)
	}
	o := rescuing{xids: []uint{uint(l.incident.Drop.XID)}}
	p, err := a.rescuePlan(t.Context(), b, o, true, &plainWriter{out: os.Stderr, now: a.now}, false)
	if err != nil {
		t.Fatal(err)
	}
	s, err := a.start(t.Context(), b, p, "test", runner.Launch{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	untilState(t, s, waitsFor("database.look", recovery.WaitTicks))
	carts := l.incident.Before.After.Counts["carts"]
	got := r.run(t.Context(), "rescue", "show", p.Run)
	for _, want := range []string{fmt.Sprintf("carts: %d to insert; the table is made, as the copy defines it", carts), "carts, insert:", "touched_at", "(no such row)"} {
		if got.code != recovery.CameBack || !strings.Contains(got.out, want) {
			t.Errorf("exit %d, want %q in\n%s%s", got.code, want, got.out, got.err)
		}
	}
	var shown struct{ Preview rescue.Preview }
	if got := r.run(t.Context(), "rescue", "show", p.Run, "--json"); json.Unmarshal([]byte(got.out), &shown) != nil || !shown.Preview.Sealed() {
		t.Errorf("as JSON: exit %d, %s", got.code, got.out)
	}
	// It is chosen otherwise, and then as before: each time live is looked at
	// again, and the item is to be ticked again.
	do(t, s, recovery.Command{Kind: recovery.DoTick, By: "ops1", Step: "database.look", Item: 0, How: recovery.TickDone})
	untilState(t, s, waitsFor("database.apply", recovery.WaitName))
	for n, choose := range [][]string{{"--into", "carts=carts_rescued"}, {}} {
		if got := r.run(t.Context(), append([]string{"rescue", "choose", p.Run}, choose...)...); got.code != recovery.CameBack {
			t.Fatalf("choose %q: exit %d, %s", choose, got.code, got.err)
		}
		untilState(t, s, func(s *recovery.State) bool {
			return len(s.Amendments) == n+1 && waitsFor("database.look", recovery.WaitTicks)(s)
		})
		want := "carts into carts_rescued: "
		if n == 1 {
			want = "carts: "
		}
		if got := r.run(t.Context(), "rescue", "show", p.Run); !strings.Contains(got.out, "\n"+want) {
			t.Errorf("after %q: %s%s", choose, got.out, got.err)
		}
	}
	do(t, s, recovery.Command{Kind: recovery.DoTick, By: "ops1", Step: "database.look", Item: 0, How: recovery.TickDone})
	// Nobody has typed the name: it is asked for.
	untilState(t, s, waitsFor("database.apply", recovery.WaitName))
	if there := l.ask(t, "select to_regclass('carts') is not null"); there != "false" {
		t.Error("live was changed before its name was typed")
	}
	do(t, s, recovery.Command{Kind: recovery.DoConfirm, By: "ops1", Text: p.Confirm})
	state := untilState(t, s, func(s *recovery.State) bool { return s.Result != "" })
	if state.Result != recovery.ResultPassed {
		t.Errorf("%s: %s", state.Result, state.Says)
	}
	if got := r.run(t.Context(), "rescue", "choose", p.Run); got.code == recovery.CameBack {
		t.Error("a rescue that has ended was changed")
	}
	for _, d := range l.before {
		if d.table == "carts" && l.ask(t, d.query) != d.value {
			t.Error("the carts are not what they were")
		}
	}
}

// A runner that is killed right before the commit has changed nothing; one that is
// killed right after it has brought everything back, and the next does nothing
// twice.
func rescueKilled(t *testing.T, l *lost) {
	r := newRig(t)
	r.environ["DATABASE_URL"] = l.URL()
	asked := []string{"rescue", runbook(t, fmt.Sprintf("{url: %q}", l.CopyURL()), nil, ""), "--xid", fmt.Sprint(l.incident.Harm.XID), "--plain"}
	p := r.planned(t, asked...)
	old := fmt.Sprintf("select count(*) from orders where id <= %d", l.incident.Before.After.Counts["orders"])
	orders := func(when, want string) {
		t.Helper()
		if got := l.ask(t, old); got != want {
			t.Errorf("%s: %s orders of before, want %s", when, got, want)
		}
	}
	r.environ["COMEBACK_TEST_KILL"] = "after:step.checkpoint/1 database.apply"
	dir := r.begun(t, func() {
		if got := r.run(t.Context(), append(asked, "--confirm", p.Confirm)...); got.code != recovery.NotEnded {
			t.Fatalf("killed: exit %d\n%s%s", got.code, got.out, got.err)
		}
	})
	run := filepath.Base(dir)
	orders("killed before the commit", "0")
	r.environ["COMEBACK_TEST_KILL"] = "before:step.finished/1 database.apply"
	if got := r.run(t.Context(), "resume", run, "--plain", "--unattended"); got.code != recovery.NotEnded {
		t.Fatalf("killed again: exit %d\n%s%s", got.code, got.out, got.err)
	}
	all := fmt.Sprint(l.incident.Before.After.Counts["orders"])
	orders("killed after the commit", all)
	delete(r.environ, "COMEBACK_TEST_KILL")
	if got := r.run(t.Context(), "resume", run, "--plain", "--unattended"); got.code != recovery.CameBack {
		t.Fatalf("resumed: exit %d\n%s%s", got.code, got.out, got.err)
	}
	orders("in the end", all)
	state := r.stateOf(t, run)
	if o := state.Step("database.apply").Outcome; len(o.Remarks) != 1 || !strings.Contains(o.Remarks[0], "committed as transaction "+o.Facts["transaction"]+" by an earlier attempt") {
		t.Errorf("the last attempt says %+v", o)
	}
	if undo, err := filepath.Glob(filepath.Join(dir, "artifacts", "undo-*.sql")); err != nil || len(undo) != 2 {
		t.Errorf("undo scripts: %q, %v", undo, err)
	}
	if got := r.run(t.Context(), "rescue", "undo", run, "--plain", "--confirm", p.Confirm); got.code != recovery.CameBack {
		t.Fatalf("undo: exit %d\n%s%s", got.code, got.out, got.err)
	}
	orders("after the undo", "0")
}

// A rescue whose runner is killed anywhere is taken up again, and then the rows are back
// and can be taken back; or stopped, and then they are not. make test stops one that was
// killed between its commit and the note of it, make soak takes every entry.
func rescueKilledAnywhere(t *testing.T, l *lost) {
	asked := []string{"rescue", runbook(t, fmt.Sprintf("{url: %q}", l.CopyURL()), nil, ""), "--xid", fmt.Sprint(l.incident.Harm.XID), "--plain", "--confirm", target(t)}
	k := killing{args: asked, name: target(t), now: func() (string, error) {
		d, err := digests(t.Context(), l.URL())
		return fmt.Sprint(d), err
	}}
	k.rig = func() *rig {
		r := newRig(t)
		r.environ["DATABASE_URL"] = l.URL()
		return r
	}
	k.did = func(s recovery.State) bool { return s.Step("database.apply").State == recovery.Done }
	k.back = func(t *testing.T, r *rig, run string) {
		t.Helper()
		if got := r.run(t.Context(), "rescue", "undo", run, "--plain", "--confirm", k.name); got.code != recovery.CameBack {
			t.Fatalf("undo: exit %d\n%s\n%s", got.code, got.out, got.err)
		}
	}
	var err error
	if k.old, err = k.now(); err != nil {
		t.Fatal(err)
	}
	if !soaking() {
		k.at(t, "before:step.finished/1 database.apply", false)
		return
	}
	k.anywhere(t, "database.apply", 0)
}

// What was written after a moment, and is not in live, is listed by table.
func rescueSince(t *testing.T, l *lost, last recovery.XID) {
	r := newRig(t)
	r.environ["DATABASE_URL"] = l.URL()
	book := runbook(t, fmt.Sprintf("{url: %q}", l.CopyURL()), nil, "")
	for _, wrong := range [][]string{{}, {"--xid", "800", "--since", "latest"}, {"--to", "latest"}, {"--xid", "800", "--until", "latest"},
		{"--xid", "0"}, {"--xid", "4294967296"}, {"--xid", "800", "--into", "carts"}, {"--xid", "800", "--without-trigger", "carts"}} {
		if got := r.run(t.Context(), append([]string{"rescue", book, "--plain"}, wrong...)...); got.code != recovery.Usage {
			t.Errorf("with %q: exit %d, %s", wrong, got.code, got.err)
		}
	}
	backwards := []string{"--since", fmt.Sprintf("after-xid:%d", last), "--until", fmt.Sprintf("after-xid:%d", l.incident.Drop.XID)}
	if got := r.run(t.Context(), append([]string{"rescue", book, "--plain", "--preview"}, backwards...)...); got.code != recovery.Usage || !strings.Contains(got.err, "nothing was written between them") {
		t.Errorf("backwards: exit %d, %s", got.code, got.err)
	}
	r.noRun(t)
	first := l.incident.Before.After.Counts["orders"] + 1
	l.do(t, fmt.Sprintf("delete from order_items where order_id = %d", first))
	l.do(t, fmt.Sprintf("delete from orders where id = %d", first))
	var got output
	dir := r.begun(t, func() {
		got = r.run(t.Context(), "rescue", book, "--plain", "--preview", "--since", fmt.Sprintf("after-xid:%d", l.incident.Drop.XID), "--until", fmt.Sprintf("after-xid:%d", last))
	})
	if got.code != recovery.CameBack || !strings.Contains(got.out, "live: untouched; the run ends when it is known what would be done") || strings.Contains(got.out, "left beside it") {
		t.Fatalf("exit %d\n%s%s", got.code, got.out, got.err)
	}
	state := r.stateOf(t, filepath.Base(dir))
	facts := state.Step("database.preview").Outcome.Facts
	if orders := facts["rescue of orders"]; orders != "1 to insert, 9 already as before" || facts["rescue of customers"] != "nothing to do" || facts["rescue of search_cache"] != "" {
		t.Errorf("what would be merged: %v", facts)
	}
	if len(state.Confirmations) != 0 || state.LiveSays(time.UTC) != "untouched" {
		t.Errorf("live is %s", state.LiveSays(time.UTC))
	}
}
