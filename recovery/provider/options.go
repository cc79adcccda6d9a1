package provider

import (
	"context"
	"time"
)

// Options are what such an engine is made of. The zero value is fit for use but for Expand.
type Options struct {
	// Expand resolves the references of a runbook, for surveys.
	Expand func(string) (string, error)
	// Now is the clock.
	Now func() time.Time
	// Sleep waits, or gives the context's error.
	Sleep func(ctx context.Context, d time.Duration) error
}

// Filled are options in which nothing is missing.
func (o Options) Filled() Options {
	if o.Expand == nil {
		o.Expand = func(text string) (string, error) { return text, nil }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	return o
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Unanswered is how often in a row a provider may not answer while something is waited for.
const Unanswered = 10

// AnswersWithin is how long what is ready may take to let somebody in, as its name may not
// be known everywhere yet, and how long a provider may take to answer what must not be cut
// off.
const AnswersWithin = time.Minute
