package recovery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"comeback/storage"
)

// RunbooksIn is where runbooks lie in a copy, by system.
const RunbooksIn = OwnIn + "runbooks/"

// MaxManifest bounds what is read of a manifest: a hundred thousand tables take less.
const MaxManifest = 64 << 20

// Neighbours are the systems beside one that keep their backups in the same copy, as the
// manifests there tell.
type Neighbours struct {
	// of are the systems by the keys of what their backups have stored.
	of map[string]string
}

// Of is whose an object is; "" where it is no neighbour's.
func (n Neighbours) Of(key string) string { return n.of[key] }

// Objects are all that they have stored, with the system that has.
func (n Neighbours) Objects() iter.Seq2[string, string] { return maps.All(n.of) }

// Systems are their names, those that have stored something.
func (n Neighbours) Systems() []string {
	return slices.Compact(slices.Sorted(maps.Values(n.of)))
}

// NeighboursIn looks which systems beside one keep backups in a copy. Each backup has
// brought its runbook there, so that where those of no other system lie nothing else is
// read. Who may not list them sees the copy as if nobody else were there.
func NeighboursIn(ctx context.Context, s storage.Store, system string) (Neighbours, error) {
	others := false
	for o, err := range s.List(ctx, RunbooksIn) {
		if errors.Is(err, storage.ErrDenied) {
			return Neighbours{}, nil
		}
		if err != nil {
			return Neighbours{}, fmt.Errorf("look whose backups it holds: %w", err)
		}
		of, _, ok := strings.Cut(strings.TrimPrefix(o.Key, RunbooksIn), "/")
		others = others || ok && of != system
	}
	if !others {
		return Neighbours{}, nil
	}
	return ReadNeighbours(ctx, s, system)
}

// manifestsAtOnce is how many manifests are read side by side.
const manifestsAtOnce = 16

// ReadNeighbours is NeighboursIn, whatever runbooks lie there.
func ReadNeighbours(ctx context.Context, s storage.Store, system string) (Neighbours, error) {
	n := Neighbours{of: map[string]string{}}
	var mu sync.Mutex // guards it
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(manifestsAtOnce)
	var failed error
	for o, err := range s.List(gctx, ManifestsIn) {
		if err != nil {
			failed = err
			break
		}
		if path.Ext(o.Key) != ".json" || o.Size > MaxManifest {
			continue
		}
		g.Go(func() error {
			of, keys, err := storedBy(gctx, s, o)
			if err != nil || of == "" || of == system {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			for _, key := range keys {
				n.of[key] = of
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil { // which has ended the listing, too
		failed = err
	}
	if failed != nil {
		return Neighbours{}, fmt.Errorf("look whose backups it holds: %w", failed)
	}
	return n, nil
}

// storedBy is which system a manifest is of, and the keys of what was stored. One that
// cannot be read as a manifest, or went meanwhile, tells of none.
func storedBy(ctx context.Context, s storage.Store, o storage.Object) (system string, keys []string, err error) {
	in := storage.NewReader(ctx, s, o, storage.ReadOptions{Attempts: 3})
	defer in.Close()
	b, err := io.ReadAll(in)
	switch {
	case errors.Is(err, storage.ErrNotExist), errors.Is(err, storage.ErrChanged), errors.Is(err, storage.ErrCorrupt):
		return "", nil, nil
	case err != nil:
		return "", nil, fmt.Errorf("read %s: %w", o.Key, err)
	}
	var m struct {
		Format  int            `json:"comeback_backup"`
		System  string         `json:"system"`
		Objects []StoredObject `json:"objects"`
	}
	if json.Unmarshal(b, &m) != nil || m.Format != ManifestFormat {
		return "", nil, nil
	}
	for _, stored := range m.Objects {
		keys = append(keys, stored.Key)
	}
	return m.System, keys, nil
}

// Once is a copy that is asked once which neighbours a system has in it, however many
// look: surveys of all components, by all engines.
func Once(s storage.Store) storage.Store {
	if s == nil {
		return nil
	}
	return &once{Store: s, known: map[string]Neighbours{}}
}

// Known are the neighbours of a system as a copy of Once has told them; none where nobody
// has asked yet.
func Known(s storage.Store, system string) Neighbours {
	asked, ok := storage.As[*once](s)
	if !ok {
		return Neighbours{}
	}
	asked.mu.Lock()
	defer asked.mu.Unlock()
	return asked.known[system]
}

type once struct {
	storage.Store
	mu    sync.Mutex
	known map[string]Neighbours // by systems
}

func (o *once) Unwrap() storage.Store { return o.Store }

// neighbours asks, or knows. A failure is not kept.
func (o *once) neighbours(ctx context.Context, system string) (Neighbours, error) {
	if system == "" {
		return Neighbours{}, nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if n, ok := o.known[system]; ok {
		return n, nil
	}
	n, err := NeighboursIn(ctx, o.Store, system)
	if err == nil {
		o.known[system] = n
	}
	return n, err
}
