package backup

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"comeback/recovery"
	"comeback/storage"
)

// Where what is known of backups lies in a copy.
const (
	manifests   = recovery.ManifestsIn
	runbooksDir = recovery.RunbooksIn
)

var recording sync.Mutex // of the objects of a recorder: packs are stored side by side

// Put keeps the digest of the bytes that are stored.
func (r *recorder) Put(ctx context.Context, key string, in io.Reader, options storage.PutOptions) (storage.Object, error) {
	sum := sha256.New()
	put := func() (storage.Object, error) { return r.Store.Put(ctx, key, io.TeeReader(in, sum), options) }
	var o storage.Object
	var err error
	if r.guard != nil && key == r.guard.mark.Last {
		o, err = r.guard.last(ctx, put)
	} else {
		o, err = put()
	}
	if err == nil {
		recording.Lock()
		defer recording.Unlock()
		r.objects = append(r.objects, recovery.StoredObject{Key: key, Size: o.Size, SHA256: hex.EncodeToString(sum.Sum(nil))})
	}
	return o, err
}

func (r *recorder) Unwrap() storage.Store { return r.Store }

// putBytes stores a small object that must not be there.
func putBytes(ctx context.Context, s storage.Store, key string, b []byte) error {
	_, err := s.Put(ctx, key, bytes.NewReader(b), storage.PutOptions{IfAbsent: true, Size: int64(len(b))})
	return err
}

func manifestKey(component, stamp, sort string) string {
	return manifests + component + "/" + stamp + "-" + sort + ".json"
}

// putManifest stores what is known of a backup beside it.
func putManifest(ctx context.Context, s storage.Store, stamp, sort string, m recovery.Manifest) error {
	b, err := m.Encode()
	if err == nil {
		err = putBytes(ctx, s, manifestKey(m.Component, stamp, sort), b)
	}
	if err != nil {
		return fmt.Errorf("store what is known of %s: %w", m.ID, err)
	}
	return nil
}

// putRunbook stores the runbook in each copy, unless the newest that it has is these very
// bytes: other backups of the system may store it at this moment, too. The newest is what
// a host is given that has no runbook, so that one which was put back as it was once is
// stored again.
func putRunbook(ctx context.Context, fan *storage.Fan, o Options, stamp, digest string) error {
	var failed error
	for _, a := range fan.Left() {
		if err := putRunbookIn(ctx, a.Store, o, stamp, digest); err != nil {
			failed = fmt.Errorf("store the runbook: %w", err)
			fan.Drop(a.Name, failed)
		}
	}
	if len(fan.Left()) == 0 {
		return failed
	}
	return ctx.Err()
}

func putRunbookIn(ctx context.Context, s storage.Store, o Options, stamp, digest string) error {
	all, err := Runbooks(ctx, s, o.System)
	switch {
	case err != nil:
		return err
	case len(all) > 0 && all[0].SHA256 == digest:
		return putSignature(ctx, s, all[0].Key, o.RunbookSignature)
	}
	return putNewest(ctx, s, o.System, stamp, digest, o.Runbook, o.RunbookSignature)
}

// putNewest stores a runbook under its stamp and digest, and its signature beside it.
func putNewest(ctx context.Context, s storage.Store, system, stamp, digest string, text, signature []byte) error {
	key := runbooksDir + system + "/" + stamp + "-" + digest + ".md"
	if err := putBytes(ctx, s, key, text); err != nil && !errors.Is(err, storage.ErrExist) { // its name has its digest
		return err
	}
	return putSignature(ctx, s, key, signature)
}

// maxManifest bounds what is read of one.
const maxManifest = recovery.MaxManifest

// Manifests reads what a copy knows of the backups of a component ("" is all),
// the oldest first. One that cannot be read is left out: it is a convenience, and
// the backup is judged by itself.
func Manifests(ctx context.Context, s storage.Store, component string) ([]recovery.Manifest, error) {
	objects, err := listManifests(ctx, s, component)
	if err != nil {
		return nil, err
	}
	var all []recovery.Manifest
	for r := range readManifests(ctx, s, objects) {
		if r.err != nil && stored(r.err) {
			return nil, r.err
		}
		if r.err == nil {
			all = append(all, r.Manifest)
		}
	}
	oldestFirst(all)
	return all, nil
}

// Own are the manifests of a system's backups, also of those under names that it had
// formerly. Those that do not say whose they are, as
// older versions have written them, are its own where it is the only system that is seen.
func Own(all []recovery.Manifest, system string, formerly ...string) []recovery.Manifest {
	others := func(m recovery.Manifest) bool {
		return m.System != "" && m.System != system && !slices.Contains(formerly, m.System)
	}
	alone := !slices.ContainsFunc(all, others)
	return slices.DeleteFunc(slices.Clone(all), func(m recovery.Manifest) bool {
		return others(m) || m.System == "" && system != "" && !alone
	})
}

func oldestFirst(all []recovery.Manifest) {
	slices.SortStableFunc(all, func(a, b recovery.Manifest) int { return cmp.Or(a.Begun.Compare(b.Begun), cmp.Compare(a.ID, b.ID)) })
}

// listManifests are the objects that manifests of a component ("" is all) lie in.
func listManifests(ctx context.Context, s storage.Store, component string) (objects []storage.Object, err error) {
	prefix := manifests
	if component != "" {
		prefix += component + "/"
	}
	for o, err := range s.List(ctx, prefix) {
		if err != nil {
			return nil, fmt.Errorf("list what is known of backups: %w", err)
		}
		if path.Ext(o.Key) == ".json" && o.Size <= maxManifest {
			objects = append(objects, o)
		}
	}
	return objects, nil
}

// sideBySide is how many manifests are read at a time.
const sideBySide = 16

// readOne is what was read of one manifest.
type readOne struct {
	object storage.Object
	recovery.Manifest
	err error
}

// readManifests reads manifests, several side by side, begun in their order. It yields
// each as it comes, and begins no other when nobody wants one.
func readManifests(ctx context.Context, s storage.Store, objects []storage.Object) iter.Seq[readOne] {
	return func(yield func(readOne) bool) {
		ctx, cancel := context.WithCancel(ctx)
		todo, done, over := make(chan storage.Object), make(chan readOne), make(chan struct{})
		var readers sync.WaitGroup
		for range min(sideBySide, len(objects)) {
			readers.Go(func() {
				for o := range todo {
					m, err := readManifest(ctx, s, o)
					select {
					case done <- readOne{o, m, err}:
					case <-over:
					}
				}
			})
		}
		defer readers.Wait()
		defer close(todo)
		defer close(over)
		defer cancel()
		for begun, ended := 0, 0; ended < len(objects); {
			next, give := storage.Object{}, todo
			if begun < len(objects) {
				next = objects[begun]
			} else {
				give = nil
			}
			select {
			case give <- next:
				begun++
			case r := <-done:
				ended++
				if !yield(r) {
					return
				}
			}
		}
	}
}

// stored reports whether a copy could not be read, as against what it holds.
func stored(err error) bool {
	return errors.Is(err, storage.ErrDenied) || errors.Is(err, storage.ErrExpired) || errors.Is(err, storage.ErrArchived) || errors.Is(err, storage.ErrConfig) ||
		errors.Is(err, storage.ErrUnavailable) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

func readManifest(ctx context.Context, s storage.Store, o storage.Object) (recovery.Manifest, error) {
	in := storage.NewReader(ctx, s, o, storage.ReadOptions{Attempts: 3})
	defer in.Close()
	b, err := io.ReadAll(in)
	if err != nil {
		return recovery.Manifest{}, fmt.Errorf("read %s: %w", o.Key, err)
	}
	return recovery.DecodeManifest(b)
}

// mostPassedOver is how many manifests that cannot be used are passed over for one that can.
const mostPassedOver = 4

// newest is the manifest of the newest backup of a sort, and the stamp of the last one that is
// listed. One that cannot be read, or is another system's, is passed over for the one before
// it. m is nil where there is none; err says why where there are some. The manifest tells how
// much is to be expected, and which rows were lost before.
func newest(ctx context.Context, s storage.Store, system string, c recovery.Component, sort string) (m *recovery.Manifest, stamp string, err error) {
	suffix := "-" + sort + ".json"
	var all []storage.Object
	for o, failed := range s.List(ctx, manifests+c.Name+"/") {
		if err = failed; err != nil {
			break // those before it are as good as any
		}
		if strings.HasSuffix(o.Key, suffix) && o.Size <= maxManifest {
			all = append(all, o)
		}
	}
	if len(all) == 0 {
		return nil, "", err
	}
	stamp = strings.TrimSuffix(path.Base(all[len(all)-1].Key), suffix)
	for n, o := range slices.Backward(all) {
		found, failed := readManifest(ctx, s, o)
		switch {
		case failed != nil:
			err = failed
		case found.System == system || found.System == "" || slices.Contains(c.Claims.Formerly, found.System):
			return &found, stamp, nil
		}
		if ctx.Err() != nil || len(all)-n > mostPassedOver {
			break
		}
	}
	return nil, stamp, err
}

// stampOf is the stamp of a backup that begins: its second, or the next one that no
// backup before it has, where several were taken within a moment.
func stampOf(begun time.Time, last string) string {
	stamp := begun.Format(stampLayout)
	if before, err := time.Parse(stampLayout, last); err == nil && stamp <= last && before.Sub(begun) < time.Minute {
		return before.Add(time.Second).Format(stampLayout)
	}
	return stamp
}

// remove removes an object; one that is gone is no failure.
func remove(ctx context.Context, s storage.Store, key string) error {
	o, err := s.Stat(ctx, key)
	if errors.Is(err, storage.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	swapper, ok := storage.As[storage.Swapper](s)
	if !ok {
		return recovery.Errorf("remove it by hand", "nothing can be removed from %s: %s", s.URL(), key)
	}
	return swapper.Remove(ctx, o)
}
