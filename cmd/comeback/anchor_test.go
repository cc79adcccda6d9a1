package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/plan"
	"comeback/tui"
)

// twoDatabases is a runbook that brings back two databases, each with the shop's backups
// in a place of its own.
func twoDatabases(t *testing.T, l *lost) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"a", "b"} {
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(l.Copy())); err != nil {
			t.Fatal(err)
		}
	}
	path := runbook(t, fmt.Sprintf("{url: %q}\n  offsite: {url: %q}", "file://"+dir, "file://"+dir), nil, "")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	two := strings.NewReplacer(
		"needs: {", "needs: {LEDGER_URL: \"from the vault\", ",
		"url: \"${DATABASE_URL}\"}\n", "url: \"${DATABASE_URL}\", prefix: a/, backups: a/base/, wal: a/wal/}\n"+
			"  ledger: {kind: postgres, url: \"${LEDGER_URL}\", prefix: b/, backups: b/base/, wal: b/wal/}\n",
		"restore: database", "restore: [database, ledger]").Replace(string(text))
	if err := os.WriteFile(path, []byte(two), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A transaction is one of the database of which it was read, from what is listed to the
// plan: nothing takes it for one of another.
func TestAnchor_ofTheDatabaseItWasReadOf(t *testing.T) {
	l, r := theShop(t), newRig(t)
	path := twoDatabases(t, l)
	harm := fmt.Sprintf("before-xid:%d", l.incident.Harm.XID)

	unnamed := r.run(t.Context(), "rehearse", path, "--to", harm, "--dry-run")
	unnamed.has(t, recovery.Usage, harm+" may be in the log of each of several databases", "--component database or --component ledger")
	r.run(t.Context(), "rehearse", path, "--to", harm, "--component", "uploads", "--dry-run").
		has(t, recovery.Usage, `the runbook restores no component "uploads"`, "choose one of: database, ledger")
	r.run(t.Context(), "rescue", path, "--xid", fmt.Sprint(l.incident.Harm.XID), "--dry-run").
		has(t, recovery.Usage, "--component database or --component ledger")

	listed := r.run(t.Context(), "moments", path, "--around", "xid:"+fmt.Sprint(l.incident.Harm.XID), "--harm")
	listed.has(t, recovery.CameBack, "--to "+harm+" --component database\n", "--to "+harm+" --component ledger\n")

	lines := r.run(t.Context(), "moments", path, "--around", "xid:"+fmt.Sprint(l.incident.Harm.XID), "--harm", "--json")
	lines.has(t, recovery.CameBack)
	of := map[string]recovery.XID{}
	for line := range strings.Lines(lines.out) {
		var tx struct {
			Component string
			XID       recovery.XID
		}
		if err := json.Unmarshal([]byte(line), &tx); err != nil {
			t.Errorf("%q: %v", line, err)
		}
		if tx.XID == l.incident.Harm.XID {
			of[tx.Component] = tx.XID
		}
	}
	if len(of) != 2 || of["database"] == 0 || of["ledger"] == 0 {
		t.Errorf("--json tells of the harm in %v:\n%s", of, lines.out)
	}

	named := r.run(t.Context(), "rehearse", path, "--to", harm, "--component", "ledger", "--dry-run")
	p, err := plan.Decode([]byte(named.out))
	if err != nil || p.Moment.Anchor != "ledger" {
		t.Fatalf("the plan of ledger's transaction is anchored in %+v, %v\n%s", p, err, named.err)
	}
	if point, _ := p.Moment.Point("ledger"); point.Lost.XID != l.incident.Harm.XID {
		t.Errorf("ledger loses transaction %d first, not %d", point.Lost.XID, l.incident.Harm.XID)
	}

	d := &desk{app: r.app(io.Discard, io.Discard), choices: choices{mode: recovery.Rehearsal}}
	prepared, err := d.Plan(t.Context(), path, recovery.Rehearsal, tui.Choice{Want: harm, Component: "ledger", Copy: "nearby"})
	if err != nil || prepared.Plan.Moment.Anchor != "ledger" {
		t.Errorf("what the console chose of ledger has the plan %+v, %v", prepared, err)
	}

	// Another copy for one of them leaves the other where it is, and decides nothing.
	state := recovery.NewState(p)
	change, err := r.app(io.Discard, io.Discard).amendment(t.Context(), planned{p: p}, state, tui.Choice{Component: "database", Copy: "offsite"})
	if err != nil || change.Moment == nil {
		t.Fatalf("the change is %+v, %v", change, err)
	}
	other, _ := change.Moment.Point("database")
	stays, _ := change.Moment.Point("ledger")
	if change.Moment.Anchor != "ledger" || other.Copy != "offsite" || stays.Copy != "nearby" || stays.Lost.XID != l.incident.Harm.XID {
		t.Errorf("anchored in %s, database from %s, ledger from %s to before transaction %d", change.Moment.Anchor, other.Copy, stays.Copy, stays.Lost.XID)
	}
}

// planned is a run of which only the plan is asked.
type planned struct {
	recovery.Session
	p *recovery.Plan
}

func (s planned) Plan() *recovery.Plan { return s.p }
