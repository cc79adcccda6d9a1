package report_test

import (
	"html"
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/report"
)

// A page names the numbers that no run has, shows what cannot be read, lets nothing of
// a run act as HTML, and tells every exception.
func TestPeriod(t *testing.T) {
	at := time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)
	run := func(number int, name string, took time.Duration) report.Exported {
		r := &report.Report{System: "shop", Run: name, Number: number, Mode: recovery.Rehearsal, Result: recovery.ResultExceptions, Headline: "REHEARSED <b>WITH</b> EXCEPTIONS",
			Times: report.Times{Started: at}, Exceptions: []report.Exception{{Number: 1, What: "the check <script>alert(1)</script>", Why: "it was \u202edeppiks\u200b skipped", By: "ops1"}},
			Stages: []report.Stage{{Name: "Restore", Steps: 1, State: recovery.Done, Took: recovery.Duration(took)}, {Name: "Talk", Steps: 1, State: recovery.Skipped}}}
		r.Objectives.Exercised = &report.ExercisedTime{Took: recovery.Duration(took)}
		r.Objectives.RTO.Target = recovery.Duration(30 * time.Minute)
		return report.Exported{Run: name, Report: r, Signature: "NOT SIGNED", SumsSHA256: "abc"}
	}
	p := report.Period{System: "shop", Since: at, Until: at, Made: at, Known: []report.Numbered{{Number: 1}, {Number: 2}, {Number: 4}, {Number: 7}, {Number: 5, Host: "ci7", Stranger: true}},
		Runs: []report.Exported{run(2, "aaaa", 10*time.Minute), run(4, "bbbb", 20*time.Minute), run(7, "cccc", 40*time.Minute), {Run: "dddd", Problem: "plan.json is missing"}, {Run: "eeee", Number: 8, Problem: "it never began"}},
		Assessment: &recovery.Assessment{At: at, Answer: recovery.WouldBut, Findings: []recovery.Judgement{{Says: "nothing is locked", Owner: "dba", Due: at, Since: at}},
			Components: []recovery.ComponentStanding{{Component: "database", Copies: []recovery.CopyStanding{{Copy: "offsite", Says: "ok"}}}}}}
	page, err := p.HTML()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"number 3, number 5 (only a run of an unknown signer has it), number 6", "cannot be read: plan.json is missing", `<td>8</td><td><a href="#run-eeee">`, "&lt;script&gt;alert(1)", "it was \uFFFDdeppiks\uFFFD skipped", "none on record", "nothing is locked", "dba", "never restored",
		"NOT SIGNED", "width:25%", "width:100%", "<code>abc</code>"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(string(page), "<script") || strings.Contains(string(page), "<b>WITH") {
		t.Error("text of a run acts as HTML")
	}
	trends := p.Trends()
	if len(trends.Runs) != 3 || len(trends.Stages) != 2 || trends.Stages[0].Took[2].Percent != 100 || trends.Stages[1].Took[0].Known {
		t.Errorf("%+v", trends)
	}
}

// The days of a page are those of whoever asked for it, to the end of the last one.
func TestPeriod_zone(t *testing.T) {
	for _, c := range []struct{ zone, began string }{
		{"Europe/Berlin", "2026-01-01 00:30 +01:00"},
		{"America/New_York", "2026-01-01 00:30 -05:00"},
		{"UTC", "2026-01-01 00:30 +00:00"},
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		day := func(month time.Month, day int) time.Time { return time.Date(2026, month, day, 0, 0, 0, 0, zone) }
		began := day(1, 1).Add(30 * time.Minute)
		p := report.Period{System: "shop", Since: day(1, 1), Until: day(12, 31), Made: day(12, 31),
			Runs:       []report.Exported{{Run: "aaaa", Report: &report.Report{Times: report.Times{Started: began.UTC()}}}},
			Assessment: &recovery.Assessment{Findings: []recovery.Judgement{{Says: "nothing is locked", Owner: "dba", Due: day(12, 24).UTC(), Since: day(12, 1).UTC()}}}}
		b, err := p.HTML()
		if err != nil {
			t.Fatal(err)
		}
		page := html.UnescapeString(string(b))
		for _, want := range []string{"runs from 1 Jan 2026 to 31 Dec 2026<", "1 Jan 2026 to 31 Dec 2026</h1>", "<td>24 Dec 2026</td><td>1 Dec 2026</td>", "<td>" + c.began + "</td>"} {
			if !strings.Contains(page, want) {
				t.Errorf("%s: the page lacks %q", c.zone, want)
			}
		}
		for at, want := range map[time.Time]bool{
			day(1, 1).Add(-1): false, day(1, 1): true, day(12, 31).Add(24*time.Hour - time.Nanosecond): true, day(12, 31).Add(24 * time.Hour): false,
		} {
			if got := p.Holds(at.UTC()); got != want {
				t.Errorf("%s: a run that began at %s is of the period: %v", c.zone, at, got)
			}
		}
	}
}

// Hosts that count for themselves hide each other's gaps as little as they make them.
func TestPeriod_Gaps(t *testing.T) {
	run := func(host string, number int) report.Exported {
		return report.Exported{Host: host, Report: &report.Report{Number: number}}
	}
	for name, test := range map[string]struct {
		known []report.Numbered
		runs  []report.Exported
		want  []report.Gap
	}{
		"the same numbers on two hosts": {nil, []report.Exported{run("", 1), run("db1", 1), run("", 2), run("db1", 2)}, nil},
		"a number that only another host has": {nil, []report.Exported{run("", 1), run("", 3), run("db1", 1), run("db1", 2)},
			[]report.Gap{{Number: 2}}},
		"of another host": {nil, []report.Exported{run("", 2), run("db1", 1), run("db1", 3)}, []report.Gap{{Number: 2, Host: "db1"}}},
		"one count of hosts with several names": {
			[]report.Numbered{{Number: 1, Host: "pod-a", Report: "a"}, {Number: 2, Host: "pod-b", Report: "b", Previous: "a"}, {Number: 3, Host: "pod-a", Previous: "b"}},
			[]report.Exported{run("pod-a", 1), run("pod-a", 3)}, nil},
		"before the period": {[]report.Numbered{{Number: 2}}, []report.Exported{run("", 1), run("", 3)}, nil},
		"a stranger's run closes no gap, whatever it claims": {
			[]report.Numbered{{Number: 1, Report: "a"}, {Number: 3, Previous: "b"}, {Number: 2, Host: "db1", Stranger: true, Report: "b", Previous: "a"}},
			[]report.Exported{run("", 1), {Host: "db1", Stranger: true, Report: &report.Report{Number: 2}}, run("", 3)}, []report.Gap{{Number: 2, Claimed: true}}},
		"nor of a host by its name": {
			[]report.Numbered{{Number: 2, Host: "db1", Stranger: true}}, []report.Exported{run("db1", 1), run("db1", 3)}, []report.Gap{{Number: 2, Host: "db1", Claimed: true}}},
		"strangers have gaps of their own": {nil,
			[]report.Exported{run("", 2), {Host: "ci7", Stranger: true, Report: &report.Report{Number: 1}}, {Host: "ci7", Stranger: true, Report: &report.Report{Number: 3}}},
			[]report.Gap{{Number: 2, Host: "ci7", Stranger: true}}},
	} {
		if got := (report.Period{Known: test.known, Runs: test.runs}).Gaps(); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}
