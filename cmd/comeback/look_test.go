package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/recovery/runner"
	"comeback/recovery/verify"
	"comeback/tui"
)

// A person looks before the copy is opened, goes to a later moment without
// another copy, looks again, and has exactly that.
func TestLook(t *testing.T) {
	l, r := theShop(t), newRig(t)
	r.environ["DATABASE_URL"] = l.URL()
	book := runbook(t, fmt.Sprintf("{url: %q}", l.CopyURL()), l.before, "\n## Look\n\n- [ ] Somebody has looked\n")
	a := r.app(nil, nil)
	b, _, err := a.open(t.Context(), book)
	if err != nil {
		t.Fatal(err)
	}
	cat, err := a.survey(t.Context(), b, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.run(t.Context(), "rehearse", book, "--plain", "--look"); got.code != recovery.Usage || !strings.Contains(got.err, "here is none") {
		t.Errorf("with nobody to look: exit %d, %s", got.code, got.err)
	}
	p, err := a.plan(t.Context(), b, cat, choices{mode: recovery.Rehearsal, to: l.base, look: true})
	if err != nil {
		t.Fatal(err)
	}
	s, err := a.start(t.Context(), b, p, "test", runner.Launch{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	state := untilState(t, s, waitsFor("database.look", recovery.WaitTicks))
	if says := state.Step("database.replay").Outcome.Says; !strings.Contains(says, "paused there and read-only; look with: psql -h ") {
		t.Errorf("the replay says %q", says)
	}
	// What it tells to type works from here.
	words := strings.Fields(state.Step("database.replay").Outcome.Facts["look"])
	if out, err := exec.CommandContext(t.Context(), words[0], append(words[1:], "-XAtc", "select pg_is_in_recovery()")...).CombinedOutput(); err != nil || string(out) != "t\n" {
		t.Errorf("%q: %v: %s", words, err, out)
	}
	// The carts are gone from live, and the orders.
	got := r.run(t.Context(), "look", p.Run, "--live")
	for _, want := range []string{"database of run " + p.Run + ", paused, not opened yet, read-only: the end of base backup", "* not in live", "fewer in live"} {
		if got.code != recovery.CameBack || !strings.Contains(got.out, want) {
			t.Errorf("exit %d, want %q in\n%s%s", got.code, want, got.out, got.err)
		}
	}
	if got := r.run(t.Context(), "look", p.Run, "select count(*) as n, null as x from carts"); got.code != recovery.CameBack ||
		!strings.HasPrefix(got.out, "n") || !strings.Contains(got.out, "NULL") || !strings.Contains(got.out, "(1 row)") {
		t.Errorf("exit %d\n%s%s", got.code, got.out, got.err)
	}
	if text, err := (&desk{app: a}).Look(t.Context(), p.Run, "database", "select count(*) as n, null as x from carts"); err != nil || !strings.HasPrefix(text, "n") || !strings.Contains(text, "(1 row)") {
		t.Errorf("the console shows %q, %v", text, err)
	}
	if text, err := (&desk{app: a}).Look(t.Context(), p.Run, "database", ""); err != nil || !strings.Contains(text, "orders") {
		t.Errorf("the console lists %q, %v", text, err)
	}
	if got := r.run(t.Context(), "look", p.Run, "delete from carts"); got.code == recovery.CameBack || !strings.Contains(got.err, "only reads") {
		t.Errorf("a write: exit %d, %s", got.code, got.err)
	}

	namesOfPaused(t, a, b, cat, r.run(t.Context(), "look", p.Run, "select pg_relation_filenode('carts') as carts, oid from pg_database where datname = current_database()").out)

	change, err := a.amendment(t.Context(), s, state, tui.Choice{Want: fmt.Sprintf("before-xid:%d", l.incident.Harm.XID), Engine: "pitr"})
	if err != nil {
		t.Fatal(err)
	}
	do(t, s, recovery.Command{Kind: recovery.DoAmend, By: "ops1", Amend: &change})
	state = untilState(t, s, func(s *recovery.State) bool {
		return len(s.Amendments) == 1 && waitsFor("database.look", recovery.WaitTicks)(s)
	})
	if copies, replays := state.Step("database.copy").Attempts, state.Step("database.replay").Attempts; copies != 1 || replays != 2 {
		t.Errorf("copied %d times, replayed %d times; %q", copies, replays, change.Says)
	}
	var seen looked
	if got := r.run(t.Context(), "look", p.Run, "--json"); json.Unmarshal([]byte(got.out), &seen) != nil || !seen.Paused {
		t.Fatalf("exit %d: %s%s", got.code, got.out, got.err)
	}
	// What is lost first is told with the names that the copy still has.
	if lost := seen.Lost; lost == nil || lost.XID != l.incident.Harm.XID || !strings.Contains(lost.Says, fmt.Sprintf("delete orders %s (100 %%)", thousands(l.incident.Before.After.Counts["orders"]))) {
		t.Errorf("the first that is lost: %+v, %s", lost, seen.LostError)
	}
	var digested bool
	for _, d := range l.before {
		if d.table == "orders" {
			got := r.run(t.Context(), "look", p.Run, d.query)
			digested = got.code == recovery.CameBack && strings.Contains(got.out, d.value)
		}
	}
	if !digested || len(seen.Tables) < len(l.before) {
		t.Errorf("the orders are not those before the harm; seen %+v", seen.Tables)
	}

	do(t, s, recovery.Command{Kind: recovery.DoTick, By: "ops1", Step: "database.look", How: recovery.TickDone})
	untilState(t, s, waitsFor("3.1.ticks", recovery.WaitTicks))
	if got := r.run(t.Context(), "look", p.Run); got.code != recovery.CameBack || !strings.Contains(got.out, p.Run+", open: just before xid") {
		t.Errorf("of the opened copy: exit %d\n%s%s", got.code, got.out, got.err)
	}
	do(t, s, recovery.Command{Kind: recovery.DoTick, By: "ops1", Step: "3.1.ticks", How: recovery.TickDone})
	state = untilEnd(t, s)
	if state.Result != recovery.ResultPassed {
		t.Errorf("ended as %s: %s", state.Result, state.Says)
	}
	if n := state.Step("database.copy").Attempts; n != 1 {
		t.Errorf("copied %d times", n)
	}
	if got := r.run(t.Context(), "look", p.Run); got.code != recovery.Refused || !strings.Contains(got.err, "has ended") {
		t.Errorf("after the end: exit %d, %s", got.code, got.err)
	}
}

// What live has more or less is said as what it is.
func TestBeside(t *testing.T) {
	n := func(table string, rows int64, estimate bool, why string) verify.TableRows {
		return verify.TableRows{Table: table, Rows: rows, Estimate: estimate, Why: why}
	}
	ours := []verify.TableRows{n("carts", 7, false, ""), n("items", 900, true, ""), n("locked", -1, false, "locked"), n("orders", 5, false, ""), n("same", 1, false, "")}
	theirs := []verify.TableRows{n("items", 1000, true, ""), n("locked", 3, false, ""), n("new", 1, false, ""), n("orders", 0, false, ""), n("same", 1, false, "")}
	want := map[string][3]string{
		"carts": {"7", "-", "* not in live"}, "items": {"~900", "~1000", "* about 100 more in live"}, "locked": {"?", "3", "locked"},
		"new": {"-", "1", "* not in the copy"}, "orders": {"5", "0", "* 5 fewer in live"}, "same": {"1", "1", ""},
	}
	all := beside(ours, theirs, true)
	if len(all) != len(want) {
		t.Errorf("%d tables", len(all))
	}
	for _, row := range all {
		if got := [3]string{rowsSay(row.Copy), rowsSay(row.Live), remarks(row)}; got != want[row.Table] {
			t.Errorf("%s: %q, want %q", row.Table, got, want[row.Table])
		}
	}
}

// namesOfPaused checks that what was dropped from live has its name while a copy
// from before stands, for the list and for the console. Numbers are those of carts
// and of its database, as look prints them.
func namesOfPaused(t *testing.T, a *app, b *book, cat catalogue.Catalogue, numbers string) {
	t.Helper()
	var carts, database uint32
	if _, err := fmt.Sscanf(strings.SplitN(numbers, "\n", 2)[1], "%d %d", &carts, &database); err != nil {
		t.Fatalf("%q: %v", numbers, err)
	}
	survey, ok := cat.NewestLog("database")
	if !ok {
		t.Fatal("there is no log")
	}
	server := a.askLive(t.Context(), b)["database"]
	defer server.conn.Close(t.Context())
	live, err := server.names(t.Context(), survey)
	if err != nil {
		t.Fatal(err)
	}
	names, err := a.namesFor(t.Context(), b, "database", server, survey)
	if err != nil {
		t.Fatal(err)
	}
	if r, ok := live.Relation(database, carts); ok {
		t.Errorf("live knows %d as %q", carts, r.Name)
	}
	if r, ok := names.Relation(database, carts); !ok || r.Name != "carts" || !r.Dated {
		t.Errorf("%d is %+v, want carts, of another time", carts, r)
	}
	gone := &liveServer{err: errors.New("nobody answers")}
	names, why := a.namesFor(t.Context(), b, "database", gone, survey)
	if why == nil || why.Error() != "nobody answers" {
		t.Errorf("without the live server: %v", why)
	}
	if r, ok := names.Relation(database, carts); !ok || r.Name != "carts" {
		t.Errorf("without the live server %d is %+v", carts, r)
	}
}
