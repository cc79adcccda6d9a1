package backup_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/storage"
	"comeback/storagetest"
)

// lines is an engine whose backups are three objects.
type lines struct {
	recovery.Engine
	// half, where it is set, ends a capture after its first object.
	half func() error
	// between, where it is set, is what happens after its first object.
	between func()
	// broken is what its survey says of every backup.
	broken string
	// lacks is what it says that a backup lacks.
	lacks string
	// needs is the room that it needs before anything is stored.
	needs int64
	// tables are those that it counts.
	tables []recovery.TableRecord
}

func (lines) Schema() recovery.Schema {
	return recovery.Schema{Engine: "lines", Kind: recovery.Postgres}
}
func (lines) Takes() []string { return []string{"base"} }

func (lines) Fingerprint(context.Context, recovery.Capture) (string, error) { return "", nil }

func (l lines) Survey(ctx context.Context, c recovery.Component, cp recovery.Copy, s storage.Store) (recovery.Survey, error) {
	found := recovery.Survey{Component: c.Name, Copy: cp.Name, Engine: "lines"}
	for o, err := range s.List(ctx, "base/") {
		if err != nil {
			return found, err
		}
		if id, ok := strings.CutSuffix(o.Key, "/last"); ok {
			found.Backups = append(found.Backups, recovery.Backup{ID: id, Problem: l.broken})
		}
	}
	return found, nil
}

func (l lines) Capture(ctx context.Context, src recovery.Capture) (recovery.Manifest, error) {
	m := recovery.Manifest{ID: "base/" + src.Stamp, Engine: "lines", Tables: l.tables}
	if err := src.Begin(ctx, recovery.Beginning{ID: m.ID, Prefixes: []string{m.ID + "/"}, Last: m.ID + "/last"}); err != nil {
		return m, err
	}
	if l.needs > 0 {
		if err := src.Room(l.needs); err != nil {
			return m, err
		}
	}
	for i, name := range []string{"first", "second", "last"} {
		if _, err := src.Store.Put(ctx, m.ID+"/"+name, strings.NewReader(name), storage.PutOptions{IfAbsent: true, Size: int64(len(name))}); err != nil {
			return m, err
		}
		if i == 0 && l.between != nil {
			l.between()
		}
		if i == 0 && l.half != nil {
			return m, l.half()
		}
	}
	if l.lacks != "" {
		m.Exceptions = []string{l.lacks}
	}
	return m, nil
}

// place is a run in whose last step a backup is taken.
type place struct {
	recovery.Env
	t       *testing.T
	dir     string
	stores  map[string]storage.Store
	claimed []recovery.Resource
	free    int64
	// had is what the copies held when a claim was made.
	had []string
}

type quiet struct{ recovery.Meter }

func (quiet) Phase(string, int64, recovery.Unit) {}
func (quiet) Add(int64)                          {}

func (p *place) Meter() recovery.Meter { return quiet{} }
func (p *place) Now() time.Time        { return time.Date(2026, 11, 28, 10, 0, 0, 0, time.UTC) }
func (p *place) Target(context.Context, recovery.TargetID) (recovery.Handle, error) {
	return recovery.Handle{Dir: filepath.Join(p.dir, "scratch"), Scratch: true, Room: func(more int64) error {
		if more > p.free {
			return recovery.Errorf("choose another place with --scratch", "refused: it needs %d and there is %d free", more, p.free).WithExit(recovery.Refused)
		}
		return nil
	}}, nil
}
func (p *place) Secret(text string) (string, error) { return text, nil }
func (p *place) Command(context.Context, recovery.Cmd) error {
	return errors.New("no programs here")
}
func (p *place) Store(_ context.Context, name string) (storage.Store, error) {
	if s, ok := p.stores[name]; ok {
		return s, nil
	}
	return nil, &storage.Error{Op: "open", Object: name, Kind: storage.ErrUnavailable, Says: "nobody answers"}
}
func (p *place) Claim(_ context.Context, r recovery.Resource) error {
	p.claimed = append(p.claimed, r)
	for name := range p.stores {
		p.had = append(p.had, p.holds(name)...)
	}
	return nil
}

// holds lists what lies in a copy.
func (p *place) holds(name string) (keys []string) {
	err := filepath.WalkDir(filepath.Join(p.dir, name), func(path string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			rel, _ := filepath.Rel(filepath.Join(p.dir, name), path)
			keys = append(keys, rel)
		}
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return keys
}

func (p *place) open(_ context.Context, c recovery.Copy, _ func(string) (string, error)) (storage.Store, error) {
	return p.Store(context.Background(), c.Name)
}

const older = "base/20261101T000000Z"

// newPlace has a copy of each name; those in old hold a backup already.
func newPlace(t *testing.T, old, others string) *place {
	p := &place{t: t, dir: t.TempDir(), stores: map[string]storage.Store{}}
	if err := os.Mkdir(filepath.Join(p.dir, "scratch"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.Fields(old + " " + others) {
		dir := filepath.Join(p.dir, name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		store, err := storage.OpenDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(strings.Fields(old), name) {
			if _, err := store.Put(t.Context(), older+"/last", strings.NewReader("x"), storage.PutOptions{Size: 1}); err != nil {
				t.Fatal(err)
			}
		}
		p.stores[name] = store
	}
	return p
}

// take takes a backup into the copies that a runbook names.
func (p *place) take(ctx context.Context, engine lines, hold error, copies ...string) (recovery.Outcome, error) {
	a := backup.StepArgs{System: "shop", Component: recovery.Component{Name: "database", Kind: recovery.Postgres}, Engine: "lines", Sort: "base", Scratch: "scratch/database", Run: "7c31"}
	for _, name := range copies {
		a.Copies = append(a.Copies, recovery.Copy{Name: name, URL: "file:///" + name})
	}
	kind := backup.Taking(backup.StepOptions{By: "comeback test", Engines: func() []recovery.Engine { return []recovery.Engine{engine} },
		Hold: func(context.Context, string, string, string, func(string)) (string, func() error, error) {
			return "here", func() error { return nil }, hold
		}})
	return kind.Do(ctx, p, backup.Step("base", a))
}

// giveBack releases what the run has claimed.
func (p *place) giveBack() error {
	var all []error
	for _, r := range p.claimed {
		all = append(all, backup.NewReleaser(p.open, nil).Release(p.t.Context(), r))
	}
	return errors.Join(all...)
}

const taken = "base/20261128T100000Z"

func whole(keys []string) bool { return slices.Contains(keys, taken+"/last") }

// What a backup within a run does not hold as it was is an exception of the run.
func TestTaking_exceptions(t *testing.T) {
	p := newPlace(t, "nearby", "")
	o, err := p.take(t.Context(), lines{lacks: "a line is missing"}, nil, "nearby")
	if want := []string{"database: in the new base backup a line is missing"}; err != nil || !slices.Equal(o.Exceptions, want) || len(o.Adopted) != 1 {
		t.Errorf("%+v, %v", o, err)
	}
}

// A backup within a run goes into the copies that hold such backups already, is
// claimed before anything of it is stored, and is the run's no more when it is whole.
func TestTaking(t *testing.T) {
	p := newPlace(t, "nearby offsite", "uploads")
	o, err := p.take(t.Context(), lines{}, nil, "nearby", "uploads", "offsite")
	if err != nil || len(o.Unprotected) > 0 || len(o.ToDo) > 0 || o.Facts["backup"] != taken {
		t.Fatalf("%+v, %v", o, err)
	}
	for name, want := range map[string]bool{"nearby": true, "offsite": true, "uploads": false} {
		if whole(p.holds(name)) != want {
			t.Errorf("%s holds %v", name, p.holds(name))
		}
	}
	if len(p.claimed) != 1 || len(o.Adopted) != 1 || o.Adopted[0].ID != p.claimed[0].ID || len(p.had) != 2 {
		t.Errorf("claimed %+v when there was %v; adopted %+v", p.claimed, p.had, o.Adopted)
	}
	if left, err := os.ReadDir(filepath.Join(p.dir, "scratch", "backup")); err != nil || len(left) > 0 {
		t.Errorf("left in scratch: %v, %v", left, err)
	}
	// It is whole: what gives back a claim leaves it alone.
	if err := p.giveBack(); err != nil || !whole(p.holds("nearby")) {
		t.Errorf("given back: %v; there is %v", err, p.holds("nearby"))
	}
}

// A backup that the disk of what was just opened has no room for is refused, with what can be
// done after a switch.
func TestTaking_room(t *testing.T) {
	p := newPlace(t, "nearby", "")
	p.free = 10
	_, err := p.take(t.Context(), lines{needs: 11}, nil, "nearby")
	if err == nil || !strings.Contains(err.Error(), "there is 10 free") || !strings.Contains(recovery.HintOf(err), "comeback backup RUNBOOK database --temp") || recovery.ExitOf(err) != recovery.Refused {
		t.Errorf("%v (hint %q)", err, recovery.HintOf(err))
	}
	if whole(p.holds("nearby")) {
		t.Errorf("nearby holds %v", p.holds("nearby"))
	}
	if o, err := p.take(t.Context(), lines{needs: 10}, nil, "nearby"); err != nil || len(o.Unprotected) > 0 {
		t.Errorf("%+v, %v", o, err)
	}
}

// A copy that has not got the backup is named, whatever keeps it out, and the others
// have it all the same; what is half there goes.
func TestTaking_refused(t *testing.T) {
	refuse := func(op storagetest.Op, after int) storagetest.Fault {
		return storagetest.Fault{Op: op, After: after, Err: storagetest.Denied}
	}
	for name, c := range map[string]struct {
		fault  storagetest.Fault
		broken string
		copies []string
		says   string
	}{
		"one that denies the first object": {fault: refuse(storagetest.OnPut, 0), says: "offsite: "},
		"one that denies the last object":  {fault: refuse(storagetest.OnPut, 3), says: "Access Denied"},
		"one that does not answer":         {copies: []string{"nearby", "gone"}, says: "gone: "},
		"one that denies to be listed":     {fault: refuse(storagetest.OnList, 0), says: "Access Denied"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, "nearby offsite", "")
			faulty := storagetest.NewFaulty(p.stores["offsite"])
			if c.fault.Err != nil {
				faulty.Inject(c.fault)
			}
			p.stores["offsite"] = faulty
			if c.copies == nil {
				c.copies = []string{"nearby", "offsite"}
			}
			o, err := p.take(t.Context(), lines{broken: c.broken}, nil, c.copies...)
			if err != nil || len(o.Unprotected) != 1 || !strings.Contains(o.Unprotected[0], c.says) || len(o.ToDo) != 1 || len(o.Adopted) > 0 {
				t.Fatalf("%+v, %v", o, err)
			}
			if !whole(p.holds("nearby")) || whole(p.holds("offsite")) {
				t.Errorf("nearby holds %v, offsite %v", p.holds("nearby"), p.holds("offsite"))
			}
			faulty.Heal()
			if err := p.giveBack(); err != nil {
				t.Error(err)
			}
			if left := p.holds("offsite"); len(left) != 1 || !whole(p.holds("nearby")) {
				t.Errorf("given back, offsite holds %v, nearby %v", left, p.holds("nearby"))
			}
		})
	}
	t.Run("one that lists it as broken", func(t *testing.T) {
		p := newPlace(t, "nearby", "")
		o, err := p.take(t.Context(), lines{broken: "a file is cut off"}, nil, "nearby")
		if err != nil || len(o.Unprotected) != 1 || !strings.Contains(o.Unprotected[0], "cannot be restored: a file is cut off") || !strings.HasPrefix(o.Says, "not protected yet") {
			t.Errorf("%+v, %v", o, err)
		}
	})
	t.Run("none answers", func(t *testing.T) {
		if o, err := newPlace(t, "", "").take(t.Context(), lines{}, nil, "gone"); err == nil || !strings.Contains(err.Error(), "no copy can be written to") {
			t.Errorf("%+v, %v", o, err)
		}
	})
	t.Run("another backup is at work", func(t *testing.T) {
		p := newPlace(t, "nearby", "")
		busy := recovery.Errorf("wait for it", "refused: another is at work").WithExit(recovery.Refused)
		if _, err := p.take(t.Context(), lines{}, busy, "nearby"); !errors.Is(err, busy) || len(p.holds("nearby")) != 1 {
			t.Errorf("%v; there is %v", err, p.holds("nearby"))
		}
	})
}

// A backup that is cut off is given back by whoever ends the run, or cleared away by
// the next attempt.
func TestTaking_cutOff(t *testing.T) {
	for _, again := range []bool{false, true} {
		t.Run(fmt.Sprintf("tried again %v", again), func(t *testing.T) {
			p := newPlace(t, "nearby offsite", "")
			ctx, cancel := context.WithCancel(t.Context())
			if _, err := p.take(ctx, lines{half: func() error { cancel(); return io.ErrUnexpectedEOF }}, nil, "nearby", "offsite"); err == nil {
				t.Fatal("it was cut off")
			}
			if half := p.holds("offsite"); len(half) != 3 {
				t.Fatalf("half a backup and its mark: %v", half)
			}
			// And what a kill leaves that no list shows.
			if err := os.WriteFile(filepath.Join(p.dir, "offsite", taken, ".comeback-put-dead"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			want := 1
			if again {
				if o, err := p.take(t.Context(), lines{}, nil, "nearby", "offsite"); err != nil || len(o.Unprotected) > 0 {
					t.Fatalf("%+v, %v", o, err)
				}
				want = 5 // and the manifest
			}
			if err := p.giveBack(); err != nil {
				t.Error(err)
			}
			for _, name := range []string{"nearby", "offsite"} {
				if left := p.holds(name); len(left) != want || whole(left) != again {
					t.Errorf("%s holds %v", name, left)
				}
			}
		})
	}
}
