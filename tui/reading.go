package tui

import (
	"context"
	"iter"
	"sync/atomic"
	"time"

	"comeback/recovery"
)

// glimpseMost is how many transactions are handed over at once; until they are
// taken no more are read.
const glimpseMost = 10_000

// glimpse is what has been read of a log since the glimpse before.
type glimpse struct {
	transactions []recovery.Transaction
	progress     recovery.ScanProgress
	// over says that the reading has ended; err is why, where it is not that
	// everything was read.
	over bool
	err  error
}

// reading reads a log outside of the event loop and hands over what it found
// whenever somebody asks, a few times a second at most.
type reading struct {
	out  chan glimpse
	stop context.CancelFunc
}

// around is a call to Historian.Around for one window and span.
type around func(context.Context, func(recovery.ScanProgress)) iter.Seq2[recovery.Transaction, error]

// read starts to read. It ends with ctx, with the log, or with stop.
func read(ctx context.Context, call around) *reading {
	ctx, stop := context.WithCancel(ctx)
	r := &reading{out: make(chan glimpse), stop: stop}
	go r.run(ctx, call)
	return r
}

func (r *reading) run(ctx context.Context, call around) {
	defer close(r.out)
	type item struct {
		recovery.Transaction
		err error
	}
	items := make(chan item, 256)
	var progress atomic.Pointer[recovery.ScanProgress]
	go func() {
		defer close(items)
		done, ok := calling(ctx)
		if !ok {
			return
		}
		defer done()
		for t, err := range call(ctx, func(p recovery.ScanProgress) { progress.Store(&p) }) {
			select {
			case items <- item{t, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	pace := time.NewTimer(0)
	defer pace.Stop()
	due := false
	var now glimpse
	var told *recovery.ScanProgress
	for {
		in := items
		if now.over || len(now.transactions) >= glimpseMost {
			in = nil
		}
		p := progress.Load()
		var out chan glimpse
		if now.over || due && (len(now.transactions) > 0 || p != told) {
			out = r.out
		}
		if p != nil {
			now.progress = *p
		}
		select {
		case i, ok := <-in:
			switch {
			case !ok:
				now.over = true
			case i.err != nil:
				now.over, now.err = true, i.err
			default:
				now.transactions = append(now.transactions, i.Transaction)
			}
		case <-pace.C:
			due = true
			if out == nil && len(now.transactions) == 0 && progress.Load() == told {
				due = false
				pace.Reset(samplePace)
			}
		case out <- now:
			if now.over {
				return
			}
			now.transactions, told, due = nil, p, false
			pace.Reset(samplePace)
		case <-ctx.Done():
			return
		}
	}
}
