package report

import (
	"fmt"
	"strings"
	"time"

	"comeback/recovery"
)

// Markdown writes report.md, for an auditor and for whoever owes the RPO and
// RTO: the result first, then what was not as it should be, then the evidence.
// It says nothing that is not in the report, and every byte follows from it.
func (r *Report) Markdown() []byte {
	d := &document{}
	d.result(r)
	d.objectives(r)
	d.moment(r)
	d.live(r)
	d.exceptions(r)
	d.notDone(r)
	d.checks(r)
	d.stages(r)
	d.trend(r)
	d.steps(r)
	d.changes(r)
	d.interruptions(r)
	d.people(r)
	d.cleanup(r)
	d.backups(r)
	d.isolation(r)
	d.evidence(r)
	d.verify()
	return []byte(d.String())
}

// document is Markdown in the making.
type document struct{ strings.Builder }

func (d *document) printf(format string, args ...any) { fmt.Fprintf(d, format, args...) }

func (d *document) heading(title string) {
	if !strings.HasSuffix(d.String(), "\n\n") {
		d.WriteString("\n")
	}
	d.printf("## %s\n\n", title)
}

// line writes a paragraph of our own words; data in it must be escaped already.
func (d *document) line(format string, args ...any) { d.printf(format+"\n\n", args...) }

// table writes rows whose cells are escaped already.
func (d *document) table(head []string, rows [][]string) {
	d.row(head)
	d.WriteString("|" + strings.Repeat("---|", len(head)) + "\n")
	for _, row := range rows {
		d.row(row)
	}
	d.WriteString("\n")
}

func (d *document) row(cells []string) {
	for _, c := range cells {
		d.WriteString("| ")
		if c != "" {
			d.WriteString(c + " ")
		}
	}
	d.WriteString("|\n")
}

// short escapes data for a cell, cut to what can be read there; the whole is
// in report.json.
func short(s string) string { return text(clip(recovery.Visible(s), 300)) }

// at writes a time in UTC; fractions are shown where there are any.
func at(t time.Time) string {
	if t.IsZero() {
		return "unknown"
	}
	return t.UTC().Format("2006-01-02 15:04:05.999999 UTC")
}

// when is at for things that may not have happened.
func when(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return at(t)
}

func took(d recovery.Duration) string { return recovery.FormatSpan(time.Duration(d)) }

// span is took, or nothing for zero.
func span(d recovery.Duration) string {
	if d == 0 {
		return "–"
	}
	return took(d)
}

func (d *document) result(r *Report) {
	d.printf("# %s: %s %d\n\n", text(r.System), text(string(r.Mode)), r.Number)
	d.line("**%s.** %s", text(r.Headline), text(r.Says))
	verdict := "**passes**: every check ran and held, every step is done, what the run made is gone"
	if r.Mode == recovery.Recovery {
		verdict = "**passes**: every check ran and held, every step is done"
	}
	if recovery.OneHeadline(r.Format) && len(r.Checks) == 0 {
		verdict = "**passes**: every step is done, and nothing was checked"
	}
	if !r.Passed {
		verdict = "**does not pass**"
	}
	rows := [][]string{
		{"This report", verdict},
		{"System", text(r.System)},
		{"Run", fmt.Sprintf("%s, number %d of this system, %s", code(r.Run), r.Number, text(string(r.Mode)))},
		{"Scenario", short(r.Scenario)},
		{"When", fmt.Sprintf("%s to %s", at(r.Times.Started), when(r.Times.Ended))},
		{"Who", fmt.Sprintf("%s on %s, as the environment says; only the signature proves who", code(r.Who.Operator), code(r.Who.Host))},
		{"Runbook", fmt.Sprintf("%s, SHA-256 %s", code(r.Runbook.Path), code(r.Runbook.SHA256))},
		{"Next rehearsal", due(r.NextRehearsal)},
	}
	if told := attended(r); told != "" {
		rows = append(rows, []string{"Attended", told})
	}
	d.table([]string{"", ""}, rows)
	if len(r.Against) > 0 {
		d.line("It does not pass because:")
		for _, why := range r.Against {
			d.printf("- %s\n", short(why))
		}
		d.WriteString("\n")
	}
}

// attended says whether anybody was there; it is empty where the journal does
// not tell.
func attended(r *Report) string {
	var parts []string
	if r.Who.Unattended {
		parts = append(parts, "nobody could be asked")
	}
	if r.Watched != nil && *r.Watched {
		parts = append(parts, "somebody watched it end")
	} else if r.Watched != nil {
		parts = append(parts, "**it ended unwatched**")
	}
	return strings.Join(parts, "; ")
}

func due(n Due) string {
	if n.At.IsZero() {
		return text(n.Says)
	}
	return fmt.Sprintf("%s, %s", at(n.At), text(n.Says))
}

func (d *document) objectives(r *Report) {
	d.heading("Objectives")
	row := func(name string, o Objective) []string {
		target, achieved := "not set", text(o.Verdict)
		if o.Target > 0 {
			target = took(o.Target)
		}
		if o.Achieved != nil {
			achieved = fmt.Sprintf("%s, **%s**", took(*o.Achieved), text(o.Verdict))
		}
		return []string{name, target, achieved, short(o.Says)}
	}
	rows := [][]string{row("RTO", r.Objectives.RTO), row("RPO", r.Objectives.RPO)}
	if e := r.Objectives.Exercised; e != nil {
		says := fmt.Sprintf("%s; of it %s waiting for people", text(e.Says), took(e.Waited))
		if e.Interrupted > 0 {
			says += fmt.Sprintf(", %s%s interrupted", r.atMost(), took(e.Interrupted))
		}
		achieved := took(e.Took)
		if e.Unknown != "" {
			achieved, says = Unknown, text(e.Says)+"; "+short(e.Unknown)
		}
		rows = append(rows, []string{"exercised time", "–", achieved, says})
	}
	d.table([]string{"", "target", "achieved", "how"}, rows)
	times := [][]string{
		{fmt.Sprintf("outage began (%s)", text(r.Times.OutageHow)), when(r.Times.Outage)},
		{"moment chosen, plan made", at(r.Times.Decided)},
		{"run started", at(r.Times.Started)},
		{"last check decided", when(r.Times.ChecksDone)},
	}
	if r.Format >= tellsOpened && r.Mode == recovery.Recovery && !r.openedNothing() { // which the RTO ends with
		times = append(times, []string{"system open", when(r.Times.Opened)})
	}
	d.table([]string{"moment", "time"}, append(times, [][]string{
		{"last step done", when(r.Times.StepsDone)},
		{"clean-up started", when(r.Times.CleanupStarted)},
		{"clean-up done", when(r.Times.CleanupDone)},
		{"run ended", when(r.Times.Ended)},
	}...))
	listOf(d, "What was said of the outage, the last of which counts", []string{"time", "began", "", "by"}, r.Outages, func(o Outage) []string {
		said := at(o.At)
		if o.AfterEnd {
			said += ", after the run had ended"
		}
		return []string{said, at(o.Since), text(o.How), code(o.By)}
	})
}
