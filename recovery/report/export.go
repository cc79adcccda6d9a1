package report

import (
	"bytes"
	_ "embed" // the page
	"fmt"
	"html/template"
	"maps"
	"slices"
	"sync"
	"time"

	"comeback/recovery"
)

// Period is what an auditor is given of a system: every run that began in it, also
// those that failed, were refused, were never signed or have not ended.
type Period struct {
	System             string
	Since, Until, Made time.Time
	// Runs are those of the period, the oldest first; Known are the numbers of every
	// run that is known, whenever it began.
	Runs  []Exported
	Known []Numbered
	// Assessment is the newest check; nil leaves it out.
	Assessment *recovery.Assessment
}

// Numbered is a run's number among those that a state directory counts. Hosts that file
// their runs into one copy count each for itself.
type Numbered struct {
	Number int
	// Host has counted; empty is the host that makes the page.
	Host string
	// Report is the digest of the run's report, Previous that of the one before it.
	Report, Previous string
}

// Gap is a number that no run has.
type Gap struct {
	Number int
	// Host has counted; empty is the host that makes the page, or the only one.
	Host string
}

// Exported is a run of a period.
type Exported struct {
	Run string
	// Host has numbered the run, as in Numbered.
	Host string
	// Number is the run's; 0 where even that cannot be read.
	Number int
	// Report is nil where the run cannot be read, and Problem says why.
	Report  *Report
	Problem string
	// Signature says in words who signed, and whether all is as it was signed.
	Signature string
	// Review says who has accepted the exceptions; empty is nobody.
	Review                   string
	SumsSHA256, ReportSHA256 string
}

// Export reads a run's directory. Whatever is wrong with it is data.
func Export(run, dir string, o VerifyOptions) Exported {
	o.LetUnknown = true
	e := Exported{Run: run, Signature: "NOT SIGNED"}
	r, err := Make(dir)
	if err != nil {
		e.Problem = err.Error()
		return e
	}
	e.Report = r
	if exists(dir + "/" + SumsFile) {
		e.SumsSHA256, _, _ = digestFile(dir, SumsFile)
	}
	if exists(dir + "/" + JSONFile) {
		e.ReportSHA256, _, _ = digestFile(dir, JSONFile)
	}
	v, err := Verify(dir, o)
	switch {
	case err == nil:
		e.Signature = v.String()
		if !v.Known() && v.Unknown != nil {
			e.Signature += "; " + v.Unknown.Error()
		}
		if len(v.Reviews) > 0 {
			e.Review = v.Reviewed()
		}
	case v.Signature.File != "" || exists(dir+"/"+SignatureFile):
		e.Signature = "NOT GOOD: " + err.Error()
	}
	return e
}

// Gaps are the numbers that no run has, between the first and the last that the
// period has, of each host that counts for itself: a run that failed cannot vanish
// behind another host's of the same number.
func (p Period) Gaps() []Gap {
	together := p.together()
	known, first, last := map[Gap]bool{}, map[string]int{}, map[string]int{}
	for _, k := range p.Known {
		known[Gap{k.Number, together[k.Host]}] = true
	}
	for _, e := range p.Runs {
		if e.Report == nil {
			continue
		}
		n, host := e.Report.Number, together[e.Host]
		known[Gap{n, host}] = true
		if first[host] == 0 || n < first[host] {
			first[host] = n
		}
		last[host] = max(last[host], n)
	}
	var gaps []Gap
	for _, host := range slices.Sorted(maps.Keys(first)) {
		for n := first[host]; n < last[host]; n++ {
			if !known[Gap{n, host}] {
				gaps = append(gaps, Gap{n, host})
			}
		}
	}
	return gaps
}

// together gives each host the first of those that count with it: where a report names
// the one before it, both are of one count, whatever their hosts are called.
func (p Period) together() map[string]string {
	of := map[string]string{}
	for _, k := range p.Known {
		of[k.Host] = k.Host
	}
	for _, e := range p.Runs {
		of[e.Host] = e.Host
	}
	for _, k := range p.Known {
		for _, before := range p.Known {
			if k.Previous == "" || k.Previous != before.Report || of[k.Host] == of[before.Host] {
				continue
			}
			from, to := max(of[k.Host], of[before.Host]), min(of[k.Host], of[before.Host])
			for host, with := range of {
				if with == from {
					of[host] = to
				}
			}
		}
	}
	return of
}

// maxTrend is how many rehearsals a trend shows, the newest.
const maxTrend = 12

// Trends compares the rehearsals among reports, which are in the order of time; nil
// where there is nothing to compare.
func Trends(reports []*Report) *recovery.Trend {
	reports = slices.DeleteFunc(slices.Clone(reports), func(r *Report) bool {
		return r == nil || r.Mode != recovery.Rehearsal || r.Objectives.Exercised == nil || !r.Ended()
	})
	reports = reports[max(0, len(reports)-maxTrend):]
	if len(reports) == 0 {
		return nil
	}
	t := &recovery.Trend{}
	var longest recovery.Duration = 1
	for _, r := range reports {
		run := recovery.TrendRun{Run: r.Run, At: r.Times.Started, Took: r.Objectives.Exercised.Took, RTO: r.Objectives.RTO.Target}
		for _, c := range r.Moment.Components {
			run.Bytes += c.Backup.Size
		}
		t.Runs = append(t.Runs, run)
		for _, s := range r.Stages {
			if !slices.ContainsFunc(t.Stages, func(o recovery.TrendStage) bool { return o.Name == s.Name }) && s.Steps > 0 {
				t.Stages = append(t.Stages, recovery.TrendStage{Name: s.Name})
			}
			longest = max(longest, s.Took)
		}
	}
	for i := range t.Stages {
		for _, r := range reports {
			took := recovery.TrendTook{}
			j := slices.IndexFunc(r.Stages, func(s Stage) bool { return s.Name == t.Stages[i].Name })
			if j >= 0 && r.Stages[j].Steps > 0 && r.Stages[j].State == recovery.Done {
				took = recovery.TrendTook{Known: true, Took: r.Stages[j].Took, Percent: max(1, int(100*r.Stages[j].Took/longest))}
			}
			t.Stages[i].Took = append(t.Stages[i].Took, took)
		}
	}
	return t
}

// Trends are those of the period's rehearsals.
func (p Period) Trends() *recovery.Trend {
	var reports []*Report
	for _, e := range p.Runs {
		reports = append(reports, e.Report)
	}
	return Trends(reports)
}

//go:embed export.html.tmpl
var exportText string

// exportPage is parsed when it is first needed: every start of the program would
// wait for it.
var exportPage = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("export").Funcs(template.FuncMap{
		"day":   func(t time.Time) string { return t.UTC().Format("2 Jan 2006") },
		"time":  func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") },
		"span":  func(d any) string { return spanOf(d) },
		"bytes": recovery.FormatBytes,
	}).Parse(exportText))
})

func spanOf(d any) string {
	switch d := d.(type) {
	case recovery.Duration:
		if d == 0 {
			return "–"
		}
		return recovery.FormatSpan(time.Duration(d))
	case *recovery.Duration:
		return recovery.FormatSpan(time.Duration(*d))
	}
	return "–"
}

// HTML is one page that needs nothing else: no script, no image, no other file.
func (p Period) HTML() ([]byte, error) {
	var b bytes.Buffer
	if err := exportPage().Execute(&b, p); err != nil {
		return nil, fmt.Errorf("write the page: %w", err)
	}
	return b.Bytes(), nil
}
