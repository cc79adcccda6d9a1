package bucket_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"comeback/recovery"
	"comeback/storage"
)

// spared is what a run says that others have written meanwhile.
func spared(s recovery.State) (says string) {
	for _, c := range s.Claims {
		says += c.Spared
	}
	return says
}

// What people write after a run's process has died is theirs: stopping the run gives back
// what the run has changed, and names what it leaves.
func TestBucket_killedAndWritten(t *testing.T) {
	server, store := versioned(t)
	for i := range 5 {
		store.put(t, fmt.Sprintf("uploads/%d", i), "as it was")
	}
	moment := time.Now().UTC()
	for i := range 4 {
		store.put(t, fmt.Sprintf("uploads/%d", i), "overwritten")
	}
	store.remove(t, server, "uploads/4")
	store.put(t, "uploads/new", "new")
	l := newLiveRun(store, nil)
	l.dies = func(e recovery.Event) bool {
		p, _ := e.Payload()
		made, ok := p.(recovery.ClaimMade)
		return ok && made.Resource.Kind.Exchanges()
	}
	p := l.plan(t, moment)
	dir := l.killed(t, p, store, "")
	store.put(t, "uploads/1", "written an hour later")
	store.put(t, "uploads/4", "it is back")
	store.put(t, "uploads/new", "newer")
	store.remove(t, server, "uploads/3")
	want := objects(t, store, "")
	before := versions(t, store)
	s := l.takenUp(t, p, dir, true)
	if diff := cmp.Diff(want, objects(t, store, "")); diff != "" || versions(t, store) != before {
		t.Errorf("what was written meanwhile is not current any more: %s", diff)
	}
	for _, key := range []string{"1", "3", "4", "new"} {
		if !strings.Contains(s.Says, `"uploads/`+key+`"`) {
			t.Errorf("%s is not named: %s", key, s.Says)
		}
	}
	if len(s.Held()) > 0 || strings.Contains(s.Says, "uploads/0") || !strings.Contains(spared(s), "4 objects") || !strings.Contains(s.LiveSays(time.UTC), "but for what others have written meanwhile") {
		t.Errorf("ended as %s: %s; holds %v", s.Result, s.Says, s.Held())
	}
}

// Where somebody writes over what a run has made current, or deletes it, that stays when the
// run is stopped; all else is as it was before.
func TestBucket_stoppedAndWritten(t *testing.T) {
	server, d := versioned(t)
	store := &failing{dated: d}
	for i := range 6 {
		store.put(t, fmt.Sprintf("uploads/%d", i), "as it was")
	}
	moment := time.Now().UTC()
	for i := range 6 {
		store.put(t, fmt.Sprintf("uploads/%d", i), "overwritten")
	}
	want := objects(t, store, "")
	l := newLiveRun(store, func() recovery.Choice {
		store.left.Store(1000)
		made := 0
		for key, text := range objects(t, store, "") {
			if text != "as it was" {
				continue
			}
			switch made++; made {
			case 1:
				store.put(t, key, "newer")
				want[key] = "newer"
			case 2:
				store.remove(t, server, key)
				delete(want, key)
			}
		}
		if made < 3 {
			t.Errorf("%d were made current", made)
		}
		return recovery.ChooseStop
	})
	store.left.Store(4)
	s := l.run(t, l.plan(t, moment))
	if diff := cmp.Diff(want, objects(t, store, "")); diff != "" {
		t.Errorf("stopped in the middle, live is not what it was, with what was written since: %s", diff)
	}
	if says := spared(s); len(s.Held()) > 0 || !strings.Contains(says, "2 objects") {
		t.Errorf("ended as %s: %s, holds %v; spared: %s", s.Result, s.Says, s.Held(), says)
	}
}

// The same bytes with another content type are not what was there: they go back in place,
// and back again; the same bytes that are said to be the same are not touched.
func TestBucket_inPlaceSaid(t *testing.T) {
	server, d := versioned(t)
	store := &failing{dated: d}
	client, bucket := server.Client(), "shop"
	// In this server a copy of an object on itself makes no version, in S3 it does.
	put := func(key, kind string) {
		out, err := client.PutObject(t.Context(), &awss3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader("page"), ContentType: &kind})
		if err != nil {
			t.Fatal(err)
		}
		d.at.Store(*out.VersionId, time.Now().UTC())
	}
	kinds := func() (all []string) {
		for _, key := range []string{"uploads/a", "uploads/b", "uploads/c"} {
			head, err := client.HeadObject(t.Context(), &awss3.HeadObjectInput{Bucket: &bucket, Key: &key})
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, *head.ContentType)
		}
		return all
	}
	for _, key := range []string{"uploads/a", "uploads/b", "uploads/c"} {
		put(key, "text/html")
	}
	moment, then := time.Now().UTC(), kinds()
	for key, kind := range map[string]string{"uploads/a": "text/plain", "uploads/b": "text/plain", "uploads/c": "text/html"} {
		put(key, kind)
	}
	harmed, before := kinds(), ids(t, store)

	l := newLiveRun(store, func() recovery.Choice {
		store.left.Store(1000)
		return recovery.ChooseStop
	})
	store.left.Store(1)
	if s := l.run(t, l.plan(t, moment)); len(s.Held()) > 0 || s.Result == recovery.ResultPassed {
		t.Errorf("ended as %s: %s, holds %v", s.Result, s.Says, s.Held())
	}
	if diff := cmp.Diff(harmed, kinds()); diff != "" {
		t.Errorf("stopped in the middle: %s", diff)
	}
	p := l.plan(t, moment)
	s := l.run(t, p)
	passed(t, s)
	if diff := cmp.Diff(then, kinds()); diff != "" {
		t.Errorf("at the moment: %s", diff)
	}
	if n := len(ids(t, store)["uploads/c"]); n != len(before["uploads/c"]) || s.Losses[0].Files.Changed != 2 {
		t.Errorf("what was right has %d versions; lost %+v", n, s.Losses[0].Files)
	}
	back, err := planBack(p, s, l.options(t, l.look(t, p.Components[0], p.Copies)))
	if err != nil {
		t.Fatal(err)
	}
	passed(t, l.run(t, back))
	if diff := cmp.Diff(harmed, kinds()); diff != "" {
		t.Errorf("switched back: %s", diff)
	}
}

// meanwhile is a bucket that somebody writes to when the first version is made current in it
// after it was told so.
type meanwhile struct {
	*failing
	write atomic.Pointer[func()]
	once  sync.Once
}

func (m *meanwhile) Revert(ctx context.Context, v storage.Object) (storage.Reverted, error) {
	if write := m.write.Load(); write != nil {
		m.once.Do(*write)
	}
	return m.failing.Revert(ctx, v)
}

// What is written while a run is given back stays, too, also where it was listed before.
func TestBucket_writtenWhileGivenBack(t *testing.T) {
	_, d := versioned(t)
	store := &meanwhile{failing: &failing{dated: d}}
	const n = 150 // many more than are given back at a time
	for i := range n {
		store.put(t, fmt.Sprintf("uploads/%03d", i), "as it was")
	}
	moment := time.Now().UTC()
	for i := range n {
		store.put(t, fmt.Sprintf("uploads/%03d", i), "overwritten")
	}
	want := objects(t, store, "")
	late := ""
	l := newLiveRun(store, func() recovery.Choice {
		for key, text := range objects(t, store, "") {
			if text == "as it was" {
				late = max(late, key)
			}
		}
		write := func() { store.put(t, late, "written now") }
		store.left.Store(1000)
		store.write.Store(&write)
		return recovery.ChooseStop
	})
	store.left.Store(n - 1)
	s := l.run(t, l.plan(t, moment))
	want[late] = "written now"
	if diff := cmp.Diff(want, objects(t, store, "")); diff != "" {
		t.Errorf("stopped, live is not what it was, with what was written since: %s", diff)
	}
	if says := spared(s); len(s.Held()) > 0 || !strings.Contains(says, "1 object") || !strings.Contains(says, late) {
		t.Errorf("ended as %s: %s, holds %v; spared: %s", s.Result, s.Says, s.Held(), says)
	}
}
