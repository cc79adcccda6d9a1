package files

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
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

// digestOf is the SHA-256 of a file.
func digestOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
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

// right reports whether what is current is what is to be.
func (r reverter) right(ctx context.Context, now, to *storage.Object) (bool, error) {
	if now == nil || to == nil {
		return now == to, nil
	}
	return r.Alike(ctx, *now, *to)
}

// wanted says of each key's history what is to be current; ok is false where the key
// is none of its business.
type wanted func(h history) (to *storage.Object, ok bool, err error)

// differing yields what is not as wanted.
func (r reverter) differing(ctx context.Context, want wanted) iter.Seq2[change, error] {
	return func(yield func(change, error) bool) {
		for h, err := range byKey(r.versions.Versions(ctx, r.prefix)) {
			var to *storage.Object
			ours := false
			if err == nil {
				to, ours, err = want(h)
			}
			right := !ours
			if err == nil && ours {
				right, err = r.right(ctx, h.now(), to)
			}
			if err != nil {
				yield(change{}, err)
				return
			}
			if !right && !yield(change{Key: h[0].Key, Was: h.now(), To: to, At: h[0].Modified.UTC()}, nil) {
				return
			}
		}
	}
}

// apply makes the changes of a list, several side by side. Each may be made again.
// What is on its way when another one fails, or when the run is stopped, is waited
// for: a service may do what nobody waits for any more, later.
func (r reverter) apply(ctx context.Context, list iter.Seq2[change, error], done func(c change, copy storage.Reverted) error) error {
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
				large <- struct{}{}
				defer func() { <-large }()
			}
			copy, err := r.make(context.WithoutCancel(ctx), c)
			if err != nil {
				return err
			}
			return done(c, copy)
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
	return func(h history) (*storage.Object, bool, error) {
		for here && (!begun || c.Key < h[0].Key) {
			begun = true
			if err := advance(); err != nil {
				return nil, false, err
			}
		}
		if !here || c.Key != h[0].Key {
			return nil, false, nil
		}
		return c.To, true, nil
	}, stop
}
