package files

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"comeback/recovery"
	"comeback/storage"
)

// reverted makes current again what was before, from a claim's record and its list.
type reverted struct {
	openCopy OpenCopy
	expand   func(string) (string, error)
}

func (reverted) Resource() recovery.ResourceKind { return exchangedVersions }

func (u reverted) Release(ctx context.Context, res recovery.Resource) error {
	var b liveBucket
	if err := json.Unmarshal([]byte(res.Details["bucket"]), &b); err != nil {
		return recovery.Errorf("make the versions current by hand, by "+res.ID, "give back what was current: the claim does not say in which bucket: %w", err)
	}
	store, err := u.openCopy(ctx, b.Copy, u.expand)
	if err != nil {
		return err
	}
	g := &givingBack{}
	if g.reverter, err = newReverter(store, b.Prefix); err != nil {
		return err
	}
	if g.made, err = readCopies(res.Details[copiesDetail]); err != nil {
		return err
	}
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
	made  *copies // by the changes
	own   copies  // by giving them back
	round int
	mu    sync.Mutex
	// spared are the keys that somebody else has changed since.
	spared []string
}

// give goes once through what was, or may have been, changed.
func (g *givingBack) give(ctx context.Context, list string) (int64, error) {
	g.spared = nil
	want, stop := listed(back(changes(list)))
	defer stop()
	var n atomic.Int64
	err := g.apply(ctx, g.differing(ctx, want, g.stays), func(c change, copy storage.Reverted) error {
		n.Add(1)
		return g.own.note(c, copy)
	})
	return n.Load(), err
}

// stays reports whether what is current is what was before, or is not what the change has
// made: then the attempt had not come to it, or somebody has written it since, and it is
// theirs. c is the change the other way round.
func (g *givingBack) stays(ctx context.Context, now *storage.Object, c change) (bool, error) {
	if now != nil && c.To != nil {
		if g.own.has(*now, *c.To) {
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
	g.spared = append(g.spared, c.Key)
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

// told names what was spared.
func (g *givingBack) told(res recovery.Resource) error {
	if len(g.spared) == 0 {
		return nil
	}
	slices.Sort(g.spared)
	var names []string
	for _, key := range g.spared[:min(len(g.spared), maxLeftOut)] {
		names = append(names, show(key))
	}
	more := ""
	if n := len(g.spared) - len(names); n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	return &recovery.Spared{Says: fmt.Sprintf("%s: left as somebody else has written it meanwhile, of %s that the run was to change: %s%s; what was there before is a version, by %s",
		res.Details["component"], recovery.FormatCount(int64(len(g.spared)), "object"), strings.Join(names, ", "), more, res.ID)}
}
