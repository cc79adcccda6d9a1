package report

import (
	"fmt"
	"strings"
	"time"

	"comeback/recovery"
)

// Approval is a second person's signature over the digest of the plan that was
// current. The report verifies it again, against the keys that plan.json gives
// to the role.
type Approval struct {
	At   time.Time `json:"at"`
	Step string    `json:"step"`
	Role string    `json:"role"`
	// Fingerprint is that of the key as the journal names it, By who handed
	// the signature in.
	Fingerprint string `json:"fingerprint"`
	By          string `json:"by"`
	PlanSHA256  string `json:"plan_sha256"`
	// Signature is the armored SSH signature over PlanSHA256 and a newline.
	Signature string `json:"signature"`
	Verified  bool   `json:"verified"`
	// Problem says why it is not verified.
	Problem string `json:"problem,omitempty"`
	// Voided is when an amendment changed the plan that it is of.
	Voided time.Time `json:"voided,omitzero"`
}

// approve takes an approval and verifies it at once, while the plan's digest is
// the one that was current.
func (h *history) approve(at time.Time, p recovery.Approved) {
	a := Approval{At: at, Step: p.Step, Role: p.Role, Fingerprint: p.Fingerprint, By: p.By, PlanSHA256: p.PlanSHA256, Signature: p.Signature}
	a.Problem = h.disapprove(p)
	a.Verified = a.Problem == ""
	h.approvals = append(h.approvals, a)
}

// disapprove says why an approval is worth nothing, or nothing.
func (h *history) disapprove(p recovery.Approved) string {
	if p.PlanSHA256 != h.plan {
		return fmt.Sprintf("it is of the plan %s, and the plan was %s", p.PlanSHA256, h.plan)
	}
	problem := fmt.Sprintf("plan.json names no key of %q", p.Role)
	for _, person := range h.people {
		if !strings.EqualFold(person.Role, p.Role) || person.Key == "" {
			continue
		}
		fingerprint, err := VerifyApproval(person.Key, h.plan, p.Signature)
		switch {
		case err != nil:
			problem = err.Error()
		case fingerprint != p.Fingerprint:
			return fmt.Sprintf("it was made with the key %s, and the journal names %s", fingerprint, p.Fingerprint)
		default:
			return ""
		}
	}
	return problem
}

// approvalException says what is wrong with an approval step that went through.
// In a rehearsal it may be talked through, without any signature.
func (s *source) approvalException(st *recovery.StepState) (Exception, bool) {
	var args recovery.ApprovalArgs
	if err := st.Decode(&args); err != nil {
		return Exception{What: st.Says + ": nobody can tell whose approval it is", Why: err.Error()}, true
	}
	if st.State == recovery.Passed {
		e := Exception{What: fmt.Sprintf("went on without the approval of %s", args.Role), Why: st.Why}
		for _, d := range st.Decisions {
			e.By = d.By
		}
		return e, true
	}
	why := "the journal holds no signature"
	for _, a := range s.history.approvals {
		switch {
		case a.Step != st.ID:
			continue
		case !a.Verified:
			why = a.Problem
		case a.Role != args.Role:
			why = fmt.Sprintf("it was signed by %s", a.Role)
		case !a.Voided.IsZero():
			why = "an amendment changed the plan after it was signed"
		default:
			return Exception{}, false
		}
	}
	if s.talkedThrough(st) {
		return Exception{}, false
	}
	return Exception{What: fmt.Sprintf("no valid approval of %s stands behind the plan", args.Role), Why: why}, true
}

// talkedThrough reports whether an approval was only talked about, as rehearsals
// may: nobody has signed anything.
func (s *source) talkedThrough(st *recovery.StepState) bool {
	if st.Kind != recovery.KindApproval || s.state.Mode != recovery.Rehearsal {
		return false
	}
	for _, a := range s.history.approvals {
		if a.Step == st.ID && a.Voided.IsZero() {
			return false
		}
	}
	return true
}
