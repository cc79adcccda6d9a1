package storagetest

import (
	"context"
	"io"
	"iter"
	"slices"
	"sync"

	"comeback/storage"
)

// Op is a place where a Fault can strike.
type Op string

// The places.
const (
	OnList Op = "list" // At counts objects
	OnStat Op = "stat"
	OnOpen Op = "open"
	OnRead Op = "read" // At is an offset in the object
	OnPut  Op = "put"  // At is an offset in what is stored
)

// Fault breaks a store in one place. It lets After matching calls pass, strikes
// Times times (0: always) and does one thing: give Err, or one of the others.
// At a Read, a call is a stream that comes to the offset At.
type Fault struct {
	Op    Op
	Key   string // the only object that it breaks; "" is any
	At    int64
	After int
	Times int

	Err  error // the call or the stream fails with this
	Flip bool  // Read: the byte at At has its lowest bit turned over
	Cut  bool  // Read: the stream ends at At as if the object did
	Gate *Gate // the call waits until the gate is opened or its context ends
}

// The errors that stores give, as they give them.
var (
	Dropped     = &storage.Error{Op: "read", Object: "the object", Kind: storage.ErrUnavailable, Says: "connection reset by peer"}
	Denied      = &storage.Error{Op: "open", Object: "the object", Kind: storage.ErrDenied, Says: "Access Denied"}
	Expired     = &storage.Error{Op: "open", Object: "the object", Kind: storage.ErrExpired, Says: "The provided token has expired."}
	Changed     = &storage.Error{Op: "read", Object: "the object", Kind: storage.ErrChanged}
	Unavailable = &storage.Error{Op: "open", Object: "the object", Kind: storage.ErrUnavailable, Says: "Please reduce your request rate."}
)

// Gate holds a call back, so that a test can do something meanwhile.
type Gate struct {
	entered, opened chan struct{}
	enter, open     sync.Once
}

// NewGate is a closed gate.
func NewGate() *Gate {
	return &Gate{entered: make(chan struct{}), opened: make(chan struct{})}
}

// Entered is closed when a call has come to the gate.
func (g *Gate) Entered() <-chan struct{} { return g.entered }

// Open lets all calls through, now and later.
func (g *Gate) Open() { g.open.Do(func() { close(g.opened) }) }

func (g *Gate) wait(ctx context.Context) error {
	g.enter.Do(func() { close(g.entered) })
	select {
	case <-g.opened:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Faulty is a store that breaks where it is told to. Without faults it is the
// store that it wraps.
type Faulty struct {
	store  storage.Store
	mu     sync.Mutex
	faults []*Fault
	calls  map[Op]int
}

// NewFaulty wraps a store.
func NewFaulty(store storage.Store, faults ...Fault) *Faulty {
	f := &Faulty{store: store, calls: map[Op]int{}}
	f.Inject(faults...)
	return f
}

// Inject adds faults to those that there are.
func (f *Faulty) Inject(faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fault := range faults {
		f.faults = append(f.faults, &fault)
	}
}

// Heal removes all faults.
func (f *Faulty) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = nil
}

// Calls is how often an operation was called; of Read, how many streams were
// opened.
func (f *Faulty) Calls(op Op) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[op]
}

// Unwrap is the store itself.
func (f *Faulty) Unwrap() storage.Store { return f.store }

// URL is that of the store.
func (f *Faulty) URL() string { return f.store.URL() }

// count counts a call and gives the faults that lie in its way, in the order
// in which it comes to them.
func (f *Faulty) count(op Op, key string, from int64) []*Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[op]++
	var ahead []*Fault
	for _, fault := range f.faults {
		if fault.Op == op && (fault.Key == "" || fault.Key == key) && fault.At >= from {
			ahead = append(ahead, fault)
		}
	}
	slices.SortStableFunc(ahead, func(a, b *Fault) int { return int(min(max(a.At-b.At, -1), 1)) })
	return ahead
}

// strikes uses a fault up and reports whether it acts this time.
func (f *Faulty) strikes(fault *Fault) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fault.After > 0 {
		fault.After--
		return false
	}
	if !slices.Contains(f.faults, fault) {
		return false
	}
	if fault.Times > 0 {
		if fault.Times--; fault.Times == 0 {
			f.faults = slices.DeleteFunc(f.faults, func(other *Fault) bool { return other == fault })
		}
	}
	return true
}

// call does what the faults of a call without a stream do.
func (f *Faulty) call(ctx context.Context, op Op, key string) error {
	for _, fault := range f.count(op, key, 0) {
		if fault.At != 0 || !f.strikes(fault) {
			continue
		}
		if err := fault.act(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (fault *Fault) act(ctx context.Context) error {
	if fault.Gate != nil {
		if err := fault.Gate.wait(ctx); err != nil {
			return err
		}
	}
	return fault.Err
}

// List breaks after At objects.
func (f *Faulty) List(ctx context.Context, prefix string) iter.Seq2[storage.Object, error] {
	return func(yield func(storage.Object, error) bool) {
		faults := f.count(OnList, "", 0)
		var n int64
		struck := func() bool {
			for len(faults) > 0 && faults[0].At == n {
				fault := faults[0]
				faults = faults[1:]
				if f.strikes(fault) {
					if err := fault.act(ctx); err != nil {
						yield(storage.Object{}, err)
						return true
					}
				}
			}
			return false
		}
		for o, err := range f.store.List(ctx, prefix) {
			if struck() || !yield(o, err) {
				return
			}
			n++
		}
		struck()
	}
}

// Stat breaks as it is told to.
func (f *Faulty) Stat(ctx context.Context, key string) (storage.Object, error) {
	if err := f.call(ctx, OnStat, key); err != nil {
		return storage.Object{}, err
	}
	return f.store.Stat(ctx, key)
}

// Open breaks as it is told to, and so do the streams that it gives.
func (f *Faulty) Open(ctx context.Context, o storage.Object, offset int64) (io.ReadCloser, error) {
	if err := f.call(ctx, OnOpen, o.Key); err != nil {
		return nil, err
	}
	body, err := f.store.Open(ctx, o, offset)
	if err != nil {
		return nil, err
	}
	return &faultyStream{ctx: ctx, store: f, body: body, offset: offset, faults: f.count(OnRead, o.Key, offset)}, nil
}

// OpenRange breaks as Open does.
func (f *Faulty) OpenRange(ctx context.Context, o storage.Object, offset, to int64) (io.ReadCloser, error) {
	if err := f.call(ctx, OnOpen, o.Key); err != nil {
		return nil, err
	}
	var body io.ReadCloser
	var err error
	switch r, ok := storage.As[storage.Ranger](f.store); {
	case ok:
		body, err = r.OpenRange(ctx, o, offset, to)
	case offset >= to || to > o.Size:
		err = &storage.Error{Op: "open", Object: f.store.URL() + "/" + o.Key, Kind: storage.ErrConfig, Says: "it is no range of the object"}
	default:
		body, err = f.store.Open(ctx, o, offset)
	}
	if err != nil {
		return nil, err
	}
	s := &faultyStream{ctx: ctx, store: f, body: body, offset: offset, faults: f.count(OnRead, o.Key, offset)}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(s, to-offset), s}, nil
}

// Put breaks before it begins, or when it has read At bytes.
func (f *Faulty) Put(ctx context.Context, key string, r io.Reader, options storage.PutOptions) (storage.Object, error) {
	source := &faultyStream{ctx: ctx, store: f, body: io.NopCloser(r), faults: f.count(OnPut, key, 0)}
	return f.store.Put(ctx, key, source, options)
}
