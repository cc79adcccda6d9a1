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
	cause   error         // why it ended before the run had
	more    chan struct{} // closed and replaced with every event
	viewers map[chan recovery.Sample]*viewer
}

// viewer is who looks at the samples.
type viewer struct {
	recovery.Watcher
	// behind says that it missed who came or went, and is to be told.
	behind bool
}

func newBroadcast(past []recovery.Event) *broadcast {
	return &broadcast{all: past, more: make(chan struct{}), viewers: map[chan recovery.Sample]*viewer{}}
}

func (b *broadcast) event(e recovery.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = append(b.all, e)
	close(b.more)
	b.more = make(chan struct{})
}

// end lets everybody go. Cause is why there will be no more events though the
// run has not ended; nil if it has.
func (b *broadcast) end(cause error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended, b.cause = true, cause
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
	if from <= uint64(len(b.all)) {
		events = b.all[from-1 : len(b.all) : len(b.all)]
	}
	if b.ended {
		return events, nil
	}
	return events, b.more
}

// failure is why the events end before the run does.
func (b *broadcast) failure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cause
}

// events yields the events from a sequence number on as they come.
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
				if err := b.failure(); err != nil {
					yield(recovery.Event{}, err)
				}
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
	b.viewers[v] = &viewer{Watcher: who}
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
		all = append(all, w.Watcher)
	}
	slices.SortFunc(all, func(x, y recovery.Watcher) int { return x.Since.Compare(y.Since) })
	return all
}

// tellHere tells every viewer who is there, those who are behind as soon as they
// read again.
func (b *broadcast) tellHere() {
	for _, v := range b.viewers {
		v.behind = true
	}
	b.catchUp()
}

func (b *broadcast) catchUp() {
	all := b.hereLocked()
	for c, v := range b.viewers {
		if v.behind {
			v.behind = !offer(c, recovery.Sample{At: all[len(all)-1].Since, Here: all})
		}
	}
}

// sample shows a sample to the viewers who keep up.
func (b *broadcast) sample(s recovery.Sample) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.catchUp()
	for c := range b.viewers {
		offer(c, s)
	}
}

// offer hands a sample over if there is room for it.
func offer(c chan recovery.Sample, s recovery.Sample) bool {
	select {
	case c <- s:
		return true
	default:
		return false
	}
}
