package recovery

import (
	"slices"
	"time"
)

// Progress is where a step or a stage stands. Its text is what screens show.
type Progress string

// The states of steps and stages.
const (
	ToDo     Progress = "to do"
	Running  Progress = "running"
	WaitsFor Progress = "WAITS"
	Done     Progress = "done"
	FailedAt Progress = "FAILED"
	Passed   Progress = "passed over" // failed, and a person went on with a reason
	Skipped  Progress = "skipped"
)

// State is what a journal folds to. Screens, plain output, resume and report
// read it and nothing else.
type State struct {
	Run, System string
	// Parent is the run that it follows, and that has changed live; empty for a new one.
	Parent        string
	Mode          Mode
	Number        int
	PlanSHA256    string
	RunbookSHA256 string
	Version       string
	// Operator started the run; Lease is who commands it now, LeaseSince
	// since when.
	Operator   string
	Lease      string
	LeaseSince time.Time
	// Unattended says that nobody can be asked.
	Unattended bool
	Host       string
	BootID     string
	// PID is the process that runs it, or did last.
	PID           int
	Asserted      map[string]string
	Started       time.Time
	Ended         time.Time
	Outage        OutageNoted
	Stages        []StageState
	Steps         []StepState
	Claims        []ClaimState
	Bindings      []Binding
	Notes         []NoteState
	Interruptions []Interruption
	// ClockSteps are those of the run's clock.
	ClockSteps    []ClockStep
	Amendments    []AmendmentState
	Approvals     []ApprovalState
	Notifications []NotificationState
	Confirmations []ConfirmationState
	// HeldBackBy wants the name to be typed again before the first change of live.
	HeldBackBy string
	// Identities are what the switched targets are now, where that is not what
	// the plan says; GivenBack what they were between an exchange and its end.
	Identities map[TargetID]Identity
	GivenBack  map[TargetID]Identity
	// Loses is what the plan says that going back loses, amendments included, and
	// Losses what the run has counted since, the newest count of each component.
	Loses  []LiveLoss
	Losses []LossState
	// Expires is what the plan says that the run removes for good.
	Expires []Old
	// Old is what was put aside by this run.
	Old []Old
	// HandedOver is what this run has left running.
	HandedOver []HandedOver
	// Moment is what the run goes to, amendments included.
	Moment   Moment
	Stop     *StopAsked
	Cleaning time.Time
	// Result is empty until the run has ended.
	Result  Result
	Exit    Exit
	Says    string
	Watched bool
	// ReportForm is that of its report; 0 until it has ended, and in early journals.
	ReportForm int
	// Unknown lists events that this version does not understand; with any
	// of them a report does not pass.
	Unknown []string
	// Seq is the last event that was folded in, At its time.
	Seq uint64
	At  time.Time
}

// StageState is a stage of a run.
type StageState struct {
	Stage
	State          Progress
	Started, Ended time.Time
	// Decided is its end, with the decisions about what had failed in it.
	Decided time.Time
}

// StepState is a step of a run.
type StepState struct {
	Step
	State          Progress
	Attempts       int
	Started, Ended time.Time
	// StartedSeq and EndedSeq are the events of both. Clocks go back; what came before what
	// is told by events.
	StartedSeq, EndedSeq uint64
	// BegunSeq is StartedSeq, also where an amendment has changed the step since: reports, whose
	// bytes are signed, have none of it then.
	BegunSeq uint64
	// Attempt is when the attempt that runs, or the last one, began.
	Attempt     time.Time
	Checkpoint  string
	Outcome     Outcome
	Error, Hint string
	ExitCode    Exit
	// WaitsFor is not empty while a person is needed, since WaitsSince.
	WaitsFor   WaitFor
	WaitsSince time.Time
	// Retry says that a person asked for another attempt, which has not
	// begun.
	Retry bool
	// Interrupted says that an attempt was cut off by the runner's death and
	// that the next one has not begun; Gone why what the step had made did not
	// survive.
	Interrupted bool
	Gone        string
	Ticks       []TickState
	Decisions   []Decided
	// Decided is when the last of them was made, by the event DecidedSeq.
	Decided    time.Time
	DecidedSeq uint64
	// Why says why a step was skipped or passed over; LeftOut that an amendment left it
	// out, and no stop.
	Why     string
	LeftOut bool
	// Undone says that what the step has exchanged, or opened, was given back.
	Undone bool
}

// TickState is an item to tick.
type TickState struct {
	Text string
	// How is empty until it is decided.
	How, By, Note string
	At            time.Time
}

// ClaimState is a resource of the run.
type ClaimState struct {
	Resource
	Step      string
	Made      time.Time
	Released  time.Time
	Kept      string // why it is still there
	OnPurpose bool
	Spared    string // what of it was not given back, because others have changed it since
	// Adopted says that it is live, or somebody else's, since it was released.
	Adopted bool
}

// LossState is what going back loses, and when that was counted.
type LossState struct {
	Seq uint64
	At  time.Time
	Loss
}

// ConfirmationState is a name that a person has typed.
type ConfirmationState struct {
	Seq uint64
	At  time.Time
	Confirmed
}

// NoteState is a remark.
type NoteState struct {
	At time.Time
	Noted
}

// Interruption is a time in which nobody ran the run.
type Interruption struct {
	// Seq is the event of To.
	Seq      uint64
	From, To time.Time
	Reason   string
	// By took it up again.
	By string
	// Rebooted says that the host was started again meanwhile.
	Rebooted bool
	// Steps are the ids of those that were under way.
	Steps []string
}

// AmendmentState is a change of the plan.
type AmendmentState struct {
	At time.Time
	Amended
}

// ApprovalState is a second person's signature; an amendment after it voids it.
type ApprovalState struct {
	At time.Time
	Approved
}

// NotificationState is a call for a person by the runbook's command.
type NotificationState struct {
	At time.Time
	Notified
}

// NewState is the state before the first event of a plan's run.
func NewState(p *Plan) State {
	s := State{Run: p.Run, Parent: p.Parent, System: p.System, Mode: p.Mode, Number: p.Number, Moment: p.Moment, Loses: p.Loses(), Expires: p.Expires}
	for _, stage := range p.Stages {
		s.Stages = append(s.Stages, StageState{Stage: stage, State: ToDo})
	}
	for _, step := range p.Steps {
		s.Steps = append(s.Steps, newStepState(step))
	}
	return s
}

func newStepState(step Step) StepState {
	st := StepState{Step: step, State: ToDo}
	if step.Kind == KindTicks {
		var args TicksArgs
		if step.Decode(&args) == nil {
			for _, text := range args.Items {
				st.Ticks = append(st.Ticks, TickState{Text: text})
			}
		}
	}
	return st
}

// toDoAgain forgets how a step ended; how often it was tried stays.
func (st *StepState) toDoAgain() {
	st.State, st.Ended, st.EndedSeq, st.Outcome = ToDo, time.Time{}, 0, Outcome{}
	st.Error, st.Hint, st.ExitCode = "", "", 0
	st.WaitsFor, st.WaitsSince, st.Retry, st.Why, st.LeftOut, st.Undone = "", time.Time{}, false, "", false, false
	ticks := make([]TickState, len(st.Ticks))
	for i, t := range st.Ticks {
		ticks[i].Text = t.Text
	}
	st.Ticks = ticks
}

// Reached are the proofs that components stand at their point. What is to do
// again, because the plan changed or because it did not survive, proves nothing.
func (s *State) Reached() []Reached {
	var proofs []Reached
	for i := range s.Steps {
		if st := &s.Steps[i]; st.State == Done && st.Outcome.Reached != nil {
			proofs = append(proofs, *st.Outcome.Reached)
		}
	}
	return proofs
}

// Step finds a step's state by its id; nil if there is none.
func (s *State) Step(id string) *StepState {
	for i := range s.Steps {
		if s.Steps[i].ID == id {
			return &s.Steps[i]
		}
	}
	return nil
}

// Binding finds where a component can be reached.
func (s *State) Binding(component string) (Binding, bool) {
	for i := len(s.Bindings) - 1; i >= 0; i-- {
		if s.Bindings[i].Component == component {
			return s.Bindings[i], true
		}
	}
	return Binding{}, false
}

// Waits lists the steps that wait for a person.
func (s *State) Waits() []*StepState {
	var waits []*StepState
	for i := range s.Steps {
		if s.Steps[i].WaitsFor != "" {
			waits = append(waits, &s.Steps[i])
		}
	}
	return waits
}

// Held lists the claims that are not released.
func (s *State) Held() []ClaimState {
	var held []ClaimState
	for _, c := range s.Claims {
		if c.Released.IsZero() {
			held = append(held, c)
		}
	}
	return held
}

// Ready reports whether everything that a step comes after has ended well or
// was passed over.
func (s *State) Ready(step *StepState) bool {
	for _, id := range step.After {
		switch before := s.Step(id); {
		case before == nil:
			return false
		case before.State != Done && before.State != Passed && before.State != Skipped:
			return false
		}
	}
	return true
}

// ToDos are what people have to do after the run: nothing of an exchange that was given
// back.
func (s *State) ToDos() []string {
	var all []string
	for i := range s.Steps {
		if st := &s.Steps[i]; !st.Undone || !s.reports(tellsGivenBack) {
			all = append(all, st.Outcome.ToDo...)
		}
	}
	return all
}

// Opened reports whether what was restored is live and open to its users, of a run under way
// also where its switch is to do again. Reports of runs that have ended go by the steps alone.
func (s *State) Opened() bool {
	return slices.ContainsFunc(s.Steps, func(st StepState) bool { return st.Phase == Open && st.State == Done }) ||
		s.Result == "" && !s.openedBefore().IsZero()
}

// OpenedWith reports whether the switch that a step is part of has opened any of its
// components: it goes one way from then on.
func (s *State) OpenedWith(step Step) bool {
	return slices.ContainsFunc(s.Steps, func(st StepState) bool { return st.Phase == Open && st.State == Done && st.SameSwitch(step) })
}

// NotProtected begins what a step says that was to back up again what is live, and has not.
const NotProtected = "not protected yet"

// Unprotected says what is live and not backed up again, one sentence each.
func (s *State) Unprotected() []string {
	opened := s.Opened()
	var all []string
	for i := range s.Steps {
		st := &s.Steps[i]
		if st.State == Done {
			all = append(all, st.Outcome.Unprotected...)
		} else if st.Phase == Protect && opened {
			all = append(all, st.Says+": "+string(st.State))
		}
	}
	return all
}
