package tui

import (
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"comeback/pattern"
	"comeback/recovery"
)

// credentialChoices are the ways to go on where a service refused, or where what was given
// does not open a backup. Nothing has failed: the step goes on when somebody has renewed what
// it needs. Who has only another key may have one that opens another moment's backup.
func (s *waitingScreen) credentialChoices(st *recovery.StepState) []choice {
	list := []choice{s.again(st, "after you have renewed them")}
	for _, name := range s.run.variables(st) {
		list = append(list, s.typing(name))
	}
	return slices.Concat(list, s.otherCopy(st), s.otherMoment(st), s.without(st), []choice{s.stopHere()})
}

// typing gives the runner a value of a variable; another attempt goes by it.
func (s *waitingScreen) typing(name string) choice {
	return choice{name: "Type " + name + "...", leaves: "shown as stars, given to the runner, recorded nowhere", do: func() tea.Cmd {
		s.asks(&prompt{label: clean(name) + " > ", does: "give it to the runner", needs: "this needs a value", edit: field{secret: true}, then: func(value string) tea.Cmd {
			return s.send(recovery.Command{Kind: recovery.DoSecret, Step: s.id, Name: name, Value: value})
		}})
		return nil
	}}
}

// anew are the ways to give a variable another value where a failure's hint says that this
// mends it: it names it as a reference, ${NAME}.
func (s *waitingScreen) anew(st *recovery.StepState) (list []choice) {
	var names []string
	for _, found := range asReference.FindAllStringSubmatch(st.Hint, mostVariables) {
		if name := found[1]; !slices.Contains(names, name) {
			names = append(names, name)
			list = append(list, s.typing(name))
		}
	}
	return list
}

var (
	// asVariable is a name that is written as a shell would read it, notSet one
	// that is missing.
	asVariable = pattern.New(`(?:\$\{?|\bexport )([A-Z][A-Z0-9_]+)`)
	notSet     = pattern.New(`\b([A-Z][A-Z0-9_]+) is not set\b`)
	// asReference is a name that is written as a runbook refers to it.
	asReference = pattern.New(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)
	// byItsShape is a name that is an environment variable by its looks.
	byItsShape = pattern.New(`\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b`)
)

// mostVariables is how many secrets are offered to be typed.
const mostVariables = 3

// variables are the environment variables that a wait's cause and hint name:
// those that the runbook asks for, and those that the hint spells out.
func (a *attached) variables(st *recovery.StepState) []string {
	var names []string
	words := strings.FieldsFunc(st.Error+" "+st.Hint, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
	for name := range a.plan.Needs {
		if slices.Contains(words, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, found := range slices.Concat(notSet.FindAllStringSubmatch(st.Error, -1), asVariable.FindAllStringSubmatch(st.Hint, -1), asReference.FindAllStringSubmatch(st.Hint, -1)) {
		names = append(names, found[1])
	}
	names = append(names, byItsShape.FindAllString(st.Hint, -1)...)
	var list []string
	for _, name := range names {
		if !slices.Contains(list, name) && len(list) < mostVariables {
			list = append(list, name)
		}
	}
	return list
}

// terminalChoices are the ways to go on where a program wants to talk with a
// person.
func (s *waitingScreen) terminalChoices(st *recovery.StepState) []choice {
	var list []choice
	if _, ok := s.run.session.(recovery.Seats); ok {
		list = append(list, choice{name: "Open it here", leaves: "in this terminal; ctrl+] comes back, the program goes on", do: func() tea.Cmd {
			s.asking = true
			return s.m.talk(s.run, st)
		}})
	} else {
		list = append(list, s.again(st, "runs it again; it waits again while no terminal is there"))
	}
	return append(append(list, s.without(st)...), s.stopHere())
}

// access shows what a step needs to get on: credentials, or a terminal.
func (s *waitingScreen) access(p *page, st *recovery.StepState, head line, w int) {
	p.body = []line{spread(head, say("not a failure"), w), nil}
	if st.WaitsFor == recovery.WaitTerminal {
		p.about("NEEDS", warn, "a terminal of its own: "+named(st)+" talks with a person", w, 2)
		p.about("CAUSE", plain, s.m.pasted(st.Error), w, 4)
		p.about("DO", plain, s.m.pasted(st.Hint), w, 4)
		p.about("ELSEWHERE", plain, s.m.pasted("comeback terminal "+s.run.plan.Run), w, 1)
		return
	}
	p.about("NEEDS", warn, "credentials: "+named(st), w, 2)
	p.about("CAUSE", plain, s.m.pasted(st.Error), w, 6)
	p.about("DO", plain, s.m.pasted(st.Hint), w, 4)
	for _, name := range s.run.variables(st) {
		if where := s.run.plan.Needs[name]; where != "" {
			p.about("FROM", plain, fmt.Sprintf("%s: %s", name, where), w, 2)
		}
	}
}
