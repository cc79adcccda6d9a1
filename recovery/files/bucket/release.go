package bucket

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"comeback/recovery"
	"comeback/recovery/files/tree"
	"comeback/storage"
)

// reverted makes current again what was before, from a claim's record and its list.
type reverted struct {
	openCopy OpenCopy
	expand   func(string) (string, error)
}

func (reverted) Resource() recovery.ResourceKind { return exchangedVersions }

func (u reverted) Release(ctx context.Context, res recovery.Resource) (err error) {
	var b liveBucket
	if err := json.Unmarshal([]byte(res.Details["bucket"]), &b); err != nil {
		return recovery.Errorf("make the versions current by hand, by "+res.ID, "give back what was current: the claim does not say in which bucket: %w", err)
	}
	store, err := u.openCopy(ctx, b.Copy, u.expand)
	if err != nil {
		return err
	}
	g := &givingBack{store: store}
	if g.reverter, err = newReverter(store, b.Prefix); err != nil {
		return err
	}
	dir, component := filepath.Dir(res.ID), res.Details["component"]
	if g.made, err = ofRun(dir, component); err != nil {
		return err
	}
	next := &nextCopies{dir: dir, component: component}
	g.made.out = next
	defer func() {
		failed := next.Close()
		if spared := (*recovery.Spared)(nil); failed != nil && errors.As(err, &spared) {
			err = nil // not all of it is known to be given back
		}
		err = errors.Join(err, failed)
	}()
	// The service may still have had something to do that the attempt had asked for, so it is
	// looked at until nothing is left to give back.
	for g.round = range 3 {
		n, err := g.give(ctx, res.ID)
		if err != nil {
			return fmt.Errorf("make current again what was before in %s: %w", store.URL(), err)
		}
		if n == 0 {
			return g.told(res)
		}
	}
	return recovery.Errorf("stop what writes to the bucket, then stop the run again", "what was current before in %s does not stay current", store.URL())
}

// givingBack makes current again what was before a list of changes.
type givingBack struct {
	reverter
	store storage.Store
	made  *copies // by the run's attempts, and by giving back what they have changed
	round int
	mu    sync.Mutex
	// theirs are the keys that somebody else has changed since; whose the others are that
	// stay as they are is not known.
	theirs, unknown []string
}

// give goes once through what was, or may have been, changed.
func (g *givingBack) give(ctx context.Context, list string) (int64, error) {
	g.theirs, g.unknown = nil, nil
	want, stop := listed(back(changes(list)))
	defer stop()
	var n atomic.Int64
	err := g.apply(ctx, g.differing(ctx, want, g.stays), func(ctx context.Context, c change) error {
		if stays, err := g.since(ctx, c); stays || err != nil {
			return err
		}
		n.Add(1)
		copy, err := g.make(ctx, c)
		if err != nil {
			return err
		}
		return g.made.note(c, copy)
	})
	return n.Load(), err
}

// since judges a key again where it is not any more what was listed: between the list and
// its turn there may be hours.
func (g *givingBack) since(ctx context.Context, c change) (stays bool, err error) {
	now, err := g.current(ctx, c.Key)
	switch {
	case err != nil:
		return false, err
	case sameVersion(now, c.Was) || now != nil && c.Was != nil && now.Version == "" && now.Revision == c.Was.Revision:
		return false, nil
	case sameVersion(now, c.To):
		return true, nil
	}
	// What was listed is what the change had made.
	return g.stays(ctx, now, c)
}

// current is what is current of a key now, nil where it is deleted.
func (g *givingBack) current(ctx context.Context, key string) (*storage.Object, error) {
	if storage.CheckKey(key) == nil {
		o, err := g.store.Stat(ctx, key)
		if errors.Is(err, storage.ErrNotExist) {
			return nil, nil
		}
		return &o, err
	}
	for h, err := range byKey(g.versions.Versions(ctx, key)) { // names that not every store asks for
		if err != nil || h[0].Key == key {
			return h.now(), err
		}
	}
	return nil, nil
}

// stays reports whether what is current is what was before, or is not what the change has
// made: then the attempt had not come to it, or somebody has written it since, and it is
// theirs. c is the change the other way round.
func (g *givingBack) stays(ctx context.Context, now *storage.Object, c change) (bool, error) {
	if now != nil && c.To != nil {
		if g.made.has(*now, *c.To) {
			return true, nil
		}
		was := g.right
		if g.round > 0 { // what was changed in what is said of it alone is given back by now
			was = g.alike
		}
		if back, err := was(ctx, now, c); back || err != nil {
			return back, err
		}
	}
	ours, err := g.ours(ctx, now, c.Was)
	if ours || err != nil {
		return false, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if provenTheirs(now, c) {
		g.theirs = append(g.theirs, c.Key)
	} else {
		g.unknown = append(g.unknown, c.Key)
	}
	return true, nil
}

// ours reports whether what is current is what a change has made: a copy, or a mark.
func (g *givingBack) ours(ctx context.Context, now, to *storage.Object) (bool, error) {
	if now == nil || to == nil {
		return now == to, nil
	}
	if g.made.has(*now, *to) {
		return true, nil
	}
	return g.Alike(ctx, *now, *to)
}

// provenTheirs reports whether what is current cannot have been made by the run. A copy that
// does not look like one, and that a process which was killed has not come to keep, is as
// large as what it is a copy of.
func provenTheirs(now *storage.Object, c change) bool {
	large := func(o *storage.Object) bool { return o != nil && o.Size == now.Size }
	return now == nil || !large(c.Was) && !large(c.To)
}

// told names what was left as it is.
func (g *givingBack) told(res recovery.Resource) error {
	var says []string
	for _, left := range []struct {
		keys []string
		why  string
	}{{g.theirs, "as somebody else has written it meanwhile"}, {g.unknown, "as it is not known whose it is"}} {
		if len(left.keys) > 0 {
			says = append(says, fmt.Sprintf("left %s, of %s that the run was to change: %s", left.why, recovery.FormatCount(int64(len(left.keys)), "object"), firstKeys(left.keys)))
		}
	}
	if len(says) == 0 {
		return nil
	}
	return &recovery.Spared{Says: fmt.Sprintf("%s: %s; what was there before is a version, by %s", res.Details["component"], strings.Join(says, "; "), res.ID)}
}

// firstKeys names the first of some keys.
func firstKeys(keys []string) string {
	slices.Sort(keys)
	var names []string
	for _, key := range keys[:min(len(keys), maxNamed)] {
		names = append(names, tree.Show(key))
	}
	more := ""
	if n := len(keys) - len(names); n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	return strings.Join(names, ", ") + more
}
