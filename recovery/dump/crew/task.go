package crew

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
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
	// Early, where it is set, says that the task's place in the script has not come yet, and
	// stands for its line.
	Early *Early
	// Do does it. Worker is a number below the crew's size that no other task
	// has meanwhile.
	Do func(ctx context.Context, worker int) error
}

// Early is a task before its place in the script has come: it stands behind all others, and
// yields to them. Crew.Place makes it one like any other.
type Early struct {
	// Leads, where it is set and true, lets the task go before all others instead, one
	// such task at a time.
	Leads func() bool
	line  int64 // 0 before its place has come
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

// place is the line at which w stands in the script, as far as that is known.
func (w *work) place() int64 {
	switch {
	case w.Early == nil:
		return w.Line
	case w.early():
		return math.MaxInt64
	}
	return w.Early.line
}

// early reports whether the place of w has not come yet, leads whether it goes before all
// others then.
func (w *work) early() bool { return w.Early != nil && w.Early.line == 0 }
func (w *work) leads() bool { return w.early() && w.Early.Leads != nil && w.Early.Leads() }

// goesBefore reports whether w begins before another that may begin, too; led says that a
// task which leads is under way.
func (w *work) goesBefore(other *work, led bool) bool {
	if a, b := w.turn(led), other.turn(led); a != b {
		return a < b
	}
	return w.chain > other.chain
}

// turn is 0 for what begins first.
func (w *work) turn(led bool) int {
	switch {
	case !led && w.leads():
		return 0
	case w.early():
		return 3
	case w.Yields != nil && w.Yields():
		return 2
	}
	return 1
}

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
