package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"comeback/recovery"
)

// people writes what persons did: who they are is asserted.
func (d *document) people(r *Report) {
	d.heading("People")
	d.line("Names are asserted by the environment of the run. Only the signature proves who stands behind this report.")
	rows := [][]string{{"operator", code(r.Who.Operator)}, {"host", code(r.Who.Host)}}
	for _, name := range slices.Sorted(maps.Keys(r.Who.Environment)) {
		rows = append(rows, []string{code(name), code(r.Who.Environment[name])})
	}
	for _, p := range r.Who.People {
		rows = append(rows, []string{text(p.Role) + ", as the runbook says", text(p.Reach)})
	}
	d.table([]string{"asserted", ""}, rows)
	listOf(d, "Items", []string{"item", "decided", "by", "time", "note"}, r.Ticks, func(t Tick) []string {
		how := t.How
		if how == "" {
			how = "not decided"
		}
		return []string{short(t.Text), text(how), code(t.By), when(t.At), short(t.Note)}
	})
	listOf(d, "Waits", []string{"step", "for", "since", "took"}, r.Waits, func(w Wait) []string {
		what := text(string(w.For))
		if w.Cause != "" {
			what += ": " + short(w.Cause)
		}
		return []string{code(w.Step), what, at(w.Since), known(took(w.Took), w.Unknown)}
	})
	listOf(d, "Decisions", []string{"time", "step", "choice", "reason", "by"}, r.Decisions, func(c Decision) []string {
		return []string{at(c.At), code(c.Step), text(string(c.Choice)), short(c.Reason), code(c.By)}
	})
	listOf(d, "Failed attempts", []string{"time", "step", "attempt", "error"}, r.Failures, func(f Failure) []string {
		return []string{at(f.At), code(f.Step), fmt.Sprint(f.Attempt), short(f.Error)}
	})
	if !told(r.Interrupted) {
		listOf(d, "Interruptions", []string{"from", "to", "took", "reason", "host restarted"}, r.Interrupted, func(b Break) []string {
			return []string{at(b.From), at(b.To), known(took(b.Took), b.Unknown), short(b.Reason), yes(b.Rebooted)}
		})
	}
	listOf(d, "Command of the run", []string{"time", "", "from", "to", "reason"}, r.Leases, func(l LeaseChange) []string {
		return []string{at(l.At), text(l.How), code(l.From), code(l.To), short(l.Reason)}
	})
	listOf(d, "Values that were missing and typed in (never recorded)", []string{"time", "name", "by"}, r.Secrets, func(s SecretGiven) []string {
		return []string{at(s.At), code(s.Name), code(s.By)}
	})
	listOf(d, "Calls for a person, by the runbook's notify command", []string{"time", "about", "reached"}, r.Calls, func(c Call) []string {
		reached := "the command ended well"
		if c.Error != "" {
			reached = "**nobody**: " + short(c.Error)
		}
		return []string{at(c.At), short(c.About), reached}
	})
	listOf(d, "Notes", []string{"time", "note", "by"}, r.Notes, func(n Note) []string {
		return []string{at(n.At), short(n.Text), code(n.By)}
	})
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// listOf writes one row per thing, under a title, or nothing where there is none.
func listOf[T any](d *document, title string, head []string, things []T, row func(T) []string) {
	var all [][]string
	for _, t := range things {
		all = append(all, row(t))
	}
	d.list(title, head, all)
}

// list writes a table with a title, or nothing where there are no rows.
func (d *document) list(title string, head []string, rows [][]string) {
	if len(rows) > 0 {
		d.line("%s:", title)
		d.table(head, rows)
	}
}

func (d *document) cleanup(r *Report) {
	d.heading("Clean-up")
	if r.Cleanup.Keep {
		d.line("It was asked to leave what it restored in place.")
	}
	live, handed := r.adopted()
	switch {
	case len(r.Cleanup.Claims) == 0:
		d.line("The run made nothing outside its own directory.")
		return
	case r.Cleanup.Gone && handed > 0:
		d.line("Of what the run made: %s.", recovery.GoneSays(len(r.Cleanup.Claims)-live-handed, live, handed))
	case r.Cleanup.Gone:
		d.line("Everything that the run made is proven gone.")
	case slices.ContainsFunc(r.Cleanup.Claims, func(c Claim) bool { return c.Released.IsZero() && !c.OnPurpose }):
		d.line("**Not everything that the run made is gone.**")
	default:
		d.line("What was to go is proven gone; the rest was kept on purpose.")
	}
	var rows [][]string
	for _, c := range r.Cleanup.Claims {
		gone := at(c.Released)
		if c.Adopted {
			gone = "live since " + gone
			if r.handedOver(c) {
				gone = "handed over and kept since " + at(c.Released)
			}
		}
		if c.Released.IsZero() {
			gone = "**still there**: " + short(c.Kept)
			if c.OnPurpose {
				gone = "kept on purpose: " + short(c.Kept)
			}
		}
		rows = append(rows, []string{text(string(c.Kind)), code(c.ID), code(c.Step), at(c.Made), gone})
	}
	d.table([]string{"kind", "what", "step", "claimed", "proven gone"}, rows)
}

// handedOver reports whether a claim is of something that lies or runs beside live: it is
// neither gone nor live. Earlier forms call it live.
func (r *Report) handedOver(c Claim) bool {
	return r.Format >= tellsDecided && c.Adopted && r.Live != nil && recovery.IsHandedOver(r.Live.HandedOver, c.ID)
}

// adopted is how many claims were not given back, because they are live or handed over.
func (r *Report) adopted() (live, handed int) {
	for _, c := range r.Cleanup.Claims {
		switch {
		case r.handedOver(c):
			handed++
		case c.Adopted:
			live++
		}
	}
	return live, handed
}

func (d *document) backups(r *Report) {
	d.heading("Backups")
	for _, c := range r.Moment.Components {
		b := c.Backup
		d.table([]string{code(c.Component), ""}, append([][]string{
			{"backup", code(b.ID)},
			{"copy", fmt.Sprintf("%s, %s", code(b.Copy), code(b.Place))},
			{"form", fmt.Sprintf("%s, engine %s", text(b.Form), text(b.Engine))},
			{"content of", taken(b.Taken)},
			{"size", recovery.FormatBytes(b.Size) + "; read to get there: " + recovery.FormatBytes(b.Read)},
		}, details(b.Details)...))
		const most = 10
		var rows [][]string
		for i, o := range b.Objects {
			if i == most {
				rows = append(rows, []string{fmt.Sprintf("and %d more, in report.json", len(b.Objects)-most), "", "", "", ""})
				break
			}
			sum := "none kept by the store"
			if o.Checksum != "" {
				sum = code(o.Checksum)
			}
			rows = append(rows, []string{code(o.Key), fmt.Sprintf("%d bytes", o.Size), at(o.Modified), sum, code(o.Revision)})
		}
		d.list("Objects", []string{"object", "size", "stored", "checksum", "revision"}, rows)
	}
}

func taken(s recovery.Span) string {
	if s.Known() {
		return at(s.From)
	}
	return at(s.From) + " to " + at(s.To)
}

func details(values map[string]string) [][]string {
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		rows = append(rows, []string{text(name), code(values[name])})
	}
	return rows
}

func (d *document) isolation(r *Report) {
	d.heading("Targets, isolation, versions")
	var rows [][]string
	for _, t := range r.Targets {
		kind := "scratch, made and removed by the run"
		if !t.Scratch {
			kind = "**live**"
		}
		rows = append(rows, []string{code(string(t.ID)), code(t.Place), kind})
	}
	d.list("Targets", []string{"target", "place", "kind"}, rows)
	for _, e := range r.Isolation.Evidence {
		d.printf("- %s\n", short(e))
	}
	d.WriteString("\n")
	rows = nil
	for _, f := range r.Versions {
		rows = append(rows, []string{text(f.Name), code(f.Value), short(f.From)})
	}
	d.list("Versions", []string{"what", "version", "says"}, rows)
	rows = nil
	for _, s := range r.Steps {
		for _, name := range slices.Sorted(maps.Keys(s.Facts)) {
			rows = append(rows, []string{code(s.ID), text(name), code(clip(s.Facts[name], 300))})
		}
	}
	d.list("Facts that steps found", []string{"step", "fact", "value"}, rows)
}

func (d *document) evidence(r *Report) {
	d.heading("Evidence")
	previous := "none: the first of this system, or not known"
	if r.Previous != "" {
		previous = code(r.Previous)
	}
	rows := [][]string{
		{code(r.Plan.File), code(r.Plan.SHA256)},
		{code(r.Runbook.File), code(r.Runbook.SHA256)},
		{"journal, genesis", code(r.Journal.Genesis)},
		{fmt.Sprintf("journal, head of %d entries", r.Journal.Entries), code(r.Journal.Head)},
		{"previous report", previous},
	}
	for _, a := range r.Artifacts {
		name := fmt.Sprintf("%s, %d bytes", code(a.File), a.Size)
		switch {
		case a.Unfinished:
			name += ", left by an interrupted attempt"
		case a.Step == "":
			name += ", recorded by no step"
		}
		rows = append(rows, []string{name, code(a.SHA256)})
	}
	d.table([]string{"what", "SHA-256"}, rows)
}

// verify says how to check the report without comeback.
func (d *document) verify() {
	d.heading("How to verify")
	d.line("In the directory of this report, with your own list of signers, and the name in it that you expect:")
	d.WriteString(fenced("sh", strings.Join([]string{
		"ssh-keygen -Y verify -f YOUR_ALLOWED_SIGNERS -I NAME -n " + Namespace + " -s " + SignatureFile + " < " + SumsFile,
		"sha256sum --strict -c " + SumsFile,
	}, "\n")))
	d.line("\nThe first shows who signed, the second that no file was changed since. A list of signers that came with the report proves nothing. " +
		"In the journal, the `prev` of each line is the SHA-256 of the line before; the head above is that of the last line.")
}
