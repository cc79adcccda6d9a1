package report

import (
	"fmt"
	"slices"
	"strings"

	"comeback/recovery"
)

// known writes how long something took, or that it is not known.
func known(says, unknown string) string {
	if unknown != "" {
		return Unknown
	}
	return says
}

// within writes a time, and how much of it nobody ran the run.
func (r *Report) within(d, interrupted recovery.Duration) string {
	if interrupted == 0 {
		return span(d)
	}
	return fmt.Sprintf("%s, of it %s%s interrupted", span(d), r.atMost(), took(interrupted))
}

// atMost stands before how long nobody ran the run: its runner may have been at work for
// longer than its last event says. Earlier forms do not tell.
func (r *Report) atMost() string {
	if r.Format >= tellsDecided {
		return "at most "
	}
	return ""
}

// told reports whether a journal says who took an interrupted run up.
func told(breaks []Break) bool {
	return slices.ContainsFunc(breaks, func(b Break) bool { return b.By != "" })
}

// changes writes what became of the plan: who approved it, and what was changed.
func (d *document) changes(r *Report) {
	if len(r.Amendments)+len(r.Approvals) == 0 {
		return
	}
	d.heading("Approvals and amendments")
	listOf(d, "Approvals, each a signature over the digest of the plan as it was then, verified with the key that "+code(PlanFile)+" gives to the role",
		[]string{"time", "role", "key", "plan", "handed in by", "signature"}, r.Approvals, func(a Approval) []string {
			verdict := "verified"
			if !a.Verified {
				verdict = "**not valid**: " + short(a.Problem)
			}
			if !a.Voided.IsZero() {
				verdict += "; void since " + at(a.Voided) + ", when the plan was amended"
			}
			return []string{at(a.At), text(a.Role), code(a.Fingerprint), code(a.PlanSHA256), code(a.By), verdict}
		})
	if len(r.Approvals) > 0 {
		d.line("Each can be verified without comeback, its signature from %s in a file:", code(JSONFile))
		d.WriteString(fenced("sh", "printf '%s\\n' PLAN | ssh-keygen -Y verify -f YOUR_ALLOWED_SIGNERS -I NAME -n "+ApprovalNamespace+" -s FILE") + "\n")
	}
	if len(r.Amendments) == 0 {
		return
	}
	d.line("What was executed is %s with these amendments. Each gives the plan a new digest and voids the approvals before it:", code(PlanFile))
	var rows [][]string
	for i, a := range r.Amendments {
		says := short(a.Says)
		for _, part := range []struct {
			name  string
			steps []string
		}{{"changed", a.Steps}, {"done again", a.Redo}, {"left out", a.Skip}} {
			if len(part.steps) > 0 {
				says += "; " + part.name + ": " + steps(part.steps)
			}
		}
		if a.Moment != "" {
			says += "; the moment: " + short(a.Moment)
		}
		if !a.Follows {
			says += "; **it does not follow from the plan**: " + short(a.Problem)
		}
		rows = append(rows, []string{fmt.Sprint(i + 1), at(a.At), says, short(a.Why), code(a.By), code(a.Before), code(a.After)})
	}
	d.table([]string{"#", "time", "what", "why", "by", "plan before", "plan after"}, rows)
}

// interruptions writes when nobody ran the run, and what that undid.
func (d *document) interruptions(r *Report) {
	if !told(r.Interrupted) && len(r.CutOff)+len(r.Redone) == 0 {
		return
	}
	d.heading("Interruptions")
	if told(r.Interrupted) {
		d.line("The run was interrupted and taken up again. All times above include these:")
		if r.Format >= tellsDecided {
			d.line("The last sign of life is the last event. A step that was under way may have gone on after it until the runner died, so that an interruption took at most, and an attempt that it cut off at least, what stands here.")
		}
	}
	var rows [][]string
	for i, b := range r.Interrupted {
		by := code(b.By)
		if b.Unattended {
			by += ", unattended"
		}
		if b.Version != "" {
			by += ", with comeback " + code(b.Version)
		}
		under := steps(b.Steps)
		if under == "" {
			under = "none"
		}
		rows = append(rows, []string{fmt.Sprint(i + 1), at(b.From), at(b.To), known(took(b.Took), b.Unknown), short(b.Reason), yes(b.Rebooted), by, under})
	}
	if told(r.Interrupted) {
		d.table([]string{"#", "last sign of life", "taken up", "took", "reason", "host restarted", "by", "steps under way"}, rows)
	}
	listOf(d, "Attempts that were cut off; they neither failed nor ended", []string{"step", "attempt", "started", "until", "took", "had come to"},
		r.CutOff, func(c CutOff) []string {
			return []string{code(c.Step), fmt.Sprint(c.Attempt), at(c.Started), at(c.Until), known(took(c.Took), c.Unknown), short(c.Checkpoint)}
		})
	listOf(d, "Steps that were to do again", []string{"time", "step", "why"}, r.Redone, func(g Redone) []string {
		return []string{at(g.At), code(g.Step), short(g.Why)}
	})
}

// steps lists ids of steps.
func steps(ids []string) string {
	shown := make([]string, len(ids))
	for i, id := range ids {
		shown[i] = code(id)
	}
	return strings.Join(shown, ", ")
}
