package scan

import (
	"context"
	"sync"

	"comeback/recovery"
)

// future is a chunk that is being read.
type future struct {
	piece
	begun chan struct{} // its turn came
	done  chan struct{}
	chunk chunk
	err   error
}

// order reads chunks side by side and hands them out one after the other, the
// newest first.
type order struct {
	reader  Reader
	stretch Stretch
	spool   *spool
	// hi is where the chunk ends that is to be started next; first and end
	// are the first and the last segment.
	hi, first, end uint64
	running        []*future
	slots          chan struct{}
	programs       sync.WaitGroup
}

func newOrder(r Reader, s Stretch, dir string) *order {
	size := uint64(r.SegmentSize)
	o := &order{reader: r, stretch: s, spool: newSpool(r, dir), first: uint64(s.First) / size,
		end: uint64(s.To-1) / size, slots: make(chan struct{}, r.Jobs)}
	o.hi = o.end + 1
	return o
}

// next waits for the next chunk; nil is the end of what is to be read. Chunks
// that are older than the stretch are read where more is set.
func (o *order) next(ctx context.Context, more bool) (*future, error) {
	size := uint64(o.reader.SegmentSize)
	for len(o.running) <= o.reader.Jobs && o.hi > o.first &&
		(recovery.LSN(o.hi*size) > o.stretch.From || more && len(o.running) == 0) {
		o.start(ctx)
	}
	if len(o.running) == 0 {
		return nil, nil
	}
	f := o.running[0]
	o.running = o.running[1:]
	select {
	case <-f.done:
		return f, f.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// start begins to read a chunk.
func (o *order) start(ctx context.Context) {
	lo := max(o.first, o.hi-min(o.hi, uint64(o.reader.Chunk)))
	turn := make(chan struct{})
	close(turn)
	if n := len(o.running); n > 0 {
		turn = o.running[n-1].begun
	}
	f := &future{begun: make(chan struct{}), done: make(chan struct{}), piece: piece{lo: lo, hi: o.hi, to: o.stretch.To, end: o.end,
		open: o.stretch.Open && o.hi > o.end}}
	o.hi = lo
	o.running = append(o.running, f)
	if lo > o.first {
		o.spool.reserve(lo)
	}
	o.programs.Go(func() {
		defer close(f.done)
		<-turn
		select {
		case o.slots <- struct{}{}:
			close(f.begun)
			defer func() { <-o.slots }()
			f.chunk, f.err = o.spool.scan(ctx, f.piece)
		case <-ctx.Done():
			close(f.begun)
			f.err = context.Cause(ctx)
		}
	})
}

// readChunks reads chunk after chunk and yields what they come to.
func (r Reader) readChunks(ctx context.Context, s Stretch, dir string, yield func(recovery.Transaction) bool) error {
	ctx, stop := context.WithCancel(ctx)
	o := newOrder(r, s, dir)
	defer o.programs.Wait()
	defer stop()
	j := &joiner{names: newNamer(r.Names, r.timeline), lookBack: r.LookBack, hold: mostHeld, from: s.From, to: s.To, waits: map[uint32][]*finished{}}
	for {
		f, err := o.next(ctx, len(j.queue) > 0)
		if err != nil {
			return err
		}
		if f == nil {
			j.release(s.First, true, yield)
			return nil
		}
		start := recovery.LSN(f.lo * uint64(r.SegmentSize))
		if d := f.chunk.broken; d != nil {
			// What comes after the damage is true, but may have begun before.
			if j.release(start, true, yield) {
				return d
			}
			return nil
		}
		j.add(f.chunk)
		if !j.release(start, false, yield) {
			return nil
		}
		if r.Progress != nil {
			r.Progress(recovery.ScanProgress{Back: j.back, Done: int64(s.To - max(start, s.From)), Total: int64(s.To - s.From)})
		}
	}
}

// toast reports whether a file is known to hold a TOAST table.
func (r Reader) toast(f file) bool {
	if r.Names == nil {
		return false
	}
	rel, _ := r.Names.Relation(f.database, f.node)
	return rel.Of == "toast"
}
