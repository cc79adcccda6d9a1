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
	"time"

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
	// Unread is how many manifests there may not be read, so that it is not known what they
	// tell; Err is why, of one of them.
	Unread int
	Err    error

	// named are the systems by the keys that their manifests name, of those that are theirs
	// alone: no manifest of this system names them, and they look like what was named.
	named, of map[string]string
	// own are the keys that this system's manifests name, and that look like it.
	own map[string]bool
}

// Of is whose an object is; "" where it is no neighbour's, or not its alone.
func (n Neighbours) Of(key string) string { return n.of[key] }

// Objects are all that is theirs alone, with the system that has stored it.
func (n Neighbours) Objects() iter.Seq2[string, string] { return maps.All(n.of) }

// Own are the keys of what manifests tell to be this system's.
func (n Neighbours) Own() iter.Seq[string] { return maps.Keys(n.own) }

// Named are the keys of all that their manifests name, with the system: also of what this
// system's manifests name, too.
func (n Neighbours) Named() iter.Seq2[string, string] { return maps.All(n.named) }

// Systems are their names, those that say to have stored something.
func (n Neighbours) Systems() []string {
	return slices.Compact(slices.Sorted(maps.Values(n.named)))
}

// NeighboursIn looks which systems beside one keep backups in a copy; formerly are names
// that the one had, too. Each backup has brought its runbook there, so that where those of
// no other system lie nothing else is read. Who may not list them sees the copy as if nobody
// else were there.
func NeighboursIn(ctx context.Context, s storage.Store, system string, formerly ...string) (Neighbours, error) {
	others := false
	for o, err := range s.List(ctx, RunbooksIn) {
		if errors.Is(err, storage.ErrDenied) {
			return Neighbours{}, nil
		}
		if err != nil {
			return Neighbours{}, fmt.Errorf("look whose backups it holds: %w", err)
		}
		of, _, ok := strings.Cut(strings.TrimPrefix(o.Key, RunbooksIn), "/")
		others = others || ok && of != system && !slices.Contains(formerly, of)
	}
	if !others {
		return Neighbours{}, nil
	}
	return ReadNeighbours(ctx, s, system, formerly...)
}

// manifestsAtOnce is how many manifests are read side by side.
const manifestsAtOnce = 16

// ReadNeighbours is NeighboursIn, whatever runbooks lie there. A manifest that may not be
// read hides nothing, and is counted.
func ReadNeighbours(ctx context.Context, s storage.Store, system string, formerly ...string) (Neighbours, error) {
	n := Neighbours{named: map[string]string{}, of: map[string]string{}, own: map[string]bool{}}
	known, remember := remembered(s)
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
			var err error
			t, ok := known.of(o)
			if !ok {
				t, err = toldBy(gctx, s, o)
			}
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, storage.ErrDenied): // an archive has it, or this key may not
				n.Unread, n.Err = n.Unread+1, err
				return nil
			case err != nil:
				return err
			}
			if t.system != "" { // what could not be made out may be read better
				remember[o.Key] = toldOf{o.Revision, t}
			}
			for _, key := range t.keys {
				switch theirs := t.whole && strings.Contains(key, t.stamp); {
				case t.system == system, slices.Contains(formerly, t.system):
					if theirs {
						n.own[key] = true
					}
				case t.system != "":
					n.named[key] = t.system
					if theirs {
						n.of[key] = t.system
					}
				}
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
	known.keep(remember)
	maps.DeleteFunc(n.of, func(key, _ string) bool { return n.own[key] })
	return n, nil
}

// told is what a manifest says: which system it is of, and the keys of what was stored. It
// is whole where it lies under the name that its component and its backup's stamp give, and
// names its backup; the keys of that have the stamp, too. Who may only add objects to a copy
// could hide another's backups with less.
type told struct {
	system, stamp string
	keys          []string
	whole         bool
}

// stampDigits are how many characters of a manifest's name are its time, as in the keys of
// its backup: 20261101T030000.
const stampDigits = len("20060102T150405")

// toldBy reads a manifest. One that cannot be read as such, or went meanwhile, tells nothing.
func toldBy(ctx context.Context, s storage.Store, o storage.Object) (told, error) {
	in := storage.NewReader(ctx, s, o, storage.ReadOptions{Attempts: 3})
	defer in.Close()
	b, err := io.ReadAll(in)
	switch {
	case errors.Is(err, storage.ErrNotExist), errors.Is(err, storage.ErrChanged), errors.Is(err, storage.ErrCorrupt):
		return told{}, nil
	case err != nil:
		return told{}, fmt.Errorf("read %s: %w", o.Key, err)
	}
	var m struct {
		Format    int            `json:"comeback_backup"`
		ID        string         `json:"id"`
		System    string         `json:"system"`
		Component string         `json:"component"`
		Objects   []StoredObject `json:"objects"`
	}
	if json.Unmarshal(b, &m) != nil || m.Format != ManifestFormat {
		return told{}, nil
	}
	t := told{system: m.System}
	for _, stored := range m.Objects {
		t.keys = append(t.keys, stored.Key)
	}
	if name := path.Base(o.Key); len(name) > stampDigits {
		t.stamp = name[:stampDigits]
	}
	_, err = time.Parse("20060102T150405", t.stamp)
	t.whole = err == nil && path.Dir(o.Key) == ManifestsIn+m.Component && strings.Contains(m.ID, t.stamp)
	return t, nil
}

// Once is a copy that is asked once which neighbours a system has in it, however many
// look: surveys of all components, by all engines.
func Once(s storage.Store) storage.Store {
	if s == nil {
		return nil
	}
	return newOnce(s)
}

func newOnce(s storage.Store) *once {
	return &once{Store: s, known: map[string]Neighbours{}, failed: map[string]error{}}
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
	// failed are why it could not be said, of surveys that would ask again one by one.
	failed map[string]error
}

func (o *once) Unwrap() storage.Store { return o.Store }

// neighbours asks, or knows. That it was broken off is not kept.
func (o *once) neighbours(ctx context.Context, system string, formerly []string) (Neighbours, error) {
	if system == "" {
		return Neighbours{}, nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if n, ok := o.known[system]; ok {
		return n, nil
	}
	if err := o.failed[system]; err != nil {
		return Neighbours{}, err
	}
	n, err := NeighboursIn(ctx, o.Store, system, formerly...)
	switch {
	case err == nil:
		o.known[system] = n
	case ctx.Err() == nil:
		o.failed[system] = err
	}
	return n, err
}
