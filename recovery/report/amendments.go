package report

import (
	"fmt"
	"slices"
	"time"

	"comeback/recovery"
)

// Amendment is a change of the plan while it was carried out. What was executed
// is plan.json with the amendments, in their order.
type Amendment struct {
	At   time.Time `json:"at"`
	Says string    `json:"says"`
	Why  string    `json:"why,omitempty"`
	By   string    `json:"by"`
	// Moment is the new one in words, or empty where it stayed.
	Moment string `json:"moment,omitempty"`
	// Steps were replaced or added, Redo were done again, Skip left out.
	Steps []string `json:"steps,omitempty"`
	Redo  []string `json:"done_again,omitempty"`
	Skip  []string `json:"left_out,omitempty"`
	// Before and After are the plan's digests as the journal names them.
	Before string `json:"plan_sha256_before"`
	After  string `json:"plan_sha256_after"`
	// Follows says that Before is the digest that was current, and that After
	// is what the amendment comes to; otherwise Problem says what is not so,
	// and the amendment counts for nothing.
	Follows bool   `json:"follows"`
	Problem string `json:"problem,omitempty"`
}

// amend takes an amendment and computes the chain of digests again. One that
// follows voids the approvals before it.
func (h *history) amend(at time.Time, p recovery.Amended) {
	a := Amendment{At: at, Says: p.Says, Why: p.Why, By: p.By, Redo: p.Redo, Skip: p.Skip, Before: p.Before, After: p.PlanSHA256}
	for _, s := range p.Steps {
		a.Steps = append(a.Steps, s.ID)
	}
	if p.Moment != nil {
		a.Moment = p.Moment.String()
	}
	switch again, err := recovery.Amend(h.plan, p); {
	case err != nil:
		a.Problem = err.Error()
	case p.Before != h.plan:
		a.Problem = fmt.Sprintf("it is of the plan %s, and the plan was %s", p.Before, h.plan)
	case again.PlanSHA256 != p.PlanSHA256:
		a.Problem = fmt.Sprintf("it comes to the plan %s, and names %s", again.PlanSHA256, p.PlanSHA256)
	default:
		a.Follows = true
	}
	h.amendments = append(h.amendments, a)
	if !a.Follows {
		return
	}
	h.plan = p.PlanSHA256
	for i := range h.approvals {
		if h.approvals[i].Voided.IsZero() {
			h.approvals[i].Voided = at
		}
	}
	for _, id := range slices.Concat(a.Steps, a.Redo, a.Skip) {
		h.close(id, at)
		delete(h.underWay, id)
	}
	for _, id := range a.Redo {
		h.redone = append(h.redone, Redone{At: at, Step: id, Why: "amended: " + p.Says})
	}
}

// leftOut is the amendment that left a step out; nil if none did.
func (h *history) leftOut(step string) *Amendment {
	for i := len(h.amendments) - 1; i >= 0; i-- {
		if a := &h.amendments[i]; a.Follows && slices.Contains(a.Skip, step) {
			return a
		}
	}
	return nil
}

// brokenAmendments are exceptions: what was executed then is not proven.
func (h *history) brokenAmendments() []Exception {
	var out []Exception
	for _, a := range h.amendments {
		if !a.Follows {
			out = append(out, Exception{What: "the amendment " + a.Says + " does not follow from the plan", Why: a.Problem, By: a.By})
		}
	}
	return out
}
