package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/report"
	"comeback/recovery/runner"
)

// What the command line says is not asked for again on a terminal: with --confirm
// nothing is, and a key that was named signs what ends in the console, too.
func TestRecover_onTerminal(t *testing.T) {
	t.Parallel()
	p, r := newPages(t), newRig(t)
	dir, name := filepath.Dir(p.book), p.name(t)
	withKey(t, r)
	key := filepath.Join(r.environ["HOME"], ".ssh", "id_ed25519")
	newest := func() string {
		t.Helper()
		return r.newest(t).Dir
	}
	outage := func(run string) recovery.OutageNoted {
		t.Helper()
		rep, err := report.Make(run)
		if err != nil || rep.Live == nil {
			t.Fatalf("the report of %s: %+v, %v", run, rep, err)
		}
		return r.stateOf(t, filepath.Base(run)).Outage
	}

	s := openTerminal(t, r, dir, 80, 24, "recover", "pages.md", "--to", "latest", "--confirm", name, "--outage", "~10 minutes ago", "--key", key)
	if code := s.ends(); code != int(recovery.CameBack) {
		t.Fatalf("exit %d\n%s", code, s.text())
	}
	<-s.ended
	if all := s.raw.String(); !strings.Contains(all, "CAME BACK") || !strings.Contains(all, "signed by ") || strings.Contains(all, "\x1b[?1049h") {
		t.Errorf("it was not told in lines:\n%s", all)
	}
	first := newest()
	if o := outage(first); o.How != "estimated" || o.By == "" || time.Since(o.Since) < 10*time.Minute {
		t.Errorf("the outage is %+v", o)
	}

	s = openTerminal(t, r, dir, 80, 24, "switch-back", filepath.Base(first), "--key", key)
	s.shows("To change LIVE, type the target")
	s.press(name, enter)
	s.shows("SWITCHED BACK")
	s.press("q")
	if code := s.ends(); code != int(recovery.CameBack) {
		t.Fatalf("exit %d\n%s", code, s.text())
	}
	verifiesWithStockTools(t, newest(), key)

	s = openTerminal(t, r, dir, 80, 24, "recover", "pages.md", "--to", "latest", "--outage", "20 minutes ago")
	s.shows("down ~2", "To change LIVE, type the target")
	s.press(name, enter)
	s.shows("CAME BACK")
	s.press("q")
	if code := s.ends(); code != int(recovery.CameBack) {
		t.Fatalf("exit %d\n%s", code, s.text())
	}
	if o := outage(newest()); time.Since(o.Since) < 20*time.Minute {
		t.Errorf("the outage is %+v", o)
	}

	got := r.run(t.Context(), "recover", p.book, "--to", "latest", "--ask", "--confirm", name)
	got.has(t, recovery.Usage, "--ask asks for the name")
}

// newest is the run that began last.
func (r *rig) newest(t *testing.T) runner.Past {
	t.Helper()
	home, err := r.app(io.Discard, io.Discard).home()
	if err != nil {
		t.Fatal(err)
	}
	runs, err := home.List()
	if err != nil || len(runs) == 0 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	return runs[0]
}

// A key that was named signs what was started with it, and not what somebody else has
// started meanwhile on this host.
func TestRehearse_signsItsOwn(t *testing.T) {
	t.Parallel()
	p, other, r := newPages(t), newPages(t), newRig(t)
	text, err := os.ReadFile(other.book)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(other.book, bytes.Replace(text, []byte("system: pages"), []byte("system: other"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	withKey(t, r)
	key := filepath.Join(r.environ["HOME"], ".ssh", "id_ed25519")
	c := converse(t, r, filepath.Dir(p.book), "rehearse", "pages.md", "--to", "latest", "--plain", "--key", key)
	c.hears("PLAN", "ANSWER: enter start the rehearsal")
	c.answers("start")
	c.hears("REHEARSED", "ANSWER")
	own := r.newest(t)
	r.run(t.Context(), "rehearse", other.book, "--plain", "--to", "latest").has(t, recovery.CameBack)
	theirs := r.newest(t)
	if theirs.ID == own.ID || theirs.Plan.System != "other" {
		t.Fatalf("the newest run is %s of %s", theirs.ID, theirs.Plan.System)
	}
	c.answers("quit")
	if code := c.ends(); code != int(recovery.CameBack) {
		t.Errorf("exit %d", code)
	}
	verifiesWithStockTools(t, own.Dir, key)
	if now := r.newest(t); now.ID != theirs.ID || now.Signed {
		t.Errorf("run %s of %s is signed: %v", now.ID, now.Plan.System, now.Signed)
	}
}

// Who has taken a run over answers for it.
func TestSignEnded_takenOver(t *testing.T) {
	r := newRig(t)
	var out bytes.Buffer
	taken := runner.Past{ID: "4f2a", Dir: t.TempDir(), ReportSHA256: "of its report", State: recovery.State{Operator: "ops1", Lease: "ops2"}}
	if err := r.app(&out, io.Discard).signEnded(t.Context(), taken, report.Key{}); err != nil || !strings.Contains(out.String(), "run 4f2a was taken over by ops2") {
		t.Errorf("%v: %s", err, out.String())
	}
}
