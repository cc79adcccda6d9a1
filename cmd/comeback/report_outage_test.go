package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/report"
)

// When the outage began may be said until the report is signed, also after the run has
// ended; the copies know the journal by its head, and take none for another.
func TestReportSign_outage(t *testing.T) {
	r, book := newRig(t), pictures(t)
	r.run(t.Context(), "backup", book).has(t, recovery.CameBack)
	key := filepath.Join(r.environ["HOME"], "key")
	if _, err := report.CreateKey(key, "ops1"); err != nil {
		t.Fatal(err)
	}
	run := func(command string) string {
		t.Helper()
		dir := r.begun(t, func() { r.run(t.Context(), command, book, "--plain", "--to", "latest").has(t, recovery.CameBack) })
		r.runnersEnd(t)
		return dir
	}
	sign := func(dir, outage string) output {
		return r.run(t.Context(), "report", "sign", filepath.Base(dir), "--key", key, "--outage", outage)
	}
	rehearsed := run("rehearse")
	sign(rehearsed, "10 minutes ago").has(t, recovery.Usage, "is a rehearsal")

	first, second := run("recover"), run("recover")
	r.takeAway(t)
	sign(first, "10 minutes ago").has(t, recovery.Refused, "run "+filepath.Base(second)+" follows run "+filepath.Base(first))
	sign(second, time.Now().Add(time.Hour).Format(time.RFC3339)).has(t, recovery.Usage, "is still to come")
	began := time.Now().Add(-10 * time.Minute).Truncate(time.Second)
	// Of a copy of the directory it is not noted, in the run's own it is.
	elsewhere := filepath.Join(t.TempDir(), filepath.Base(second))
	if err := os.CopyFS(elsewhere, os.DirFS(second)); err != nil {
		t.Fatal(err)
	}
	byPath := func(dir string) output {
		return r.run(t.Context(), "report", "sign", dir, "--key", key, "--outage", "~"+began.Format(time.RFC3339))
	}
	byPath(elsewhere).has(t, recovery.Refused, elsewhere+" is no run of this host's", "next: leave --outage out")
	byPath(second).has(t, recovery.CameBack, "signed by")
	v, err := report.Verify(second, report.VerifyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if times := v.Report.Times; !times.Outage.Equal(began) || times.OutageHow != "estimated" {
		t.Errorf("the outage began %s, %s", times.Outage, times.OutageHow)
	}
	if said := v.Report.Outages; len(said) != 1 || said[0].By != v.Report.Who.Operator || said[0].By == "" || !said[0].AfterEnd {
		t.Errorf("it was said by %+v", said)
	}
	sign(second, "unknown").has(t, recovery.Refused, "is signed, and is not changed any more")

	// The head of before, which copies keep, is still the journal's.
	b, _, err := r.app(t.Output(), t.Output()).open(t.Context(), book)
	if err != nil {
		t.Fatal(err)
	}
	vanished, rewritten, err := r.app(t.Output(), t.Output()).compareHeads(t.Context(), b)
	if err != nil || len(vanished)+len(rewritten) > 0 {
		t.Errorf("vanished %q, rewritten %q, %v", vanished, rewritten, err)
	}
}

// What was counted back is an estimate, as it is in the console.
func TestParseOutage(t *testing.T) {
	now := time.Date(2026, 11, 23, 9, 13, 40, 0, time.UTC)
	ten := now.Add(-10 * time.Minute)
	for text, want := range map[string]recovery.OutageNoted{
		"": {}, "unknown": {How: "unknown"}, "2026-11-23T10:03:40+01:00": {Since: ten, How: "known"}, "~2026-11-23T10:03:40+01:00": {Since: ten, How: "estimated"},
		"10 minutes ago": {Since: ten, How: "estimated"}, "~10 minutes ago": {Since: ten, How: "estimated"},
	} {
		if got, err := parseOutage(text, now); err != nil || !got.Since.Equal(want.Since) || got.How != want.How {
			t.Errorf("%q is read as %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"10:03", "latest", "2026-11-23T10:03:40", "2026-11-24T10:03:40+01:00"} {
		if got, err := parseOutage(text, now); recovery.ExitOf(err) != recovery.Usage || recovery.HintOf(err) == "" {
			t.Errorf("%q is read as %+v, %v", text, got, err)
		}
	}
}
