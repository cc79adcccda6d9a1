package execute

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"comeback/recovery"
)

// How long a wait waits, and how often it tries, where the runbook says
// nothing.
const (
	defaultWait  = 10 * time.Minute
	defaultEvery = 5 * time.Second
)

// shellWait runs a shell block again and again, as shell does once, until it
// exits with 0. A block that cannot be run at all fails at once.
type shellWait struct{ x *Executor }

func (shellWait) Name() string { return recovery.KindShellWait }

func (shellWait) Restart() recovery.Restart { return recovery.Repeat }

func (k shellWait) Do(ctx context.Context, e recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	var args recovery.ShellArgs
	if err := s.Decode(&args); err != nil {
		return recovery.Outcome{}, err
	}
	b, err := k.x.block(e, s, args)
	if err != nil {
		return recovery.Outcome{}, err
	}
	limit, every := time.Duration(b.args.Timeout), time.Duration(b.args.Every)
	if limit <= 0 {
		limit = defaultWait
	}
	if every <= 0 {
		every = defaultEvery
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	w := &waiting{meter: e.Meter(), now: e.Now, started: e.Now(), limit: limit}
	w.meter.Phase("wait: "+b.args.Name, 0, recovery.NoUnit)
	var last error // of a try that ended by itself
	for {
		w.begin()
		err := w.during(func() error { return b.run(ctx, e.Command) })
		var exit *exec.ExitError
		switch {
		case err == nil:
			return recovery.Outcome{Says: fmt.Sprintf("%s held after %s, at attempt %d", b.args.Name, recovery.FormatSpan(e.Now().Sub(w.started)), w.attempt)}, nil
		case errors.Is(err, recovery.ErrNoIsolation):
			return notExecuted(b.args, err), nil
		case errors.Is(ctx.Err(), context.Canceled):
			return recovery.Outcome{}, err
		case ctx.Err() == nil && !errors.As(err, &exit):
			return recovery.Outcome{}, failed(b.args, err)
		case ctx.Err() == nil || last == nil:
			last = err
		}
		if ctx.Err() == nil {
			w.pause(ctx, every)
		}
		switch {
		case errors.Is(ctx.Err(), context.Canceled):
			return recovery.Outcome{}, fmt.Errorf("%s was stopped: %w", b.args.Name, context.Canceled)
		case ctx.Err() != nil:
			return recovery.Outcome{}, recovery.Errorf("look at its log, mend what it waits for and try again; the time stands in the runbook's `# timeout:`",
				"%s did not hold within %s, in %d attempts; the last said: %w", b.args.Name, recovery.FormatSpan(limit), w.attempt, last)
		}
	}
}

// waiting shows how often a wait has tried and how long it will go on.
type waiting struct {
	meter   recovery.Meter
	now     func() time.Time
	started time.Time
	limit   time.Duration
	attempt int
}

// begin counts a try.
func (w *waiting) begin() {
	w.attempt++
	w.meter.Log(fmt.Sprintf("attempt %d", w.attempt))
}

func (w *waiting) show() {
	left := max(0, w.limit-w.now().Sub(w.started))
	w.meter.Note(fmt.Sprintf("attempt %d, %s left", w.attempt, recovery.FormatSpan(left)))
}

// during runs a try and keeps the time left up to date meanwhile.
func (w *waiting) during(try func() error) error {
	w.show()
	done, shown := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(shown)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				w.show()
			}
		}
	}()
	defer func() { close(done); <-shown }()
	return try()
}

// pause waits until the next try, or until ctx ends.
func (w *waiting) pause(ctx context.Context, every time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, every)
	defer cancel()
	_ = w.during(func() error { <-ctx.Done(); return nil })
}
