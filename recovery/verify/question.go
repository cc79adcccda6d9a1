package verify

import (
	"context"
	"fmt"
	"strings"
	"time"

	"comeback/recovery"
)

// question is what a step asks a restored database, and what the answer must be.
type question struct {
	env    recovery.Env
	args   recovery.SQLCheckArgs
	expect Expectation
}

// answer is one answer. Where there is none, err says why and the check has it
// as what was found.
type answer struct {
	check recovery.CheckResult
	err   error
}

// newQuestion reads a step; what is "check" or "wait", for sentences.
func newQuestion(env recovery.Env, s recovery.Step, what string) (question, error) {
	q := question{env: env}
	if err := s.Decode(&q.args); err != nil {
		return q, err
	}
	var err error
	if q.expect, err = ParseExpectation(q.args.Expect); err != nil {
		return q, fmt.Errorf("%s %q: %w", what, q.args.Name, err)
	}
	if _, ok := env.Binding(q.args.On); !ok {
		return q, recovery.Errorf("restore it in a stage before the "+what,
			"%s %q: not checked: %s has no address", what, q.args.Name, q.args.On)
	}
	return q, nil
}

// ask asks once, in at most the limit. The address is looked up anew each time:
// a server that was started again may have another.
func (q question) ask(ctx context.Context, limit time.Duration) answer {
	a := answer{check: recovery.CheckResult{Name: q.args.Name, Query: q.args.Query, Expected: q.expect.String()}}
	b, _ := q.env.Binding(q.args.On)
	connecting, cancel := context.WithTimeout(ctx, limit+grace)
	defer cancel()
	url, err := resolved(q.env, b)
	var r Result
	if err == nil {
		r, err = query(connecting, url, !b.Scratch, q.args.Query, limit)
	}
	if err != nil {
		a.err = notRunning(err, q.args.On)
		a.check.Found = "an error: " + shorten(a.err.Error(), maxFound)
		return a
	}
	a.check.Held, a.check.Found = q.expect.Judge(r, q.moment())
	return a
}

// moment is where what is asked stands: as the step proved that brought it there last, else
// as it was planned.
func (q question) moment() Moment {
	m, last := Moment{q.args.Moment, q.args.AtLeast}, uint64(0)
	e, ok := q.env.(recovery.Preceded)
	if !ok {
		return m
	}
	for _, st := range e.Before() {
		r := st.Outcome.Reached
		if st.State == recovery.Done && r != nil && r.Component == q.args.On && !r.Time.IsZero() && st.EndedSeq >= last {
			m, last = Moment{Time: r.Time}, st.EndedSeq
		}
	}
	return m
}

// grace is how much later than the server, which is told the limit, the client
// gives up: the server's answer says more.
const grace = 5 * time.Second

// resolved is the address of a binding: that of a live one is a reference, as in the
// runbook, and that of a copy which was made elsewhere may hold one.
func resolved(env recovery.Env, b recovery.Binding) (string, error) {
	if b.Scratch && !strings.Contains(b.URL, "${") {
		return b.URL, nil
	}
	return env.Secret(b.URL)
}
