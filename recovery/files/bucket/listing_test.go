package bucket_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/recovery/files/bucket"
	"comeback/storage"
	"comeback/storagetest"
)

// counted counts how often its versions are listed.
type counted struct {
	dated
	lists *int
}

func (c counted) Versions(ctx context.Context, prefix string) iter.Seq2[storage.Version, error] {
	*c.lists++
	return c.dated.Versions(ctx, prefix)
}

// What was listed to resolve a moment is not listed again to restore it, unless it is not
// there any more, was changed, is of another moment, or names a version that has been
// removed since; what comes back is the same.
func TestBucket_listedOnce(t *testing.T) {
	server, store := versioned(t)
	want := map[string]string{}
	for i := range 100 {
		name := fmt.Sprintf("%02d/a \"photo\"\n %d", i%9, i)
		want[name] = strings.Repeat(name, i%3)
		store.put(t, "uploads/"+name, want[name])
	}
	at := time.Now().UTC()
	for name := range want {
		store.put(t, "uploads/"+name, "encrypted")
	}
	store.put(t, "uploads/new", "new")
	listings := func(t *testing.T) []string {
		all, err := filepath.Glob(filepath.Join(os.Getenv("LISTINGS"), "*.zst"))
		if err != nil || len(all) != 1 {
			t.Fatalf("%q, %v", all, err)
		}
		return all
	}
	for name, c := range map[string]struct {
		between func(t *testing.T, resolve func(time.Time))
		lists   int // of the restore
	}{
		"nothing has happened":         {func(*testing.T, func(time.Time)) {}, 0},
		"the moment is resolved again": {func(_ *testing.T, resolve func(time.Time)) { resolve(at) }, 0},
		"it is gone":                   {func(t *testing.T, _ func(time.Time)) { os.Remove(listings(t)[0]) }, 1},
		"it is of another moment":      {func(_ *testing.T, resolve func(time.Time)) { resolve(time.Now()) }, 1},
		"it is cut off": {func(t *testing.T, _ func(time.Time)) {
			if err := os.Truncate(listings(t)[0], 100); err != nil {
				t.Fatal(err)
			}
		}, 1},
		"it is another file": {func(t *testing.T, _ func(time.Time)) {
			if err := os.WriteFile(listings(t)[0], []byte("{}"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			t.Setenv("LISTINGS", dir)
			lists := 0
			counting := counted{store, &lists}
			e := bucket.New(bucket.Options{SyncEvery: 4 << 10, Listings: func() (string, error) { return dir, nil }})
			resolve := func(at time.Time) recovery.Point {
				p, err := e.Resolve(t.Context(), survey(t, e, inBucket, counting), recovery.Want{Kind: recovery.WantTime, Time: at, Text: "then"}, counting)
				if err != nil {
					t.Fatalf("%v (%s)", err, recovery.HintOf(err))
				}
				return p
			}
			p := resolve(at)
			info, err := os.Stat(listings(t)[0])
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Fatalf("%v, %v", info, err)
			}
			c.between(t, func(at time.Time) { resolve(at) })
			lists = 0
			var restored map[string]string
			end := enginetest.Restore(t, enginetest.Options{Engine: e, Component: inBucket, Point: p, Owner: recovery.User{UID: -1, GID: -1},
				Stores: map[string]storage.Store{"nearby": counting}, Probe: func(_ context.Context, env recovery.Env) error {
					tree, err := treeOf(env, "uploads")
					if err == nil {
						restored = contents(t, tree)
					}
					return err
				}})
			passed(t, end)
			if diff := cmp.Diff(want, restored); diff != "" {
				t.Error(diff)
			}
			if lists != c.lists {
				t.Errorf("the restore has listed %d times, want %d", lists, c.lists)
			}
		})
	}
	for name, c := range map[string]struct {
		older  bool // there is a version of before the moment beside the one that is removed
		listed bool // the listing is there
		says   string
	}{
		"a version was removed since":                                        {false, true, "1 object"},
		"a version was removed since, and an older one is there":             {true, true, "1 object"},
		"a version was removed since, and no listing is there":               {false, false, "1 object"},
		"a version was removed since, an older one and no listing are there": {true, false, "removed since, or stored"},
	} {
		t.Run(name, func(t *testing.T) {
			key := "uploads/" + strings.ReplaceAll(name, " ", "-")
			if c.older {
				store.put(t, key, "older")
			}
			store.put(t, key, "newer")
			dir := t.TempDir()
			lists := 0
			counting := counted{store, &lists}
			e := bucket.New(bucket.Options{SyncEvery: 4 << 10, Listings: func() (string, error) { return dir, nil }})
			p, err := e.Resolve(t.Context(), survey(t, e, inBucket, counting), latest, counting)
			if err != nil {
				t.Fatal(err)
			}
			store.removeVersion(t, server, key)
			if !c.listed {
				t.Setenv("LISTINGS", dir)
				os.Remove(listings(t)[0])
			}
			lists = 0
			end := enginetest.Restore(t, enginetest.Options{Engine: e, Component: inBucket, Point: p, Owner: recovery.User{UID: -1, GID: -1},
				Stores: map[string]storage.Store{"nearby": counting}, Answer: func(recovery.StepState) recovery.Choice { return recovery.ChooseStop }})
			if says, hint := enginetest.Failure(end); end.Result == recovery.ResultPassed || !strings.Contains(says, c.says) || !strings.Contains(hint, "choose the moment again") || lists != 1 {
				t.Errorf("it ended %s: %s (%s), after %d listings", end.Result, says, hint, lists)
			}
		})
	}
	t.Run("there is no place to keep it", func(t *testing.T) {
		for _, listings := range []func() (string, error){
			func() (string, error) { return "", errors.New("no state") },
			func() (string, error) { return "/proc/none", nil },
		} {
			e := bucket.New(bucket.Options{Listings: listings})
			if _, err := e.Resolve(t.Context(), survey(t, e, inBucket, store), latest, store); err != nil {
				t.Error(err)
			}
		}
	})
}

// Listings that no restore has asked for, and what a writer that was killed has left, are
// removed when the next one is written.
func TestBucket_forgetsListings(t *testing.T) {
	_, store := versioned(t)
	store.put(t, "uploads/a", "a")
	dir := t.TempDir()
	now := time.Now()
	e := bucket.New(bucket.Options{Now: func() time.Time { return now }, Listings: func() (string, error) { return dir, nil }})
	for name, age := range map[string]time.Duration{"old.zst": 8, ".new-1": 8, "young.zst": 6} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chtimes(path, now, now.Add(-age*24*time.Hour))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := e.Resolve(t.Context(), survey(t, e, inBucket, store), latest, store); err != nil {
		t.Fatal(err)
	}
	left := contents(t, dir)
	if _, young := left["young.zst"]; len(left) != 2 || !young {
		t.Errorf("%v", left)
	}
	// A moment that is refused keeps nothing.
	if _, err := e.Resolve(t.Context(), survey(t, e, inBucket, store), recovery.Want{Kind: recovery.WantTime, Time: now.Add(-time.Hour), Text: "an hour ago"}, store); err == nil {
		t.Error("it is resolved")
	}
	if now := contents(t, dir); len(now) != 2 {
		t.Errorf("%v", now)
	}
}

// clocked is a bucket that tells its time.
type clocked struct {
	dated
	now time.Time
}

func (c clocked) Now(context.Context) (time.Time, error) {
	if c.now.IsZero() {
		return c.now, storagetest.Unavailable
	}
	return c.now.Truncate(time.Second), nil
}

// The latest moment is that of the bucket where this host's clock is behind it, and of this
// host where the bucket does not tell its own.
func TestBucket_latest(t *testing.T) {
	_, store := versioned(t)
	store.put(t, "uploads/a", "older")
	behind := time.Now()
	store.put(t, "uploads/a", "newer")
	store.put(t, "uploads/b", "new")
	e := bucket.New(bucket.Options{Now: func() time.Time { return behind }})
	for name, c := range map[string]struct {
		now   time.Time
		bytes int64
	}{
		"it is behind":             {time.Now(), 8},
		"it is ahead":              {behind.Add(-time.Hour), 5},
		"the bucket tells no time": {time.Time{}, 5},
	} {
		of := clocked{store, c.now}
		p, err := e.Resolve(t.Context(), survey(t, e, inBucket, of), latest, of)
		if err != nil || p.Bytes != c.bytes {
			t.Errorf("%s: %s, %v", name, p.Says, err)
		}
	}
}

// In a copy that is read as it was, the latest moment is that one, and none is later.
func TestBucket_asOf(t *testing.T) {
	_, store := versioned(t)
	store.put(t, "uploads/a", "then")
	then := time.Now().UTC()
	store.put(t, "uploads/a", "encrypted")
	store.put(t, "uploads/b", "new")
	past, err := storage.AsOf(store, then)
	if err != nil {
		t.Fatal(err)
	}
	e := bucketEngine()
	s := survey(t, e, inBucket, past)
	if len(s.Backups) != 1 || s.Backups[0].Taken.To.After(then) {
		t.Errorf("%+v", s.Backups)
	}
	_, err = e.Resolve(t.Context(), s, recovery.Want{Kind: recovery.WantTime, Time: then.Add(time.Second), Text: "a second later"}, past)
	if err == nil || !strings.Contains(err.Error(), "is later") || recovery.HintOf(err) == "" {
		t.Error(err)
	}
	p, err := e.Resolve(t.Context(), s, latest, past)
	if err != nil {
		t.Fatal(err)
	}
	var restored map[string]string
	passed(t, enginetest.Restore(t, enginetest.Options{Engine: e, Component: inBucket, Point: p, Owner: recovery.User{UID: -1, GID: -1},
		Stores: map[string]storage.Store{"nearby": past}, Probe: func(_ context.Context, env recovery.Env) error {
			dir, err := treeOf(env, "uploads")
			if err == nil {
				restored = contents(t, dir)
			}
			return err
		}}))
	if diff := cmp.Diff(map[string]string{"a": "then"}, restored); diff != "" {
		t.Error(diff)
	}
}
