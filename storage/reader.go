package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// ReadOptions say how an object is read; the zero value reads all of it.
type ReadOptions struct {
	// From is the offset of the first byte. The object's checksum is compared
	// where it is 0, or where Before gives the bytes before it.
	From int64
	// Before gives the bytes before From, which the caller has from an earlier
	// read of the same revision. They are read before the object is opened.
	Before io.Reader
	// Ahead is how many bytes of a large object may be fetched before they are read, by
	// connections side by side, where the store gives ranges (Ranger). They are held in
	// memory. Zero is one connection, which is as good where many objects are read side
	// by side; see Wide.
	Ahead int64
	// Progress is told the number of bytes of each Read.
	Progress func(n int)
	// Attempts is how often in a row the object may be opened without a byte
	// coming from it; 0 means ten times.
	Attempts int
	// Stall is how long the store may give nothing before the connection
	// counts as broken; 0 means one minute.
	Stall time.Duration
	// Wait pauses between two attempts and ends early with its context; nil
	// means a timer.
	Wait func(ctx context.Context, d time.Duration) error
}

// The pauses between attempts double from the first to the longest. Ten
// attempts without a byte take about 40 seconds.
const (
	firstPause   = 200 * time.Millisecond
	longestPause = 10 * time.Second
)

// NewReader streams an object at its revision, as one stream over as many
// connections as it takes: a connection that breaks or stalls is replaced by
// one that goes on at the same byte, until several attempts in a row give
// nothing (ErrUnavailable). What cannot get better by trying again is given up
// at once: ErrNotExist, ErrDenied, ErrExpired, ErrArchived, ErrChanged, ErrConfig.
//
// io.EOF means that as many bytes came as the object has and that they have
// its checksum, where the store knows one; anything else is ErrCorrupt. The
// object is opened at the first Read. The reader is for one goroutine.
func NewReader(ctx context.Context, store Store, object Object, options ReadOptions) io.ReadCloser {
	if options.Attempts <= 0 {
		options.Attempts = 10
	}
	if options.Stall <= 0 {
		options.Stall = time.Minute
	}
	if options.Wait == nil {
		options.Wait = wait
	}
	_, ranges := As[Ranger](store)
	if count := min(options.Ahead, object.Size-options.From) / rangeSize; ranges && count > 1 {
		return &aheadReader{passing: newPassing(ctx, store.URL(), object, options), store: store, count: int(count)}
	}
	return newReader(ctx, store, object, options, object.Size)
}

// newReader reads up to a byte of the object by one connection after the other.
func newReader(ctx context.Context, store Store, object Object, options ReadOptions, to int64) *reader {
	r := &reader{passing: newPassing(ctx, store.URL(), object, options), store: store, to: to}
	if to < object.Size {
		r.sum = nil // which is of the whole
	}
	return r
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// passing are an object's bytes as they pass: how far they are, whether they are its own,
// and how it ended.
type passing struct {
	ctx     context.Context
	place   string // the store's, for people
	object  Object
	options ReadOptions

	offset int64 // of the next byte
	sum    *checksum
	err    error // what Read says from now on
}

func newPassing(ctx context.Context, place string, object Object, options ReadOptions) passing {
	p := passing{ctx: ctx, place: place, object: object, options: options, offset: options.From}
	if options.From == 0 {
		p.sum = newChecksum(object.Checksum)
	}
	return p
}

type reader struct {
	passing
	store Store
	to    int64 // the first byte that is not wanted

	stream   *attempt // nil between connections
	failures int      // attempts since the last byte
	whole    string   // the object's checksum, as its first stream tells it
}

func (r *reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, r.err
	}
	for r.err == nil {
		n, err := r.read(p)
		if n > 0 {
			r.failures = 0
			n = r.take(p[:n])
		}
		if err != nil {
			r.broke(err)
		}
		if n > 0 {
			return n, nil
		}
	}
	return 0, r.err
}

// read reads from the connection there is, or makes one.
func (r *reader) read(p []byte) (int, error) {
	if err := r.before(); err != nil {
		return 0, err
	}
	if r.stream == nil {
		stream, err := r.connect()
		if err != nil {
			return 0, err
		}
		r.stream = stream
	}
	return r.stream.Read(p)
}

// before sums up what the caller has already.
func (r *passing) before() error {
	if r.options.Before == nil {
		return nil
	}
	var to io.Writer = io.Discard
	if r.sum = newChecksum(r.object.Checksum); r.sum != nil {
		to = r.sum
	}
	_, err := io.CopyN(to, r.options.Before, r.options.From)
	r.options.Before = nil
	if err != nil {
		r.err = fmt.Errorf("take up %s/%s at byte %d: read what is there: %w", r.place, r.object.Key, r.options.From, err)
	}
	return r.err
}

// connect opens the object where the next byte is. Of a range that begins it, too, the
// whole is asked for: only that tells the checksum.
func (r *reader) connect() (*attempt, error) {
	opens := r.store.Open
	if ranger, ok := As[Ranger](r.store); ok && r.to < r.object.Size && r.offset > 0 {
		opens = func(ctx context.Context, o Object, offset int64) (io.ReadCloser, error) {
			return ranger.OpenRange(ctx, o, offset, r.to)
		}
	}
	stream, err := open(r.ctx, opens, r.object, r.offset, r.options.Stall)
	if err != nil {
		return nil, err
	}
	if c, ok := stream.body.(Checksummer); ok && r.offset == 0 {
		if r.whole = c.Checksum(); r.sum == nil && r.to == r.object.Size {
			r.sum = newChecksum(r.whole)
		}
	}
	return stream, nil
}

// take counts bytes that came, and gives how many of them are the object's.
func (r *passing) take(p []byte) int {
	if left := r.object.Size - r.offset; int64(len(p)) > left {
		p = p[:left]
		r.fail(ErrCorrupt, fmt.Sprintf("it goes on after its %d bytes", r.object.Size), nil)
	}
	r.offset += int64(len(p))
	if r.sum != nil {
		r.sum.Write(p)
	}
	if r.options.Progress != nil {
		r.options.Progress(len(p))
	}
	return len(p)
}

// broke decides what the end of a connection means: the end of the object, the
// end of trying, or a pause before the next attempt.
func (r *reader) broke(err error) {
	if r.stream != nil {
		r.stream.Close()
		r.stream = nil
	}
	switch {
	case r.err != nil:
	case r.ctx.Err() != nil:
		r.fail(r.ctx.Err(), "", nil)
	case permanent(err):
		r.err = err
	case r.offset == r.to && r.to < r.object.Size:
		r.err = io.EOF
	case r.offset == r.object.Size:
		r.end() // it does not matter how a connection ends that gave everything
	case err == io.EOF:
		r.fail(ErrCorrupt, fmt.Sprintf("it ended after %d of %d bytes", r.offset, r.object.Size), nil)
	default:
		r.pause(err)
	}
}

func (r *reader) pause(err error) {
	r.failures++
	if r.failures >= r.options.Attempts {
		r.fail(ErrUnavailable, fmt.Sprintf("gave up at byte %d after %d attempts, the last: %v",
			r.offset, r.failures, err), err)
		return
	}
	pause := min(firstPause<<min(r.failures-1, 10), longestPause)
	if err := r.options.Wait(r.ctx, pause); err != nil {
		r.fail(err, "", nil)
	}
}

// end is the end of the object.
func (r *passing) end() {
	if r.sum != nil && !r.sum.holds() {
		r.fail(ErrCorrupt, fmt.Sprintf("its %s is %s, the store has recorded %s",
			r.sum.algorithm, r.sum.got(), r.sum.want), nil)
		return
	}
	r.err = io.EOF
}

func (r *passing) fail(kind error, says string, cause error) {
	r.err = &Error{Op: "read", Object: r.place + "/" + r.object.Key, Kind: kind, Says: says, Err: cause}
}

func (r *reader) Close() error {
	if r.stream != nil {
		r.stream.Close()
		r.stream = nil
	}
	r.close()
	return nil
}

func (r *passing) close() {
	if r.err == nil || r.err == io.EOF {
		r.err = errors.New("read " + r.place + "/" + r.object.Key + ": the reader is closed")
	}
}

// permanent reports whether trying again cannot help.
func permanent(err error) bool {
	for _, kind := range []error{ErrNotExist, ErrDenied, ErrExpired, ErrArchived, ErrChanged, ErrConfig, ErrCorrupt} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}
