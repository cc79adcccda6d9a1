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
	var args recovery.SQLCheckArgs
	if err := s.Decode(&args); err != nil {
		return recovery.Outcome{}, err
	}
	e, err := ParseExpectation(args.Expect)
	if err != nil {
		return recovery.Outcome{}, fmt.Errorf("check %q: %w", args.Name, err)
	}
	b, ok := env.Binding(args.On)
	if !ok {
		return recovery.Outcome{}, recovery.Errorf("restore it in a stage before the check",
			"check %q: not checked: %s has no address", args.Name, args.On)
	}
	limit := time.Duration(s.Budget)
	if limit <= 0 {
		limit = queryTimeout
	}
	env.Meter().Phase("ask "+args.On, 0, recovery.NoUnit)
	check := recovery.CheckResult{Name: args.Name, Query: args.Query, Expected: e.String()}
	r, err := query(ctx, b.URL, args.Query, limit)
	if err != nil {
		check.Found = "an error: " + err.Error()
		return recovery.Outcome{Check: &check}, recovery.Errorf(hintFor(err), "check %q: %w", args.Name, err)
	}
	check.Held, check.Found = e.Judge(r, args.Moment)
	o := recovery.Outcome{Check: &check, Says: fmt.Sprintf("expected %s, found %s", check.Expected, check.Found)}
	if !check.Held {
		return o, recovery.Errorf("look at the restored data; if the expectation is out of date, correct it in the runbook",
			"check %q: expected %s, found %s", args.Name, check.Expected, check.Found)
	}
	return o, nil
}
