package recovery

import "fmt"

// CheckCount is how the checks of a run stand.
type CheckCount struct {
	// Held held, Failed did not, whether or not somebody went on without them; LeftOut were
	// skipped, and Open were not made yet.
	Held, Failed, LeftOut, Open int
}

// All is how many there are.
func (c CheckCount) All() int { return c.Held + c.Failed + c.LeftOut + c.Open }

// CheckCount counts the checks of a run.
func (s *State) CheckCount() (c CheckCount) {
	for i := range s.Steps {
		st := &s.Steps[i]
		switch {
		case !st.checks():
		case st.State == Done && st.Outcome.Check != nil && st.Outcome.Check.Held:
			c.Held++
		case st.State == Done || st.State == FailedAt || st.State == Passed:
			c.Failed++
		case st.State == Skipped:
			c.LeftOut++
		default:
			c.Open++
		}
	}
	return c
}

// checks reports whether a step checks something. Items to tick and blocks are none, whatever
// they say.
func (st *StepState) checks() bool {
	switch st.Kind {
	case KindTicks, KindShell:
		return false
	case KindSQLCheck, KindFilesCheck, KindSoundCheck, KindHTTPCheck, KindSQLWait:
		return true
	}
	return st.Outcome.Check != nil
}

// Checks are how many checks held, of all that there are.
func (s *State) Checks() (held, total int) {
	c := s.CheckCount()
	return c.Held, c.All()
}

// ChecksStand is how the checks of a run stand, at any moment of it: "9 of 11 held, 2 still to
// come". What is still to come has not failed.
func (s *State) ChecksStand() string {
	c := s.CheckCount()
	text := fmt.Sprintf("%d of %d held", c.Held, c.All())
	for _, rest := range []struct {
		n    int
		what string
	}{{c.Failed, "FAILED"}, {c.LeftOut, "left out"}, {c.Open, s.openChecks()}} {
		if rest.n > 0 {
			text += fmt.Sprintf(", %d %s", rest.n, rest.what)
		}
	}
	return text
}

// openChecks says what checks are that nobody has made.
func (s *State) openChecks() string {
	if s.Result != "" {
		return "never made"
	}
	return "still to come"
}
