package verify

import (
	"context"
	"fmt"
	"time"

	"comeback/recovery"
)

// SQLWait is the kind of step that asks a restored database the same question
// until the answer is as expected, or its time is over. Its zero value is ready.
type SQLWait struct {
	// Pause waits between two questions, or until ctx ends. Nil is a timer.
	Pause func(ctx context.Context, d time.Duration)
}

var _ recovery.Kind = SQLWait{}

// How a wait asks where its step does not say.
const (
	defaultEvery   = 5 * time.Second
	defaultTimeout = 10 * time.Minute
	// leastQuery is what the last question of a wait is given at least.
	leastQuery = time.Second
)

// Name is recovery.KindSQLWait.
func (SQLWait) Name() string { return recovery.KindSQLWait }

// Restart says that a wait may begin again; it then has its whole time anew.
func (SQLWait) Restart() recovery.Restart { return recovery.Repeat }

// Do asks until the expectation holds. A server that does not answer, and a
// query that fails, mean "not yet"; only a query that can never be answered
// fails at once. When the time is over the outcome has what was found last, and
// the error says so in one sentence.
func (k SQLWait) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	q, err := newQuestion(env, s, "wait")
	if err != nil {
		return recovery.Outcome{}, err
	}
	every, timeout := time.Duration(q.args.Every), time.Duration(q.args.Timeout)
	if every <= 0 {
		every = defaultEvery
	}
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	env.Meter().Phase("wait for "+q.args.Name, 0, recovery.NoUnit)
	began := env.Now()
	for asked := 1; ; asked++ {
		left := timeout - env.Now().Sub(began)
		a := q.ask(ctx, max(left, leastQuery))
		if err := ctx.Err(); err != nil {
			return recovery.Outcome{}, fmt.Errorf("wait %q: %w", q.args.Name, err)
		}
		left = timeout - env.Now().Sub(began)
		o := recovery.Outcome{Check: &a.check, Says: fmt.Sprintf("expected %s, found %s, asked %s in %s",
			a.check.Expected, a.check.Found, times(asked), recovery.FormatSpan(timeout-left))}
		switch {
		case a.check.Held:
			return o, nil
		case never(a.err):
			return o, recovery.Errorf(hintFor(a.err), "wait %q: %w", q.args.Name, a.err)
		case left <= 0:
			return o, q.tooLate(a, asked, timeout)
		}
		env.Meter().Note(fmt.Sprintf("found %s; asked %s, %s left", shorten(a.check.Found, maxWord), times(asked), recovery.FormatSpan(left)))
		k.pause(ctx, min(every, left))
	}
}

// tooLate is the end of a wait whose condition has not come true.
func (q question) tooLate(a answer, asked int, timeout time.Duration) error {
	if a.err != nil {
		return recovery.Errorf(hintFor(a.err), "wait %q: %s was not found within %s, and the last of %d answers is an error: %w",
			q.args.Name, a.check.Expected, recovery.FormatSpan(timeout), asked, a.err)
	}
	return recovery.Errorf("try again to wait as long once more, or look at the restored data; if it takes longer, write a longer `-- timeout:` in the runbook",
		"wait %q: expected %s within %s, found %s (asked %s)", q.args.Name, a.check.Expected, recovery.FormatSpan(timeout), a.check.Found, times(asked))
}

func (k SQLWait) pause(ctx context.Context, d time.Duration) {
	if k.Pause != nil {
		k.Pause(ctx, d)
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
