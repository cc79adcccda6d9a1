package tui

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
)

const scratchOnly = "this version restores into scratch only and changes nothing live"

// Each route leads to a moment, in its mode, with what must be said before.
func TestJourney_Routes(t *testing.T) {
	for _, test := range []struct {
		key string
		// before is what stands on the way, moment what the moments' screen
		// says.
		before, moment []string
		mode           recovery.Mode
	}{
		{key: "1", before: []string{"find the commit", "OUTAGE BEGAN"}, moment: []string{"FOR REAL", "down ~10m00 RTO 30m left 20m00"}, mode: recovery.Recovery},
		{key: "2", before: []string{"HOST        another one", "OUTAGE BEGAN"}, moment: []string{"FOR REAL", "GO BACK TO WHICH MOMENT?"}, mode: recovery.Recovery},
		{key: "3", before: []string{"FIND", "plans the rescue of that transaction", "OUTAGE BEGAN"}, moment: []string{"LOOKING: READ ONLY", "LOOK INTO WHICH LOG?"}},
		{key: "4", before: []string{"CLEAN HOST", "left out: nearby", "OUTAGE BEGAN"}, moment: []string{"FOR REAL", "LEFT OUT: nearby"}},
		{key: "5", moment: []string{"LOOKING: READ ONLY"}},
		{key: "6", moment: []string{"REHEARSAL: SCRATCH"}, mode: recovery.Rehearsal},
	} {
		t.Run(test.key, func(t *testing.T) {
			desk := shopDesk()
			d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
			atRunbook(d, desk)
			d.press(test.key)
			if len(test.before) > 0 {
				for _, text := range test.before {
					d.sees(text)
				}
				d.press("=10 minutes ago", "enter")
			}
			d.sees("nothing is chosen for you")
			for _, text := range test.moment {
				d.sees(text)
			}
			if test.mode == "" {
				return
			}
			d.press("home", "down", "enter") // a dump
			d.sees("PLAN 7c31")
			if desk.mode != test.mode {
				t.Errorf("a %s was planned", desk.mode)
			}
		})
	}
}

func TestJourney_TheOutageIsAskedOnce(t *testing.T) {
	desk := shopDesk()
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	atRunbook(d, desk)
	d.press("1", "=tomorrow", "enter")
	d.sees(`"tomorrow" is not a time`)
	d.press("ctrl+u", "=09:52", "enter")
	d.sees("GO BACK TO WHICH MOMENT?")
	d.sees("down 8m00 RTO 30m left 22m00")
	d.press("esc", "1")
	d.sees("GO BACK TO WHICH MOMENT?")
	d.press("esc", "o", "enter")
	d.sees("Outage began: unknown (o changes it)")
	d.press("o", "=~09:20", "enter")
	d.sees("Outage began 09:20+01, estimated")
	d.sees("down ~40m00 RTO 30m OVER 10m00")
}

// Where live systems cannot be changed, every route that would says so, and
// what it plans is a rehearsal.
func TestJourney_RoutesIntoScratchOnly(t *testing.T) {
	for _, key := range []string{"1", "2", "4"} {
		t.Run(key, func(t *testing.T) {
			desk := shopDesk()
			desk.opened.OnlyScratch = scratchOnly
			for i := range desk.opened.Copies {
				desk.opened.Copies[i] = recovery.Copy{Name: desk.opened.Copies[i].Name, URL: "s3://x", Account: "1"}
			}
			d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
			atRunbook(d, desk)
			d.sees("SCRATCH ONLY")
			d.press(key)
			d.sees(scratchOnly[:40])
			d.press("enter")
			d.sees("REHEARSAL: SCRATCH")
			d.press("home", "down", "enter")
			d.sees("PLAN 7c31")
			if desk.mode != recovery.Rehearsal {
				t.Errorf("a %s was planned", desk.mode)
			}
		})
	}
}

func TestJourney_LookingRestoresNothing(t *testing.T) {
	desk := shopDesk()
	withLog(desk)
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	atRunbook(d, desk)
	d.press("5", "home", "enter")
	d.sees("read back to")
	d.press("h", "enter")
	d.sees("this way only looks")
	if len(desk.choices) > 0 || !strings.Contains(d.screen(), "LOOKING: READ ONLY") {
		t.Errorf("a plan was made: %+v\n%s", desk.choices, d.screen())
	}
}

// The rescue of some rows is planned for the transaction that was found, and can be
// copied as a command.
func TestJourney_Rescue(t *testing.T) {
	desk := shopDesk()
	withLog(desk)
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	d.size(120, 40)
	atRunbook(d, desk)
	d.press("3", "enter", "home", "enter")
	d.sees("read back to")
	d.press("h", "enter")
	d.sees("PLAN 7c31")
	if len(desk.followed) != 1 || desk.followed[0].Kind != RescueRows || desk.followed[0].Runbook != shopMD || desk.followed[0].Component != "database" || len(desk.followed[0].XIDs) != 1 || desk.followed[0].XIDs[0] < 800 || len(desk.choices) > 0 {
		t.Fatalf("planned %+v and %+v", desk.followed, desk.choices)
	}
	d.sees("enter begin into scratch")
	d.press("esc", "y")
	if got := d.clipboard(); !strings.HasPrefix(got, "comeback rescue "+shopMD+" --xid 8") || !strings.HasSuffix(got, " --preview") {
		t.Errorf("copied %q", got)
	}
	// Several are marked, and one of them is not after all.
	first := desk.followed[0].XIDs[0]
	d.press("m", "up", "up", "m", "up", "up", "m", "m")
	d.sees("2 MARKED")
	d.clipped = ""
	d.press("y")
	if got := d.clipboard(); strings.Count(got, " --xid ") != 2 || !strings.Contains(got, fmt.Sprintf(" --xid %d ", first)) {
		t.Errorf("copied %q", got)
	}
	d.press("enter")
	d.sees("PLAN 7c31")
	if n := len(desk.followed); n != 2 || len(desk.followed[1].XIDs) != 2 || desk.followed[1].XIDs[0] != first || desk.followed[1].XIDs[1] == first {
		t.Errorf("planned %+v", desk.followed)
	}
}

// The outage that was told before a recovery began is told to its run.
func TestJourney_TheRunHearsOfTheOutage(t *testing.T) {
	desk := shopDesk()
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	atRunbook(d, desk)
	d.press("1", "=09:52", "enter")
	d.sees("GO BACK TO WHICH MOMENT?")
	d.press("home", "down", "enter")
	d.sees("PLAN 7c31")
	desk.prepared.Plan.Mode = recovery.Recovery
	plan := d.m.top().screen.(*planScreen)
	d.run(plan.tellOutage(desk.session))
	d.until("the outage", func() bool { return len(desk.session.asked()) == 1 })
	want := recovery.Command{Kind: recovery.DoOutage, By: "ops1", Outage: recovery.OutageNoted{Since: ten.Add(-8 * time.Minute), How: "known"}}
	if got := desk.session.asked()[0]; got.Kind != want.Kind || got.Outage.How != want.Outage.How || !got.Outage.Since.Equal(want.Outage.Since) {
		t.Errorf("the run was asked for %+v", got)
	}
}

func TestAccess_WarnsOfCredentialsThatEndTooSoon(t *testing.T) {
	desk := shopDesk()
	desk.rows[1].State, desk.rows[1].Surveys = Readable, desk.rows[0].Surveys
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	d.size(100, 60)
	atRunbook(d, desk)
	for _, text := range []string{"you are user ops1", "111122223333", "the credentials end 10:10:00 today", "/var/tmp: needs at least 14.2 GB", "ssh-agent, SHA256:x1fQ8vZk2"} {
		d.sees(text)
	}
}

// The command of the way to another host can be copied whole, however long the name of a
// runbook in a copy is: while the outage is asked for, when y would be typed, and after.
func TestJourney_CopiesTheCommand(t *testing.T) {
	const path = "s3://shop-backups-offsite/shop/comeback/runbooks/shop/20261122T010041Z-3b7e4f2a9d1c5b6e8f7a0d9c4b3e2f1a6d5c8b7e4f2a9d1c5b6e8f7a0d9c4b3e.md"
	desk := shopDesk()
	desk.systems[0].Runbook, desk.opened.Runbook = path, path
	desk.opened.AnotherHost = []string{"database comes back only into a server that runs"}
	d := drive(t, desk, Options{Start: Start{Runbook: path}})
	atRunbook(d, desk)
	d.press("2")
	d.sees("INTO        database comes back only into a server that runs")
	d.sees("ctrl+y copy the command")
	want := "comeback wal save " + recovery.ShellWord(path) + " --from PG_WAL"
	for _, key := range []string{"ctrl+y", "y"} {
		d.clipped = ""
		d.press(key)
		if got := d.clipboard(); got != want {
			t.Errorf("%s copied %q", key, got)
		}
		if key == "ctrl+y" {
			d.press("=09:52", "enter")
			d.sees("GO BACK TO WHICH MOMENT?")
			d.press("esc", "2")
			d.sees("y copy the command")
		}
	}
}
