package runbooks

import "fmt"

// Checks are the checks of a runbook by their names, each with all that it asks for:
// of two with the same text neither is weaker. Scripts count as checks, for their exit
// decides, too.
func (r *Runbook) Checks() map[string]string {
	checks := map[string]string{}
	for _, s := range r.Stages {
		for _, b := range s.Blocks {
			switch b := b.(type) {
			case SQLCheck:
				checks[b.Name] = fmt.Sprintf("%q %q %q", b.On, b.Expect, b.Query)
			case SQLWait:
				checks[b.Name] = fmt.Sprintf("%q %q %q", b.On, b.Expect, b.Query)
			case FilesCheck:
				checks[b.Name] = fmt.Sprintf("%q %q %q %q %q %q", b.On, b.Rows, b.Files, b.Missing, b.Different, b.Unknown)
			case SoundCheck:
				checks[b.Name] = fmt.Sprintf("%q %q", b.On, b.Sound)
			case HTTPCheck:
				checks[b.Name] = fmt.Sprintf("%q %d %q", b.URL, b.Status, b.Body)
			case Shell:
				checks[b.Name] = b.asks()
			case ShellWait:
				checks[b.Name] = b.asks()
			case Start:
				checks[b.Name] = b.asks()
			}
		}
	}
	return checks
}

// asks is all that a script asks for; its markers say where, for how long and with what.
func (s Shell) asks() string { return fmt.Sprintf("%q %q", s.Interpreter, s.Script) }
