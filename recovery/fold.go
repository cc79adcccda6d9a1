package recovery

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// StepOfClock is by how much a clock may differ, of an event from the one before it or from
// a clock that nobody sets, without having been put back or forward: clocks are adjusted all
// the time.
const StepOfClock = time.Second

// Fold adds one event to a state. It is pure and total: the same events give
// the same state everywhere, and an event that it does not understand is
// remembered in Unknown, never an error.
func Fold(s State, e Event) State {
	before := s.At
	if back := before.Sub(e.At); !before.IsZero() && back > StepOfClock && s.Result == "" {
		s.ClockSteps = append(slices.Clip(s.ClockSteps), ClockStep{Seq: e.Seq, By: -back})
	}
	s.Seq, s.At = e.Seq, e.At
	payload, ok := e.Payload()
	if !ok {
		s.Unknown = append(slices.Clip(s.Unknown), fmt.Sprintf("event %d: %s", e.Seq, e.Type))
		return s
	}
	switch p := payload.(type) {
	case RunStarted:
		s.Run, s.System, s.Mode, s.Number = p.Run, p.System, p.Mode, p.Number
		s.PlanSHA256, s.RunbookSHA256, s.Version = p.PlanSHA256, p.RunbookSHA256, p.Version
		s.Operator, s.Host, s.BootID, s.Asserted = p.Operator, p.Host, p.BootID, p.Asserted
		s.Started, s.PID, s.Unattended = e.At, p.PID, p.Unattended
		s.Lease, s.LeaseSince = p.Operator, e.At
	case RunResumed:
		s.resume(before, e.At, p)
	case LeaseTaken:
		s.Lease, s.LeaseSince = p.By, e.At
	case LeaseHanded:
		s.Lease, s.LeaseSince = p.To, e.At
	case Amended:
		s.amend(e.At, p)
	case HeldBack:
		s.HeldBackBy = p.By
	case Confirmed:
		s.HeldBackBy = ""
		s.Confirmations = append(slices.Clip(s.Confirmations), ConfirmationState{Seq: e.Seq, At: e.At, Confirmed: p})
		s.Steps = slices.Clone(s.Steps)
		for i := range s.Steps { // what waited for it goes on
			if st := &s.Steps[i]; st.WaitsFor == WaitName {
				st.WaitsFor, st.WaitsSince, st.Retry = "", time.Time{}, true
				s.foldStage(st.Stage)
			}
		}
	case SecretGiven:
	case Notified:
		s.Notifications = append(slices.Clip(s.Notifications), NotificationState{At: e.At, Notified: p})
	case ClockStepped:
		s.clockStepped(e.Seq, time.Duration(p.By))
	case OutageNoted:
		s.Outage = p
	case Noted:
		s.Notes = append(slices.Clip(s.Notes), NoteState{At: e.At, Noted: p})
	case StopAsked:
		s.Stop = &p
	case CleanupStarted:
		s.Cleaning = e.At
	case ClaimMade:
		if !s.claimAnew(p.Resource) {
			s.Claims = append(slices.Clip(s.Claims), ClaimState{Resource: p.Resource, Step: p.Step, Made: e.At})
		}
	case ClaimReleased:
		s.claim(p.Resource, func(c *ClaimState) {
			c.Released, c.Kept, c.Spared = e.At, "", p.Spared
			if c.Kind.Exchanges() {
				s.foldUndone(c.Step)
			}
		})
	case ClaimKept:
		s.claim(p.Resource, func(c *ClaimState) { c.Kept, c.OnPurpose = p.Why, p.OnPurpose })
	case RunEnded:
		s.Result, s.Exit, s.Says, s.Ended, s.Watched = p.Result, p.Exit, p.Says, e.At, p.Watched
		s.ReportForm = p.Report
		if p.Report < tellsClockStepped {
			s.forgetClockSteps()
		}
	default:
		s.foldStep(e, payload)
	}
	return s
}

// clockStepped folds a step of the clock that an event tells. Where the time of the event
// says the same, it is one.
func (s *State) clockStepped(seq uint64, by time.Duration) {
	step := ClockStep{Seq: seq, By: by, Told: true}
	s.ClockSteps = slices.DeleteFunc(slices.Clone(s.ClockSteps), func(c ClockStep) bool {
		if c.Seq == seq {
			step.Seen = c.By
		}
		return c.Seq == seq
	})
	s.ClockSteps = append(s.ClockSteps, step)
}

// forgetClockSteps leaves a run that an earlier version has ended as that has seen it: it
// did not know the events that tell of steps of the clock.
func (s *State) forgetClockSteps() {
	var kept []ClockStep
	s.Unknown = slices.Clone(s.Unknown)
	for _, c := range s.ClockSteps {
		if c.Told {
			s.Unknown = append(s.Unknown, fmt.Sprintf("event %d: %s", c.Seq, ClockStepped{}.EventType()))
			c = ClockStep{Seq: c.Seq, By: c.Seen}
		}
		if c.By != 0 {
			kept = append(kept, c)
		}
	}
	s.ClockSteps = kept
}

// resume folds the end of an interruption: what was under way is to do again,
// but for items to tick, which a person goes on with.
func (s *State) resume(from, to time.Time, p RunResumed) {
	i := Interruption{Seq: s.Seq, From: from, To: to, Reason: p.Reason, By: p.By, Rebooted: p.BootID != s.BootID}
	s.BootID, s.PID, s.Unattended = p.BootID, p.PID, p.Unattended
	if p.By != "" && p.By != s.Lease {
		s.Lease, s.LeaseSince = p.By, to
	}
	s.Steps = slices.Clone(s.Steps)
	for n := range s.Steps {
		st := &s.Steps[n]
		if st.State == Running && st.Kind != KindTicks && st.Kind != KindApproval {
			st.State, st.Interrupted = ToDo, true
			i.Steps = append(i.Steps, st.ID)
		}
	}
	s.Interruptions = append(slices.Clip(s.Interruptions), i)
	for n := range s.Stages {
		s.foldStage(n)
	}
}

// foldStep folds the events that belong to one step.
func (s *State) foldStep(e Event, payload Payload) {
	var id string
	var change func(*StepState)
	switch p := payload.(type) {
	case StepStarted:
		id, change = p.Step, func(st *StepState) {
			st.State, st.Attempts, st.Attempt = Running, p.Attempt, e.At
			if st.Started.IsZero() {
				st.Started, st.StartedSeq = e.At, e.Seq
			}
			if st.BegunSeq == 0 {
				st.BegunSeq = e.Seq
			}
			st.Ended, st.EndedSeq, st.Error, st.Hint, st.ExitCode = time.Time{}, 0, "", "", 0
			st.WaitsFor, st.WaitsSince, st.Outcome = "", time.Time{}, Outcome{}
			st.Retry, st.Interrupted, st.Gone, st.Undone = false, false, "", false
		}
	case StepCheckpoint:
		id, change = p.Step, func(st *StepState) { st.Checkpoint = p.Text }
	case StepFinished:
		id, change = p.Step, func(st *StepState) {
			st.State, st.Ended, st.EndedSeq, st.Outcome = Done, e.At, e.Seq, p.Outcome
			st.WaitsFor, st.WaitsSince = "", time.Time{}
		}
		s.Bindings = append(slices.Clip(s.Bindings), p.Outcome.Bindings...)
		s.foldLive(e.At, p.Outcome)
	case StepFailed:
		id, change = p.Step, func(st *StepState) {
			st.State, st.Ended, st.EndedSeq, st.Outcome = FailedAt, e.At, e.Seq, p.Outcome
			st.Error, st.Hint, st.ExitCode = p.Error, p.Hint, p.Exit
			st.WaitsFor, st.WaitsSince = "", time.Time{}
		}
	case StepSkipped:
		id, change = p.Step, func(st *StepState) {
			st.State, st.Ended, st.EndedSeq, st.Why, st.LeftOut = Skipped, e.At, e.Seq, p.Why, false
			st.WaitsFor, st.WaitsSince = "", time.Time{}
		}
	case Waiting:
		id, change = p.Step, func(st *StepState) {
			st.WaitsFor, st.WaitsSince = p.For, e.At
			if p.For != WaitDecision {
				st.State = WaitsFor
			}
			if p.Cause != "" {
				st.Error, st.Hint = p.Cause, p.Hint
			}
		}
	case Approved:
		id, change = p.Step, func(*StepState) {}
		s.Approvals = append(slices.Clip(s.Approvals), ApprovalState{At: e.At, Approved: p})
	case StepGone:
		id, change = p.Step, func(st *StepState) {
			st.toDoAgain()
			st.Gone = p.Why
		}
	case Ticked:
		id, change = p.Step, func(st *StepState) {
			st.Ticks = slices.Clone(st.Ticks)
			if p.Item >= 0 && p.Item < len(st.Ticks) {
				t := &st.Ticks[p.Item]
				t.How, t.By, t.Note, t.At = p.How, p.By, p.Note, e.At
			}
		}
	case Decided:
		id, change = p.Step, func(st *StepState) {
			st.Decisions, st.Decided, st.DecidedSeq = append(slices.Clip(st.Decisions), p), e.At, e.Seq
			st.WaitsFor, st.WaitsSince = "", time.Time{}
			switch p.Choice {
			case ChooseContinue:
				st.State, st.Why = Passed, p.Reason
			case ChooseRetry:
				st.Retry = true
			}
		}
	}
	i := slices.IndexFunc(s.Steps, func(st StepState) bool { return st.ID == id })
	if change == nil || i < 0 {
		s.Unknown = append(slices.Clip(s.Unknown), fmt.Sprintf("event %d: %s of step %q", e.Seq, e.Type, id))
		return
	}
	s.Steps = slices.Clone(s.Steps)
	change(&s.Steps[i])
	s.foldStage(s.Steps[i].Stage)
}

// foldLive folds what a step has made of live.
func (s *State) foldLive(at time.Time, o Outcome) {
	for _, old := range o.Old { // a step that is done again tells of the same
		s.Old = slices.DeleteFunc(slices.Clone(s.Old), func(o Old) bool { return o.Component == old.Component && o.Place == old.Place })
		s.Old = append(s.Old, old)
	}
	for _, h := range o.HandedOver {
		s.HandedOver = slices.DeleteFunc(slices.Clone(s.HandedOver), func(o HandedOver) bool { return o.Place == h.Place })
		s.HandedOver = append(s.HandedOver, h)
	}
	if o.Loss != nil {
		s.Losses = slices.DeleteFunc(slices.Clone(s.Losses), func(l LossState) bool { return l.Component == o.Loss.Component })
		s.Losses = append(s.Losses, LossState{Seq: s.Seq, At: at, Loss: *o.Loss})
	}
	if len(o.Identities) > 0 {
		now := maps.Clone(s.Identities)
		if now == nil {
			now = map[TargetID]Identity{}
		}
		maps.Copy(now, o.Identities)
		s.Identities = now
	}
	for _, r := range o.Adopted {
		s.claim(r, func(c *ClaimState) { c.Released, c.Kept, c.Adopted = at, "", true })
	}
}

// foldUndone forgets what an exchange had put aside that was given back: it is live
// again, and what the exchange and its opening said of its target and asked people to do is
// over.
func (s *State) foldUndone(step string) {
	st := s.Step(step)
	if st == nil {
		return
	}
	component := st.Component
	s.Old = slices.DeleteFunc(slices.Clone(s.Old), func(o Old) bool { return o.Component == component })
	s.Steps, s.Identities, s.GivenBack = slices.Clone(s.Steps), maps.Clone(s.Identities), maps.Clone(s.GivenBack)
	for i := range s.Steps {
		st := &s.Steps[i]
		if st.Component != component || st.Phase != Exchange && st.Phase != Open {
			continue
		}
		st.Undone = true
		// An exchange that was to do again has no outcome any more.
		for _, id := range slices.AppendSeq(slices.Clone(st.Writes), maps.Keys(st.Outcome.Identities)) {
			was, ok := s.Identities[id]
			if !ok {
				continue
			}
			delete(s.Identities, id)
			if s.GivenBack == nil {
				s.GivenBack = map[TargetID]Identity{}
			}
			s.GivenBack[id] = was
		}
	}
}

// claimAnew gives a claim that is held other details: what it was made for is gone, and
// something else stands in its place.
func (s *State) claimAnew(r Resource) bool {
	i := slices.IndexFunc(s.Claims, func(c ClaimState) bool { return c.Kind == r.Kind && c.ID == r.ID && c.Released.IsZero() })
	if i < 0 || maps.Equal(s.Claims[i].Details, r.Details) {
		return false
	}
	s.Claims = slices.Clone(s.Claims)
	s.Claims[i].Details = r.Details
	return true
}

// claim changes the newest claim of a resource.
func (s *State) claim(r Resource, change func(*ClaimState)) {
	s.Claims = slices.Clone(s.Claims)
	for i := len(s.Claims) - 1; i >= 0; i-- {
		if c := &s.Claims[i]; c.Kind == r.Kind && c.ID == r.ID {
			change(c)
			return
		}
	}
	s.Unknown = append(slices.Clip(s.Unknown), fmt.Sprintf("%s %s was never claimed", r.Kind, r.ID))
}

// foldStage derives a stage from its steps.
func (s *State) foldStage(stage int) {
	if stage < 0 || stage >= len(s.Stages) {
		return
	}
	st := StageState{Stage: s.Stages[stage].Stage, State: ToDo}
	count := map[Progress]int{}
	total := 0
	for i := range s.Steps {
		step := &s.Steps[i]
		if step.Stage != stage {
			continue
		}
		total++
		count[step.State]++
		if step.WaitsFor != "" {
			count[WaitsFor]++
		}
		if !step.Started.IsZero() && (st.Started.IsZero() || step.Started.Before(st.Started)) {
			st.Started = step.Started
		}
		if step.Ended.IsZero() {
			continue
		}
		if step.Ended.After(st.Ended) {
			st.Ended = step.Ended
		}
		for _, end := range []time.Time{step.Ended, step.Decided} {
			if end.After(st.Decided) {
				st.Decided = end
			}
		}
	}
	switch ended := count[Done] + count[Passed] + count[Skipped]; {
	case total == 0: // nothing is to be done in it
	case count[WaitsFor] > 0:
		st.State = WaitsFor
	case count[FailedAt] > 0:
		st.State = FailedAt
	case ended == total && count[Skipped] == total:
		st.State = Skipped
	case ended == total && count[Passed] > 0:
		st.State = Passed
	case ended == total:
		st.State = Done
	case ended+count[Running] > 0:
		st.State = Running
	}
	if st.State != Done && st.State != Passed && st.State != Skipped && st.State != FailedAt {
		st.Ended, st.Decided = time.Time{}, time.Time{}
	}
	s.Stages = slices.Clone(s.Stages)
	s.Stages[stage] = st
}
