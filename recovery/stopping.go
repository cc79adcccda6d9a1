package recovery

// StoppingSays is what the end of a run makes of live where it is stopped now: "exchanges
// back and reopens live". It follows from what the run holds, which its end gives back.
func (s *State) StoppingSays() string {
	switch held := s.heldOfLive(); {
	case held.exchanged && s.Opened():
		return "gives back what is not open yet, and leaves the rest switched"
	case held.exchanged && held.closed:
		return "exchanges back and reopens live"
	case held.exchanged:
		return "exchanges live back"
	case held.closed:
		return "reopens live to its users"
	case held.rows:
		return "takes back the rows that were changed"
	case s.Opened():
		return "leaves live switched and open"
	}
	return "changes nothing live"
}

// Reopens reports whether stopping the run lets the users of live in again: writes begin again
// then.
func (s *State) Reopens() bool {
	held := s.heldOfLive()
	return held.closed && !(held.exchanged && s.Opened())
}

// Unfinished are the steps that have not ended well, that nobody went on without, and that no
// amendment left out; but for those that back up again what is live.
func (s *State) Unfinished() []*StepState {
	var all []*StepState
	for i := range s.Steps {
		st := &s.Steps[i]
		leftOut := st.State == Skipped && st.LeftOut
		if st.Phase != Protect && st.State != Done && st.State != Passed && !leftOut {
			all = append(all, st)
		}
	}
	return all
}

// CameBack reports whether what was restored is open, and everything was done and checked but
// what backs it up again: however the run ends, it came back.
func (s *State) CameBack() bool { return s.Opened() && len(s.Unfinished()) == 0 }

// StoppedSays is the headline of a run that is stopped now: at a step that waits, or where at is
// nil by whoever commands it.
func (p *Plan) StoppedSays(s *State, at *StepState) string {
	stopped := *s
	switch {
	case s.CameBack():
		stopped.Result = ResultExceptions
	case at == nil:
		stopped.Result = ResultInterrupted
	case at.ExitCode == Refused:
		stopped.Result = ResultRefused
	default:
		stopped.Result = ResultFailed
	}
	return p.Headline(&stopped)
}
