package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"sync"
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
// The slowest of the stores sets the pace.
type Fan struct {
	mu     sync.Mutex
	arms   []Arm
	failed map[string]error
}

var _ Store = (*Fan)(nil)

// NewFan makes one store of several.
func NewFan(arms ...Arm) *Fan { return &Fan{arms: arms, failed: map[string]error{}} }

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
// itself.
func (f *Fan) Drop(name string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed[name] == nil {
		f.failed[name] = err
	}
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
		puts[i] = &fanPut{pieces: make(chan []byte, fanLag), ended: make(chan struct{})}
		go puts[i].run(ctx, a.Store, key, options)
	}
	last, broken := feed(ctx, Exactly(r, options.Size), puts)
	if broken != nil && ctx.Err() == nil {
		broken = &Error{Op: "put", Object: f.name(key), Says: broken.Error(), Err: broken}
	}
	stored := -1
	for i, p := range puts {
		p.finish(last, broken)
		switch {
		case broken != nil:
		case p.err == nil:
			if stored < 0 {
				stored = i
			}
		case ctx.Err() != nil:
			broken = p.err
		case stored < 0 && errors.Is(p.err, ErrExist):
			broken = p.err
		default:
			f.fail(arms[i], p.err)
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
func feed(ctx context.Context, r io.Reader, puts []*fanPut) (last []byte, err error) {
	for {
		piece := make([]byte, fanPiece)
		n, err := Fill(r, piece)
		if n > 0 && last != nil {
			taken := false
			for _, p := range puts {
				select {
				case p.pieces <- last:
					taken = true
				case <-p.ended:
				case <-ctx.Done():
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
	pieces chan []byte
	// broken is what the source failed with; it is set before pieces is closed.
	broken error
	rest   []byte

	object Object
	err    error
	ended  chan struct{}
}

func (p *fanPut) run(ctx context.Context, s Store, key string, options PutOptions) {
	defer close(p.ended)
	p.object, p.err = s.Put(ctx, key, p, options)
}

// finish gives the store the last piece and the end, or the failure, and waits
// until it has ended.
func (p *fanPut) finish(last []byte, broken error) {
	if last != nil && broken == nil {
		select {
		case p.pieces <- last:
		case <-p.ended:
		}
	}
	p.broken = broken
	close(p.pieces)
	<-p.ended
}

// Read is the source as one store reads it.
func (p *fanPut) Read(b []byte) (int, error) {
	for len(p.rest) == 0 {
		piece, ok := <-p.pieces
		if !ok && p.broken != nil {
			return 0, p.broken
		}
		if !ok {
			return 0, io.EOF
		}
		p.rest = piece
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}
