package tui

import (
	"context"
	"sync"
	"time"
)

// callsEnd is how long the console waits, once it has ended, for its calls to the
// desk: they clean up behind themselves, and must not be cut off in that.
const callsEnd = 5 * time.Second

// calls are the calls to the desk that are under way.
type calls struct {
	mu    sync.Mutex
	ended bool
	wg    sync.WaitGroup
}

type callsKey struct{}

// withCalls gives a context below which calls are counted.
func withCalls(ctx context.Context) (context.Context, *calls) {
	c := &calls{}
	return context.WithValue(ctx, callsKey{}, c), c
}

// calling says that a call begins, and gives what says that it has ended. It is
// false where nobody wants a call any more.
func calling(ctx context.Context) (done func(), ok bool) {
	c, counted := ctx.Value(callsKey{}).(*calls)
	if !counted {
		return func() {}, true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return nil, false
	}
	c.wg.Add(1)
	return c.wg.Done, true
}

// wait lets no call begin any more, and returns when those that have begun, whose
// context has ended, have come to their end, or after a limit.
func (c *calls) wait(limit time.Duration) {
	c.mu.Lock()
	c.ended = true
	c.mu.Unlock()
	over := make(chan struct{})
	go func() {
		defer close(over)
		c.wg.Wait()
	}()
	select {
	case <-over:
	case <-time.After(limit):
	}
}
