package storage

import (
	"context"
	"fmt"
	"time"
)

// Answer is what one of those that [Each] has asked says.
type Answer[Of, Says any] struct {
	// Of is who was asked.
	Of Of
	// Says is the answer. Err is why there is none, or not all of it: *Silent where it did
	// not come in time.
	Says Says
	Err  error
}

// Silent is why one that was asked has not answered: it was given so long. It is
// ErrUnavailable: absence is not proven.
type Silent struct {
	Within time.Duration
	// Err is what it said when its time was over; nil where it did not hear that either.
	Err error
}

func (s *Silent) Error() string {
	if s.Err != nil {
		return fmt.Sprintf("it gave no answer within %s: %v", s.Within, s.Err)
	}
	return fmt.Sprintf("it gave no answer within %s", s.Within)
}

func (s *Silent) Unwrap() []error {
	if s.Err != nil {
		return []error{ErrUnavailable, s.Err}
	}
	return []error{ErrUnavailable}
}

// askedAtOnce bounds how many are asked side by side: they wait for disks and networks, not
// for this machine.
const askedAtOnce = 32

// lastHeard is how long one whose time is over may take to hear that.
const lastHeard = time.Second

// Each asks all copies, or whatever lies in them, side by side, and gives their answers in
// the order in which they were given. Each of them may take so long, from when it is asked;
// one that does not answer in its time keeps none of the others waiting, and is [Silent]. Where
// ctx ends, that ends them all, and is why those have not answered that were still at it.
//
// One that does not even hear that its time is over, as a disk that hangs, is not waited for.
// What its question still does then comes to nobody, so a question must give what it finds as
// its answer, and change nothing that its asker reads.
func Each[Of, Says any](ctx context.Context, all []Of, within time.Duration, ask func(context.Context, Of) (Says, error)) []Answer[Of, Says] {
	answers := make([]Answer[Of, Says], len(all))
	gate, ended := make(chan struct{}, askedAtOnce), make(chan struct{})
	for i, of := range all {
		go func() {
			gate <- struct{}{}
			answers[i] = askOne(ctx, of, within, ask)
			<-gate
			ended <- struct{}{}
		}()
	}
	for range all {
		<-ended
	}
	return answers
}

// askOne asks one of them, and gives up on it when its time is over.
func askOne[Of, Says any](ctx context.Context, of Of, within time.Duration, ask func(context.Context, Of) (Says, error)) Answer[Of, Says] {
	asked, over := context.WithTimeout(ctx, within)
	defer over()
	answered := make(chan Answer[Of, Says], 1)
	go func() {
		says, err := ask(asked, of)
		answered <- Answer[Of, Says]{of, says, err}
	}()
	a, heard := Answer[Of, Says]{Of: of}, true
	select {
	case a = <-answered:
	case <-asked.Done():
		late := time.NewTimer(lastHeard)
		defer late.Stop()
		select {
		case a = <-answered:
		case <-late.C:
			heard = false
		}
	}
	switch {
	case heard && (a.Err == nil || asked.Err() == nil || ctx.Err() != nil): // in its own words
	case ctx.Err() != nil:
		a.Err = context.Cause(ctx)
	default:
		a.Err = &Silent{within, a.Err}
	}
	return a
}

// InEach is [Each] of what is done and has no answer: why it failed, nil where it did not.
func InEach[Of any](ctx context.Context, all []Of, within time.Duration, do func(context.Context, Of) error) []error {
	failed := make([]error, len(all))
	for i, a := range Each(ctx, all, within, func(ctx context.Context, of Of) (struct{}, error) { return struct{}{}, do(ctx, of) }) {
		failed[i] = a.Err
	}
	return failed
}
