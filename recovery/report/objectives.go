package report

import (
	"fmt"
	"time"

	"comeback/recovery"
)

// Times are when what auditors ask for happened. A zero time has not happened,
// or is not known.
type Times struct {
	// Outage is when it began as far as OutageHow says: "known", "estimated"
	// or "unknown".
	Outage    time.Time `json:"outage,omitzero"`
	OutageHow string    `json:"outage_how"`
	// Decided is when the moment was chosen and the plan made.
	Decided time.Time `json:"decided"`
	Started time.Time `json:"started"`
	// StepsDone is when the last step had ended or was decided, ChecksDone
	// the same of the last check.
	StepsDone time.Time `json:"steps_done,omitzero"`
	// Opened is when the last check was decided and the system was open: all
	// but what protects it again.
	Opened         time.Time `json:"opened,omitzero"`
	ChecksDone     time.Time `json:"checks_done,omitzero"`
	CleanupStarted time.Time `json:"cleanup_started,omitzero"`
	// CleanupDone is when the last claim was proven gone.
	CleanupDone time.Time `json:"cleanup_done,omitzero"`
	Ended       time.Time `json:"ended,omitzero"`
}

// Objectives are what the runbook owes and what the run achieved.
type Objectives struct {
	RTO Objective `json:"rto"`
	RPO Objective `json:"rpo"`
	// Exercised is what a rehearsal measured; null in a recovery.
	Exercised *ExercisedTime `json:"exercised"`
}

// Objective is a target and what was achieved.
type Objective struct {
	// Target is zero where the runbook sets none.
	Target recovery.Duration `json:"target"`
	// Achieved is null where it is not known or was not measured.
	Achieved *recovery.Duration `json:"achieved"`
	// Verdict is "met", "missed", "unknown" or "not measured".
	Verdict string `json:"verdict"`
	// Says is how Achieved was found, or why it is not there.
	Says string `json:"says"`
}

// The verdicts on an objective.
const (
	Met         = "met"
	Missed      = "missed"
	Unknown     = "unknown"
	NotMeasured = "not measured"
)

// ExercisedTime is how long the stages of a rehearsal took, from the start to
// the last step's end. It is not an RTO: what was talked through or done on a
// stand-in takes its own time in earnest, and so does noticing.
type ExercisedTime struct {
	Took recovery.Duration `json:"took"`
	// Waited is the time that people took, Interrupted that nobody ran it;
	// both are within Took.
	Waited      recovery.Duration `json:"waited"`
	Interrupted recovery.Duration `json:"interrupted"`
	// Unknown says why none of the three is known, where they are not.
	Unknown string `json:"unknown_because,omitempty"`
	Says    string `json:"says"`
}

func (s *source) times(r *Report) Times {
	t := Times{
		Outage: s.state.Outage.Since.UTC(), OutageHow: s.state.Outage.How,
		Decided: s.plan.Created.UTC(), Started: s.state.Started.UTC(),
		CleanupStarted: s.state.Cleaning.UTC(), Ended: s.state.Ended.UTC(),
	}
	if t.OutageHow == "" {
		t.OutageHow = Unknown
	}
	if s.state.Mode != recovery.Rehearsal {
		t.Opened = s.state.OpenedAt().UTC()
	}
	steps, checks := true, true
	for i := range s.state.Steps {
		st := &s.state.Steps[i]
		switch st.State {
		case recovery.Done, recovery.Passed:
			at := later(st.Ended, st.Decided).UTC()
			t.StepsDone = later(t.StepsDone, at)
			if isCheck(st) {
				t.ChecksDone = later(t.ChecksDone, at)
			}
		default:
			steps, checks = false, checks && !isCheck(st)
		}
	}
	if !steps {
		t.StepsDone = time.Time{}
	}
	if !checks {
		t.ChecksDone = time.Time{}
	}
	if r.Cleanup.Gone {
		for _, c := range r.Cleanup.Claims {
			t.CleanupDone = later(t.CleanupDone, c.Released)
		}
	}
	return t
}

func (s *source) objectives(r *Report) Objectives {
	o := Objectives{RTO: Objective{Target: s.plan.RTO}, RPO: Objective{Target: s.plan.RPO}}
	if s.state.Mode == recovery.Rehearsal {
		o.RTO.Verdict, o.RTO.Says = NotMeasured, "a rehearsal measures exercised time, not an RTO"
		o.RPO.Verdict, o.RPO.Says = NotMeasured, "a rehearsal loses nothing"+s.age(r)
		o.Exercised = s.exercised(r)
		return o
	}
	took, unknown := s.plan.TimeToOpen(&s.state)
	o.RTO.Verdict, o.RTO.Says = Unknown, unknown
	if unknown == "" {
		o.RTO.Achieved, o.RTO.Verdict = &took, verdict(o.RTO.Target, took)
		o.RTO.Says = fmt.Sprintf("from the outage (%s) until every check was decided and the system open", r.Times.OutageHow)
	}
	s.recoveryPoint(&o.RPO)
	return o
}

func verdict(target, took recovery.Duration) string {
	switch {
	case target <= 0:
		return Unknown
	case took <= target:
		return Met
	}
	return Missed
}

// age says how old the newest moment in the copies was, for rehearsals that
// asked for it: what an RPO would have been at best.
func (s *source) age(r *Report) string {
	if s.state.Moment.Want.Kind != recovery.WantLatest {
		return ""
	}
	var worst time.Duration
	var of string
	for _, c := range r.Moment.Components {
		if c.Requested.Time.IsZero() {
			continue
		}
		if d := r.Times.Decided.Sub(c.Requested.Time); of == "" || d > worst {
			worst, of = d, c.Component
		}
	}
	if of == "" {
		return ""
	}
	return fmt.Sprintf("; the newest moment in the copies was %s old when the plan was made (%s)", recovery.FormatSpan(worst), of)
}

func (s *source) exercised(r *Report) *ExercisedTime {
	var last time.Time
	for _, st := range r.Steps {
		last = later(last, later(st.Ended, s.history.decidedAt(st.ID)))
	}
	e := &ExercisedTime{}
	if steps := s.clockSteps(); len(steps) > 0 {
		e.Unknown = steps[0].Says()
	} else {
		e.Took = between(r.Times.Started, last)
		e.Waited = s.waited(r.Times.Started, last, func(string) bool { return true })
		e.Interrupted = s.interruptedInAll(r.Times.Started, last)
	}
	count := map[How]int{}
	for _, st := range r.Steps {
		count[st.How]++
	}
	e.Says = "steps: " + howStage(count, 0)
	if n := len(s.plan.NotExecuted); n > 0 {
		e.Says += fmt.Sprintf("; left out by the plan: %d", n)
	}
	return e
}

// clockSteps are those of the run's clock that its report tells.
func (s *source) clockSteps() []recovery.ClockStep {
	if s.format() < tellsDecided {
		return nil
	}
	return s.state.ClockSteps
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
