package bucket

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"comeback/recovery"
	"comeback/recovery/files/tree"
	"comeback/recovery/ledger"
	"comeback/storage"
)

type args struct {
	Component string            `json:"component"`
	Copy      string            `json:"copy"`
	Target    recovery.TargetID `json:"target"`
	Facts     facts             `json:"facts"`
}

// restoreKind writes the objects of a moment as files. An interruption leaves a
// part of them, which the next attempt goes on with.
type restoreKind struct{ engine }

func (restoreKind) Name() string { return "bucket.restore" }

func (restoreKind) Restart() recovery.Restart { return recovery.Continue }

// through is an entry of a bucket's ledger: everything up to a key is there.
type through struct {
	Key   string `json:"key,omitempty"`
	Files int64  `json:"files,string,omitempty"`
	Bytes int64  `json:"bytes,string,omitempty"`
	Whole bool   `json:"whole,omitempty"`
}

// together is how many objects are noted as one, sideBySide how many are fetched, or
// copied, at a time: most of an object's time is that until a service answers. ahead is how many are
// listed before they are: as many as a page of the list has, so that the next page comes
// while they do.
const (
	together   = 64
	sideBySide = 64
	ahead      = 1024
)

// Of objects that are larger than isLarge bytes a service is to copy only largeBeside at a
// time: it answers when it is done, and is not waited for without end.
const (
	largeBeside = 4
	isLarge     = 64 << 20
)

// open finds the step's place, and what its ledger is of.
func (k restoreKind) open(ctx context.Context, env recovery.Env, step recovery.Step) (p tree.Place, a args, of string, err error) {
	if err := step.Decode(&a); err != nil {
		return p, a, "", err
	}
	h, err := env.Target(ctx, a.Target)
	if err != nil {
		return p, a, "", err
	}
	text, err := json.Marshal(a)
	if err != nil {
		return p, a, "", err
	}
	sum := sha256.Sum256(text)
	p = tree.Place{Component: a.Component, What: "the objects of " + a.Facts.Moment.Format(time.RFC3339), Dir: h.Dir, Scratch: h.Scratch}
	return p, a, hex.EncodeToString(sum[:]), nil
}

// Do restores the objects and binds the component to the tree.
func (k restoreKind) Do(ctx context.Context, env recovery.Env, step recovery.Step) (recovery.Outcome, error) {
	p, a, of, err := k.open(ctx, env, step)
	if err != nil {
		return recovery.Outcome{}, err
	}
	if err := p.Begin(); err != nil {
		return recovery.Outcome{}, err
	}
	t, err := p.Open()
	if err != nil {
		return recovery.Outcome{}, err
	}
	defer t.Close()
	l, past, err := tree.OpenLedger[through](p, of)
	if err != nil {
		return recovery.Outcome{}, err
	}
	defer l.Close()
	r := &restoring{Place: p, args: a, env: env, tree: t, ledger: l, syncEvery: k.SyncEvery}
	if len(past) > 0 {
		r.done = past[len(past)-1]
	}
	if err := r.restore(ctx, k.Options); err != nil {
		return recovery.Outcome{}, p.Failed(ctx, err)
	}
	return r.outcome(), nil
}

// Revive proves by the ledger that the tree is still there and whole.
func (k restoreKind) Revive(ctx context.Context, env recovery.Env, step recovery.Step, _ recovery.Outcome, rebooted bool) error {
	p, _, of, err := k.open(ctx, env, step)
	if err != nil {
		return err
	}
	return p.Standing(env, of, rebooted)
}

type restoring struct {
	tree.Place
	args   args
	env    recovery.Env
	tree   *tree.Writer
	ledger *ledger.Ledger[through]
	// syncEvery is about how many bytes are restored before they are made durable.
	syncEvery int64
	done      through
	unfit     unfit
}

// restore goes by the listing of when the moment was resolved. Where that names a version
// that is not there any more, the bucket's versions tell what is left of it; where it is not
// there itself, they tell what was current at the moment. Either way what is not what it was
// when the moment was chosen fails the restore.
func (r *restoring) restore(ctx context.Context, o Options) error {
	store, err := r.env.Store(ctx, r.args.Copy)
	if err != nil {
		return err
	}
	versions, ok := storage.As[storage.Versioner](store)
	if !ok {
		return fmt.Errorf("%s keeps no versions", store.URL())
	}
	path := o.listingOf(r.args.Component, store, r.args.Facts.Prefix)
	if f := kept(path, r.args.Facts.Listing); f != nil {
		defer f.Close()
		err := r.run(ctx, store, listedIn(f), nil)
		if !errors.Is(err, storage.ErrNotExist) {
			return err
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return fmt.Errorf("read what was current at the moment: %w", err)
		}
		return r.run(ctx, store, left(listedIn(f), byKey(versions.Versions(ctx, r.args.Facts.Prefix))), nil)
	}
	current := newCurrents()
	return r.run(ctx, store, current.of(r.args.then(ctx, versions)), current)
}

// run restores objects, which come in the order of their keys. Where current is not nil, it
// has added them up by then.
func (r *restoring) run(ctx context.Context, store storage.Store, all iter.Seq2[storage.Object, error], current *currents) error {
	r.unfit = unfit{}
	meter := r.env.Meter()
	meter.Phase("restore "+r.args.Copy+" by its versions", r.args.Facts.Bytes, recovery.InBytes)
	meter.Add(r.done.Bytes)
	g, ctx := errgroup.WithContext(ctx)
	objects, batches := make(chan member, ahead), make(chan *batch, ahead/together)
	from := r.done.Key // an earlier attempt has got so far
	g.Go(func() error {
		defer close(objects)
		defer close(batches)
		return r.list(ctx, all, from, objects, batches)
	})
	for range sideBySide {
		g.Go(func() error { return r.fetch(ctx, store, objects) })
	}
	g.Go(func() error { return r.note(ctx, batches) })
	if err := g.Wait(); err != nil {
		return err
	}
	if gone := r.args.Facts.Files - r.done.Files - r.unfit.N; gone > 0 {
		return recovery.Errorf("choose the moment again, which shows what is left, or another copy; and look at who removes versions",
			"%s that %s had at the moment when it was chosen cannot be restored: their versions have been removed since", recovery.FormatCount(gone, "object"), store.URL())
	}
	if current != nil {
		if err := current.are(r.args.Facts.Current, store.URL()); err != nil {
			return err
		}
	}
	r.done.Whole = true
	return errors.Join(r.ledger.Sync(), r.ledger.Add(r.done), r.ledger.Sync())
}

// batch is objects that lie behind each other in the list and are noted together.
type batch struct {
	objects []storage.Object
	missing atomic.Int64
	whole   chan struct{} // closed when none is missing
}

// member is one of a batch's objects.
type member struct {
	object storage.Object
	of     *batch
}

// list hands on what is to be a file and is not there yet.
func (r *restoring) list(ctx context.Context, all iter.Seq2[storage.Object, error], from string, to chan<- member, batches chan<- *batch) error {
	var next []storage.Object
	hand := func() error {
		b := &batch{objects: next, whole: make(chan struct{})}
		b.missing.Store(int64(len(next)))
		next = nil
		select {
		case batches <- b:
		case <-ctx.Done():
			return ctx.Err()
		}
		for _, v := range b.objects {
			select {
			case to <- member{v, b}:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	}
	fit := fit{of: r.args}
	for v, err := range all {
		if err != nil {
			return err
		}
		if why := fit.why(v.Key); why != "" {
			r.unfit.add(why)
			continue
		}
		if v.Key <= from {
			continue
		}
		if next = append(next, v); len(next) == together {
			if err := hand(); err != nil {
				return err
			}
		}
	}
	if len(next) == 0 {
		return nil
	}
	return hand()
}

// fetch writes objects as files, one after the other.
func (r *restoring) fetch(ctx context.Context, store storage.Store, all <-chan member) error {
	options := storage.ReadOptions{Progress: func(n int) { r.env.Meter().Add(int64(n)) }}
	for m := range all {
		in := storage.NewReader(ctx, store, m.object, options)
		err := r.tree.Put(r.args.record(m.object), in)
		if err = errors.Join(err, in.Close()); err != nil {
			return err
		}
		if m.of.missing.Add(-1) == 0 {
			close(m.of.whole)
		}
	}
	return nil
}

// note writes into the ledger how far everything is there.
func (r *restoring) note(ctx context.Context, batches <-chan *batch) error {
	var synced int64
	for b := range batches {
		select {
		case <-b.whole: // is noted also when the rest is not wanted any more
		default:
			select {
			case <-b.whole:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		for _, v := range b.objects {
			r.done.Files++
			r.done.Bytes += v.Size
			synced += v.Size
		}
		r.done.Key = b.objects[len(b.objects)-1].Key
		if err := r.ledger.Add(r.done); err != nil {
			return err
		}
		if synced < r.syncEvery {
			continue
		}
		synced = 0
		if err := r.ledger.Sync(); err != nil {
			return err
		}
		if err := r.env.Meter().Checkpoint(ctx, fmt.Sprintf("%s, %s, are restored and on disk", recovery.FormatCount(r.done.Files, "object"), recovery.FormatBytes(r.done.Bytes))); err != nil {
			return err
		}
	}
	return nil
}

// name is a key's path in the tree, which is what lies below the prefix.
func (a args) name(key string) string {
	return strings.TrimPrefix(key, a.Facts.Prefix[:strings.LastIndex(a.Facts.Prefix, "/")+1])
}

// record is an object as a file of the run's own user.
func (a args) record(v storage.Object) tree.Record {
	return tree.Record{Type: tree.File, Path: a.name(v.Key), Mode: 0o644, UID: os.Geteuid(), GID: os.Getegid(), Modified: v.Modified, Size: v.Size}
}

func (r *restoring) outcome() recovery.Outcome {
	f := r.args.Facts
	return recovery.Outcome{
		Says: fmt.Sprintf("%s of %s are restored, %s", recovery.FormatCount(r.done.Files, "object"), f.Moment.Format("2006-01-02 15:04:05 MST"), recovery.FormatBytes(r.done.Bytes)),
		Facts: map[string]string{"form": "versions of a bucket", "files": strconv.FormatInt(r.done.Files, 10), "bytes": strconv.FormatInt(r.done.Bytes, 10),
			"known since": f.Since.Format(time.RFC3339)},
		Bindings: []recovery.Binding{r.Binding("")},
		Reached: &recovery.Reached{Component: r.args.Component, Time: f.Moment, Evidence: []string{
			"of each key the version that was current by the bucket's own clock, to the second, was read by its id"}},
		Exceptions: append(r.unfit.exceptions(), f.Doubts.exceptions()...),
	}
}
