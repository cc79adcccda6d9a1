package runbooks

import (
	"cmp"
	"fmt"
	"slices"
)

// Pos is a place in the file as editors count: lines and characters from 1. A
// byte order mark is not a character, CR LF is one line end and a tab is one
// character.
type Pos struct{ Line, Column int }

// Position is p itself; what embeds a Pos has a position.
func (p Pos) Position() Pos { return p }

// Severity says what a problem means.
type Severity string

// The severities. With an Error nothing may be planned from the runbook.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Problem is something that is wrong in a runbook.
type Problem struct {
	Pos
	Severity Severity
	// Says is what is wrong, one sentence without a full stop.
	Says string
	// Do is what to write instead, likewise.
	Do string
	// Value says that it is the value of a component's setting: whatever does not read that
	// setting can go by the runbook all the same.
	Value bool
	// OfRecovery says that it is of no consequence but in a recovery.
	OfRecovery bool
}

// String is "12:3: error: what is wrong; what to write".
func (p Problem) String() string {
	return fmt.Sprintf("%d:%d: %s: %s; %s", p.Line, p.Column, p.Severity, p.Says, p.Do)
}

// Problems are in the order of the document.
type Problems []Problem

// Failed reports whether there is an error among them.
func (p Problems) Failed() bool { return p.Count(Error) > 0 }

// Count is the number of problems of a severity.
func (p Problems) Count(s Severity) int {
	n := 0
	for _, problem := range p {
		if problem.Severity == s {
			n++
		}
	}
	return n
}

func (p *Problems) add(s Severity, at Pos, says, do string) {
	if p.full() {
		return
	}
	*p = append(*p, Problem{Pos: at, Severity: s, Says: says, Do: do})
}

// value adds an error in the value of a setting.
func (p *Problems) value(at Pos, says, do string) {
	if !p.full() {
		*p = append(*p, Problem{Pos: at, Severity: Error, Says: says, Do: do, Value: true})
	}
}

// maxProblems is how many problems are worth listing.
const maxProblems = 1000

func (p Problems) full() bool { return len(p) > maxProblems }

// capped cuts a list that is too long and says so in its last problem.
func (p Problems) capped() Problems {
	if !p.full() {
		return p
	}
	last := p[maxProblems]
	return append(p[:maxProblems:maxProblems], Problem{Pos: last.Pos, Severity: Error,
		Says: "there are more problems from here on", Do: "correct those above first"})
}

func (p Problems) sort() {
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}
