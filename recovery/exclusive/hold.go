package exclusive

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"comeback/recovery"
	"comeback/storage"
)

// Holder is who is at work.
type Holder struct {
	Run string `json:"run"`
	// Work is what is at work where it is no run: "comeback backup".
	Work     string `json:"work,omitempty"`
	Operator string `json:"operator"`
	Host     string `json:"host"`
	PID      int    `json:"pid"`
}

// DefaultLease is how long a holder on another host may be silent before its
// target can be taken: a minute, and a margin of half a minute and two seconds.
const DefaultLease = time.Minute

// Options are what Take needs.
type Options struct {
	// Dir is this host's directory of lock files, made where it is missing.
	// All runs of the host that must not meet share it.
	Dir    string
	Holder Holder
	// Stores are the copies in which other hosts look. Each is asked; one
	// that cannot hold a lease is a remark.
	Stores []storage.Store
	// Lease is DefaultLease where it is zero, and ten minutes at most. A
	// heartbeat renews it three times in its length.
	Lease time.Duration
	Now   func() time.Time
	// Answer is how long a copy may take to answer at all before it counts as one that
	// holds no lease; AnswerWithin where it is zero.
	Answer time.Duration
	// Waits says how long a target that a process of this host holds is waited for,
	// from when it was first found held. It is asked once about each holder that is met
	// there, with since when it holds; where it is nil, or says zero, that is a refusal.
	Waits func(target string, by Holder, since time.Time) time.Duration
}

// Hold is the sole right to work on targets, while its process lives.
type Hold struct {
	options Options
	files   []*fileLock
	leases  []*lease
	remarks []string
	place   string

	stop  context.CancelFunc
	beats sync.WaitGroup
}

// Targets are the identities of a plan's live targets, and of what they are parts
// of: a database and the whole of its server are not worked on by two runs at once.
// A place that is a path is one of this host. Runs that follow the same run deal with the
// same old data, wherever those lie: one of them does not remove what another one is about
// to make live again.
func Targets(p *recovery.Plan, host string) []string {
	var targets []string
	for _, t := range p.Targets {
		place := t.Place
		if filepath.IsAbs(place) {
			place = host + ":" + filepath.Clean(place)
		}
		if t.Scratch {
			continue
		}
		for _, held := range []string{place, t.Within} {
			if held != "" && !slices.Contains(targets, held) {
				targets = append(targets, held)
			}
		}
	}
	if p.Parent != "" && len(targets) > 0 {
		targets = append(targets, "what run "+p.Parent+" has put aside")
	}
	slices.Sort(targets)
	return targets
}

// Take takes all the targets, or none: where one of them is held, it is a
// refusal that names who holds it since when. Without targets there is nothing
// to hold, and everything succeeds. It may wait for as long as a lease lasts
// where a store does not tell its time, and as long as Waits says; what it has
// taken by then it holds meanwhile. A crash leaves lock files that nobody
// holds, and leases that end by themselves.
func Take(ctx context.Context, targets []string, o Options) (*Hold, error) {
	if o.Lease <= 0 {
		o.Lease = DefaultLease
	}
	o.Lease = min(o.Lease, maxLease)
	o.Answer = cmp.Or(o.Answer, AnswerWithin)
	o.Stores = distinct(o.Stores)
	beating, stop := context.WithCancel(context.WithoutCancel(ctx))
	h := &Hold{options: o, stop: stop}
	if len(targets) == 0 {
		return h, nil
	}
	if err := h.take(ctx, slices.Compact(slices.Sorted(slices.Values(targets)))); err != nil {
		// What cannot be given back now ends by itself.
		_ = h.Release(context.WithoutCancel(ctx))
		return nil, err
	}
	for _, l := range h.leases {
		h.beats.Go(func() { h.beat(beating, l) })
	}
	return h, nil
}

// Place names the directory in which the targets are locked, unlike any other of any
// host: whoever holds the same target by the same place later knows that this holder is
// dead. It is empty where there was nothing to hold.
func (h *Hold) Place() string { return h.place }

// distinct orders stores by their place, the same on all hosts, so that of two
// who take several one comes first everywhere.
func distinct(stores []storage.Store) []storage.Store {
	stores = slices.Clone(stores)
	slices.SortStableFunc(stores, func(a, b storage.Store) int { return cmp.Compare(a.URL(), b.URL()) })
	return slices.CompactFunc(stores, func(a, b storage.Store) bool { return a.URL() == b.URL() })
}

// take locks this host first: only who holds its lock may take a lease that a
// process of this host has left.
func (h *Hold) take(ctx context.Context, targets []string) error {
	place, err := placeOf(h.options.Dir, h.options.Holder.Host)
	if err != nil {
		return err
	}
	h.place = place
	mine := record{Format: 1, Holder: h.options.Holder, Since: h.options.Now().UTC(), Token: rand.Text(), Place: place,
		Lease: recovery.Duration(h.options.Lease)}
	for _, target := range targets {
		mine.Target = target
		f, err := h.lock(ctx, mine)
		if err != nil {
			return err
		}
		h.files = append(h.files, f)
	}
	stores, err := h.answering(ctx, targets)
	if err != nil {
		return err
	}
	for _, target := range targets {
		mine.Target = target
		for i, store := range stores {
			if store == nil {
				continue
			}
			holds, err := h.takeLease(ctx, store, mine)
			if err != nil {
				return err
			}
			if !holds { // for the next target it would take as long once more
				stores[i] = nil
			}
		}
		if !slices.ContainsFunc(h.leases, func(l *lease) bool { return l.target == target }) {
			h.remarks = append(h.remarks, fmt.Sprintf("no copy keeps a run on another host from %s: only runs on this host are kept from it", target))
		}
	}
	return nil
}

// answering are the copies that answer, all asked side by side; one that does not is a
// remark, and nil in its place.
func (h *Hold) answering(ctx context.Context, targets []string) ([]storage.Store, error) {
	stores := slices.Clone(h.options.Stores)
	errs := storage.InEach(ctx, stores, h.options.Answer, func(ctx context.Context, store storage.Store) error {
		_, err := store.Stat(ctx, lockKey(targets[0]))
		return err
	})
	if ctx.Err() != nil {
		return nil, fmt.Errorf("take %s: %w", targets[0], context.Cause(ctx))
	}
	for i, err := range errs {
		if silent, ok := errors.AsType[*storage.Silent](err); ok {
			h.remarks = append(h.remarks, fmt.Sprintf("%s holds no lease: it gave no answer within %s", stores[i].URL(), silent.Within))
			stores[i] = nil
		}
	}
	return stores, nil
}

// takeLease takes a target's lease in one copy; a copy that cannot hold one is
// a remark.
func (h *Hold) takeLease(ctx context.Context, store storage.Store, mine record) (holds bool, err error) {
	l, err := takeLease(ctx, store, mine, h.options.Now)
	var refusal *recovery.Error
	switch {
	case err == nil:
		h.leases = append(h.leases, l)
		return true, nil
	case errors.As(err, &refusal):
		return false, err
	case ctx.Err() != nil:
		return false, fmt.Errorf("take %s: %w", mine.Target, context.Cause(ctx))
	}
	h.remarks = append(h.remarks, fmt.Sprintf("%s holds no lease on %s: %v", store.URL(), mine.Target, err))
	return false, nil
}

// Remarks say what the hold does not keep out: a reader of the report should
// know.
func (h *Hold) Remarks() []string { return slices.Clone(h.remarks) }

// beat renews one lease until the hold ends. What fails is tried again with the
// next beat; Check judges what that means.
func (h *Hold) beat(ctx context.Context, l *lease) {
	every := h.options.Lease / 3
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		attempt, cancel := context.WithTimeout(ctx, max(every, time.Second))
		err := l.renew(attempt)
		cancel()
		var taken *lostError
		if errors.As(err, &taken) {
			return
		}
	}
}

// AnswerWithin is how long a copy is waited for that gives no answer, unless Options say so.
const AnswerWithin = 15 * time.Second

// late is how much longer the other copies are waited for when every target is proven by
// one of them: only to hear that somebody has taken it over.
const late = time.Second

// answer is what came of a question about a lease.
type answer struct {
	of  *lease
	err error
}

// ask asks about all leases side by side, and gives the answers as they come.
func (h *Hold) ask(ctx context.Context, question func(*lease, context.Context) error) <-chan answer {
	answers := make(chan answer, len(h.leases))
	for _, l := range h.leases {
		go func() { answers <- answer{l, question(l, ctx)} }()
	}
	return answers
}

// Check proves that every target is still this run's: the lock files are in
// place, and each target's lease was renewed just now or, where its copy does
// not answer, has not ended. It must be called immediately before each act that
// changes live; an error is a refusal of that act, with the next step as its
// hint.
func (h *Hold) Check(ctx context.Context) error {
	for _, f := range h.files {
		if err := f.check(); err != nil {
			return err
		}
	}
	asked, cancel := context.WithTimeout(ctx, h.options.Answer)
	defer cancel()
	answers := h.ask(asked, (*lease).renew)
	waiting := map[*lease]string{} // with why nothing is known of it
	proven := map[string]bool{}
	for _, l := range h.leases {
		waiting[l], proven[l.target] = "it gave no answer", false
	}
	all := func() bool {
		return !slices.ContainsFunc(h.leases, func(l *lease) bool { return !proven[l.target] })
	}
	var enough <-chan time.Time
	for left := len(h.leases); left > 0; left-- {
		if enough == nil && all() {
			enough = time.After(late)
		}
		var a answer
		select {
		case a = <-answers:
		case <-enough:
			return nil
		case <-asked.Done(): // also of those that do not hear that it is over
			a.err, left = asked.Err(), 1
		}
		var taken *lostError
		switch {
		case errors.As(a.err, &taken):
			return taken.refusal
		case ctx.Err() != nil:
			return fmt.Errorf("check the hold on %s: %w", h.leases[0].target, context.Cause(ctx))
		case a.of == nil:
		case a.err == nil:
			proven[a.of.target] = true
			delete(waiting, a.of)
		default:
			waiting[a.of] = a.err.Error()
		}
	}
	silent := map[string][]string{}
	for l, why := range waiting {
		if l.lasts() {
			proven[l.target] = true
		}
		silent[l.target] = append(silent[l.target], l.store.URL()+": "+why)
	}
	for _, l := range h.leases {
		if !proven[l.target] {
			return recovery.Errorf("let the copy answer again, make sure that no run on another host has taken the target meanwhile, then retry",
				"refused: nothing proves that %s is still held by this run: %s", l.target, strings.Join(slices.Sorted(slices.Values(silent[l.target])), "; ")).WithExit(recovery.Refused)
		}
	}
	return nil
}

// Release gives everything back: the leases, then the lock files. What somebody
// else has taken is left to them. A copy that keeps versions keeps those of the
// lease, and a record that says that nobody holds it. Release is safe to repeat.
// A copy that gives no answer is not waited for without end: its leases end by themselves.
func (h *Hold) Release(ctx context.Context) error {
	h.stop()
	still := make(chan struct{})
	go func() { h.beats.Wait(); close(still) }()
	select {
	case <-still:
	case <-time.After(late): // one hangs in a copy that gives no answer, and keeps only its own lease
	}
	var failed []error
	for i, err := range storage.InEach(ctx, h.leases, h.options.Answer, func(ctx context.Context, l *lease) error { return l.release(ctx) }) {
		if l := h.leases[i]; err != nil {
			failed = append(failed, fmt.Errorf("release %s in %s: %w", l.target, l.store.URL(), err))
		}
	}
	for _, f := range h.files {
		failed = append(failed, f.release())
	}
	return errors.Join(failed...)
}
