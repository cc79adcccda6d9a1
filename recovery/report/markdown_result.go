package report

import (
	"fmt"
	"strings"

	"comeback/recovery"
)

func (d *document) moment(r *Report) {
	d.heading("Moment")
	d.line("Asked for: %s. The component that decides: %s.", code(r.Moment.Want.Text), code(r.Moment.Anchor))
	var rows [][]string
	for _, c := range r.Moment.Components {
		reached := "**not proven**"
		if c.Reached != nil {
			reached = position(*c.Reached)
		}
		rows = append(rows, []string{code(c.Component), short(c.Requested.Says), reached, "to the " + text(string(c.Requested.Exactness)),
			fmt.Sprintf("%s in %s", code(c.Backup.ID), code(c.Backup.Copy))})
	}
	d.table([]string{"component", "requested", "reached", "exactness", "from backup"}, rows)
	for _, c := range r.Moment.Components {
		for _, w := range c.Requested.Warnings {
			d.printf("- %s, known beforehand: %s\n", code(c.Component), short(w))
		}
		if c.Reached == nil {
			continue
		}
		for _, e := range c.Reached.Evidence {
			d.printf("- %s, observed: %s\n", code(c.Component), short(e))
		}
	}
}

// position is where a component was proven to stand.
func position(p recovery.Reached) string {
	var parts []string
	if !p.Time.IsZero() {
		parts = append(parts, at(p.Time))
	}
	if p.XID != 0 {
		parts = append(parts, fmt.Sprintf("xid %d", p.XID))
	}
	if p.LSN != 0 {
		parts = append(parts, "LSN "+p.LSN.String())
	}
	if p.Timeline != 0 {
		parts = append(parts, fmt.Sprintf("timeline %d", p.Timeline))
	}
	if len(parts) == 0 {
		return "proven, see below"
	}
	return strings.Join(parts, ", ")
}

func (d *document) exceptions(r *Report) {
	d.heading("Exceptions")
	if len(r.Exceptions) == 0 {
		d.line("None.")
		return
	}
	var rows [][]string
	for _, e := range r.Exceptions {
		by := "–"
		if e.By != "" {
			by = code(e.By)
		}
		rows = append(rows, []string{fmt.Sprint(e.Number), short(e.What), short(e.Why), by})
	}
	d.table([]string{"#", "what", "why", "decided by"}, rows)
}

func (d *document) notDone(r *Report) {
	d.heading("Not checked, not executed")
	if len(r.NotDone) == 0 {
		d.line("Nothing: all that the runbook holds was executed.")
		return
	}
	kinds := map[string]string{"check": "**not checked**", "step": "not executed", "item": "not decided", "runbook": "left out by the plan"}
	var rows [][]string
	for _, n := range r.NotDone {
		line := "–"
		if n.Line > 0 {
			line = fmt.Sprint(n.Line)
		}
		rows = append(rows, []string{kinds[n.Kind], short(n.What), short(n.Why), text(n.Stage), line})
	}
	d.table([]string{"", "what", "why", "stage", "line"}, rows)
}

func (d *document) checks(r *Report) {
	d.heading("Checks")
	if len(r.Checks) == 0 {
		d.line("The runbook has none. That the system came back is not proven by a check.")
		return
	}
	held := 0
	var rows [][]string
	for i, c := range r.Checks {
		result := "**" + strings.ToUpper(c.Result) + "**"
		if c.Result == Held {
			held, result = held+1, Held
		}
		found := short(c.Found)
		if c.Result == NotMade {
			found = "–"
		}
		rows = append(rows, []string{fmt.Sprint(i + 1), short(c.Name), code(c.Component), short(c.Expected), found, result, when(c.At)})
	}
	d.line("%d of %d held.", held, len(r.Checks))
	d.table([]string{"", "check", "on", "expected", "found", "result", "time"}, rows)
	for i, c := range r.Checks {
		if c.Query != "" {
			d.printf("Check %d, %s:\n\n%s\n", i+1, short(c.Name), fenced("sql", c.Query))
		}
	}
}

func (d *document) stages(r *Report) {
	d.heading("Stages")
	var rows [][]string
	for i, s := range r.Stages {
		how := text(s.How)
		if s.Omitted > 0 {
			how += fmt.Sprintf("; %d left out by the plan", s.Omitted)
		}
		rows = append(rows, []string{fmt.Sprint(i + 1), text(s.Name), text(s.Owner), text(string(s.State)), how,
			when(s.Started), known(r.within(s.Took, s.Interrupted), s.Unknown), known(span(s.Waited), s.Unknown), span(s.Budget)})
	}
	d.table([]string{"", "stage", "owner", "state", "how", "started", "took", "of it waiting", "budget"}, rows)
}

func (d *document) steps(r *Report) {
	d.heading("Steps")
	var rows [][]string
	for _, s := range r.Steps {
		outcome := s.Outcome
		for _, more := range []string{s.Error, s.Why} {
			if more != "" && outcome != "" {
				outcome += "; "
			}
			outcome += more
		}
		rows = append(rows, []string{code(s.ID), short(s.Says), text(string(s.State)), fmt.Sprint(s.Attempts),
			when(s.Started), known(r.within(s.Took, s.Interrupted), s.Unknown), span(s.Expected), short(outcome)})
	}
	d.table([]string{"step", "does", "state", "attempts", "started", "took", "expected", "outcome"}, rows)
	if len(r.Remarks) > 0 {
		d.line("Remarks:")
		for _, remark := range r.Remarks {
			d.printf("- %s\n", short(remark))
		}
		d.WriteString("\n")
	}
}
