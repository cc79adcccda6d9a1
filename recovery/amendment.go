package recovery

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Amended changes the plan of a run that is under way: another moment, another
// copy to restore from, a step that is left out. It is complete data, as the
// plan is, and gives the plan a new digest, which voids the approvals of the
// old one.
type Amended struct {
	// Says is the change for people: "restore database from offsite".
	Says string `json:"says"`
	// Why is the reason, By who gave it.
	Why string `json:"why,omitempty"`
	By  string `json:"by"`
	// Moment is the new one; nil where it stays.
	Moment *Moment `json:"moment,omitempty"`
	// Loses is what going back to the new one loses.
	Loses []LiveLoss `json:"loses,omitempty"`
	// Steps replace those of the same id, or are new; what they replace is
	// to do again.
	Steps []Step `json:"steps,omitempty"`
	// Redo lists finished steps that are to do again because of Steps.
	Redo []string `json:"redo,omitempty"`
	// Skip lists steps that will not run; each is an exception.
	Skip []string `json:"skip,omitempty"`
	// Before and PlanSHA256 are the plan's digests before and after.
	Before     string `json:"before"`
	PlanSHA256 string `json:"plan_sha256"`
}

// EventType is "amended/1".
func (Amended) EventType() string { return "amended/1" }

// Amend completes an amendment of a plan with a digest: the new one is the
// SHA-256 of "comeback-amendment-1", the old one's hex text and the amendment's
// own JSON without its new digest, a newline after each.
func Amend(before string, a Amended) (Amended, error) {
	a.Before, a.PlanSHA256 = before, ""
	b, err := json.Marshal(a)
	if err != nil {
		return a, fmt.Errorf("encode amendment: %w", err)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "comeback-amendment-1\n%s\n%s\n", before, b))
	a.PlanSHA256 = hex.EncodeToString(sum[:])
	return a, nil
}

// amend folds an amendment in. One that does not follow the plan as it is, or
// names a step that is not there, is noted as not understood.
func (s *State) amend(at time.Time, a Amended) {
	if again, err := Amend(s.PlanSHA256, a); err != nil || again.PlanSHA256 != a.PlanSHA256 {
		s.Unknown = append(slices.Clip(s.Unknown), fmt.Sprintf("event %d: the amendment is of another plan", s.Seq))
		return
	}
	s.PlanSHA256 = a.PlanSHA256
	s.Amendments = append(slices.Clip(s.Amendments), AmendmentState{At: at, Amended: a})
	if a.Moment != nil {
		s.Moment = *a.Moment
		s.Losses = nil // they were counted for the other one
		if a.Loses != nil {
			s.Loses = a.Loses
		}
	}
	s.Steps = slices.Clone(s.Steps)
	for _, step := range a.Steps {
		if st := s.Step(step.ID); st != nil {
			was := *st
			*st = newStepState(step)
			st.Attempts, st.Started, st.BegunSeq, st.Decided = was.Attempts, was.Started, was.BegunSeq, was.Decided
			continue
		}
		s.Steps = append(s.Steps, newStepState(step))
	}
	for _, id := range slices.Concat(a.Redo, a.Skip) {
		if s.Step(id) == nil {
			s.Unknown = append(slices.Clip(s.Unknown), fmt.Sprintf("event %d: the amendment is of a step %q", s.Seq, id))
		}
	}
	for i := range s.Steps {
		st := &s.Steps[i]
		again := slices.Contains(a.Redo, st.ID) || st.Kind == KindApproval && st.State == Done
		switch {
		case slices.Contains(a.Skip, st.ID):
			st.State, st.Ended, st.Why, st.LeftOut = Skipped, at, a.Why, true
			st.WaitsFor, st.WaitsSince = "", time.Time{}
		case again:
			st.toDoAgain()
		}
	}
	for i := range s.Stages {
		s.foldStage(i)
	}
}
