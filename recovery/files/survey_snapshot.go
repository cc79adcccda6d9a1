package files

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"comeback/recovery"
	"comeback/storage"
)

// readSnapshots is how many snapshots a survey reads, the newest; of older ones
// the name tells when they were begun.
const readSnapshots = 200

// inventory is the packs and manifests that the listing of a survey has met.
type inventory struct {
	under string
	sizes map[string]int64
	// archived are those that lie in an archive.
	archived map[string]storage.Object
	// gone are those that were looked for by themselves, too: snapshots share packs.
	gone *sync.Map
}

// lacks says what of a snapshot is not in the copy as it was stored. A listing that does
// not go where the parts lie says nothing.
func (l inventory) lacks(ctx context.Context, store storage.Store, prefix string, s snapshot) (string, error) {
	if !strings.HasPrefix(inPrefix(prefix, "packs/"), l.under) {
		return "", nil
	}
	var lost missing
	for _, p := range append([]part{s.Manifest}, s.Packs...) {
		key := inPrefix(prefix, p.Name)
		size, ok := l.sizes[key]
		if _, known := l.gone.Load(key); !known && (!ok || size != p.Size) { // it may have come since: packs are listed before what names them
			o, err := store.Stat(ctx, key)
			if size, ok = o.Size, err == nil; err != nil && !errors.Is(err, storage.ErrNotExist) {
				return "", err
			}
			if !ok {
				l.gone.Store(key, nil)
			}
		}
		lost.hold(p, size, ok)
	}
	return lost.says(), nil
}

// missing are parts of a snapshot that are gone, or are not what was stored.
type missing []string

// hold compares a part with what is there.
func (m *missing) hold(p part, size int64, there bool) {
	switch {
	case !there:
		*m = append(*m, p.Name+" is missing")
	case size != p.Size:
		*m = append(*m, fmt.Sprintf("%s has %d bytes instead of %d", p.Name, size, p.Size))
	}
}

func (m missing) says() string {
	says := strings.Join(m[:min(3, len(m))], ", ")
	if n := len(m); n > 3 {
		says += fmt.Sprintf(" and %d more", n-3)
	}
	return says
}

// surveySnapshots lists the snapshots that are sealed, or those that are not.
func surveySnapshots(ctx context.Context, store storage.Store, objects []storage.Object, parts inventory, s *recovery.Survey, sealed bool) error {
	backups := make([]recovery.Backup, len(objects))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(looksAtOnce)
	for i, o := range objects {
		if i < len(objects)-readSnapshots {
			backups[i] = snapshotByName(s, o)
			continue
		}
		g.Go(func() (err error) {
			backups[i], err = lookAtSnapshot(gctx, store, parts, s, o)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, b := range backups {
		if f, err := factsOf(b); err == nil && (f.Sealed == sealed || f.ByName) {
			s.Backups = append(s.Backups, b)
		}
	}
	return nil
}

// snapshotByName is a snapshot as its name tells it.
func snapshotByName(s *recovery.Survey, o storage.Object) recovery.Backup {
	f := facts{Form: snapshotForm, Prefix: prefixOf(o.Key), ByName: true}
	b := recovery.Backup{ID: o.Key, Component: s.Component, Copy: s.Copy, Engine: s.Engine, Form: f.says(), Objects: []storage.Object{o},
		Taken: recovery.Span{To: o.Modified.UTC()}, Details: map[string]string{}}
	if begun, err := time.Parse(idLayout, snapshotKey.FindStringSubmatch(o.Key)[2]); err == nil {
		if begun.After(b.Taken.To) {
			b.Taken.To = begun // at least
		}
		b.Taken.From = begun
		b.Taken, b.Contradicts = b.Taken.StoredBy(o.Modified.UTC()), b.Taken.Contradicted(o.Modified.UTC())
	}
	b.Facts = encode(f)
	return b
}

// lookAtSnapshot reads what a snapshot says of itself, and holds it against what is
// there of it.
func lookAtSnapshot(ctx context.Context, store storage.Store, parts inventory, of *recovery.Survey, o storage.Object) (recovery.Backup, error) {
	b := snapshotByName(of, o)
	s, err := readSnapshot(ctx, store, o)
	if problem, ok := own(err); ok {
		b.Problem = problem
		return b, nil
	}
	if err != nil {
		if stored := (*storage.Error)(nil); ctx.Err() != nil || errors.As(err, &stored) {
			return b, err
		}
		b.Problem = err.Error()
		return b, nil
	}
	b.Taken, b.Contradicts = takenOf(s, o)
	f := facts{Form: snapshotForm, Prefix: prefixOf(o.Key), Sealed: s.sealed(), Files: s.Files, Bytes: s.Bytes, Holes: s.Holes}
	b.Facts, b.Form = encode(f), f.says()
	b.Details["files"], b.Details["bytes"] = fmt.Sprint(s.Files), fmt.Sprint(s.Bytes)
	b.Holds = s.holds()
	if len(s.Excepted) > 0 {
		b.Details[recovery.DetailExceptions] = strings.Join(exceptions(s.Excepted), "; ")
	}
	b.Archived.Add(parts.archived[inPrefix(f.Prefix, s.Manifest.Name)])
	for _, p := range s.Packs {
		if p.Files > 0 { // the others are not read
			b.Archived.Add(parts.archived[inPrefix(f.Prefix, p.Name)])
		}
	}
	b.Problem, err = parts.lacks(ctx, store, f.Prefix, s)
	b.Damaged = b.Problem != ""
	return b, err
}

// holds is how much comes back of a snapshot: holes are left, too.
func (s snapshot) holds() recovery.Holds {
	return recovery.Holds{Files: s.Files, Bytes: s.Bytes - s.Holes, Series: "snapshot of " + s.Dir}
}

// takenOf is the stretch of time that a snapshot is of, and when its store says that it was
// stored, where that contradicts it.
func takenOf(s snapshot, o storage.Object) (recovery.Span, time.Time) {
	taken := recovery.Span{From: s.Begun.UTC(), To: s.Ended.UTC()}.StoredBy(o.Modified.UTC())
	return taken, taken.Contradicted(o.Modified.UTC())
}

func encode(f facts) json.RawMessage {
	b, err := json.Marshal(f)
	if err != nil {
		panic("files: marshal what a backup tells: " + err.Error()) // strings and numbers
	}
	return b
}

// openedSnapshot finds the parts of a snapshot that was chosen: one whose packs
// are not all there cannot be restored.
func openedSnapshot(ctx context.Context, b recovery.Backup, store storage.Store) (recovery.Backup, error) {
	o := b.Objects[0]
	s, err := readSnapshot(ctx, store, o)
	if problem, ok := own(err); ok {
		b.Problem = problem
		return b, nil
	}
	if err != nil {
		return b, fmt.Errorf("look at %s: %w", b.ID, err)
	}
	prefix := prefixOf(o.Key)
	manifest, err := store.Stat(ctx, inPrefix(prefix, s.Manifest.Name))
	if err != nil && !errors.Is(err, storage.ErrNotExist) {
		return b, fmt.Errorf("look at %s: %w", b.ID, err)
	}
	var objects []storage.Object
	var lost missing
	if lost.hold(s.Manifest, manifest.Size, err == nil); err == nil {
		objects = append(objects, manifest)
	}
	found, err := findParts(ctx, store, prefix, s)
	if err != nil {
		return b, fmt.Errorf("look at %s: %w", b.ID, err)
	}
	for _, p := range s.Packs {
		at, ok := found[p.Name]
		lost.hold(p, at.Size, ok)
		if ok && p.Files > 0 {
			objects = append(objects, at)
		}
	}
	b.Objects, b.Archived = objects, recovery.Archived{}
	if len(lost) > 0 {
		b.Problem, b.Damaged = lost.says(), true
		return b, nil
	}
	b.Taken, b.Contradicts = takenOf(s, o)
	b.Holds = s.holds()
	b.Facts = encode(facts{Form: snapshotForm, Prefix: prefix, Sealed: s.sealed(), Dir: s.Dir, Files: s.Files, Bytes: s.Bytes, Holes: s.Holes, Manifest: s.Manifest, Packs: s.Packs, Excepted: s.Excepted})
	return b, nil
}
