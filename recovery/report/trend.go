package report

import (
	"fmt"
	"strings"

	"comeback/recovery"
)

// maxTrend is how many rehearsals a trend shows, the newest.
const maxTrend = 12

// Rehearsals are the newest rehearsals that came to their end, of reports that are in
// the order of time. What they took is to be known.
func Rehearsals(reports []*Report) []recovery.Earlier {
	var all []recovery.Earlier
	for _, r := range reports {
		if r != nil && r.Mode == recovery.Rehearsal && r.measured() && r.Ended() {
			all = append(all, r.earlier())
		}
	}
	return all[max(0, len(all)-maxTrend):]
}

// measured reports whether it is known what a rehearsal took.
func (r *Report) measured() bool {
	e := r.Objectives.Exercised
	return e != nil && e.Unknown == "" && e.Took >= 0
}

// earlier is the run as later ones are compared with it.
func (r *Report) earlier() recovery.Earlier {
	e := recovery.Earlier{Run: r.Run, At: r.Times.Started, Took: r.Objectives.Exercised.Took, RTO: r.Objectives.RTO.Target}
	for _, c := range r.Moment.Components {
		e.Bytes += c.Backup.Size
	}
	for _, s := range r.Stages {
		if s.Steps == 0 {
			continue
		}
		stage := recovery.EarlierStage{Name: s.Name}
		if s.State == recovery.Done {
			stage.Took = &s.Took
		}
		e.Stages = append(e.Stages, stage)
	}
	return e
}

// trend compares a rehearsal with those that its plan knew of.
func (d *document) trend(r *Report) {
	if len(r.Earlier) == 0 || r.Objectives.Exercised == nil {
		return
	}
	runs, has := append([]recovery.Earlier{}, r.Earlier...), r.Objectives.Exercised.Unknown == ""
	d.heading("Beside earlier rehearsals")
	if has {
		runs = append(runs, r.earlier())
	} else {
		d.line("What this one took is not known: %s.", short(r.Objectives.Exercised.Unknown))
	}
	t := recovery.NewTrend(runs)
	var most recovery.Duration = 1
	for _, run := range t.Runs {
		most = max(most, run.Took)
	}
	var rows [][]string
	for i, run := range t.Runs {
		name, of := code(run.Run), "–"
		if has && i == len(t.Runs)-1 {
			name += ", this one"
		}
		if run.RTO > 0 {
			of = fmt.Sprintf("%d%% of %s", 100*run.Took/run.RTO, took(run.RTO))
		}
		rows = append(rows, []string{name, run.At.UTC().Format("2 Jan 2006"), recovery.FormatBytes(run.Bytes), took(run.Took), bar(int(100 * run.Took / most)), of})
	}
	d.table([]string{"run", "day", "restored", "exercised time", "", "of the RTO"}, rows)
	head, rows := []string{"stage"}, nil
	for _, run := range t.Runs {
		head = append(head, code(run.Run))
	}
	for _, stage := range t.Stages {
		row := []string{text(stage.Name)}
		for _, s := range stage.Took {
			if !s.Known {
				row = append(row, "not done")
				continue
			}
			row = append(row, strings.TrimSpace(took(s.Took)+" "+bar(s.Percent)))
		}
		rows = append(rows, row)
	}
	d.table(head, rows)
}

// bar draws a percentage, a block for each tenth.
func bar(percent int) string { return strings.Repeat("█", max(0, min(percent, 100))/10) }
