package backup_test

import (
	"context"
	"errors"
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
)

// nothing gives as many bytes as there are.
type nothing int64

func (n *nothing) Read(p []byte) (int, error) {
	if *n == 0 {
		return 0, io.EOF
	}
	took := min(int64(*n), int64(len(p)))
	clear(p[:took])
	*n -= nothing(took)
	return int(took), nil
}

// long is an engine whose backups are one object, of which nobody knows the size before.
type long struct {
	lines
	bytes int64
}

func (l long) Capture(ctx context.Context, src recovery.Capture) (recovery.Manifest, error) {
	m := recovery.Manifest{ID: "base/" + src.Stamp, Engine: "lines"}
	if err := src.Begin(ctx, recovery.Beginning{ID: m.ID, Prefixes: []string{m.ID + "/"}, Last: m.ID + "/last"}); err != nil {
		return m, err
	}
	n := nothing(l.bytes)
	_, err := src.Store.Put(ctx, m.ID+"/last", &n, storage.PutOptions{IfAbsent: true, Size: -1})
	return m, err
}

// backUp takes a backup into copies outside of a run.
func (p *place) backUp(engine recovery.Engine, change func(*backup.Options), copies ...string) backup.Taken {
	p.t.Helper()
	o := backup.Options{System: "shop", Components: []recovery.Component{{Name: "database", Kind: recovery.Postgres}}, Engines: []recovery.Engine{engine},
		OpenStore: func(ctx context.Context, c recovery.Copy) (storage.Store, error) { return p.Store(ctx, c.Name) },
		Runbook:   []byte("# Shop\n"), Secret: p.Secret, Redact: func(text string) string { return text }, Temp: filepath.Join(p.dir, "scratch"), Host: "db1", Place: "db1/A", By: "comeback", Now: p.Now,
		Watch: func(string, string, *recovery.Manifest) recovery.Meter { return deaf{} }}
	for _, name := range copies {
		o.Copies = append(o.Copies, recovery.Copy{Name: name})
	}
	change(&o)
	taken, err := backup.Take(p.t.Context(), o)
	if err != nil || len(taken) != 1 {
		p.t.Fatalf("%v, %+v", err, taken)
	}
	return taken[0]
}

// told is what copies tell of backups beside them.
func told(keys []string, of string) bool {
	return slices.ContainsFunc(keys, func(key string) bool { return strings.HasPrefix(key, "comeback/"+of+"/") })
}

// A backup outside of a run that the disk has no room for on which it lies until it is stored
// is not taken, and leaves nothing there.
func TestTake_room(t *testing.T) {
	p := newPlace(t, "nearby", "")
	room := func(more int64) error {
		if more > 10 {
			return recovery.Errorf("give another directory: --temp DIRECTORY", "refused: it needs %d and there is 10 free", more).WithExit(recovery.Refused)
		}
		return nil
	}
	got := p.backUp(lines{needs: 11}, func(o *backup.Options) { o.Room = room }, "nearby")
	if got.Err == nil || !strings.Contains(got.Err.Error(), "refused: it needs 11") || recovery.HintOf(got.Err) != "give another directory: --temp DIRECTORY" {
		t.Errorf("%v (hint %q)", got.Err, recovery.HintOf(got.Err))
	}
	if whole(p.holds("nearby")) {
		t.Errorf("nearby holds %v", p.holds("nearby"))
	}
	if left, err := os.ReadDir(filepath.Join(p.dir, "scratch")); err != nil || len(left) > 0 {
		t.Errorf("left beside: %v, %v", left, err)
	}
	if got := p.backUp(lines{needs: 10}, func(o *backup.Options) { o.Room = room }, "nearby"); got.Err != nil || !whole(p.holds("nearby")) {
		t.Errorf("%v; nearby holds %v", got.Err, p.holds("nearby"))
	}
}

// A copy on a disk that a backup would fill under what is live is left out as soon as that
// shows, with why; the others have the backup, and the next one clears away what is left.
func TestTake_copyRoom(t *testing.T) {
	p := newPlace(t, "", "nearby offsite")
	full := recovery.Errorf("make room on that disk", "refused: there is nothing free").WithExit(recovery.Refused)
	asked := 0
	refusing := func(from int) func(*backup.Options) {
		asked = 0
		return func(o *backup.Options) {
			o.CopyRoom = func(c recovery.Copy) func(int64) error {
				if c.Name != "nearby" {
					return nil
				}
				return func(int64) error {
					if asked++; asked >= from {
						return full
					}
					return nil
				}
			}
		}
	}
	// The mark, the object's beginning, and then in the midst of it.
	got := p.backUp(long{bytes: 72 << 20}, refusing(3), "nearby", "offsite")
	if got.Err != nil || !slices.Equal(got.Copies, []string{"offsite"}) || !errors.Is(got.Failed["nearby"], full) || recovery.HintOf(got.Failed["nearby"]) == "" || asked != 3 {
		t.Fatalf("in %v, %v, failed %v; asked %d times", got.Copies, got.Err, got.Failed, asked)
	}
	if said := got.Missing(); len(said) != 1 || !strings.HasPrefix(said[0], "nearby: refused: there is nothing free") {
		t.Errorf("said %q", said)
	}
	if info, err := os.Stat(filepath.Join(p.dir, "offsite", taken, "last")); err != nil || info.Size() != 72<<20 {
		t.Errorf("offsite has %v, %v", info, err)
	}
	if left := p.holds("nearby"); len(left) != 1 || !told(left, "unfinished") {
		t.Errorf("left in nearby: %v", left)
	}
	if left := p.holds("offsite"); told(left, "unfinished") {
		t.Errorf("left in offsite: %v", left)
	}

	// Of what is whole, all is told: that is small.
	later := func(change func(*backup.Options)) func(*backup.Options) {
		return func(o *backup.Options) {
			change(o)
			o.Now = func() time.Time { return p.Now().Add(time.Hour) }
		}
	}
	if got := p.backUp(lines{}, later(refusing(5)), "nearby", "offsite"); got.Err != nil || len(got.Failed) > 0 || asked != 4 {
		t.Errorf("%v, failed %v; asked %d times", got.Err, got.Failed, asked)
	}
	for _, name := range []string{"nearby", "offsite"} {
		if keys := p.holds(name); told(keys, "unfinished") || !told(keys, "backups") || !told(keys, "runbooks") {
			t.Errorf("%s holds %v", name, keys)
		}
	}

	// Where it is the only one, nothing is begun.
	before := p.holds("nearby")
	if got := p.backUp(lines{}, later(refusing(1)), "nearby"); !errors.Is(got.Err, full) {
		t.Errorf("into that copy alone: %v", got.Err)
	}
	if after := p.holds("nearby"); !slices.Equal(before, after) {
		t.Errorf("nearby held %v, and holds %v", before, after)
	}
}
