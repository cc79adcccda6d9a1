package recovery_test

import (
	"slices"
	"testing"
	"time"

	"comeback/recovery"
)

// What going back loses is told by the newest count of each component, and is
// another loss once the moment is another one.
func TestState_Gone(t *testing.T) {
	at := time.Date(2026, 11, 23, 2, 41, 7, 0, time.UTC)
	counted := func(commits int64, final bool) recovery.Loss {
		return recovery.Loss{Component: "database", Commits: commits, Final: final, From: recovery.Commit{Time: at}}
	}
	loss := counted(214, false)
	p := &recovery.Plan{Steps: []recovery.Step{{ID: "loss"}}, Live: []recovery.Live{
		{Component: "database", Loss: &loss, Effects: recovery.Effects{Gone: append(loss.Says(), "database: sessions of users")}},
		{Component: "uploads", Effects: recovery.Effects{Gone: []string{"uploads: all since 02:30; nothing here counts it"}}},
	}}
	s := recovery.NewState(p)
	s.PlanSHA256 = "p1"
	fold := func(p recovery.Payload) {
		t.Helper()
		e, err := recovery.NewEvent(at, p)
		if err != nil {
			t.Fatal(err)
		}
		s = recovery.Fold(s, e)
	}
	says := func(what string, want ...string) {
		t.Helper()
		if got := s.Gone(); !slices.Equal(got, want) {
			t.Errorf("%s: %q", what, got)
		}
	}
	says("planned", loss.Says()[0], "database: sessions of users", "uploads: all since 02:30; nothing here counts it")
	final := counted(389, true)
	fold(recovery.StepFinished{Step: "loss", Outcome: recovery.Outcome{Loss: &final}})
	says("counted in the run", final.Says()[0], "database: sessions of users", "uploads: all since 02:30; nothing here counts it")
	earlier := counted(1000, false)
	fold(amend(t, "p1", recovery.Amended{Says: "go earlier", By: "ops1", Moment: &recovery.Moment{},
		Loses: []recovery.LiveLoss{{Component: "database", Loss: &earlier}, {Component: "uploads", Also: []string{"uploads: all since 01:30"}}}}))
	says("another moment", earlier.Says()[0], "uploads: all since 01:30")
}

// What the harm deleted is not told as lost: it comes back. What was written after
// it is, and the sentence names the tables with the most of either.
func TestLoss_Says(t *testing.T) {
	at := time.Date(2026, 11, 23, 2, 41, 7, 0, time.UTC)
	loss := recovery.Loss{Component: "database", Commits: 314, From: recovery.Commit{Time: at}, Tables: []recovery.TableLoss{
		{Table: "order_items", Inserted: 619, Deleted: 80718},
		{Table: "orders", Inserted: 300, Updated: 10, Deleted: 40977},
		{Table: "uploads", Inserted: 39},
		{Table: "carts", Updated: 7},
		{Table: "deployed", Inserted: 5},
		{Table: "emptied", Deleted: 1},
	}}
	want := "database: all from 2026-11-23 02:41:07Z on: 314 commits" +
		"; rows written: order_items 619, orders 310, uploads 39, carts 7 and 1 more table" +
		"; rows deleted, which come back: order_items 80 718, orders 40 977, emptied 1" +
		"; MORE EACH SECOND until the writes stop"
	if got := loss.Says(); !slices.Equal(got, []string{want}) {
		t.Errorf("%q", got)
	}
	loss.Tables, loss.Final = nil, true
	if got := loss.Says(); !slices.Equal(got, []string{"database: all from 2026-11-23 02:41:07Z on: 314 commits"}) {
		t.Errorf("no tables: %q", got)
	}
	loss.Copy, loss.Final, loss.Stopped = "nearby", false, true
	if got := loss.Says(); !slices.Equal(got, []string{"database: all from 2026-11-23 02:41:07Z on: at least 314 commits; the end of the log may not be in nearby"}) {
		t.Errorf("the end of the log is not known: %q", got)
	}
	loss.Commits = 0
	if got := loss.Says(); !slices.Equal(got, []string{"database: nothing that the log in nearby tells of; the end of the log may not be there"}) {
		t.Errorf("nothing, and the end of the log is not known: %q", got)
	}
}
