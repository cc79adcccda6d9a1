package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"
)

// Arm is one of the stores of a Fan, with the name that people know it by: one
// word.
type Arm struct {
	Name  string
	Store Store
}

// Fan is several stores that are written to as one: what Put reads once, each
// of them gets. One that fails is left out from then on, and the others go on;
// only when none is left does the fan itself fail. Reading sees what all of them
// hold, so that whatever is built upon it is there in each.
//
// The slowest of the stores sets the pace, but one that takes nothing for a quarter of an
// hour is left out, too, and is not waited for.
type Fan struct {
	arms []Arm
	// stall is how long a store may take no piece.
	stall time.Duration

	mu     sync.Mutex
	failed map[string]error
	// puts are those under way, by the names of their stores.
	puts map[string][]*fanPut
}

// fanStall is longer than what a slow line takes for the largest part of a large object,
// with all that is tried again.
const fanStall = 15 * time.Minute

var _ Store = (*Fan)(nil)

// NewFan makes one store of several.
func NewFan(arms ...Arm) *Fan {
	return &Fan{arms: arms, stall: fanStall, failed: map[string]error{}, puts: map[string][]*fanPut{}}
}

// Failed tells which stores were left out, by their names, and why.
func (f *Fan) Failed() map[string]error {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := map[string]error{}
	for name, err := range f.failed {
		all[name] = err
	}
	return all
}

// Left are the stores that have not failed, in their order.
func (f *Fan) Left() []Arm {
	f.mu.Lock()
	defer f.mu.Unlock()
	var left []Arm
	for _, a := range f.arms {
		if f.failed[a.Name] == nil {
			left = append(left, a)
		}
	}
	return left
}

// Drop leaves a store out from now on, for a reason that the fan did not find
// itself. What is being stored there is not waited for.
func (f *Fan) Drop(name string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed[name] != nil {
		return
	}
	f.failed[name] = err
	for _, p := range f.puts[name] {
		p.giveUp(err)
	}
}

// putTo begins to store in one of the stores.
func (f *Fan) putTo(ctx context.Context, a Arm, key string, options PutOptions) *fanPut {
	p := &fanPut{place: a.Store.URL() + "/" + key, pieces: make(chan []byte, fanLag), ended: make(chan struct{})}
	p.ctx, p.giveUp = context.WithCancelCause(ctx)
	f.mu.Lock()
	f.puts[a.Name] = append(f.puts[a.Name], p)
	if err := f.failed[a.Name]; err != nil { // meanwhile
		p.giveUp(err)
	}
	f.mu.Unlock()
	go p.run(a.Store, key, options)
	return p
}

// putOver forgets a put that nobody waits for any more.
func (f *Fan) putOver(a Arm, p *fanPut) {
	p.giveUp(nil)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.puts[a.Name] = slices.DeleteFunc(f.puts[a.Name], func(other *fanPut) bool { return other == p })
}

func (f *Fan) fail(a Arm, err error) { f.Drop(a.Name, err) }

// none is the fan's own failure: nobody is left.
func (f *Fan) none() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []error
	for _, a := range f.arms {
		if err := f.failed[a.Name]; err != nil {
			all = append(all, fmt.Errorf("%s: %w", a.Name, err))
		}
	}
	if len(all) == 0 {
		return &Error{Op: "open", Object: f.URL(), Kind: ErrConfig, Says: "there is no store in it"}
	}
	return errors.Join(all...)
}

// URL names all the places.
func (f *Fan) URL() string {
	var urls []string
	for _, a := range f.arms {
		urls = append(urls, a.Store.URL())
	}
	return strings.Join(urls, ", ")
}

// List yields what all stores hold under the same key with the same size, as the
// first of them describes it.
func (f *Fan) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		var lists []*cursor
		for _, a := range f.Left() {
			next, stop := iter.Pull2(a.Store.List(ctx, prefix))
			defer stop()
			lists = append(lists, &cursor{arm: a, next: next})
		}
		for {
			o, ended, err := f.common(ctx, &lists)
			switch {
			case err != nil:
				yield(Object{}, err)
				return
			case ended || !yield(o, nil):
				return
			}
		}
	}
}

// cursor goes through one store's listing.
type cursor struct {
	arm  Arm
	next func() (Object, error, bool)
	at   Object
	has  bool
}

// common is the next object that all of the lists have. Lists that fail are
// taken off.
func (f *Fan) common(ctx context.Context, lists *[]*cursor) (o Object, ended bool, err error) {
	for {
		highest := ""
		for i := 0; i < len(*lists); i++ {
			c := (*lists)[i]
			if !c.has {
				next, err, more := c.next()
				if ctx.Err() != nil {
					return Object{}, false, ctx.Err()
				}
				if more && err != nil {
					f.fail(c.arm, err)
					*lists = append((*lists)[:i:i], (*lists)[i+1:]...)
					i--
					continue
				}
				if !more {
					return Object{}, true, nil
				}
				c.at, c.has = next, true
			}
			highest = max(highest, c.at.Key)
		}
		if len(*lists) == 0 {
			return Object{}, false, f.none()
		}
		o, same := (*lists)[0].at, true
		for _, c := range *lists {
			same = same && c.at.Key == highest && c.at.Size == o.Size
		}
		for _, c := range *lists {
			if same || c.at.Key < highest {
				c.has = false
			}
		}
		if same {
			return of((*lists)[0].arm, o), false, nil
		}
		// Of the same key in all, and not of the same size: nobody's object.
		level := true
		for _, c := range *lists {
			level = level && c.has
		}
		for _, c := range *lists {
			if level {
				c.has = false
			}
		}
	}
}

// Stat describes an object that all stores hold.
func (f *Fan) Stat(ctx context.Context, key string) (Object, error) {
	var first *Object
	for _, a := range f.Left() {
		o, err := a.Store.Stat(ctx, key)
		switch {
		case errors.Is(err, ErrNotExist), ctx.Err() != nil:
			return Object{}, err
		case err != nil:
			f.fail(a, err)
		case first == nil:
			o = of(a, o)
			first = &o
		case o.Size != first.Size:
			return Object{}, &Error{Op: "stat", Object: a.Store.URL() + "/" + key, Kind: ErrNotExist, Says: "it has another size than in the other stores"}
		}
	}
	if first == nil {
		return Object{}, f.none()
	}
	return *first, nil
}

// of makes an object of one store one of the fan: its revision says whose it is.
func of(a Arm, o Object) Object {
	o.Revision = a.Name + " " + o.Revision
	return o
}

// Open reads from the store whose revision the object has; where that was left out,
// from another that holds an object of the same size.
func (f *Fan) Open(ctx context.Context, o Object, offset int64) (io.ReadCloser, error) {
	name, revision, _ := strings.Cut(o.Revision, " ")
	left := f.Left()
	for _, a := range left {
		if a.Name == name {
			o.Revision = revision
			return a.Store.Open(ctx, o, offset)
		}
	}
	for _, a := range left {
		theirs, err := a.Store.Stat(ctx, o.Key)
		switch {
		case ctx.Err() != nil:
			return nil, err
		case errors.Is(err, ErrNotExist):
		case err != nil:
			f.fail(a, err)
		case theirs.Size == o.Size:
			return a.Store.Open(ctx, theirs, offset)
		}
	}
	if len(f.Left()) == 0 {
		return nil, f.none()
	}
	return nil, &Error{Op: "open", Object: f.name(o.Key), Kind: ErrChanged, Says: "the store that it was listed in has failed, and the others hold something else"}
}

// The pieces in which the source is handed on, and how many of them a store may
// lag behind the fastest.
const (
	fanPiece = 256 << 10
	fanLag   = 8
)

// Put stores r in every store. It fails where r does, and then no store is left
// out for it, and where all stores fail. The stores finish one after the other, in
// their order, so that with IfAbsent the first one that is left decides: where it
// has the key the others are given nothing.
func (f *Fan) Put(ctx context.Context, key string, r io.Reader, options PutOptions) (Object, error) {
	if err := CheckKey(key); err != nil {
		return Object{}, &Error{Op: "put", Object: f.URL(), Says: err.Error(), Err: err}
	}
	arms := f.Left()
	if len(arms) == 0 {
		return Object{}, f.none()
	}
	puts := make([]*fanPut, len(arms))
	for i, a := range arms {
		puts[i] = f.putTo(ctx, a, key, options)
		defer f.putOver(a, puts[i])
	}
	last, broken := f.feed(ctx, Exactly(r, options.Size), puts)
	if broken != nil && ctx.Err() == nil {
		broken = &Error{Op: "put", Object: f.name(key), Says: broken.Error(), Err: broken}
	}
	stored := -1
	for i, p := range puts {
		err := p.finish(last, broken, f.stall)
		switch {
		case broken != nil:
		case err == nil:
			if stored < 0 {
				stored = i
			}
		case ctx.Err() != nil:
			broken = err
		case stored < 0 && errors.Is(err, ErrExist):
			broken = err
		default:
			f.fail(arms[i], err)
		}
	}
	switch {
	case broken != nil:
		return Object{}, broken
	case stored < 0:
		return Object{}, f.none()
	}
	return of(arms[stored], puts[stored].object), nil
}

// name is the URL of an object in the first of the stores.
func (f *Fan) name(key string) string { return f.arms[0].Store.URL() + "/" + key }

// feed reads the source once and hands it on, but for its last piece. Its error
// is the source's own, or that of ctx; a store that has ended takes nothing any
// more.
func (f *Fan) feed(ctx context.Context, r io.Reader, puts []*fanPut) (last []byte, err error) {
	for {
		piece := make([]byte, fanPiece)
		n, err := Fill(r, piece)
		if n > 0 && last != nil {
			taken := false
			for _, p := range puts {
				if p.give(last, f.stall) {
					taken = true
				} else if ctx.Err() != nil {
					return nil, ctx.Err()
				}
			}
			if !taken {
				return nil, nil // nobody is left to read for
			}
		}
		if n > 0 {
			last = piece[:n]
		}
		switch err {
		case nil:
		case io.EOF:
			return last, nil
		default:
			return nil, err
		}
	}
}

// fanPut is one store's part of a Put.
type fanPut struct {
	// ctx ends when nobody waits for it any more, with why.
	ctx    context.Context
	giveUp context.CancelCauseFunc
	place  string // where it is put, for people
	pieces chan []byte
	// broken is what the source failed with; it is set before pieces is closed.
	broken error
	rest   []byte

	object Object
	err    error
	ended  chan struct{}
}

func (p *fanPut) run(s Store, key string, options PutOptions) {
	defer close(p.ended)
	p.object, p.err = s.Put(p.ctx, key, p, options)
}

// give hands a piece on, and reports whether the store takes it. One that takes none for so
// long is given up.
func (p *fanPut) give(piece []byte, stall time.Duration) bool {
	select { // mostly there is room
	case p.pieces <- piece:
		return true
	default:
	}
	timer := time.NewTimer(stall)
	defer timer.Stop()
	select {
	case p.pieces <- piece:
		return true
	case <-p.ended:
	case <-p.ctx.Done():
	case <-timer.C:
		p.giveUp(&Error{Op: "put", Object: p.place, Kind: ErrUnavailable, Says: fmt.Sprintf("it took nothing for %s", stall)})
	}
	return false
}

// lastWord is how long a store that was given up may take to hear it.
const lastWord = 10 * time.Second

// finish gives the store the last piece and the end, or the failure, and waits until it has
// ended, with why it has not stored all. Of one that was given up and does not hear it, as a
// disk that does not answer, it says why.
func (p *fanPut) finish(last []byte, broken error, stall time.Duration) error {
	if last != nil && broken == nil {
		p.give(last, stall)
	}
	p.broken = broken
	close(p.pieces)
	// What it has taken it may hold back, and send only now.
	timer := time.NewTimer(2 * stall)
	defer timer.Stop()
	select {
	case <-p.ended:
		return p.why()
	case <-p.ctx.Done():
	case <-timer.C:
		p.giveUp(&Error{Op: "put", Object: p.place, Kind: ErrUnavailable, Says: fmt.Sprintf("it did not end for %s", 2*stall)})
	}
	select {
	case <-p.ended:
		return p.why()
	case <-time.After(min(stall, lastWord)):
		return context.Cause(p.ctx)
	}
}

// why is why a store that has ended has not stored all; nil where it has.
func (p *fanPut) why() error {
	if p.err != nil && p.ctx.Err() != nil {
		return fmt.Errorf("%w: %w", context.Cause(p.ctx), p.err)
	}
	return p.err
}

// Read is the source as one store reads it.
func (p *fanPut) Read(b []byte) (int, error) {
	for len(p.rest) == 0 {
		select {
		case <-p.ctx.Done():
			return 0, context.Cause(p.ctx)
		case piece, ok := <-p.pieces:
			if !ok && p.broken != nil {
				return 0, p.broken
			}
			if !ok {
				return 0, io.EOF
			}
			p.rest = piece
		}
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}
