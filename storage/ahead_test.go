package storage_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"comeback/storage"
	"comeback/storagetest"
)

const rangeSize = storage.Wide / 8

// ranges is a store that gives ranges, knows how many of its streams are open, and up to
// where anything was asked for.
type ranges struct {
	storage.Store
	none     bool // says that it does not
	mu       sync.Mutex
	open     int
	farthest int64
}

func (r *ranges) Open(ctx context.Context, o storage.Object, offset int64) (io.ReadCloser, error) {
	return r.stream(ctx, o, offset, min(o.Size, offset+rangeSize)) // of which no more is read
}

func (r *ranges) OpenRange(ctx context.Context, o storage.Object, offset, to int64) (io.ReadCloser, error) {
	if r.none {
		return nil, &storage.Error{Op: "open", Object: o.Key, Kind: storage.ErrConfig, Says: "the service does not give ranges"}
	}
	in, err := r.stream(ctx, o, offset, to)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(in, to-offset), in}, nil
}

func (r *ranges) stream(ctx context.Context, o storage.Object, offset, to int64) (io.ReadCloser, error) {
	in, err := r.Store.Open(ctx, o, offset)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open++; to-offset > 1 { // not the one that shows whether there are ranges
		r.farthest = max(r.farthest, to)
	}
	return &counting{in, r}, nil
}

type counting struct {
	io.ReadCloser
	of *ranges
}

func (c *counting) Close() error {
	c.of.mu.Lock()
	c.of.open--
	c.of.mu.Unlock()
	return c.ReadCloser.Close()
}

func (r *ranges) now() (open int, farthest int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.open, r.farthest
}

// What comes by ranges is what comes in one stream, from wherever it is read; no more is
// fetched than may be ahead, and nothing goes on when the reader is closed.
func TestAhead(t *testing.T) {
	const size = 4*rangeSize + 12_345
	faulty, o, data := stored(t, size)
	for _, from := range []int64{0, 1, rangeSize - 1, rangeSize, size - 2*rangeSize, size - 1, size} {
		s := &ranges{Store: faulty}
		came := 0
		options := storage.ReadOptions{From: from, Ahead: 3 * rangeSize, Progress: func(n int) { came += n }}
		r := storage.NewReader(t.Context(), s, o, options)
		for p, at := make([]byte, 1_000_003), from; ; {
			n, err := r.Read(p)
			if !bytes.Equal(p[:n], data[at:at+int64(n)]) {
				t.Fatalf("from %d: other bytes at %d", from, at)
			}
			at += int64(n)
			if _, farthest := s.now(); farthest > at+3*rangeSize {
				t.Fatalf("from %d: at %d, %d were asked for", from, at, farthest)
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		r.Close()
		if open, farthest := s.now(); open != 0 || farthest != size && from < size-1 || int64(came) != size-from {
			t.Errorf("from %d: %d streams are open, up to %d was asked for, %d told", from, open, farthest, came)
		}
	}
}

// What breaks off goes on, each range by itself; what cannot be had is told where it is
// read, and nothing before it is lost.
func TestAhead_Broken(t *testing.T) {
	const size = 3*rangeSize + 500
	faulty, o, data := stored(t, size)
	for name, c := range map[string]struct {
		faults []storagetest.Fault
		kind   error
		comes  int64
	}{
		"dropped":                 {faults: []storagetest.Fault{{Op: storagetest.OnRead, At: 7, Times: 1, Err: storagetest.Dropped}, {Op: storagetest.OnRead, At: 2*rangeSize + 99, Times: 3, Err: storagetest.Dropped}, {Op: storagetest.OnRead, At: size - 1, Times: 1, Err: storagetest.Dropped}}, comes: size},
		"dropped for good":        {faults: []storagetest.Fault{{Op: storagetest.OnRead, At: 2*rangeSize + 99, Err: storagetest.Dropped}}, kind: storage.ErrUnavailable, comes: 2 * rangeSize},
		"replaced":                {faults: []storagetest.Fault{{Op: storagetest.OnRead, At: rangeSize + 99, Err: storagetest.Changed}}, kind: storage.ErrChanged, comes: rangeSize},
		"another byte":            {faults: []storagetest.Fault{{Op: storagetest.OnRead, At: rangeSize + 99, Flip: true}}, kind: storage.ErrCorrupt, comes: size},
		"one in the first range":  {faults: []storagetest.Fault{{Op: storagetest.OnRead, At: 0, Flip: true}}, kind: storage.ErrCorrupt, comes: size},
		"ending too early":        {faults: []storagetest.Fault{{Op: storagetest.OnRead, At: rangeSize + 99, Cut: true}}, kind: storage.ErrCorrupt, comes: rangeSize},
		"ending in the last part": {faults: []storagetest.Fault{{Op: storagetest.OnRead, At: size - 1, Cut: true}}, kind: storage.ErrCorrupt, comes: 3 * rangeSize},
	} {
		t.Run(name, func(t *testing.T) {
			faulty.Heal()
			faulty.Inject(c.faults...)
			s := &ranges{Store: faulty}
			r := storage.NewReader(t.Context(), s, o, storage.ReadOptions{Ahead: storage.Wide, Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }})
			got, err := io.ReadAll(r)
			if !errors.Is(err, c.kind) || int64(len(got)) != c.comes || c.kind == nil && !bytes.Equal(got, data) {
				t.Errorf("%d bytes come, and %v", len(got), err)
			}
			r.Close()
			if open, _ := s.now(); open != 0 {
				t.Errorf("%d streams are open", open)
			}
		})
	}
}

// A service that gives no ranges gives the object, as one stream.
func TestAhead_NoRanges(t *testing.T) {
	faulty, o, data := stored(t, 2*rangeSize+1)
	faulty.Inject(storagetest.Fault{Op: storagetest.OnRead, At: rangeSize + 7, Times: 1, Err: storagetest.Dropped})
	for _, from := range []int64{0, 5} {
		s := &ranges{Store: faulty, none: true}
		came := 0
		r := storage.NewReader(t.Context(), s, o, storage.ReadOptions{From: from, Before: bytes.NewReader(data), Ahead: storage.Wide, Progress: func(n int) { came += n },
			Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }})
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, data[from:]) || came != len(got) {
			t.Errorf("from %d: %d bytes, %d told, %v", from, len(got), came, err)
		}
		r.Close()
		if open, _ := s.now(); open != 0 {
			t.Errorf("%d streams are open", open)
		}
		if _, err := r.Read(make([]byte, 1)); err == nil || err == io.EOF {
			t.Errorf("a reader that is closed gives %v", err)
		}
	}
}

// The checksum that only the stream of the whole tells is compared.
func TestAhead_ToldChecksum(t *testing.T) {
	faulty, o, _ := stored(t, 3*rangeSize)
	told := o.Checksum
	o.Checksum = ""
	for _, damaged := range []bool{false, true} {
		if faulty.Heal(); damaged {
			faulty.Inject(storagetest.Fault{Op: storagetest.OnRead, At: 2*rangeSize + 5, Flip: true})
		}
		r := storage.NewReader(t.Context(), &telling{&ranges{Store: faulty}, told}, o, storage.ReadOptions{Ahead: storage.Wide})
		if _, err := io.Copy(io.Discard, iotest.HalfReader(r)); errors.Is(err, storage.ErrCorrupt) != damaged || !damaged && err != nil {
			t.Errorf("damaged %v: %v", damaged, err)
		}
		r.Close()
	}
}

// telling tells the checksum with the stream of the whole.
type telling struct {
	*ranges
	sum string
}

func (s *telling) Open(ctx context.Context, o storage.Object, offset int64) (io.ReadCloser, error) {
	in, err := s.ranges.Open(ctx, o, offset)
	if err != nil || offset > 0 {
		return in, err
	}
	return told{in, s.sum}, nil
}

type told struct {
	io.ReadCloser
	sum string
}

func (s told) Checksum() string { return s.sum }

// A reader that nobody waits for any more ends with everything that it fetches.
func TestAhead_Cancelled(t *testing.T) {
	faulty, o, _ := stored(t, 4*rangeSize)
	gate := storagetest.NewGate()
	faulty.Inject(storagetest.Fault{Op: storagetest.OnRead, At: rangeSize, Gate: gate})
	for _, closes := range []bool{true, false} {
		s := &ranges{Store: faulty}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r := storage.NewReader(ctx, s, o, storage.ReadOptions{Ahead: storage.Wide})
		if _, err := io.ReadFull(r, make([]byte, rangeSize)); err != nil {
			t.Fatal(err)
		}
		<-gate.Entered()
		if !closes {
			cancel()
			if _, err := r.Read(make([]byte, 1)); !errors.Is(err, context.Canceled) {
				t.Errorf("it reads on: %v", err)
			}
		}
		r.Close()
		if open, _ := s.now(); open != 0 {
			t.Errorf("%d streams are open", open)
		}
		if _, err := r.Read(make([]byte, 1)); err == nil || err == io.EOF {
			t.Errorf("a reader that is closed gives %v", err)
		}
	}
}
