package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"comeback/recovery"
	"comeback/recovery/report"
	"comeback/recovery/runner"
	"comeback/shop"
)

// demoTeller tells the demo's story, for people who see comeback for the first
// time.
type demoTeller struct {
	out   io.Writer
	now   func() time.Time
	since time.Time // the end of the last thing that was done
}

func (t *demoTeller) line(format string, args ...any) {
	fmt.Fprintf(t.out, format+"\n", args...)
}

func (t *demoTeller) title(p *demoPlace) {
	t.since = t.now()
	t.line("A shop, its backups, an incident, and the way back: all of it is real.")
	if p.shop == p.dir {
		t.line("It lives in %s; nothing else here is touched.", p.dir)
		return
	}
	t.line("It lives in %s,", p.shop)
	t.line("because the database server may not enter %s,", p.dir)
	t.line("where the report will be. Nothing else here is touched.")
}

func (t *demoTeller) heading(name, says string) {
	t.line("\n%s: %s", name, says)
}

// done tells that something was done, and how long it took.
func (t *demoTeller) done(text string) {
	now := t.now()
	t.line("  %-70s %5.1fs", text, now.Sub(t.since).Seconds())
	t.since = now
}

// made tells of a backup and its size.
func (t *demoTeller) made(kind, key, path, how string) {
	var size int64
	err := filepath.WalkDir(path, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	text := fmt.Sprintf("%-6s %-26s %s", kind, key, how)
	if err == nil {
		text += ", " + recovery.FormatBytes(size)
	}
	t.done(text)
}

// incident tells what happened, a line for each harm.
func (t *demoTeller) incident(i shop.Incident, d shop.Damage, since int64) {
	const clock = "15:04:05.000"
	t.heading("THE INCIDENT", "a migration that nobody had tried on a copy")
	kept := i.Before.After
	orders := shop.Thousands(kept.Counts["orders"])
	t.line("  %s  xid %-6d a customer orders: the shop has %s orders", kept.Time.Local().Format(clock), kept.XID, orders)
	t.line("! %s  xid %-6d the migration deletes all %s", i.Harm.Time.Local().Format(clock), i.Harm.XID, orders)
	t.line("! %s  xid %-6d it drops the table carts; %d orders have come in since", i.Drop.Time.Local().Format(clock), i.Drop.XID, since)
	t.line("! %s  a clean-up job deletes %d uploads and overwrites %d", d.UploadsAt.Local().Format(clock), d.Deleted, d.Overwritten)
	t.line("! %s  somebody changes %s", d.SettingsAt.Local().Format(clock), d.Setting)
	t.line("! %s  commit %.12s is deployed in a hurry", d.CommitAt.Local().Format(clock), d.Commit)
	t.since = t.now()
}

// ending tells how it came out and how anyone can check that.
func (t *demoTeller) ending(p *demoPlace, r runner.Past, writes int) {
	s := &r.State
	t.line("\n%s in %s: %s.", r.Plan.Headline(s), took(s.Ended.Sub(s.Started)), s.ChecksSay())
	t.line("The live shop was not touched; it took %d orders meanwhile.", writes)
	t.line("\nTHE REPORT: signed, for people and for machines")
	t.line("  %s", filepath.Join(p.report(), report.MarkdownFile))
	t.line("\nAnyone can verify it, without comeback:")
	for _, c := range report.Commands(p.report(), "allowed_signers", demoIdentity) {
		t.line("  %s", c)
	}
	t.line("(The key was made for this demo and is gone. In real life the list of signers is")
	t.line("the auditor's own: one that lies beside a report proves nothing.)")
}

// kept tells how to go on with a shop that stays.
func (t *demoTeller) kept(p *demoPlace, moment string) {
	t.line("\nTHE SHOP IS STILL OPEN, and still ruined. To work on it:")
	t.line("  . %s", shellWord(p.env()))
	t.line("  %s moments %s", self(), shellWord(p.runbook()))
	t.line("  %s rehearse %s --to %s", self(), shellWord(p.runbook()), moment)
	t.line("To end it:")
	t.line("  %s demo --stop --dir %s", self(), shellWord(p.dir))
}

// self is how this program was called.
func self() string {
	if filepath.Base(os.Args[0]) == "comeback" {
		return shellWord(os.Args[0])
	}
	return "comeback"
}
