package recovery

import "fmt"

// oneHeadline is the first form of reports whose headline is that of every screen and
// line; those of earlier ones have their own, and stay what was signed.
const oneHeadline = 4

// OneHeadline reports whether a report of a form has the headline of screens and lines.
func OneHeadline(form int) bool { return form >= oneHeadline }

// Headline is how a run ended, in a few words and in capitals: the same on every screen,
// in every line and in the report. It never says more than was proven: a run that checked
// nothing says that.
func (p *Plan) Headline(s *State) string {
	came := "REHEARSED"
	if p.Mode == Recovery {
		came = "CAME BACK"
	}
	switch s.Result {
	case "":
		return "NOT ENDED"
	case ResultPassed:
		return p.passed(s, came)
	case ResultExceptions:
		if p.GivesBack != nil {
			return "NOT ALL GIVEN BACK"
		}
		return came + " WITH EXCEPTIONS"
	case ResultFailed:
		return "FAILED"
	case ResultRefused:
		return "REFUSED BY A GUARD"
	case ResultInterrupted:
		return "INTERRUPTED"
	}
	return "ENDED: " + string(s.Result)
}

// passed is the headline of a run that ended well.
func (p *Plan) passed(s *State, came string) string {
	held, total := s.Checks()
	switch {
	case len(s.Unknown) > 0:
		return "ENDED, BUT ITS JOURNAL IS NOT UNDERSTOOD"
	case p.GivesBack != nil:
		return "GIVEN BACK"
	case p.Expires != nil:
		return "REMOVED"
	case total == 0 && p.Parent != "" && len(s.Old) > 0: // it restores nothing that could be checked
		return "SWITCHED BACK"
	case total == 0:
		return came + ", BUT NOTHING WAS CHECKED"
	case held < total:
		return fmt.Sprintf("%s, BUT ONLY %d OF %d CHECKS HELD", came, held, total)
	}
	return came + ", EVERY CHECK HELD"
}

// ChecksSay is how many checks held, as a clause: "3 of 3 checks held".
func (s *State) ChecksSay() string {
	held, total := s.Checks()
	if total == 0 {
		return "nothing was checked"
	}
	return fmt.Sprintf("%d of %d checks held", held, total)
}
