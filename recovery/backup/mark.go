package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"comeback/storage"
)

// When the mark of a backup counts as a dead one's to others: so long after it was last
// renewed, or after it began where nobody has renewed it, because it is young, its
// copy lets nothing be replaced, or an older version has written it.
const (
	markLasts = 3 * time.Hour
	abandoned = 72 * time.Hour
)

// markTrusted is how much less than others a backup trusts its own mark, since two hosts'
// clocks decide; renewMark how often it renews it.
const (
	markTrusted = time.Hour
	renewMark   = 20 * time.Minute
)

// errTaken says that somebody took a backup for dead while it was at work.
var errTaken = errors.New("its mark is gone, or another's: somebody has taken it for a backup that was cut off, and may have cleared parts of it away; see who else takes backups into this copy, then take it again")

// holder is who asks whether a backup is dead: it holds the component of the system in
// place.
type holder struct{ host, place, system string }

// lasts is how long the mark counts, and from when on.
func (u unfinished) lasts() (from time.Time, d time.Duration) {
	if u.Renewed.IsZero() {
		return u.Begun, abandoned
	}
	return u.Renewed, markLasts
}

// dead reports whether nobody is at work on a backup any more: whoever asks holds what
// its process would hold, or its mark has ended.
func (u unfinished) dead(by holder, now time.Time) bool {
	if u.Token == "" && u.Host == by.host && by.host != "" {
		return true // older versions knew no more
	}
	if u.Place != "" && u.Place == by.place && u.Record != nil && u.Record.System == by.system {
		return true
	}
	from, d := u.lasts()
	return !from.IsZero() && now.Sub(from) >= d
}

func readMark(ctx context.Context, s storage.Store, o storage.Object) (unfinished, error) {
	var u unfinished
	in := storage.NewReader(ctx, s, o, storage.ReadOptions{Attempts: 3})
	err := json.NewDecoder(io.LimitReader(in, maxManifest)).Decode(&u)
	in.Close()
	if err == nil && u.Prefix == "" {
		err = fmt.Errorf("read %s: it does not say what is stored", o.Key)
	}
	return u, err
}

// ours returns nil where a copy has the mark and nobody can have taken its backup for
// dead; errTaken where somebody has, or can have. With a time it renews the mark, if that
// is due and the copy lets it.
func (u *unfinished) ours(ctx context.Context, s storage.Store, now time.Time) error {
	o, err := s.Stat(ctx, u.key)
	if errors.Is(err, storage.ErrNotExist) {
		return errTaken
	}
	if err != nil {
		return err
	}
	seen, err := readMark(ctx, s, o)
	switch {
	case err != nil && (stored(err) || errors.Is(err, storage.ErrChanged)):
		return err
	case err != nil || seen.Token != u.Token:
		return errTaken
	case now.IsZero():
		return nil
	}
	from, d := seen.lasts()
	if now.Sub(from) >= d-markTrusted {
		return errTaken
	}
	swapper, ok := storage.As[storage.Swapper](s)
	if !ok || now.Sub(from) < renewMark {
		return nil
	}
	seen.Renewed = now.UTC()
	b, err := json.Marshal(seen)
	if err != nil {
		return err
	}
	if _, err = swapper.Swap(ctx, o, append(b, '\n')); errors.Is(err, storage.ErrNotExist) {
		return errTaken
	}
	return nil // one that cannot be renewed lasts as long as it lasts
}

// guard keeps a backup from being taken for dead, and where it was, from being listed.
type guard struct {
	mark *unfinished
	fan  *storage.Fan
	now  func() time.Time

	mu sync.Mutex // of those who look
	// known is when each copy was last known to have the mark.
	known map[string]time.Time
}

// look asks the copies for the mark, and leaves out those in which it was taken. One that
// does not answer is trusted for as long as nobody can have taken the backup for dead. They
// are asked side by side, and one that gives no answer holds up none of the others.
func (g *guard) look(ctx context.Context) {
	arms := g.fan.Left()
	errs := storage.InEach(ctx, arms, markAnswer, func(ctx context.Context, a storage.Arm) error { return g.mark.ours(ctx, a.Store, g.now()) })
	for i, err := range errs {
		if err != nil && ctx.Err() != nil {
			return
		}
		g.judge(arms[i], err)
	}
}

// markAnswer is how long a copy may take to tell of a mark.
const markAnswer = time.Minute

// judge goes by what a copy has told of its mark.
func (g *guard) judge(a storage.Arm, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch since := g.known[a.Name]; {
	case err == nil, since.IsZero():
		g.known[a.Name] = g.now()
	case !errors.Is(err, errTaken) && g.now().Sub(since) >= markLasts-markTrusted-renewMark:
		err = fmt.Errorf("the mark of the backup could not be renewed for so long that others may take it for dead: %w", err)
		g.fan.Drop(a.Name, err)
	}
	if errors.Is(err, errTaken) {
		g.fan.Drop(a.Name, err)
	}
}

// keep looks again and again until ctx ends.
func (g *guard) keep(ctx context.Context) {
	tick := time.NewTicker(renewMark)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			g.look(ctx)
		}
	}
}

// last stores what makes the backup whole, in the copies that have its mark. Where
// somebody has taken that meanwhile, it goes again, so that it is not listed.
func (g *guard) last(ctx context.Context, put func() (storage.Object, error)) (storage.Object, error) {
	g.look(ctx)
	arms := g.fan.Left()
	o, err := put()
	if err != nil {
		return o, err
	}
	g.look(ctx)
	failed := g.fan.Failed()
	var all []error
	for _, a := range arms {
		if !errors.Is(failed[a.Name], errTaken) {
			continue
		}
		all = append(all, fmt.Errorf("%s: %w", a.Name, failed[a.Name]))
		if err := remove(context.WithoutCancel(ctx), a.Store, g.mark.Last); err != nil {
			all = append(all, fmt.Errorf("it is listed in %s, and cannot be restored; remove it there: %w", a.Name, err))
		}
	}
	if len(g.fan.Left()) == 0 {
		return o, errors.Join(all...)
	}
	return o, nil
}
