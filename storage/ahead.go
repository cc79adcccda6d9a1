package storage

import (
	"context"
	"errors"
	"io"
)

// A Ranger is a store that gives a range of an object by itself.
type Ranger interface {
	// OpenRange is Open that ends before byte to, which is behind offset and not
	// behind the object's end.
	OpenRange(ctx context.Context, object Object, offset, to int64) (io.ReadCloser, error)
}

// Wide is ReadOptions.Ahead for an object that is read alone: eight connections.
const Wide = 8 * rangeSize

// rangeSize is how many bytes one connection fetches at a time: enough that its beginning
// does not count, and what the services recommend.
const rangeSize = 8 << 20

// ahead fetches an object by several connections side by side, range by range, and gives
// its bytes in their order. A connection has a bound of its own in most services and on
// most long ways, far below that of all together.
//
// What it keeps are as many ranges as it fetches: a range that is there before its turn
// waits, and the next one is asked for when one was read.
type ahead struct {
	cancel  context.CancelFunc
	ranges  chan *fetched // in their order; closed behind the last one
	free    chan []byte
	ended   chan struct{} // closed when nothing is fetched any more
	current *fetched
	left    []byte // of the current one
}

// fetched is a range that is being fetched, or was.
type fetched struct {
	buffer []byte
	done   chan struct{} // closed when it is there, or err says why not
	err    error
	sum    string // of the whole object, where its first range tells it
}

// openAhead begins to fetch what is behind an offset, count ranges at a time.
func openAhead(ctx context.Context, store Store, o Object, offset int64, count int, options ReadOptions) *ahead {
	ctx, cancel := context.WithCancel(ctx)
	a := &ahead{cancel: cancel, ranges: make(chan *fetched, count), free: make(chan []byte, count), ended: make(chan struct{})}
	for range count {
		a.free <- nil // made when it is needed
	}
	options.Progress, options.Before, options.Ahead = nil, nil, 0
	go a.fetch(ctx, store, o, offset, options)
	return a
}

// fetch asks for range after range, as buffers are free for them.
func (a *ahead) fetch(ctx context.Context, store Store, o Object, offset int64, options ReadOptions) {
	defer close(a.ended)
	defer close(a.ranges)
	var under []*fetched
	defer func() {
		for _, f := range under {
			<-f.done
		}
	}()
	for ; offset < o.Size; offset += rangeSize {
		f := &fetched{done: make(chan struct{})}
		select {
		case f.buffer = <-a.free:
		case <-ctx.Done():
			return
		}
		if f.buffer == nil {
			f.buffer = make([]byte, rangeSize)
		}
		f.buffer = f.buffer[:min(rangeSize, o.Size-offset)]
		part := options
		part.From = offset
		go f.fill(newReader(ctx, store, o, part, offset+int64(len(f.buffer))))
		if under = append(under, f); len(under) > cap(a.free) {
			under = under[1:] // which was read, or there would be no buffer
		}
		a.ranges <- f // which has room for as many as there are buffers
	}
}

func (f *fetched) fill(in *reader) {
	defer close(f.done)
	defer in.Close()
	_, f.err = io.ReadFull(in, f.buffer)
	f.sum = in.whole
}

// next waits for the next range; io.EOF is behind the last one.
func (a *ahead) next(ctx context.Context) error {
	if a.current != nil {
		a.free <- a.current.buffer[:cap(a.current.buffer)]
		a.current = nil
	}
	f, ok := <-a.ranges
	if !ok {
		if err := ctx.Err(); err != nil {
			return err
		}
		return io.EOF
	}
	<-f.done // which ends with the context
	if f.err != nil {
		return f.err
	}
	a.current, a.left = f, f.buffer
	return nil
}

// Close ends what is being fetched, and returns when nothing is.
func (a *ahead) Close() {
	a.cancel()
	<-a.ended
}

// aheadReader is a reader of an object by ranges. Each of them is tried again by itself.
// Where a service does not give ranges, which shows at the first Read, it is one stream.
type aheadReader struct {
	passing
	store  Store
	count  int
	from   *ahead  // nil before the first Read
	single *reader // where there are no ranges
}

// begin asks for the last byte, which only a service that gives ranges gives by itself.
func (r *aheadReader) begin() {
	last := func(ctx context.Context, o Object, _ int64) (io.ReadCloser, error) {
		ranger, _ := As[Ranger](r.store)
		return ranger.OpenRange(ctx, o, o.Size-1, o.Size)
	}
	a, err := open(r.ctx, last, r.object, 0, r.options.Stall)
	if errors.Is(err, ErrConfig) {
		r.single = newReader(r.ctx, r.store, r.object, r.options, r.object.Size)
		return
	}
	if err == nil { // what else fails is tried again where it is read
		a.Close()
	}
	r.from = openAhead(r.ctx, r.store, r.object, r.offset, r.count, r.options)
}

func (r *aheadReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, r.err
	}
	if r.from == nil && r.single == nil && r.err == nil {
		r.begin()
	}
	if r.single != nil {
		return r.single.Read(p)
	}
	if r.err == nil && r.before() != nil {
		return 0, r.err
	}
	for r.err == nil {
		if len(r.from.left) > 0 {
			n := copy(p, r.from.left)
			r.from.left = r.from.left[n:]
			return r.take(p[:n]), nil
		}
		switch err := r.from.next(r.ctx); {
		case err == io.EOF:
			r.end()
		case r.ctx.Err() != nil:
			r.fail(r.ctx.Err(), "", nil)
		case err != nil:
			r.err = err
		case r.offset == 0 && r.sum == nil:
			r.sum = newChecksum(r.from.current.sum)
		}
	}
	return 0, r.err
}

func (r *aheadReader) Close() error {
	if r.single != nil {
		return r.single.Close()
	}
	if r.from != nil {
		r.from.Close()
	}
	r.close()
	return nil
}
