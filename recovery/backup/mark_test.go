package backup_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/storage"
)

// several are processes that take backups of one database into one copy.
type several struct {
	*testing.T
	dir   string
	store storage.Store
	now   func() time.Time
}

func newSeveral(t *testing.T, now func() time.Time) *several {
	t.Helper()
	s := &several{T: t, dir: t.TempDir(), now: now}
	var err error
	if s.store, err = storage.OpenDir(s.dir); err != nil {
		t.Fatal(err)
	}
	return s
}

// take takes one in a process that holds the database in a place.
func (s *several) take(host, place string, engine lines) backup.Taken {
	s.Helper()
	taken, err := backup.Take(s.Context(), backup.Options{System: "shop", Components: []recovery.Component{{Name: "database", Kind: recovery.Postgres}},
		Engines: []recovery.Engine{engine}, Copies: []recovery.Copy{{Name: "nearby"}},
		OpenStore: func(context.Context, recovery.Copy) (storage.Store, error) { return s.store, nil },
		Secret:    func(text string) (string, error) { return text, nil }, Redact: func(text string) string { return text }, Temp: s.TempDir(), Host: host, Place: place, By: "comeback",
		Now: s.now, Watch: func(string, string, *recovery.Manifest) recovery.Meter { return deaf{} }})
	if err != nil || len(taken) != 1 {
		s.Fatalf("%v, %+v", err, taken)
	}
	return taken[0]
}

// holds is what the copy has of backups.
func (s *several) holds() (keys []string) {
	s.Helper()
	for o, err := range s.store.List(s.Context(), "base/") {
		if err != nil {
			s.Fatal(err)
		}
		keys = append(keys, o.Key)
	}
	return keys
}

func (s *several) whole(t backup.Taken) {
	s.Helper()
	for _, name := range []string{"first", "second", "last"} {
		if !slices.Contains(s.holds(), t.Manifest.ID+"/"+name) {
			s.Errorf("of %s there is no %s: %v", t.Manifest.ID, name, t.Err)
		}
	}
	if t.Err != nil || len(t.Failed) > 0 {
		s.Errorf("%s: %v, %v", t.Manifest.ID, t.Err, t.Failed)
	}
}

// The backup of a process that holds the database elsewhere, another user's or that of a
// container of the same name, is left alone while it may be at work.
func TestTake_elsewhere(t *testing.T) {
	now := time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC)
	s := newSeveral(t, func() time.Time { return now })
	var second backup.Taken
	first := s.take("db1", "db1/A", lines{between: func() {
		now = now.Add(time.Minute)
		second = s.take("db1", "db1/B", lines{})
	}})
	s.whole(first)
	s.whole(second)
	if under, err := backup.Unfinished(t.Context(), s.store); err != nil || len(under) > 0 {
		t.Errorf("left are the marks of %+v, %v", under, err)
	}
}

// A backup whose mark somebody took, or can have taken, is not listed, and its process
// says why.
func TestTake_taken(t *testing.T) {
	now := time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC)
	s := newSeveral(t, func() time.Time { return now })
	last := func(id string) bool { return slices.Contains(s.holds(), id+"/last") }
	for name, between := range map[string]func(){
		"another has cleared it away": func() { s.whole(s.take("db1", "db1/A", lines{})) },
		"it was suspended for days":   func() { now = now.Add(71 * time.Hour) },
	} {
		now = now.AddDate(0, 0, 7)
		got := s.take("db1", "db1/A", lines{between: func() { now = now.Add(time.Minute); between() }})
		if got.Err == nil || !strings.Contains(got.Err.Error(), "somebody has taken it") || last(got.Manifest.ID) {
			t.Errorf("%s: %v; there is %v", name, got.Err, s.holds())
		}
	}
	// Also where it is taken while what makes it whole is on its way.
	whole := s.store
	s.store = &snatched{Store: whole, unfinished: func() { s.mark(whole) }}
	now = now.AddDate(0, 0, 7)
	if got := s.take("db1", "db1/A", lines{}); got.Err == nil || last(got.Manifest.ID) {
		t.Errorf("at its end: %v; there is %v", got.Err, s.holds())
	}
}

// mark removes the mark that is there.
func (s *several) mark(store storage.Store) {
	s.Helper()
	swapper, _ := storage.As[storage.Swapper](store)
	for o, err := range store.List(s.Context(), "comeback/unfinished/") {
		if err = errors.Join(err, swapper.Remove(s.Context(), o)); err != nil {
			s.Fatal(err)
		}
	}
}

// snatched is a copy in which somebody is at work while the last object is stored.
type snatched struct {
	storage.Store
	unfinished func()
}

func (s *snatched) Unwrap() storage.Store { return s.Store }

func (s *snatched) Put(ctx context.Context, key string, r io.Reader, o storage.PutOptions) (storage.Object, error) {
	if strings.HasSuffix(key, "/last") {
		s.unfinished()
	}
	return s.Store.Put(ctx, key, r, o)
}

// A backup that takes half a day says that it is at work, and nobody takes it for dead;
// one that says no more is, on every host.
func TestTake_long(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSeveral(t, time.Now)
		first := s.take("db1", "db1/A", lines{between: func() {
			time.Sleep(80 * time.Hour)
			s.whole(s.take("db2", "db2/A", lines{}))
		}})
		s.whole(first)
		if got := s.take("db1", "db1/A", lines{half: func() error {
			time.Sleep(time.Hour)
			return io.ErrUnexpectedEOF
		}}); got.Err == nil {
			t.Fatal("it was not cut off")
		}
		half := func() int {
			return len(slices.DeleteFunc(s.holds(), func(key string) bool { return !strings.HasSuffix(key, "/first") }))
		}
		time.Sleep(2 * time.Hour)
		if s.whole(s.take("db2", "db2/A", lines{})); half() != 4 {
			t.Errorf("it was taken for dead: there is %v", s.holds())
		}
		time.Sleep(time.Hour)
		if s.whole(s.take("db2", "db2/A", lines{})); half() != 4 {
			t.Errorf("it was not taken for dead: there is %v", s.holds())
		}
	})
}

// Who may put marks into a copy, and no more, has nothing removed: a mark that names what
// is not of a backup of its own time, or of one that is whole, is left alone, and told of.
func TestTake_planted(t *testing.T) {
	p := newPruned(t, 2)
	ids := p.look(backup.Keep{}, nil).Kept
	stamp := strings.TrimSuffix(strings.TrimPrefix(ids[0].ID, "uploads/snapshots/"), ".snapshot")
	mark := "comeback/unfinished/uploads/20261101T030000Z-snapshot.json"
	before := p.usable()
	for name, says := range map[string]string{
		"all of the copy":          `"prefix":"uploads/packs/` + stamp + `-","also":[""],"last":"uploads/packs/` + stamp + `-none"`,
		"all of the component":     `"prefix":"uploads/","last":"uploads/none"`,
		"a backup of another time": `"prefix":"uploads/snapshots/20261102T030000","last":"uploads/snapshots/20261102T030000.none"`,
		"the backup of its time":   `"prefix":"uploads/packs/` + stamp + `-","also":["uploads/snapshots/` + stamp + `"],"last":"uploads/snapshots/` + stamp + `.none"`,
		"what is known of backups": `"prefix":"comeback/backups/uploads/20261101T030000Z","last":"comeback/backups/uploads/20261101T030000Z-none"`,
		"another one's last":       `"prefix":"uploads/packs/` + stamp + `-","last":"uploads/none"`,
	} {
		text := `{"component":"uploads","sort":"snapshot","host":"h","begun":"2026-11-01T03:00:00Z",` + says + `}`
		if _, err := p.store.Put(t.Context(), mark, strings.NewReader(text), storage.PutOptions{Size: -1}); err != nil {
			t.Fatal(err)
		}
		taken, err := p.run()
		if err != nil || len(taken) != 1 || taken[0].Err != nil || !strings.Contains(strings.Join(taken[0].Manifest.Remarks, "; "), mark+" was left alone") {
			t.Fatalf("%s: %v, %+v", name, err, taken)
		}
		p.now = p.now.AddDate(0, 0, 1)
		if now := p.usable(); !slices.Equal(now[:2], before) {
			t.Errorf("%s: left are the days %v of %v", name, now, before)
		}
		if known, err := backup.Manifests(t.Context(), p.store, "uploads"); err != nil || len(known) != len(p.usable()) {
			t.Errorf("%s: %d backups are known, %v", name, len(known), err)
		}
	}
}
