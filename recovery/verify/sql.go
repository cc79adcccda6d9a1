package verify

import (
	"context"
	"fmt"
	"time"

	"comeback/recovery"
)

// SQLCheck is the kind of step that asks a restored database one question.
type SQLCheck struct{}

var _ recovery.Kind = SQLCheck{}

// Name is recovery.KindSQLCheck.
func (SQLCheck) Name() string { return recovery.KindSQLCheck }

// Restart says that a check may be made again.
func (SQLCheck) Restart() recovery.Restart { return recovery.Repeat }

// Do makes the check. Where it does not hold, the outcome has what was found
// and the error says so in one sentence.
func (SQLCheck) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	q, err := newQuestion(env, s, "check")
	if err != nil {
		return recovery.Outcome{}, err
	}
	limit := time.Duration(s.Budget)
	if limit <= 0 {
		limit = queryTimeout
	}
	env.Meter().Phase("ask "+q.args.On, 0, recovery.NoUnit)
	a := q.ask(ctx, limit)
	o := recovery.Outcome{Check: &a.check}
	if a.err != nil {
		return o, recovery.Errorf(hintFor(a.err), "check %q: %w", q.args.Name, a.err)
	}
	o.Says = fmt.Sprintf("expected %s, found %s", a.check.Expected, a.check.Found)
	if !a.check.Held {
		hint := "look at the restored data; if the expectation is out of date, correct it in the runbook"
		if q.expect.kind == withinMoment && q.moment().Time.IsZero() {
			hint = "compare what was found with what you know of the moment, and go on with that as the reason"
		}
		return o, recovery.Errorf(hint, "check %q: expected %s, found %s", q.args.Name, a.check.Expected, a.check.Found)
	}
	return o, nil
}
