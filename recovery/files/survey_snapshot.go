package files

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"comeback/recovery"
	"comeback/storage"
)

// readSnapshots is how many snapshots a survey reads, the newest; of older ones
// the name tells when they were begun.
const readSnapshots = 200

// surveySnapshots lists the snapshots that are sealed, or those that are not.
func surveySnapshots(ctx context.Context, store storage.Store, objects []storage.Object, s *recovery.Survey, sealed bool) error {
	backups := make([]recovery.Backup, len(objects))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(looksAtOnce)
	for i, o := range objects {
		if i < len(objects)-readSnapshots {
			backups[i] = snapshotByName(s, o)
			continue
		}
		g.Go(func() (err error) {
			backups[i], err = lookAtSnapshot(gctx, store, s, o)
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
		b.Taken = b.Taken.Narrowed(begun, b.Taken.To)
	}
	b.Facts = encode(f)
	return b
}

// lookAtSnapshot reads what a snapshot says of itself.
func lookAtSnapshot(ctx context.Context, store storage.Store, of *recovery.Survey, o storage.Object) (recovery.Backup, error) {
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
	b.Taken = recovery.Span{From: s.Begun.UTC(), To: s.Ended.UTC()}
	f := facts{Form: snapshotForm, Prefix: prefixOf(o.Key), Sealed: s.sealed(), Files: s.Files, Bytes: s.Bytes}
	b.Facts, b.Form = encode(f), f.says()
	b.Details["files"], b.Details["bytes"] = fmt.Sprint(s.Files), fmt.Sprint(s.Bytes)
	return b, nil
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
	if problem, ok := own(err); ok {
		b.Problem = "its manifest cannot be read: " + problem
		return b, nil
	}
	if err != nil {
		return b, fmt.Errorf("look at %s: %w", b.ID, err)
	}
	found, err := findParts(ctx, store, prefix, s)
	if err != nil {
		return b, fmt.Errorf("look at %s: %w", b.ID, err)
	}
	objects, missing := []storage.Object{manifest}, []string{}
	for _, p := range s.Packs {
		at, ok := found[p.Name]
		switch {
		case !ok:
			missing = append(missing, p.Name+" is missing")
		case at.Size != p.Size:
			missing = append(missing, fmt.Sprintf("%s has %d bytes instead of %d", p.Name, at.Size, p.Size))
		case p.Files > 0:
			objects = append(objects, at)
		}
	}
	if manifest.Size != s.Manifest.Size {
		missing = append(missing, "its manifest is of another size")
	}
	if len(missing) > 0 {
		b.Problem = strings.Join(missing[:min(3, len(missing))], ", ")
		if n := len(missing); n > 3 {
			b.Problem += fmt.Sprintf(" and %d more", n-3)
		}
		return b, nil
	}
	b.Objects = objects
	b.Taken = recovery.Span{From: s.Begun.UTC(), To: s.Ended.UTC()}
	b.Facts = encode(facts{Form: snapshotForm, Prefix: prefix, Sealed: s.sealed(), Dir: s.Dir, Files: s.Files, Bytes: s.Bytes, Manifest: s.Manifest, Packs: s.Packs})
	return b, nil
}
