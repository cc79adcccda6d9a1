package backup_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/storage"
	"comeback/storagetest"
)

// A run says in each copy what it restores from it: once, again when that changes or an hour
// has gone, and no more when it has ended. A copy that cannot be told is asked again, and is a
// remark of a recovery.
func TestRestores(t *testing.T) {
	t.Parallel()
	store, err := storage.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	now, away := time.Date(2026, 11, 23, 2, 41, 0, 0, time.UTC), errors.New("the copy is away")
	var opened atomic.Int64 // of several copies at once
	var reached error
	plan := &recovery.Plan{System: "shop", Run: "7c31", Mode: recovery.Recovery, Copies: []recovery.Copy{{Name: "nearby"}, {Name: "offsite"}}}
	r := backup.NewRestores(backup.RestoresOptions{Plan: plan, Host: "db1", State: "/var/lib/comeback", Now: func() time.Time { return now },
		OpenStore: func(context.Context, recovery.Copy) (storage.Store, error) {
			opened.Add(1)
			return store, reached
		}})
	held := func() int {
		t.Helper()
		n := 0
		for _, err := range store.List(t.Context(), "comeback/restoring/shop/") {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		return n
	}
	points := []recovery.Point{{Component: "database", Copy: "nearby", Backup: recovery.Backup{ID: "base/1"}}}
	reached = away
	failed := r.Say(t.Context(), points)
	if says := r.Remarks(failed); len(says) != 1 || !strings.HasPrefix(says[0], "nearby could not be told that this run restores from it: ") || held() != 0 {
		t.Errorf("a copy that is away: %v, %q", failed, says)
	}
	plan.Mode = recovery.Rehearsal
	if says := r.Remarks(failed); says != nil {
		t.Errorf("a rehearsal remarks %q", says)
	}
	reached = nil
	for i, step := range []struct {
		after time.Duration
		id    string
		told  bool
	}{{0, "base/1", true}, {time.Minute, "base/1", false}, {time.Minute, "base/2", true}, {2 * time.Minute, "base/2", false}, {2 * time.Hour, "base/2", true}} {
		now = now.Add(step.after)
		opened.Store(0)
		points[0].Backup.ID = step.id
		if failed := r.Say(t.Context(), points); len(failed) > 0 || opened.Load() > 1 || (opened.Load() == 1) != step.told || held() != 1 {
			t.Errorf("step %d: asked %d copies, %d say it, %v", i, opened.Load(), held(), failed)
		}
	}
	// What it restored from before it was amended stays for as long as it was said to.
	told := func() (r backup.Restoring) {
		t.Helper()
		for _, key := range storagetest.Keys(t, store, "comeback/restoring/shop/") {
			if err := json.Unmarshal([]byte(storagetest.Read(t, store, key)), &r); err != nil {
				t.Fatal(err)
			}
		}
		return r
	}
	points[0].Backup.ID = "base/3"
	r.Say(t.Context(), points)
	if got := told().Backups; !slices.Equal(got, []string{"base/1", "base/2", "base/3"}) {
		t.Errorf("amended, it restores %q", got)
	}
	now = now.Add(backup.RestoringLasts)
	r.Say(t.Context(), points)
	if got := told().Backups; !slices.Equal(got, []string{"base/3"}) {
		t.Errorf("after that lease it restores %q", got)
	}
	// A copy that is away when the run is amended is told when it is there again.
	reached, points[0].Backup.ID = away, "base/4"
	if failed := r.Say(t.Context(), points); len(failed) != 1 {
		t.Errorf("a copy that is away: %v", failed)
	}
	reached, now = nil, now.Add(time.Minute)
	if failed := r.Say(t.Context(), points); len(failed) > 0 || !slices.Contains(told().Backups, "base/4") {
		t.Errorf("there again, it was told of %q, %v", told().Backups, failed)
	}
	if r.End(t.Context()); held() != 0 {
		t.Error("it is said that a run restores which has ended")
	}
}
