package backup_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/recovery/files"
	"comeback/recovery/neighbours"
	"comeback/storage"
	"comeback/storagetest"
)

// deaf hears nothing of a backup.
type deaf struct{ recovery.Meter }

func (deaf) Phase(string, int64, recovery.Unit) {}
func (deaf) Add(int64)                          {}
func (deaf) Set(int64)                          {}
func (deaf) Note(string)                        {}
func (deaf) Log(string)                         {}

// pruned is a tree with a snapshot of each of some days.
type pruned struct {
	*testing.T
	dir, copy string
	store     storage.Store
	offsite   storage.Store // where it is not nil, a second copy
	engine    recovery.Engine
	component recovery.Component
	now       time.Time
	temp      string
	place     string // in which it is held
	system    string
	locks     backup.LocksSeen
	restored  func(recovery.Backup) string
}

func newPruned(t *testing.T, days int) *pruned {
	t.Helper()
	p := &pruned{T: t, dir: t.TempDir(), copy: t.TempDir(), temp: t.TempDir(), place: "h/1", system: "shop", engine: files.New(files.Options{}), now: time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC)}
	p.component = recovery.Component{Name: "uploads", Kind: recovery.Files, Settings: recovery.Settings{"path": {p.dir}, "prefix": {"uploads/"}}}
	var err error
	if p.store, err = storage.OpenDir(p.copy); err != nil {
		t.Fatal(err)
	}
	p.write("for ever", "for ever")
	for day := range days {
		p.write("today", fmt.Sprint("of day ", day))
		p.take()
		p.now = p.now.AddDate(0, 0, 1)
	}
	return p
}

func (p *pruned) write(name, text string) {
	p.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
		p.Fatal(err)
	}
}

func (p *pruned) run() ([]backup.Taken, error) {
	p.Helper()
	copies := []recovery.Copy{{Name: "nearby"}}
	if p.offsite != nil {
		copies = append(copies, recovery.Copy{Name: "offsite"})
	}
	open := func(_ context.Context, c recovery.Copy) (storage.Store, error) {
		if c.Name == "offsite" {
			return p.offsite, nil
		}
		return p.store, nil
	}
	return backup.Take(p.Context(), backup.Options{System: p.system, Components: []recovery.Component{p.component}, Engines: []recovery.Engine{p.engine},
		Copies: copies, OpenStore: open, Runbook: []byte("# x\n"),
		Secret: func(s string) (string, error) { return s, nil }, Redact: func(s string) string { return s }, Temp: p.temp, Locks: p.locks, Host: "h", Place: p.place, By: "comeback",
		Now: func() time.Time { return p.now }, Watch: func(string, string, *recovery.Manifest) recovery.Meter { return deaf{} }})
}

func (p *pruned) take() {
	p.Helper()
	real := time.Now().Add(-time.Second)
	taken, err := p.run()
	if err != nil || len(taken) != 1 || taken[0].Err != nil {
		p.Fatalf("%v, %+v", err, taken)
	}
	// The copy's clock goes with the host's.
	err = storagetest.MoveTimes(p.copy, func(t time.Time) time.Time {
		if p.now.After(real) && t.After(real) && t.Before(real.AddDate(1, 0, 0)) {
			return p.now
		}
		return t
	})
	if err != nil {
		p.Fatal(err)
	}
}

func (p *pruned) look(keep backup.Keep, proven func(recovery.Backup) bool) backup.Pruning {
	p.Helper()
	s, err := p.engine.Survey(p.Context(), p.component, recovery.Copy{Name: "nearby"}, neighbours.See(p.component, p.store))
	if err != nil {
		p.Fatal(err)
	}
	signers := func(b recovery.Backup) []backup.Prover {
		if proven != nil && proven(b) {
			return []backup.Prover{{}}
		}
		return nil
	}
	pruning, err := backup.Prune(p.Context(), backup.PruneOptions{Component: p.component, Engine: p.engine, Survey: s, Store: p.store, Keep: keep, Zone: time.UTC, Proven: signers, Restored: p.restored, System: p.system, Host: "h", Place: p.place,
		Now: func() time.Time { return p.now }})
	if err != nil {
		p.Fatal(err)
	}
	return pruning
}

// usable are the snapshots that resolve: all that they need is there.
func (p *pruned) usable() (days []string) {
	p.Helper()
	s, err := p.engine.Survey(p.Context(), p.component, recovery.Copy{Name: "nearby"}, neighbours.See(p.component, p.store))
	if err != nil {
		p.Fatal(err)
	}
	for _, b := range s.Backups {
		if _, err := p.engine.Resolve(p.Context(), s, recovery.Want{Kind: recovery.WantBackup, Backup: b.ID, Text: b.ID}, p.store); err != nil {
			p.Errorf("%s is listed, and cannot be restored: %v", b.ID, err)
		}
		days = append(days, b.Taken.To.Format("02"))
	}
	return days
}

// A dry run changes nothing; a removal keeps what the policy, the proof and the packs
// that are shared ask for, and every snapshot that is still listed can be restored.
func TestPrune(t *testing.T) {
	p := newPruned(t, 5)
	before := p.keys()
	look := p.look(backup.Keep{Daily: 2}, func(b recovery.Backup) bool { return strings.Contains(b.ID, "20261102") })
	if len(look.Going) != 2 || look.Bytes() == 0 || !slices.Equal(p.keys(), before) {
		t.Fatalf("%+v", look)
	}
	if removed, refused := look.Remove(t.Context()); removed != 2 || len(refused) > 0 {
		t.Errorf("removed %d, refused %v", removed, refused)
	}
	if got := p.usable(); !slices.Equal(got, []string{"02", "04", "05"}) {
		t.Errorf("left are the days %v", got)
	}
	if all, err := backup.Manifests(t.Context(), p.store, "uploads"); err != nil || len(all) != 3 {
		t.Errorf("%d manifests, %v", len(all), err)
	}
	if again := p.look(backup.Keep{Daily: 2}, func(b recovery.Backup) bool { return strings.Contains(b.ID, "20261102") }); len(again.Going) > 0 {
		t.Errorf("once more: %+v", again.Going)
	}
}

// The manifest of a backup that goes stays while another one needs what it has stored,
// and goes with that.
func TestPrune_lent(t *testing.T) {
	p := newPruned(t, 0)
	p.now = p.now.AddDate(100, 0, 0) // files that were changed before are unchanged
	for range 3 {
		p.write("today", fmt.Sprint("of ", p.now))
		p.take()
		p.now = p.now.AddDate(0, 0, 1)
	}
	known := func() int {
		all, err := backup.Manifests(t.Context(), p.store, "uploads")
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	if removed, refused := p.look(backup.Keep{Daily: 1}, nil).Remove(t.Context()); removed != 2 || len(refused) > 0 || known() < 2 {
		t.Errorf("removed %d, refused %v, %d are known", removed, refused, known())
	}
	if again := p.look(backup.Keep{Daily: 1}, nil); len(again.Going) > 0 {
		t.Errorf("once more: %+v", again.Going)
	}
	p.write("another", "instead of them")
	for _, name := range []string{"for ever", "today"} {
		if err := os.Remove(filepath.Join(p.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	p.take()
	if _, refused := p.look(backup.Keep{Daily: 1}, nil).Remove(t.Context()); len(refused) > 0 || known() != 1 {
		t.Errorf("refused %v, %d are known", refused, known())
	}
	for _, key := range p.keys() {
		if !strings.Contains(key, "21261104") && !strings.HasPrefix(key, "comeback/runbooks/") {
			t.Errorf("left is %s", key)
		}
	}
}

func (p *pruned) keys() (keys []string) {
	p.Helper()
	for o, err := range p.store.List(p.Context(), "") {
		if err != nil {
			p.Fatal(err)
		}
		keys = append(keys, o.Key)
	}
	return keys
}

// stopped is a store that removes so many objects and then no more.
type stopped struct {
	storage.Store
	left int
}

var errStopped = errors.New("the power went out")

func (s *stopped) Unwrap() storage.Store { return s.Store }

func (s *stopped) Swap(ctx context.Context, old storage.Object, body []byte) (storage.Object, error) {
	panic("nothing is swapped")
}

func (s *stopped) Remove(ctx context.Context, o storage.Object) error {
	if s.left--; s.left < 0 {
		return errStopped
	}
	swapper, _ := storage.As[storage.Swapper](s.Store)
	return swapper.Remove(ctx, o)
}

// A removal that is cut off anywhere leaves no listed snapshot that cannot be
// restored, and the next one finishes it.
func TestPrune_cutOff(t *testing.T) {
	for left := range 20 {
		p := newPruned(t, 3)
		whole := p.store
		p.store = &stopped{whole, left}
		look := p.look(backup.Keep{Daily: 1}, nil)
		_, refused := look.Remove(t.Context())
		p.store = whole
		p.usable()
		if look = p.look(backup.Keep{Daily: 1}, nil); len(refused) > 0 && len(look.Going) == 0 {
			t.Errorf("after %d: nothing is left to do, and %v", left, refused)
		}
		if _, refused := look.Remove(t.Context()); len(refused) > 0 {
			t.Errorf("after %d: %v", left, refused)
		}
		if got := p.usable(); !slices.Equal(got, []string{"03"}) {
			t.Errorf("after %d: left are the days %v", left, got)
		}
		if len(refused) == 0 {
			return
		}
	}
	t.Error("it was never whole")
}

// keeping is a copy that does not let the names go that hold a text.
type keeping struct {
	storage.Store
	text string
}

func (k keeping) Unwrap() storage.Store { return k.Store }

func (k keeping) Swap(context.Context, storage.Object, []byte) (storage.Object, error) {
	panic("nothing is swapped")
}

func (k keeping) Remove(ctx context.Context, o storage.Object) error {
	if strings.Contains(o.Key, k.text) {
		return &storage.Error{Op: "remove", Object: o.Key, Kind: storage.ErrDenied, Says: "it is locked"}
	}
	swapper, _ := storage.As[storage.Swapper](k.Store)
	return swapper.Remove(ctx, o)
}

// Where a copy does not let a snapshot go, what that needs of an older one stays, too;
// and nothing goes where a backup has begun since it was looked.
func TestPrune_refused(t *testing.T) {
	p := newPruned(t, 1)
	p.now = p.now.AddDate(100, 0, 0) // files that were changed before are unchanged
	p.write("early", strings.Repeat("of the first two days alone ", 100))
	for range 3 {
		p.take()
		p.now = p.now.AddDate(0, 0, 1)
	}
	if err := os.Remove(filepath.Join(p.dir, "early")); err != nil {
		t.Fatal(err)
	}
	p.take()
	whole := p.store
	mark := "comeback/unfinished/uploads/20261106T030000Z-snapshot.json"
	look := p.look(backup.Keep{Daily: 1}, nil)
	if _, err := p.store.Put(t.Context(), mark, strings.NewReader(`{"prefix":"uploads/x"}`), storage.PutOptions{Size: -1}); err != nil {
		t.Fatal(err)
	}
	if removed, refused := look.Remove(t.Context()); removed > 0 || len(refused) != 1 || recovery.HintOf(refused[0]) == "" {
		t.Errorf("while a backup is under way %d go, and %v", removed, refused)
	}
	if err := os.Remove(filepath.Join(p.copy, mark)); err != nil {
		t.Fatal(err)
	}
	p.store = keeping{whole, "snapshots/21261103"}
	look = p.look(backup.Keep{Daily: 1}, nil)
	if removed, refused := look.Remove(t.Context()); removed != 1 || len(refused) != 3 || len(look.Going) != 4 {
		t.Errorf("of %d %d go, and %v", len(look.Going), removed, refused)
	}
	p.store = whole
	if got := p.usable(); !slices.Equal(got, []string{"01", "02", "03", "05"}) {
		t.Errorf("left are the days %v", got)
	}
	if removed, refused := p.look(backup.Keep{Daily: 1}, nil).Remove(t.Context()); removed != 3 || len(refused) > 0 {
		t.Errorf("%d go, and %v", removed, refused)
	}
}

// What is unfinished, what others have made and what cannot be told keep everything.
func TestPrune_careful(t *testing.T) {
	p := newPruned(t, 5)
	if look := p.look(backup.Keep{}, nil); len(look.Going) > 0 {
		t.Errorf("without a policy: %+v", look.Going)
	}
	put := func(key, text string) {
		t.Helper()
		if _, err := p.store.Put(t.Context(), key, strings.NewReader(text), storage.PutOptions{Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
	}
	mark := "comeback/unfinished/uploads/20261105T030000Z-snapshot.json"
	put(mark, `{"component":"uploads","sort":"snapshot","host":"other","begun":"2026-11-05T03:00:00Z","prefix":"uploads/x","last":"uploads/y"}`)
	if look := p.look(backup.Keep{Daily: 1}, nil); len(look.Going) > 0 || len(look.Remarks) != 1 {
		t.Errorf("while a backup is under way: %+v", look)
	}
	if err := os.Remove(filepath.Join(p.copy, mark)); err != nil {
		t.Fatal(err)
	}
	// A snapshot whose manifest beside it is gone is nobody's to remove.
	foreign, err := filepath.Glob(filepath.Join(p.copy, "comeback", "backups", "uploads", "20261101*"))
	if err != nil || len(foreign) != 1 || os.Remove(foreign[0]) != nil {
		t.Fatal(foreign, err)
	}
	look := p.look(backup.Keep{Daily: 1}, nil)
	if _, refused := look.Remove(t.Context()); len(refused) > 0 || len(look.Going) != 3 {
		t.Errorf("%+v, %v", look.Going, refused)
	}
	if got := p.usable(); !slices.Equal(got, []string{"01", "05"}) {
		t.Errorf("left are the days %v", got)
	}
}

// What a run restores stays, with what it needs, whichever host the run is on and however
// late it began; and goes when the run has ended, or nobody renews what it said.
func TestPrune_restored(t *testing.T) {
	p := newPruned(t, 4)
	first := p.look(backup.Keep{}, nil).Kept[0]
	say := func(until time.Time) {
		t.Helper()
		r := backup.Restoring{System: "shop", Run: "7c31", Host: "db2", Backups: []string{first.ID}, Until: until}
		if err := backup.KeepRestoring(t.Context(), p.store, r, "db2"); err != nil {
			t.Fatal(err)
		}
	}
	early := p.look(backup.Keep{Daily: 1}, nil)
	say(p.now.Add(time.Hour))
	if removed, refused := early.Remove(t.Context()); removed != 2 || len(refused) != 1 || recovery.HintOf(refused[0]) == "" {
		t.Errorf("begun after it was looked: removed %d, refused %v", removed, refused)
	}
	look := p.look(backup.Keep{Daily: 1}, nil)
	if len(look.Going) > 0 || !slices.Contains(look.Kept[0].Why, "run 7c31 on db2 restores it") {
		t.Errorf("going %+v, kept %+v", look.Going, look.Kept)
	}
	say(p.now)
	p.restored = func(b recovery.Backup) string {
		if b.ID == first.ID {
			return "run 9a00 restores it"
		}
		return ""
	}
	if look := p.look(backup.Keep{Daily: 1}, nil); len(look.Going) > 0 {
		t.Errorf("a run of this host: %+v", look.Going)
	}
	p.restored = nil
	if removed, refused := p.look(backup.Keep{Daily: 1}, nil).Remove(t.Context()); removed != 1 || len(refused) > 0 {
		t.Errorf("said to be over: removed %d, refused %v", removed, refused)
	}
	if err := backup.EndRestoring(t.Context(), p.store, "shop", "7c31", "db2"); err != nil || slices.ContainsFunc(p.keys(), func(k string) bool { return strings.Contains(k, "restoring") }) {
		t.Errorf("%v, left are %v", err, p.keys())
	}
}

// Only a backup that may be at work, and may need what would go, keeps that: not one of
// another component that lies elsewhere, and none that is dead.
func TestPrune_marks(t *testing.T) {
	p := newPruned(t, 3)
	for name, c := range map[string]struct {
		key, says string
		place     string
		stays     bool
	}{
		"at work":                    {"uploads/20261103T030000Z-snapshot", `"begun":"2026-11-03T03:00:00Z","prefix":"uploads/packs/20261103T030000","last":"x"`, "", true},
		"of another component":       {"database/20261103T030000Z-base", `"begun":"2026-11-03T03:00:00Z","prefix":"base/20261103T030000Z/","last":"x"`, "", false},
		"of a component's old name":  {"files/20261103T030000Z-snapshot", `"begun":"2026-11-03T03:00:00Z","prefix":"x","also":["uploads/snapshots/20261103T030000"],"last":"x"`, "", true},
		"for three days":             {"uploads/20261031T030000Z-dump", `"begun":"2026-11-01T02:00:00Z","prefix":"uploads/20261031T030000Z","last":"x"`, "", false},
		"renewed today":              {"uploads/20261101T030000Z-dump", `"begun":"2026-11-01T02:00:00Z","renewed":"2026-11-04T01:00:00Z","token":"x","prefix":"uploads/20261031T030000Z","last":"x"`, "", true},
		"not renewed for hours":      {"uploads/20261103T030000Z-dump", `"begun":"2026-11-03T03:00:00Z","renewed":"2026-11-03T23:00:00Z","token":"x","prefix":"uploads/20261031T030000Z","last":"x"`, "", false},
		"of a dead one of this host": {"uploads/20261104T020000Z-dump", `"begun":"2026-11-04T02:00:00Z","token":"x","place":"h/1","record":{"system":"shop"},"prefix":"uploads/20261104T020000Z","last":"x"`, "h/1", false},
		"of one in another place":    {"uploads/20261104T020000Z-dump", `"begun":"2026-11-04T02:00:00Z","token":"x","place":"h/2","record":{"system":"shop"},"prefix":"uploads/20261104T020000Z","last":"x"`, "h/1", true},
	} {
		mark := "comeback/unfinished/" + c.key + ".json"
		if _, err := p.store.Put(t.Context(), mark, strings.NewReader("{"+c.says+"}"), storage.PutOptions{Size: -1}); err != nil {
			t.Fatal(err)
		}
		p.place = c.place
		if look := p.look(backup.Keep{Daily: 1}, nil); (len(look.Going) == 0) != c.stays {
			t.Errorf("%s: %d go, %q", name, len(look.Going), look.Remarks)
		}
		if err := os.Remove(filepath.Join(p.copy, mark)); err != nil {
			t.Fatal(err)
		}
	}
}

// What a backup of another sort has left is cleared away, too.
func TestTake_otherSort(t *testing.T) {
	p := newPruned(t, 1)
	for key, text := range map[string]string{
		"comeback/unfinished/uploads/20261101T040000Z-dump.json": `{"component":"uploads","sort":"dump","host":"h","begun":"2026-11-01T04:00:00Z","prefix":"uploads/x-20261101T040000Z","last":"uploads/x-20261101T040000Z.dump"}`,
		"uploads/x-20261101T040000Z.globals.sql":                 "half",
	} {
		if _, err := p.store.Put(t.Context(), key, strings.NewReader(text), storage.PutOptions{Size: -1}); err != nil {
			t.Fatal(err)
		}
	}
	p.take()
	for _, key := range p.keys() {
		if strings.Contains(key, "20261101T040000Z") {
			t.Errorf("left is %s", key)
		}
	}
}

func TestParseKeep(t *testing.T) {
	if k, err := backup.ParseKeep([]string{"14 daily", "8 weekly", "12 monthly"}); err != nil || k != (backup.Keep{Daily: 14, Weekly: 8, Monthly: 12}) {
		t.Errorf("%+v, %v", k, err)
	}
	for _, bad := range [][]string{{"daily"}, {"0 daily"}, {"3 yearly"}, {"3 daily", "4 daily"}, {"-1 weekly"}, {"x daily"}} {
		if k, err := backup.ParseKeep(bad); err == nil || recovery.HintOf(err) == "" {
			t.Errorf("%q: %+v, %v", bad, k, err)
		}
	}
}

// written writes to a file whenever a pack is stored, and so while it is read.
type written struct {
	storage.Store
	file string
}

func (w written) Unwrap() storage.Store { return w.Store }

func (w written) Put(ctx context.Context, key string, r io.Reader, o storage.PutOptions) (storage.Object, error) {
	if strings.Contains(key, "/packs/") {
		if err := os.Chtimes(w.file, time.Time{}, time.Now()); err != nil {
			return storage.Object{}, err
		}
	}
	return w.Store.Put(ctx, key, r, o)
}

// What a backup could not take as it was is told in the manifest that lies beside it.
func TestTake_exceptions(t *testing.T) {
	p := newPruned(t, 0)
	film := make([]byte, 20<<20)
	_, _ = rand.NewChaCha8([32]byte{3}).Read(film) // never fails
	p.write("film", string(film))
	p.store = written{p.store, filepath.Join(p.dir, "film")}
	p.take()
	all, err := backup.Manifests(t.Context(), p.store, "uploads")
	if err != nil || len(all) != 1 || len(all[0].Exceptions) != 1 || !strings.Contains(all[0].Exceptions[0], `"film" was written to whenever it was read, and is missing`) {
		t.Errorf("%+v, %v", all, err)
	}
	if got := p.usable(); len(got) != 1 {
		t.Errorf("it lists %v", got)
	}
}

// What a backup lacks its manifest tells, also where no survey has looked into it: the newest
// that lacks nothing stays.
func TestPrune_exceptions(t *testing.T) {
	p := newPruned(t, 4)
	files, err := filepath.Glob(filepath.Join(p.copy, "comeback", "backups", "uploads", "*.json"))
	all, errRead := backup.Manifests(t.Context(), p.store, "uploads")
	if err != nil || errRead != nil || len(files) != 4 || len(all) != 4 {
		t.Fatal(files, err, errRead)
	}
	for i, m := range all[1:] {
		m.Exceptions = []string{"a film is missing"}
		b, err := m.Encode()
		if err == nil {
			err = os.WriteFile(files[i+1], b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	look := p.look(backup.Keep{Daily: 1}, nil)
	var going []string
	for _, g := range look.Going {
		going = append(going, g.Manifest.ID)
	}
	if len(going) != 2 || slices.Contains(going, all[0].ID) || slices.Contains(going, all[3].ID) {
		t.Errorf("%q go, of %s, %s, %s and %s", going, all[0].ID, all[1].ID, all[2].ID, all[3].ID)
	}
}
