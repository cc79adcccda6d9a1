package bucket_test

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/recovery/execute"
	"comeback/recovery/journal"
	"comeback/storage"
)

// mortal is a bucket as a process sees it that can die: it does nothing any more then.
type mortal struct {
	dated
	dead *atomic.Bool
}

// lives returns only in a process that has not died.
func (m mortal) lives() {
	if m.dead.Load() {
		select {}
	}
}

func (m mortal) Versions(ctx context.Context, prefix string) iter.Seq2[storage.Version, error] {
	m.lives()
	return m.dated.Versions(ctx, prefix)
}

func (m mortal) Revert(ctx context.Context, v storage.Object) (storage.Reverted, error) {
	m.lives()
	return m.dated.Revert(ctx, v)
}

func (m mortal) Hide(ctx context.Context, key string) error {
	m.lives()
	return m.dated.Hide(ctx, key)
}

// killed carries a plan out until its process dies before or after the n-th entry of
// the journal, which it gives with how many entries there are. What the process was
// about to do it never does.
func (l *liveRun) killed(t *testing.T, p *recovery.Plan, store dated, at string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	j, err := journal.Create(filepath.Join(dir, journal.Name), strings.Repeat("0", 64))
	if err != nil {
		t.Fatal(err)
	}
	died, m := make(chan struct{}), mortal{store, new(atomic.Bool)}
	n := atomic.Int64{} // of the run's start
	meet := func(when string, n int64) {
		if at == fmt.Sprintf("%s:%d", when, n) && m.dead.CompareAndSwap(false, true) {
			close(died)
		}
		m.lives()
	}
	started := recovery.RunStarted{Run: p.Run, System: p.System, Mode: p.Mode, Operator: "ops1", PlanSHA256: "aa"}
	s := append1(t, j, recovery.NewState(p), started)
	s = append1(t, j, s, recovery.Confirmed{Name: p.Confirm, PlanSHA256: "aa", By: "ops1"})
	n.Store(2)
	o := l.executor(t, p, dir, j, s, m)
	o.Intent = func(recovery.Payload) { meet("before", n.Load()+1) }
	o.Event = func(e recovery.Event) {
		if l.dies != nil && l.dies(e) && m.dead.CompareAndSwap(false, true) {
			close(died)
		}
		meet("after", n.Add(1))
	}
	x, err := execute.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := x.Run(context.WithoutCancel(t.Context()))
		ended <- err
	}()
	select {
	case <-died:
	case err := <-ended:
		t.Fatalf("it ended before it could die at %s: %v", at, err)
	}
	return dir
}

// append1 writes an event of a runner.
func append1(t *testing.T, j *journal.Journal, s recovery.State, p recovery.Payload) recovery.State {
	t.Helper()
	e, err := recovery.NewEvent(time.Now(), p)
	if err == nil {
		e, err = j.Append(e)
	}
	if err != nil {
		t.Fatal(err)
	}
	return recovery.Fold(s, e)
}

// takenUp goes on with a run whose process has died, or stops it.
func (l *liveRun) takenUp(t *testing.T, p *recovery.Plan, dir string, stop bool) recovery.State {
	t.Helper()
	j, events, err := journal.Open(filepath.Join(dir, journal.Name), strings.Repeat("0", 64))
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	s := recovery.NewState(p)
	for _, e := range events {
		s = recovery.Fold(s, e)
	}
	if s.Result != "" {
		return s
	}
	s = append1(t, j, s, recovery.RunResumed{By: "ops1", Reason: "its runner had died"})
	if stop {
		s = append1(t, j, s, recovery.StopAsked{By: "ops1", Reason: "test"})
	}
	x, err := execute.New(l.executor(t, p, dir, j, s, l.store))
	if err != nil {
		t.Fatal(err)
	}
	if s, err = x.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// A process that dies at any entry of the journal while a bucket goes back in place is
// followed by another one that ends it, and then the bucket is as it was at the moment;
// or that stops it, and then it is as it was before.
func TestBucket_killed(t *testing.T) {
	server, store := versioned(t)
	name := func(i int) string { return fmt.Sprintf("uploads/%d", i) }
	for i := range 6 {
		store.put(t, name(i), fmt.Sprint("photo ", i))
	}
	moment, then := time.Now().UTC(), objects(t, store, "")
	for i := range 4 {
		store.put(t, name(i), "encrypted")
	}
	store.remove(t, server, name(4))
	store.put(t, "uploads/note", "send one bitcoin")
	harmed := objects(t, store, "")

	l := newLiveRun(store, nil)
	back := func(t *testing.T, p *recovery.Plan, s recovery.State) {
		t.Helper()
		o := l.options(t, l.look(t, p.Components[0], p.Copies))
		o.Run = "8d42"
		b, err := planBack(p, s, o)
		if err != nil {
			t.Fatal(err)
		}
		passed(t, l.run(t, b))
		if now := objects(t, store, ""); !maps.Equal(now, harmed) {
			t.Fatalf("switched back, the bucket holds %v", now)
		}
	}
	p := l.plan(t, moment)
	s := l.takenUp(t, p, l.killed(t, p, store, "before:3"), false)
	passed(t, s)
	back(t, p, s)
	var points []string
	for n := 3; n < int(s.Seq)-1; n++ { // two are the runner's, one is that it was taken up, and the last ends it
		points = append(points, fmt.Sprintf("before:%d", n), fmt.Sprintf("after:%d", n))
	}
	if !enginetest.Soak() {
		sample := rand.New(rand.NewPCG(7, uint64(len(points))))
		sample.Shuffle(len(points), func(i, j int) { points[i], points[j] = points[j], points[i] })
		points = points[:4]
	}
	for i, at := range points {
		for _, stop := range []bool{false, true} {
			if !enginetest.Soak() && stop == (i%2 == 0) {
				continue
			}
			t.Run(fmt.Sprintf("%s, stopped %v", at, stop), func(t *testing.T) {
				s := l.takenUp(t, p, l.killed(t, p, store, at), stop)
				now := objects(t, store, "")
				switch {
				case len(s.Held()) > 0:
					t.Fatalf("it holds %v", s.Held())
				case maps.Equal(now, then) && len(s.Old) == 1 && (stop || s.Result == recovery.ResultPassed):
					back(t, p, s)
				case maps.Equal(now, harmed) && len(s.Old) == 0 && stop:
				default:
					t.Fatalf("ended as %s: %s, old data %v; the bucket holds %v", s.Result, s.Says, s.Old, now)
				}
			})
		}
	}
}
