package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"comeback/recovery"
)

// How says how real a step or a stage was.
type How string

// From the most real to the least.
const (
	Exercised     How = "exercised"
	OnStandIn     How = "on a stand-in"
	TalkedThrough How = "talked through"
	NotExecuted   How = "not executed"
)

// Stage is a section of the runbook and how it went. Took is the time between
// its first step's start and its last step's end, with the Waited that people
// took; stages may overlap.
type Stage struct {
	Name    string            `json:"name"`
	Owner   string            `json:"owner,omitempty"`
	State   recovery.Progress `json:"state"`
	Started time.Time         `json:"started,omitzero"`
	Ended   time.Time         `json:"ended,omitzero"`
	Took    recovery.Duration `json:"took"`
	Waited  recovery.Duration `json:"waited"`
	// Interrupted is the time within Took in which nobody ran the run; a wait
	// may go on meanwhile.
	Interrupted recovery.Duration `json:"interrupted,omitempty"`
	Budget      recovery.Duration `json:"budget"`
	// Unknown says why none of the three is known, where they are not.
	Unknown string `json:"took_unknown_because,omitempty"`
	// How names every way in which its steps were done, with their number
	// where there are several: "exercised 2, not executed 1".
	How   string `json:"how"`
	Steps int    `json:"steps"`
	// Omitted counts what the runbook holds here and the plan left out.
	Omitted int `json:"omitted"`
}

// Step is one step of the plan and how it went.
type Step struct {
	ID        string            `json:"id"`
	Stage     string            `json:"stage"`
	Kind      string            `json:"kind"`
	Component string            `json:"component,omitempty"`
	Says      string            `json:"says"`
	State     recovery.Progress `json:"state"`
	How       How               `json:"how"`
	Attempts  int               `json:"attempts"`
	Started   time.Time         `json:"started,omitzero"`
	Ended     time.Time         `json:"ended,omitzero"`
	Took      recovery.Duration `json:"took"`
	Waited    recovery.Duration `json:"waited"`
	// Interrupted is the time within Took in which nobody ran the run.
	Interrupted recovery.Duration `json:"interrupted,omitempty"`
	Expected    recovery.Duration `json:"expected"`
	Budget      recovery.Duration `json:"budget"`
	// Unknown says why none of the three is known, where they are not.
	Unknown string `json:"took_unknown_because,omitempty"`
	// Outcome is the step's own sentence; Error and Hint stand where it failed.
	Outcome    string `json:"outcome,omitempty"`
	Error      string `json:"error,omitempty"`
	Hint       string `json:"hint,omitempty"`
	Checkpoint string `json:"checkpoint,omitempty"`
	// Why says why it was skipped or passed over.
	Why   string            `json:"why,omitempty"`
	Facts map[string]string `json:"facts,omitempty"`
	Line  int               `json:"line,omitempty"`
}

// Tick is an item of the runbook that a person decides.
type Tick struct {
	Step string `json:"step"`
	Text string `json:"text"`
	// How is "done", "talked through", "not done", or empty: not decided.
	How  string    `json:"how"`
	By   string    `json:"by"`
	Note string    `json:"note,omitempty"`
	At   time.Time `json:"at,omitzero"`
}

func (s *source) stages() []Stage {
	stages := []Stage{}
	for i, st := range s.state.Stages {
		stage := Stage{Name: st.Name, Owner: st.Owner, State: st.State, Budget: st.Budget,
			Started: st.Started.UTC(), Ended: s.stageEnded(i).UTC()}
		var from, to uint64
		count, own := map[How]int{}, map[string]bool{}
		for j := range s.state.Steps {
			step := &s.state.Steps[j]
			if step.Stage != i {
				continue
			}
			stage.Steps++
			count[s.howOf(step)]++
			own[step.ID] = true
			to = max(to, s.history.lastOf[step.ID])
			if at := step.StartedSeq; at > 0 && (from == 0 || at < from) {
				from = at
			}
		}
		if stage.Took, stage.Unknown = s.measured(between(stage.Started, stage.Ended), from, to); stage.Ended.IsZero() {
			stage.Unknown = ""
		}
		if stage.Unknown == "" {
			stage.Waited = s.waited(stage.Started, stage.Ended, func(step string) bool { return own[step] })
			stage.Interrupted = s.interrupted(stage.Started, stage.Ended)
		}
		for _, n := range s.plan.NotExecuted {
			if n.Stage == st.Name {
				stage.Omitted++
			}
		}
		stage.How = howStage(count, stage.Steps)
		if stage.Steps == 0 {
			stage.State = "no steps"
		}
		stages = append(stages, stage)
	}
	return stages
}

func howStage(count map[How]int, steps int) string {
	var parts []string
	for _, h := range []How{Exercised, OnStandIn, TalkedThrough, NotExecuted} {
		switch n := count[h]; {
		case n > 0 && n == steps:
			return string(h)
		case n > 0:
			parts = append(parts, fmt.Sprintf("%s %d", h, n))
		}
	}
	if len(parts) == 0 {
		return string(NotExecuted)
	}
	return strings.Join(parts, ", ")
}

func (s *source) howOf(st *recovery.StepState) How {
	talked := slices.ContainsFunc(st.Ticks, func(t recovery.TickState) bool { return t.How == recovery.TickTalkedThrough })
	switch {
	case st.Started.IsZero() || st.State == recovery.Skipped || st.State == recovery.ToDo:
		return NotExecuted
	case talked, s.talkedThrough(st):
		return TalkedThrough
	case st.Outcome.Facts[recovery.FactStandIn] != "":
		return OnStandIn
	}
	return Exercised
}

func (s *source) steps() []Step {
	steps := []Step{}
	for i := range s.state.Steps {
		st := &s.state.Steps[i]
		ended := s.ended(st)
		step := Step{
			ID: st.ID, Stage: s.stageName(st.Stage), Kind: st.Kind, Component: st.Component, Says: st.Says,
			State: st.State, How: s.howOf(st), Attempts: st.Attempts,
			Started: st.Started.UTC(), Ended: ended.UTC(), Expected: st.Expected, Budget: st.Budget,
			Outcome: st.Outcome.Says, Error: st.Error, Hint: st.Hint, Checkpoint: st.Checkpoint,
			Why: st.Why, Facts: st.Outcome.Facts, Line: st.Line,
		}
		if step.Took, step.Unknown = s.measured(between(st.Started, ended), st.StartedSeq, s.history.lastOf[st.ID]); ended.IsZero() {
			step.Unknown = ""
		}
		if step.Unknown == "" {
			step.Waited = s.waited(st.Started, ended, func(step string) bool { return step == st.ID })
			step.Interrupted = s.interrupted(st.Started, ended)
		}
		steps = append(steps, step)
	}
	return steps
}

func (s *source) ticks() []Tick {
	var ticks []Tick
	for i := range s.state.Steps {
		st := &s.state.Steps[i]
		for _, t := range st.Ticks {
			ticks = append(ticks, Tick{Step: st.ID, Text: t.Text, How: t.How, By: t.By, Note: t.Note, At: t.At.UTC()})
		}
	}
	return ticks
}

func (s *source) stageName(i int) string {
	if i < 0 || i >= len(s.plan.Stages) {
		return ""
	}
	return s.plan.Stages[i].Name
}

// remarks are what steps and plan want a reader to know though nothing is wrong.
func (s *source) remarks() []string {
	remarks := append([]string{}, s.plan.Warnings...)
	for i := range s.state.Steps {
		remarks = append(remarks, s.state.Steps[i].Outcome.Remarks...)
	}
	return remarks
}
