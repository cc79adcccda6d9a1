package bucket

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"comeback/recovery"
	"comeback/storage"
)

// change is a line of a list of changes, in the order of the keys: what is current
// before, and what is to be. Nil is nothing, or a mark of deletion.
type change struct {
	Key string          `json:"key"`
	Was *storage.Object `json:"was,omitempty"`
	To  *storage.Object `json:"to,omitempty"`
	// At is when the key was changed last.
	At time.Time `json:"at,omitzero"`
}

// changes reads a list. A failure is yielded once, last.
func changes(path string) iter.Seq2[change, error] {
	return func(yield func(change, error) bool) {
		f, err := os.Open(path)
		if err != nil {
			yield(change{}, recovery.Errorf("find the artifacts of the run", "read which versions were current: %w", err))
			return
		}
		defer f.Close()
		d := json.NewDecoder(bufio.NewReaderSize(f, 64<<10))
		for {
			var c change
			err := d.Decode(&c)
			if err == io.EOF {
				return
			}
			if err != nil {
				err = fmt.Errorf("read which versions were current: %w", err)
			}
			if !yield(c, err) || err != nil {
				return
			}
		}
	}
}

// listOfChanges is a list under way, an artifact of the run.
type listOfChanges struct {
	out  io.WriteCloser
	sum  hash.Hash
	path string
	n    int64
}

func newListOfChanges(env recovery.Env, name string) (*listOfChanges, error) {
	out, _, err := recovery.NewArtifact(env, name, ".jsonl")
	if err != nil {
		return nil, err
	}
	placed, ok := out.(recovery.Placed)
	if !ok {
		return nil, errors.Join(errors.New("keep which versions are current: the run's artifacts have no names here"), out.Close())
	}
	return &listOfChanges{out: out, sum: sha256.New(), path: placed.Path()}, nil
}

func (l *listOfChanges) add(c change) error {
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	l.n++
	b = append(b, '\n')
	l.sum.Write(b)
	if _, err := l.out.Write(b); err != nil {
		return fmt.Errorf("keep which versions are current: %w", err)
	}
	return nil
}

// reverter is a store on which versions are made current.
type reverter struct {
	storage.Reverter
	versions storage.Versioner
	prefix   string
}

func newReverter(store storage.Store, prefix string) (reverter, error) {
	back, ok := storage.As[storage.Reverter](store)
	versions, kept := storage.As[storage.Versioner](store)
	if !ok || !kept {
		return reverter{}, recovery.Errorf("name a bucket that keeps versions", "%s keeps no versions", store.URL()).WithExit(recovery.Refused)
	}
	return reverter{back, versions, prefix}, nil
}

// alike reports whether what is current has the bytes of what is to be.
func (r reverter) alike(ctx context.Context, now *storage.Object, c change) (bool, error) {
	if now == nil || c.To == nil {
		return now == c.To, nil
	}
	return r.Alike(ctx, *now, *c.To)
}

// right reports whether what is current is what is to be, with all that is said of it: of a
// page that is stored again with another type people see no page.
func (r reverter) right(ctx context.Context, now *storage.Object, c change) (bool, error) {
	alike, err := r.alike(ctx, now, c)
	if !alike || err != nil || now == nil {
		return alike, err
	}
	return r.SaidAlike(ctx, *now, *c.To)
}

// wanted says of each key's history what is to be current; ok is false where the key
// is none of its business.
type wanted func(h history) (c change, ok bool, err error)

// judge reports whether what is current may stay. It may ask the store.
type judge func(ctx context.Context, now *storage.Object, c change) (bool, error)

// judged is a key whose judgement is under way.
type judged struct {
	change
	stays bool
	err   error
	done  chan struct{} // closed when it is known
}

// differing yields what may not stay as it is, in the order of the keys. Several keys are
// judged at a time.
func (r reverter) differing(ctx context.Context, want wanted, stays judge) iter.Seq2[change, error] {
	return func(yield func(change, error) bool) {
		ctx, stop := context.WithCancel(ctx)
		keys := make(chan *judged, ahead)
		go func() {
			defer close(keys)
			r.judge(ctx, want, stays, keys)
		}()
		defer func() { // whoever wants something may end it when this returns
			stop()
			for k := range keys {
				<-k.done
			}
		}()
		for k := range keys {
			<-k.done
			if k.err != nil {
				yield(change{}, k.err)
				return
			}
			if !k.stays && !yield(k.change, nil) {
				return
			}
		}
	}
}

// judge hands on all keys that somebody wants something of, and that are not just that.
func (r reverter) judge(ctx context.Context, want wanted, stays judge, to chan<- *judged) {
	free := make(chan struct{}, sideBySide)
	hand := func(k *judged) bool {
		select {
		case to <- k:
			return true
		case <-ctx.Done():
			return false
		}
	}
	fails := func(err error) {
		k := &judged{err: err, done: make(chan struct{})}
		close(k.done)
		hand(k)
	}
	for h, err := range byKey(r.versions.Versions(ctx, r.prefix)) {
		var c change
		ours := false
		if err == nil {
			c, ours, err = want(h)
		}
		if err != nil {
			fails(err)
			return
		}
		now := h.now()
		if !ours || sameVersion(now, c.To) {
			continue
		}
		k := &judged{change: change{Key: h[0].Key, Was: now, To: c.To, At: h[0].Modified.UTC()}, done: make(chan struct{})}
		free <- struct{}{}
		go func() {
			k.stays, k.err = stays(ctx, now, c)
			close(k.done)
			<-free
		}()
		if !hand(k) {
			<-k.done
			return
		}
	}
}

// sameVersion reports whether two versions are one, or both are nothing.
func sameVersion(a, b *storage.Object) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Version == b.Version
}

// apply makes the changes of a list, several side by side. Each may be made again.
// What is on its way when another one fails, or when the run is stopped, is waited
// for: a service may do what nobody waits for any more, later.
func (r reverter) apply(ctx context.Context, list iter.Seq2[change, error], each func(ctx context.Context, c change) error) error {
	large := make(chan struct{}, largeBeside)
	g, failed := errgroup.WithContext(ctx)
	g.SetLimit(sideBySide)
	for c, err := range list {
		if err == nil && failed.Err() != nil {
			break
		}
		if err != nil {
			return errors.Join(g.Wait(), err)
		}
		g.Go(func() error {
			if c.To != nil && c.To.Size > isLarge {
				select {
				case large <- struct{}{}:
					defer func() { <-large }()
				case <-failed.Done():
				}
			}
			if failed.Err() != nil { // it is not on its way yet
				return nil
			}
			return each(context.WithoutCancel(ctx), c)
		})
	}
	return cmp.Or(g.Wait(), context.Cause(ctx))
}

func (r reverter) make(ctx context.Context, c change) (storage.Reverted, error) {
	if c.To == nil {
		return storage.Reverted{}, r.Hide(ctx, c.Key)
	}
	return r.Revert(ctx, *c.To)
}

// back are the changes of a list the other way round.
func back(list iter.Seq2[change, error]) iter.Seq2[change, error] {
	return func(yield func(change, error) bool) {
		for c, err := range list {
			if !yield(change{Key: c.Key, Was: c.To, To: c.Was, At: c.At}, err) {
				return
			}
		}
	}
}

// listed wants what a list says, key by key, in one walk through both.
func listed(list iter.Seq2[change, error]) (want wanted, stop func()) {
	next, stop := iter.Pull2(list)
	var c change
	here := true
	advance := func() (err error) {
		c, err, here = next()
		return err
	}
	begun := false
	return func(h history) (change, bool, error) {
		for here && (!begun || c.Key < h[0].Key) {
			begun = true
			if err := advance(); err != nil {
				return change{}, false, err
			}
		}
		return c, here && c.Key == h[0].Key, nil
	}, stop
}
