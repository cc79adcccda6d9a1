package report

import (
	"bytes"
	"cmp"
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
	System string
	// Since is the beginning of the period's first day, in the zone in which days and times
	// are told; Until is a moment of its last day.
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
	// Stranger says that nobody whom the reader knows stands behind it, so that it may
	// claim any number, host and predecessor.
	Stranger bool
	// Report is the digest of the run's report, Previous that of the one before it.
	Report, Previous string
}

// Gap is a run number that is missing from a host's count: no run vouched for by a signer
// whom the reader knows has it. If Stranger is set, the count is that of runs by unknown
// signers, and none of those has the number.
type Gap struct {
	Number int
	// Host has counted; empty is the host that makes the page, or the only one.
	Host string
	// Stranger says that it is strangers who say so.
	Stranger bool
	// Claimed says that a stranger's run has the number.
	Claimed bool
}

// count is who counts runs.
type count struct {
	host     string
	stranger bool
}

// Exported is a run of a period.
type Exported struct {
	Run string
	// Host has numbered the run, and Stranger says whose claim that is, as in Numbered.
	Host     string
	Stranger bool
	// Known says that the run is as it was signed, and the reader knows by whom.
	Known bool
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
		e.Signature, e.Known = v.String(), v.Known()
		if v.Unknown != nil {
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

// Holds reports whether a run that began then is one of the period: its last day counts to
// its end.
func (p Period) Holds(began time.Time) bool {
	zone := p.Since.Location()
	y, m, d := p.Until.In(zone).Date()
	return !began.Before(p.Since) && began.Before(recovery.StartOfDay(time.Date(y, m, d+1, 0, 0, 0, 0, time.UTC), zone))
}

// Gaps are the numbers that no run has, between the first and the last that the
// period has, of each host that counts for itself: a run that failed cannot vanish
// behind another host's of the same number, nor behind one that a stranger has signed.
func (p Period) Gaps() []Gap {
	together := p.together()
	type number struct {
		of count
		n  int
	}
	known, first, last := map[number]bool{}, map[count]int{}, map[count]int{}
	claimed := map[Gap]bool{}
	add := func(host string, stranger bool, n int) count {
		of := together[count{host, stranger}]
		known[number{of, n}] = true
		if stranger { // it may be meant for the host that makes the page, whatever that is called
			claimed[Gap{Number: n}], claimed[Gap{Number: n, Host: host}] = true, true
		}
		return of
	}
	for _, k := range p.Known {
		add(k.Host, k.Stranger, k.Number)
	}
	for _, e := range p.Runs {
		if e.Report == nil {
			continue
		}
		n := e.Report.Number
		of := add(e.Host, e.Stranger, n)
		if first[of] == 0 || n < first[of] {
			first[of] = n
		}
		last[of] = max(last[of], n)
	}
	var gaps []Gap
	for _, of := range slices.SortedFunc(maps.Keys(first), count.compare) {
		for n := first[of]; n < last[of]; n++ {
			if !known[number{of, n}] {
				gaps = append(gaps, Gap{Number: n, Host: of.host, Stranger: of.stranger, Claimed: !of.stranger && claimed[Gap{Number: n, Host: of.host}]})
			}
		}
	}
	return gaps
}

func (c count) compare(other count) int {
	if c.stranger != other.stranger {
		if other.stranger {
			return -1
		}
		return 1
	}
	return cmp.Compare(c.host, other.host)
}

// together gives each count the first of those that go on with it: where a report names
// the one before it, both are of one count, whatever their hosts are called. What a
// stranger names puts his runs into no count of others.
func (p Period) together() map[count]count {
	of := map[count]count{}
	for _, k := range p.Known {
		of[count{k.Host, k.Stranger}] = count{k.Host, k.Stranger}
	}
	for _, e := range p.Runs {
		of[count{e.Host, e.Stranger}] = count{e.Host, e.Stranger}
	}
	for _, k := range p.Known {
		for _, before := range p.Known {
			one, other := of[count{k.Host, k.Stranger}], of[count{before.Host, before.Stranger}]
			if k.Previous == "" || k.Previous != before.Report || k.Stranger != before.Stranger || one == other {
				continue
			}
			from, to := one, other
			if one.compare(other) < 0 {
				from, to = other, one
			}
			for host, with := range of {
				if with == from {
					of[host] = to
				}
			}
		}
	}
	return of
}

// Trends are those of the period's rehearsals.
func (p Period) Trends() *recovery.Trend {
	var reports []*Report
	for _, e := range p.Runs {
		reports = append(reports, e.Report)
	}
	return recovery.NewTrend(Rehearsals(reports))
}

//go:embed export.html.tmpl
var exportText string

// exportPage is parsed when it is first needed: every start of the program would
// wait for it.
var exportPage = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("export").Funcs(template.FuncMap{
		"day":   dayIn(time.UTC), // HTML has them in the period's zone
		"time":  timeIn(time.UTC),
		"span":  func(d any) string { return spanOf(d) },
		"bytes": recovery.FormatBytes,
	}).Parse(exportText))
})

// dayIn writes days of a zone, timeIn times with the zone's offset.
func dayIn(zone *time.Location) func(time.Time) string {
	return func(t time.Time) string { return t.In(zone).Format("2 Jan 2006") }
}

func timeIn(zone *time.Location) func(time.Time) string {
	return func(t time.Time) string { return t.In(zone).Format("2006-01-02 15:04 -07:00") }
}

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
	page, err := exportPage().Clone() // which has the functions of this zone
	if err != nil {
		return nil, fmt.Errorf("write the page: %w", err)
	}
	zone := p.Since.Location()
	var b bytes.Buffer
	if err := page.Funcs(template.FuncMap{"day": dayIn(zone), "time": timeIn(zone)}).Execute(&b, p); err != nil {
		return nil, fmt.Errorf("write the page: %w", err)
	}
	return []byte(recovery.VisibleLines(b.String())), nil // the page has nothing of its own that this changes
}
