package runner

import (
	"context"
	"iter"
	"slices"
	"sync"

	"comeback/recovery"
)

// broadcast hands a run's events to any number of watchers, each at its own
// pace, and its samples to those who keep up.
type broadcast struct {
	mu      sync.Mutex
	all     []recovery.Event
	ended   bool
	more    chan struct{} // closed and replaced with every event
	viewers map[chan recovery.Sample]recovery.Watcher
}

func newBroadcast(past []recovery.Event) *broadcast {
	return &broadcast{all: past, more: make(chan struct{}), viewers: map[chan recovery.Sample]recovery.Watcher{}}
}

func (b *broadcast) event(e recovery.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = append(b.all, e)
	close(b.more)
	b.more = make(chan struct{})
}

func (b *broadcast) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	close(b.more)
	b.more = make(chan struct{})
	for v := range b.viewers {
		close(v)
	}
	clear(b.viewers)
}

// batch are the events from a sequence number on, and what tells of more; more
// is nil when there will be none.
func (b *broadcast) batch(from uint64) (events []recovery.Event, more <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if int(from) <= len(b.all) {
		events = b.all[from-1 : len(b.all) : len(b.all)]
	}
	if b.ended {
		return events, nil
	}
	return events, b.more
}

func (b *broadcast) events(ctx context.Context, from uint64) iter.Seq2[recovery.Event, error] {
	return func(yield func(recovery.Event, error) bool) {
		next := max(from, 1)
		for {
			batch, more := b.batch(next)
			for _, e := range batch {
				if !yield(e, nil) {
					return
				}
				next = e.Seq + 1
			}
			switch {
			case len(batch) > 0:
				continue
			case more == nil:
				return
			}
			select {
			case <-more:
			case <-ctx.Done():
				yield(recovery.Event{}, ctx.Err())
				return
			}
		}
	}
}

// sampleBuffer is how many samples a slow viewer may be behind before it
// misses some.
const sampleBuffer = 64

// samples attaches a viewer until ctx or the run ends. All viewers hear of it.
func (b *broadcast) samples(ctx context.Context, who recovery.Watcher) <-chan recovery.Sample {
	v := make(chan recovery.Sample, sampleBuffer)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		close(v)
		return v
	}
	b.viewers[v] = who
	b.tellHere()
	context.AfterFunc(ctx, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if _, ok := b.viewers[v]; ok {
			delete(b.viewers, v)
			close(v)
			b.tellHere()
		}
	})
	return v
}

// here lists who looks at the run, the first comer first.
func (b *broadcast) here() []recovery.Watcher {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.hereLocked()
}

func (b *broadcast) hereLocked() []recovery.Watcher {
	var all []recovery.Watcher
	for _, w := range b.viewers {
		all = append(all, w)
	}
	slices.SortFunc(all, func(x, y recovery.Watcher) int { return x.Since.Compare(y.Since) })
	return all
}

// tellHere tells every viewer who is there.
func (b *broadcast) tellHere() {
	all := b.hereLocked()
	if len(all) == 0 {
		return
	}
	b.sampleLocked(recovery.Sample{At: all[len(all)-1].Since, Here: all})
}

func (b *broadcast) sample(s recovery.Sample) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sampleLocked(s)
}

func (b *broadcast) sampleLocked(s recovery.Sample) {
	for v := range b.viewers {
		select {
		case v <- s:
		default:
		}
	}
}
