package filing

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"sync"
	"time"

	"comeback/recovery/backup"
	"comeback/recovery/runner"
	"comeback/storage"
)

// headStart is how long a copy may take over a run that another one holds, too, before that
// is asked for it as well.
const headStart = 3 * time.Second

// gathering is one look for filed runs in all copies at once. Each copy is asked for one run
// at a time, the newest first, and for none that another is being asked for: one that does not
// answer keeps no other from being read.
type gathering struct {
	home   runner.Home
	system string

	mu     sync.Mutex // guards what follows; nothing is fetched while it is held
	looked int        // copies that could be listed
	// seen are the runs that copies hold, have those that are here, left those that some copy
	// was not asked for, because it had given so much; by their IDs and sums.
	seen, have, left map[string]bool
	// coming are those that a copy is being asked for; what is there is closed when that has
	// ended.
	coming map[string]chan struct{}
	came   Fetched
}

func newGathering(home runner.Home, system string) *gathering {
	return &gathering{home: home, system: system, seen: map[string]bool{}, have: map[string]bool{}, left: map[string]bool{}, coming: map[string]chan struct{}{}}
}

// key tells a run from all others.
func key(r backup.FiledRun) string { return r.Run + "-" + r.Sums }

// copy gathers what one copy holds: first what no other is being asked for, and then, once
// those have had a head start, what has not come from them.
func (g *gathering) copy(ctx context.Context, name string, s storage.Store) error {
	runs, err := backup.Filed(ctx, s, g.system)
	if err != nil {
		return err
	}
	g.see(runs)
	a := &asked{gathering: g, name: name, store: s, runs: mostFiled, bytes: mostFiledBytes}
	var failed error
	var others []backup.FiledRun
	for _, r := range slices.Backward(runs) {
		if mine, coming := g.begin(r); mine != nil {
			failed = errors.Join(failed, a.fetch(ctx, r, mine))
		} else if coming != nil {
			others = append(others, r)
		}
	}
	early, cancel := context.WithTimeout(ctx, headStart)
	defer cancel()
	for _, r := range others {
		if mine := g.await(early, r); mine != nil {
			failed = errors.Join(failed, a.fetch(ctx, r, mine))
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.came.Failed = errors.Join(g.came.Failed, failed)
	return failed
}

// see remembers what a copy holds.
func (g *gathering) see(runs []backup.FiledRun) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.looked++
	for _, r := range runs {
		g.seen[key(r)] = true
	}
}

// begin lets whoever asks fetch a run, and end that with what it gets. Where another does,
// coming is closed when that has ended. Both are nil where the run is here.
func (g *gathering) begin(r backup.FiledRun) (mine, coming chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.have[key(r)] {
		return nil, nil
	}
	if coming = g.coming[key(r)]; coming != nil {
		return nil, coming
	}
	mine = make(chan struct{})
	g.coming[key(r)] = mine
	return mine, nil
}

// await waits for a run that another copy is being asked for. It begins to fetch it where that
// one could not give it, or early has ended; nil says that it is here.
func (g *gathering) await(early context.Context, r backup.FiledRun) (mine chan struct{}) {
	for {
		mine, coming := g.begin(r)
		if coming == nil {
			return mine
		}
		select {
		case <-coming:
		case <-early.Done():
			return g.besides(r)
		}
	}
}

// besides begins to fetch a run that another copy does not give.
func (g *gathering) besides(r backup.FiledRun) chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.have[key(r)] {
		return nil
	}
	mine := make(chan struct{})
	g.coming[key(r)] = mine
	return mine
}

// end says that a copy is not being asked for a run any more, and whether it is here. First is
// whether nobody has said that before.
func (g *gathering) end(r backup.FiledRun, mine chan struct{}, here bool) (first bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.coming[key(r)] == mine {
		delete(g.coming, key(r))
	}
	close(mine)
	first = here && !g.have[key(r)]
	g.have[key(r)] = g.have[key(r)] || here
	return first
}

// asked is a copy that is asked for runs, of which so many more are fetched in this look, of so
// many bytes together.
type asked struct {
	*gathering
	name  string
	store storage.Store
	runs  int
	bytes int64
}

// fetch fetches a run, and ends that, and the reviews of a run that was not here before.
func (a *asked) fetch(ctx context.Context, r backup.FiledRun, mine chan struct{}) error {
	at, err := a.bring(ctx, r)
	first := a.end(r, mine, err == nil && at != nil)
	switch {
	case errors.Is(err, errAltered):
		a.mu.Lock()
		defer a.mu.Unlock()
		a.came.Altered = append(a.came.Altered, r.Run+" in "+a.name)
		return nil
	case err != nil || !first:
		return err
	}
	return fetchReviews(ctx, a.store, r, at.Dir)
}

// bring gives a run that is here, or is now; nil where it is left for the next look.
func (a *asked) bring(ctx context.Context, r backup.FiledRun) (*runner.Past, error) {
	for again := false; ; again = true {
		at, id, err := whose(a.home, a.system, r)
		if at != nil || err != nil {
			return at, err
		}
		if !again && !a.takes(r) {
			return nil, nil
		}
		at, err = fetchRun(ctx, a.store, a.home.Filed(), r, id)
		if again || !errors.Is(err, fs.ErrExist) {
			return at, err
		}
		// Meanwhile another one has come under that ID: it is this run, or this one gets a
		// longer ID.
	}
}

// takes reports whether a run is fetched in this look, and has it left for the next otherwise.
func (a *asked) takes(r backup.FiledRun) bool {
	if a.runs, a.bytes = a.runs-1, a.bytes-r.Size(); a.runs >= 0 && a.bytes >= 0 {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.left[key(r)] = true
	return false
}
