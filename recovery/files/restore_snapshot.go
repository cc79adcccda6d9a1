package files

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path"
	"strconv"
	"sync"

	"golang.org/x/sync/errgroup"

	"comeback/recovery"
	"comeback/recovery/files/tree"
	"comeback/recovery/ledger"
	"comeback/storage"
)

const (
	// manifestFile is the manifest as it is stored, in scratch.
	manifestFile = "manifest"
	// atOnce is how many files of a snapshot are known at a time: the packs are
	// taken in groups, each by one reading of the manifest.
	atOnce = 1 << 18
	// skip is how many bytes between two files of a pack are read rather than
	// asked for anew.
	skip = 1 << 20
)

// written is an entry of a snapshot's ledger: so many of the snapshot's files in
// a pack are in the tree.
type written struct {
	Pack int   `json:"pack"`
	Done int64 `json:"done,string"`
	// Bytes are those of the files.
	Bytes int64 `json:"bytes,string"`
	// Whole is the last entry: the tree is complete.
	Whole bool `json:"whole,omitempty"`
}

// restoring is one snapshot on its way into a tree.
type restoring struct {
	*scratch
	env    recovery.Env
	tree   *tree.Writer
	store  storage.Store
	ledger *ledger.Ledger[written]
	past   map[int]written
	// objects are the packs by their keys.
	objects map[string]storage.Object

	foreign  tree.Foreign
	mu       sync.Mutex
	unsynced int64
	files    int64
	bytes    int64
}

// restoreSnapshot brings the files, then the links and directories.
func restoreSnapshot(ctx context.Context, env recovery.Env, s *scratch, t *tree.Writer) (*restoring, error) {
	r := &restoring{scratch: s, env: env, tree: t, past: map[int]written{}, objects: map[string]storage.Object{}}
	for _, o := range s.args.Objects[1:] {
		r.objects[o.Key] = o
	}
	var err error
	if r.store, err = env.Store(ctx, s.args.Copy); err != nil {
		return nil, err
	}
	of, err := s.args.ledgerOf()
	if err != nil {
		return nil, err
	}
	l, past, err := tree.OpenLedger[written](s.Place, of)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	r.ledger = l
	for _, e := range past {
		if !e.Whole {
			r.past[e.Pack] = e
		}
	}
	for _, e := range r.past {
		r.files, r.bytes = r.files+e.Done, r.bytes+e.Bytes
	}
	if err := r.fetchManifest(ctx); err != nil {
		return nil, err
	}
	env.Meter().Phase("restore "+s.args.Backup, s.args.Facts.Bytes, recovery.InBytes)
	env.Meter().Add(r.bytes)
	if len(past) > 0 {
		env.Meter().Log(fmt.Sprintf("comeback: an earlier attempt has left %s", recovery.FormatCount(r.files, "file")))
	}
	if err := r.packs(ctx); err != nil {
		return nil, err
	}
	// Before the first link is made every file is on disk: nothing is written
	// through a link after a reboot.
	if err := l.Sync(); err != nil {
		return nil, err
	}
	env.Meter().Phase("make links, dress directories", 0, recovery.NoUnit)
	if err := t.Finish(func() iter.Seq2[tree.Record, error] { return r.records(notFiles) }, nil); err != nil {
		return nil, err
	}
	if err := r.owners(); err != nil {
		return nil, err
	}
	return r, errors.Join(l.Sync(), l.Add(written{Whole: true}), l.Sync())
}

// owners counts what is not its owner's, by the manifest.
func (r *restoring) owners() error {
	if tree.AllOwn() {
		return nil
	}
	for e, err := range r.records(func(e tree.Record) bool { return e.Type != tree.HardLink }) {
		if err != nil {
			return err
		}
		r.foreign.See(e.Path, e.UID, e.GID)
	}
	return nil
}

// fetchManifest fetches the manifest, and proves it.
func (r *restoring) fetchManifest(ctx context.Context) error {
	o, want := r.args.Objects[0], r.args.Facts.Manifest
	in := storage.NewReader(ctx, r.store, o, storage.ReadOptions{})
	defer in.Close()
	out, err := os.OpenFile(r.Path(manifestFile), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("keep the manifest: %w", err)
	}
	sum := sha256.New()
	_, err = io.Copy(out, io.TeeReader(in, sum))
	if err = errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("fetch the manifest: %w", err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != want.SHA256 {
		return fmt.Errorf("%w: the manifest's SHA-256 is %s, and %s by the snapshot", storage.ErrCorrupt, got, want.SHA256)
	}
	return nil
}

// records streams those records of the manifest that want wants.
func (r *restoring) records(want func(tree.Record) bool) iter.Seq2[tree.Record, error] {
	return func(yield func(tree.Record, error) bool) {
		f, err := os.Open(r.Path(manifestFile))
		if err != nil {
			yield(tree.Record{}, fmt.Errorf("read the manifest: %w", err))
			return
		}
		defer f.Close()
		z, err := r.unsealed(f)
		if err != nil {
			yield(tree.Record{}, fmt.Errorf("read the manifest: %w", err))
			return
		}
		defer z.Close()
		for e, err := range manifestRecords(z) {
			if (err != nil || want(e)) && !yield(e, err) {
				return
			}
		}
	}
}

func notFiles(e tree.Record) bool { return e.Type != tree.File }

// unsealed decrypts where that is asked for, and decompresses.
func (r *restoring) unsealed(in io.Reader) (io.ReadCloser, error) {
	if r.unseal != nil {
		var err error
		if in, err = r.unseal(in); err != nil {
			return nil, err
		}
	}
	return unpack(zstded, in)
}

// packs restores the files, group of packs by group of packs.
func (r *restoring) packs(ctx context.Context) error {
	packs := r.args.Facts.Packs
	for first := 0; first < len(packs); {
		last, n := first, int64(0)
		for last < len(packs) && (last == first || n+packs[last].Files <= atOnce) {
			n += packs[last].Files
			last++
		}
		if err := r.group(ctx, first, last); err != nil {
			return err
		}
		first = last
	}
	return nil
}

func (r *restoring) group(ctx context.Context, first, last int) error {
	lists := make([][]tree.Record, last-first)
	for e, err := range r.records(func(e tree.Record) bool { return e.Type == tree.File && e.Pack >= first && e.Pack < last }) {
		if err != nil {
			return err
		}
		lists[e.Pack-first] = append(lists[e.Pack-first], e)
	}
	for i, list := range lists {
		if says := r.args.Facts.Packs[first+i].Files; int64(len(list)) != says {
			return fmt.Errorf("%w: the manifest names %d files of pack %d, and the snapshot %d", storage.ErrCorrupt, len(list), first+i, says)
		}
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(r.jobs)
	for i, list := range lists {
		n := first + i
		if done := r.past[n].Done; done < int64(len(list)) {
			g.Go(func() error { return r.pack(gctx, n, list) })
		}
	}
	return g.Wait()
}

// pack restores what the snapshot has in one pack, from where an earlier attempt
// stood.
func (r *restoring) pack(ctx context.Context, n int, list []tree.Record) error {
	p := r.args.Facts.Packs[n]
	o, err := r.object(p)
	if err != nil {
		return err
	}
	done := r.past[n]
	for left := list[done.Done:]; len(left) > 0; {
		k, err := r.stretch(ctx, o, n, left, &done)
		if err != nil {
			return fmt.Errorf("read %s: %w", path.Base(o.Key), err)
		}
		left = left[k:]
	}
	return nil
}

func (r *restoring) object(p part) (storage.Object, error) {
	o, ok := r.objects[inPrefix(r.args.Facts.Prefix, p.Name)]
	if !ok {
		return o, recovery.Errorf("make a new plan", "the plan has no object %s", p.Name)
	}
	return o, nil
}

// stretch restores files that lie close together, by one reading of the pack,
// and gives how many.
func (r *restoring) stretch(ctx context.Context, o storage.Object, n int, list []tree.Record, done *written) (k int, err error) {
	for k = 1; k < len(list) && (r.unseal != nil || list[k].At-list[k-1].At <= skip); k++ {
	}
	var from int64
	if r.unseal == nil {
		from = list[0].At
	}
	object := storage.NewReader(ctx, r.store, o, storage.ReadOptions{From: from})
	defer object.Close()
	var in io.Reader = object
	if r.unseal != nil {
		if in, err = r.unseal(in); err != nil {
			return 0, err
		}
	}
	z, err := unpack(zstded, in)
	if err != nil {
		return 0, err
	}
	defer z.Close()
	members := tar.NewReader(z)
	frame := list[0].At
	for i, want := range list[:k] {
		if i > 0 && want.At != frame {
			// What is in a frame is read together, so only whole ones are noted.
			if err := r.note(ctx, *done); err != nil {
				return 0, err
			}
			frame = want.At
		}
		if err := r.member(members, want); err != nil {
			return 0, err
		}
		done.Pack = n
		done.Done++
		done.Bytes += want.Size
		r.env.Meter().Add(want.Size)
	}
	return k, r.note(ctx, *done)
}

// member finds a file among a pack's members and writes it.
func (r *restoring) member(members *tar.Reader, want tree.Record) error {
	for {
		h, err := members.Next()
		if err == io.EOF {
			return fmt.Errorf("%w: it does not hold %s", storage.ErrCorrupt, tree.Show(want.Path))
		}
		if err != nil {
			return tarDamage(err)
		}
		if h.Name == want.Path && h.Typeflag == tar.TypeReg {
			return tarDamage(r.tree.Put(want, members))
		}
	}
}

// note enters how far a pack is into the ledger.
func (r *restoring) note(ctx context.Context, done written) error {
	if err := r.ledger.Add(done); err != nil {
		return err
	}
	files, bytes := r.tree.Written()
	r.mu.Lock()
	due := bytes-r.unsynced >= r.syncEvery
	if due {
		r.unsynced = bytes
	}
	r.mu.Unlock()
	if !due {
		return nil
	}
	if err := r.ledger.Sync(); err != nil {
		return err
	}
	return r.env.Meter().Checkpoint(ctx, fmt.Sprintf("%s, %s, are restored and on disk",
		recovery.FormatCount(r.files+files, "file"), recovery.FormatBytes(r.bytes+bytes)))
}

// outcome is the report of a snapshot that is restored.
func (r *restoring) outcome() recovery.Outcome {
	f := r.args.Facts
	o := recovery.Outcome{
		Says: fmt.Sprintf("%s is restored: %s, %s, every SHA-256 holds", r.args.Backup, recovery.FormatCount(f.Files, "file"), recovery.FormatBytes(f.Bytes)),
		Facts: map[string]string{"backup": r.args.Backup, "form": f.says(), "taken": r.args.Taken.Says(),
			"files": strconv.FormatInt(f.Files, 10), "bytes": strconv.FormatInt(f.Bytes, 10), "packs": strconv.Itoa(len(f.Packs)),
			"sha256 of the manifest": f.Manifest.SHA256},
		Bindings: []recovery.Binding{r.Binding(f.Dir)},
		Reached: &recovery.Reached{Component: r.args.Component, Time: r.args.Taken.To, Evidence: []string{
			fmt.Sprintf("each of %s has the SHA-256 that the snapshot recorded; it was taken %s", recovery.FormatCount(f.Files, "file"), r.args.Taken.Says())}},
		Remarks:    r.tree.Remarks(),
		Exceptions: exceptions(f.Excepted),
	}
	r.foreign.Tell(&o)
	if r.files > 0 {
		o.Says += fmt.Sprintf("; %d of them were there from the attempt before", r.files)
	}
	return o
}
