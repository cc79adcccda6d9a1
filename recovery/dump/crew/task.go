package crew

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

// Mode is how a task holds a relation.
type Mode int

// The modes, as PostgreSQL's table locks have them.
const (
	Load     Mode = iota // COPY: ROW EXCLUSIVE
	Build                // CREATE INDEX: SHARE
	Refer                // ADD FOREIGN KEY, on both tables, and CREATE TRIGGER: SHARE ROW EXCLUSIVE
	Alter                // ALTER TABLE: ACCESS EXCLUSIVE
	Validate             // VALIDATE CONSTRAINT and ANALYZE: SHARE UPDATE EXCLUSIVE, and all rows are in
	Read                 // VALIDATE CONSTRAINT, on what is referred to: ROW SHARE
	modes                // how many there are
)

// excludes says which modes cannot be held together: those whose locks cannot, and what looks
// at rows while they come.
var excludes = [modes][modes]bool{
	Load:     {Build: true, Refer: true, Alter: true, Validate: true},
	Build:    {Load: true, Refer: true, Alter: true, Validate: true},
	Refer:    {Load: true, Build: true, Refer: true, Alter: true, Validate: true},
	Alter:    {Load: true, Build: true, Refer: true, Alter: true, Validate: true, Read: true},
	Validate: {Load: true, Build: true, Refer: true, Alter: true, Validate: true},
	Read:     {Alter: true},
}

// Lock is a relation, by whatever name its user gives it, and how it is held.
type Lock struct {
	Relation string
	Mode     Mode
}

// Task is what one session does without a break.
type Task struct {
	// Line is where it stands in the script.
	Line  int64
	Locks []Lock
	// Cost is about how long it takes, in any unit.
	Cost int64
	// Yields, where it is set and true, lets whatever else may begin go before.
	Yields func() bool
	// Do does it. Worker is a number below the crew's size that no other task
	// has meanwhile.
	Do func(ctx context.Context, worker int) error
}

// Failure is an error with its place in the script, for a task that knows it
// better than by its own line.
type Failure struct {
	Line int64
	Err  error
}

func (f *Failure) Error() string { return fmt.Sprintf("line %d: %v", f.Line, f.Err) }
func (f *Failure) Unwrap() error { return f.Err }

// work is a task on its way.
type work struct {
	Task
	// before is how many tasks it waits for; behind are those that wait for it.
	before int
	behind []*work
	// needs are those it waited for, and chain the cost of the longest line of
	// tasks that begins with it.
	needs []*work
	chain int64
	state state
	began time.Time
	// since is how long the chain of tasks took before it, and with it when it has ended.
	since  time.Duration
	cancel context.CancelFunc
}

type state int

const (
	waiting state = iota
	running
	ended
)

// follows reports whether b, added later, must wait for the end of a.
func follows(b, a *work) bool {
	return meet(a, b, waitsFor)
}

// waitsFor reports whether a task that holds a relation in one mode waits for one before it
// that holds it in the other.
func waitsFor(x, y Mode) bool { return excludes[x][y] && !(x == Refer && y == Refer) }

// conflict reports whether two tasks cannot be under way together.
func conflict(a, b *work) bool {
	return meet(a, b, func(x, y Mode) bool { return excludes[x][y] })
}

func meet(a, b *work, is func(x, y Mode) bool) bool {
	for _, x := range a.Locks {
		for _, y := range b.Locks {
			if x.Relation == y.Relation && is(x.Mode, y.Mode) {
				return true
			}
		}
	}
	return false
}

// goesBefore reports whether w begins before another that may begin, too.
func (w *work) goesBefore(other *work) bool {
	if a, b := w.yields(), other.yields(); a != b {
		return b
	}
	return w.chain > other.chain
}

func (w *work) yields() bool { return w.Yields != nil && w.Yields() }

// lengthen makes known that a chain of a length begins behind w.
func (w *work) lengthen(behind int64) {
	if w.Cost+behind <= w.chain {
		return
	}
	w.chain = w.Cost + behind
	for _, n := range w.needs {
		if n.state == waiting {
			n.lengthen(w.chain)
		}
	}
}

// placed is an error with the line it counts for.
func placed(line int64, err error) *Failure {
	if f, ok := errors.AsType[*Failure](err); ok {
		return f
	}
	return &Failure{Line: line, Err: err}
}

// earlier is the failure that stands first in the script.
func earlier(a, b *Failure) *Failure {
	if a == nil || b != nil && cmp.Less(b.Line, a.Line) {
		return b
	}
	return a
}
