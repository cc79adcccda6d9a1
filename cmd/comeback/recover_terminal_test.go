package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/report"
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
		past, err := r.app(os.Stdout, os.Stderr).newest()
		if err != nil {
			t.Fatal(err)
		}
		return past.Dir
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
	if o := outage(first); o.How != "estimated" || time.Since(o.Since) < 10*time.Minute {
		t.Errorf("the outage is %+v", o)
	}

	s = openTerminal(t, r, dir, 80, 24, "switch-back", filepath.Base(first), "--key", key)
	s.shows("To change LIVE, type the target")
	s.press("1", enter)
	s.shows("enter confirm")
	s.press(name, enter)
	s.shows("CAME BACK")
	s.press("q")
	if code := s.ends(); code != int(recovery.CameBack) {
		t.Fatalf("exit %d\n%s", code, s.text())
	}
	verifiesWithStockTools(t, newest(), key)

	s = openTerminal(t, r, dir, 80, 24, "recover", "pages.md", "--to", "latest", "--outage", "20 minutes ago")
	s.shows("down 2", "To change LIVE, type the target")
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
