package crew

import (
	"context"
	"slices"
	"sync"
	"time"
)

// maxWaiting is how many tasks may wait: a script of any length goes through.
const maxWaiting = 5_000

// Crew is some workers and the tasks they have not done yet.
type Crew struct {
	ctx    context.Context
	cancel context.CancelFunc
	size   int

	mu      sync.Mutex
	changed *sync.Cond
	idle    []int              // workers that do nothing
	pending map[string][]*work // those not ended, by relation, in the order they came
	ready   []*work
	busy    []*work
	waiting int
	drained bool // nothing more comes before all of them have ended
	failure *Failure
	failed  chan struct{}

	now func() time.Time
	// past is how long the longest chain of tasks took that has ended with one that held
	// a relation in a mode, floor the longest before the last Wait, behind which all tasks
	// stand, and longest the longest of all.
	past           map[string]*[modes]time.Duration
	floor, longest time.Duration
}

// New is a crew of a size. Its tasks end with ctx; now is asked how long they take.
func New(ctx context.Context, size int, now func() time.Time) *Crew {
	c := &Crew{size: size, pending: map[string][]*work{}, failed: make(chan struct{}), now: now, past: map[string]*[modes]time.Duration{}}
	c.ctx, c.cancel = context.WithCancel(ctx)
	c.changed = sync.NewCond(&c.mu)
	context.AfterFunc(c.ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.changed.Broadcast()
	})
	for i := range size {
		c.idle = append(c.idle, i)
	}
	return c
}

// Size is how many workers it has.
func (c *Crew) Size() int { return c.size }

// Idle is how many workers have nothing to do.
func (c *Crew) Idle() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.idle)
}

// Failed is closed when a task has failed.
func (c *Crew) Failed() <-chan struct{} { return c.failed }

// Add gives the crew tasks, in their order; which begins first is decided over all of
// them. Where very many wait it returns when there are fewer. After a failure tasks that
// stand behind it are dropped.
func (c *Crew) Add(tasks ...Task) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range tasks {
		for c.waiting >= maxWaiting && c.failure == nil && c.ctx.Err() == nil {
			c.dispatch()
			c.changed.Wait()
		}
		c.add(t)
	}
	c.dispatch()
}

// add takes a task in, behind those that it has to wait for. The caller holds mu.
func (c *Crew) add(t Task) {
	w := &work{Task: t, chain: t.Cost, since: c.floor}
	if c.failure != nil && w.place() > c.failure.Line {
		return
	}
	for _, l := range t.Locks {
		if past := c.past[l.Relation]; past != nil {
			for mode, took := range past {
				if waitsFor(l.Mode, Mode(mode)) {
					w.since = max(w.since, took)
				}
			}
		}
		for _, earlier := range c.pending[l.Relation] {
			if earlier != w && !slices.Contains(w.needs, earlier) && follows(w, earlier) {
				earlier.behind = append(earlier.behind, w)
				w.needs = append(w.needs, earlier)
				w.before++
			}
		}
		if !slices.Contains(c.pending[l.Relation], w) {
			c.pending[l.Relation] = append(c.pending[l.Relation], w)
		}
	}
	for _, n := range w.needs {
		if n.state == waiting {
			n.lengthen(w.chain)
		}
	}
	c.waiting++
	if w.before == 0 {
		c.ready = append(c.ready, w)
	}
}

// dispatch lets idle workers begin what may begin. The caller holds mu.
func (c *Crew) dispatch() {
	for len(c.idle) > 0 && c.ctx.Err() == nil {
		best, early, led := -1, 0, false
		for _, b := range c.busy {
			led = led || b.leads()
			if b.early() {
				early++
			}
		}
		for i, w := range c.ready {
			if w.early() && early >= c.size-1 && !c.drained || slices.ContainsFunc(c.busy, func(b *work) bool { return conflict(w, b) }) {
				continue
			}
			if best < 0 || w.goesBefore(c.ready[best], led) {
				best = i
			}
		}
		if best < 0 {
			return
		}
		w := c.ready[best]
		c.ready = slices.Delete(c.ready, best, best+1)
		worker := c.idle[len(c.idle)-1]
		c.idle = c.idle[:len(c.idle)-1]
		w.state, w.began = running, c.now()
		c.waiting--
		c.busy = append(c.busy, w)
		var ctx context.Context
		ctx, w.cancel = context.WithCancel(c.ctx)
		go func() {
			err := w.Do(ctx, worker)
			w.cancel()
			c.end(w, worker, err)
		}()
	}
}

// end takes note of a task's end.
func (c *Crew) end(w *work, worker int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = slices.DeleteFunc(c.busy, func(b *work) bool { return b == w })
	c.idle = append(c.idle, worker)
	c.done(w)
	// One that was stopped because of a failure before it adds nothing.
	if err != nil && c.ctx.Err() == nil && (c.failure == nil || w.place() <= c.failure.Line) {
		if c.failure == nil {
			close(c.failed)
		}
		c.failure = earlier(c.failure, placed(w.place(), err))
		c.stopBehind()
	}
	c.dispatch()
	c.changed.Broadcast()
}

// done takes a task out of the way of those that wait for it.
func (c *Crew) done(w *work) {
	w.state = ended
	if !w.began.IsZero() {
		c.count(w)
	}
	for _, l := range w.Locks {
		c.pending[l.Relation] = slices.DeleteFunc(c.pending[l.Relation], func(p *work) bool { return p == w })
		if len(c.pending[l.Relation]) == 0 {
			delete(c.pending, l.Relation)
		}
	}
	for _, b := range w.behind {
		if b.before--; b.before == 0 && b.state == waiting {
			c.ready = append(c.ready, b)
		}
	}
	w.behind, w.needs = nil, nil
}

// count takes note of how long the longest chain took that ends with w.
func (c *Crew) count(w *work) {
	for _, n := range w.needs {
		w.since = max(w.since, n.since)
	}
	w.since += c.now().Sub(w.began)
	c.longest = max(c.longest, w.since)
	for _, l := range w.Locks {
		past := c.past[l.Relation]
		if past == nil {
			past = new([modes]time.Duration)
			c.past[l.Relation] = past
		}
		past[l.Mode] = max(past[l.Mode], w.since)
	}
}

// Longest is how long the longest chain of tasks took so far of which each waited for the
// one before it, without the time that they stood ready: no number of sessions would have
// done it in less.
func (c *Crew) Longest() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.longest
}

// stopBehind ends the tasks that stand behind the failure.
func (c *Crew) stopBehind() {
	behind := func(w *work) bool { return w.place() > c.failure.Line }
	for _, b := range c.busy {
		if behind(b) {
			b.cancel()
		}
	}
	c.drop(behind)
}

// drop takes tasks of a kind away that have not begun.
func (c *Crew) drop(is func(*work) bool) {
	drop := map[*work]bool{}
	for _, list := range c.pending {
		for _, w := range list {
			if w.state == waiting && is(w) {
				drop[w] = true
			}
		}
	}
	for _, w := range c.ready {
		if is(w) {
			drop[w] = true
		}
	}
	for w := range drop {
		c.waiting--
		c.done(w)
	}
	c.ready = slices.DeleteFunc(c.ready, func(w *work) bool { return w.state == ended })
}

// Place tells the line of a task that was given before its place in the script had come.
func (c *Crew) Place(e *Early, line int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.line = line
	c.dispatch()
}

// Withdraw takes the tasks away whose places have not come; those that have begun go on, or
// are stopped.
func (c *Crew) Withdraw(stop bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop((*work).early)
	for _, b := range c.busy {
		if stop && b.early() {
			b.cancel()
		}
	}
	c.dispatch()
	c.changed.Broadcast()
}

// Wait returns when no task is left, with the failure that stands first in the
// script, or with the end of the context.
func (c *Crew) Wait() *Failure {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drained = true
	c.dispatch()
	for len(c.busy) > 0 || c.waiting > 0 && c.ctx.Err() == nil {
		c.changed.Wait()
	}
	c.drained = false
	c.floor = c.longest
	clear(c.past)
	if c.failure == nil && c.ctx.Err() != nil {
		return &Failure{Err: context.Cause(c.ctx)}
	}
	return c.failure
}

// Close stops what is under way and returns when it has ended.
func (c *Crew) Close() {
	c.cancel()
	c.Wait()
}
