package neighbours

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"comeback/recovery"
	"comeback/storage"
)

// Found are the systems beside one that keep their backups in the same copy, as the
// manifests there tell.
type Found struct {
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
func (n Found) Of(key string) string { return n.of[key] }

// Objects are all that is theirs alone, with the system that has stored it.
func (n Found) Objects() iter.Seq2[string, string] { return maps.All(n.of) }

// Own are the keys of what manifests tell to be this system's.
func (n Found) Own() iter.Seq[string] { return maps.Keys(n.own) }

// Named are the keys of all that their manifests name, with the system: also of what this
// system's manifests name, too.
func (n Found) Named() iter.Seq2[string, string] { return maps.All(n.named) }

// Systems are their names, those that say to have stored something.
func (n Found) Systems() []string {
	return slices.Compact(slices.Sorted(maps.Values(n.named)))
}

// In looks which systems beside one keep backups in a copy; formerly are names
// that the one had, too. Each backup has brought its runbook there, so that where those of
// no other system lie nothing else is read. Who may not list them sees the copy as if nobody
// else were there.
func In(ctx context.Context, s storage.Store, system string, formerly ...string) (Found, error) {
	others := false
	for o, err := range s.List(ctx, recovery.RunbooksIn) {
		if errors.Is(err, storage.ErrDenied) {
			return Found{}, nil
		}
		if err != nil {
			return Found{}, fmt.Errorf("look whose backups it holds: %w", err)
		}
		of, _, ok := strings.Cut(strings.TrimPrefix(o.Key, recovery.RunbooksIn), "/")
		others = others || ok && of != system && !slices.Contains(formerly, of)
	}
	if !others {
		return Found{}, nil
	}
	return Read(ctx, s, system, formerly...)
}

// manifestsAtOnce is how many manifests are read side by side.
const manifestsAtOnce = 16

// Read is In, whatever runbooks lie there. A manifest that may not be
// read hides nothing, and is counted.
func Read(ctx context.Context, s storage.Store, system string, formerly ...string) (Found, error) {
	n := Found{named: map[string]string{}, of: map[string]string{}, own: map[string]bool{}}
	known, remember := remembered(s)
	var mu sync.Mutex // guards it
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(manifestsAtOnce)
	var failed error
	for o, err := range s.List(gctx, recovery.ManifestsIn) {
		if err != nil {
			failed = err
			break
		}
		if path.Ext(o.Key) != ".json" || o.Size > recovery.MaxManifest {
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
			case errors.Is(err, storage.ErrArchived), errors.Is(err, storage.ErrDenied):
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
		return Found{}, fmt.Errorf("look whose backups it holds: %w", failed)
	}
	known.keep(remember)
	maps.DeleteFunc(n.of, func(key, _ string) bool { return n.own[key] })
	return n, nil
}
