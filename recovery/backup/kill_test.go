package backup_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"comeback/recovery/backup"
	"comeback/storage"
)

// mortal is a copy as a process sees it that is killed: after so many calls that
// change something in this copy, the last of them in its middle, nothing reaches any of
// its copies any more, not even what would clean up.
type mortal struct {
	storage.Store
	dir  string
	left atomic.Int64 // of this copy's calls
	dead *atomic.Bool // the process
}

var errDead = errors.New("the process is dead")

// counts says what becomes of a call: it is whole, the process dies in its middle, or
// it is dead.
func (m *mortal) counts() (dies, dead bool) {
	if m.dead.Load() {
		return false, true
	}
	if m.left.Add(-1) == 0 {
		m.dead.Store(true)
		return true, false
	}
	return false, m.dead.Load()
}

func (m *mortal) Put(ctx context.Context, key string, body io.Reader, o storage.PutOptions) (storage.Object, error) {
	dies, dead := m.counts()
	if dead {
		return storage.Object{}, errDead
	}
	if dies { // while the body is on its way, which stays under another name
		half := filepath.Join(m.dir, filepath.Dir(key), ".comeback-put-"+rand.Text())
		err := os.MkdirAll(filepath.Dir(half), 0o700)
		if err == nil {
			err = os.WriteFile(half, []byte("half"), 0o600)
		}
		return storage.Object{}, errors.Join(errDead, err)
	}
	return m.Store.Put(ctx, key, &dying{body, m.dead}, o)
}

func (m *mortal) Swap(ctx context.Context, old storage.Object, body []byte) (storage.Object, error) {
	panic("nothing is swapped")
}

func (m *mortal) Remove(ctx context.Context, o storage.Object) error {
	if dies, dead := m.counts(); dies || dead {
		return errDead
	}
	swapper, _ := storage.As[storage.Swapper](m.Store)
	return swapper.Remove(ctx, o)
}

// dying is a body that comes no further when the process dies in another copy.
type dying struct {
	io.Reader
	dead *atomic.Bool
}

func (d *dying) Read(b []byte) (int, error) {
	if d.dead.Load() {
		return 0, errDead
	}
	return d.Reader.Read(b)
}

// A backup that is killed anywhere, in either of two copies, leaves nothing in a list
// that cannot be restored, takes nothing away from what was there, and the next one is
// whole and clears away all that no backup needs.
func TestTake_killed(t *testing.T) {
	for _, where := range []string{"nearby", "offsite"} {
		for at := 1; ; at++ {
			p := newPruned(t, 0)
			offsite := t.TempDir()
			var err error
			if p.offsite, err = storage.OpenDir(offsite); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				p.take()
				p.now = p.now.AddDate(0, 0, 1)
			}
			whole := []storage.Store{p.store, p.offsite}
			var dead atomic.Bool
			copies := map[string]*mortal{"nearby": {Store: p.store, dir: p.copy, dead: &dead}, "offsite": {Store: p.offsite, dir: offsite, dead: &dead}}
			copies[where].left.Store(int64(at))
			p.store, p.offsite = copies["nearby"], copies["offsite"]
			p.write("today", "of the day of the death")
			err = p.try()
			for i, dir := range []string{p.copy, offsite} { // as the next process does
				var errOpen error
				if whole[i], errOpen = storage.OpenDir(dir); errOpen != nil {
					t.Fatal(errOpen)
				}
			}
			p.store, p.offsite = whole[0], whole[1]
			name := fmt.Sprintf("killed at call %d of %s", at, where)
			for _, p.store = range whole {
				before := p.usable()
				if len(before) < 2 || !slices.Equal(before[:2], []string{"01", "02"}) || len(before) > 3 || err == nil && len(before) != 3 {
					t.Errorf("%s: left are the days %v, and it said %v", name, before, err)
				}
			}
			p.store = whole[0]
			p.now = p.now.AddDate(0, 0, 1)
			p.take()
			for i, dir := range []string{p.copy, offsite} {
				p.store, p.copy = whole[i], dir
				if after := p.usable(); !slices.Contains(after, "04") {
					t.Errorf("%s: after the next one there are the days %v", name, after)
				}
				p.nothingSpare(name)
			}
			if !dead.Load() {
				if at < 7 {
					t.Errorf("a backup changes a copy %d times only", at-1)
				}
				break
			}
		}
	}
}

// nothingSpare fails where the copy has more than its backups, what is known of them,
// and the runbook; where one of them has no manifest beside it; and where the oldest
// but one cannot be pruned to nothing.
func (p *pruned) nothingSpare(name string) {
	p.Helper()
	look := p.look(backup.Keep{Daily: 1}, nil)
	if len(look.Remarks) > 0 {
		p.Errorf("%s: %q", name, look.Remarks)
	}
	listed := len(p.usable())
	known, err := backup.Manifests(p.Context(), p.store, "uploads")
	if err != nil || len(known) != listed {
		p.Errorf("%s: %d backups are listed, %d are known, %v", name, listed, len(known), err)
	}
	if _, refused := look.Remove(p.Context()); len(refused) > 0 {
		p.Errorf("%s: %v", name, refused)
	}
	kept := p.usable()
	if !slices.Equal(kept, []string{"04"}) {
		p.Errorf("%s: kept are %v", name, kept)
	}
	var spare []string
	err = filepath.WalkDir(p.copy, func(path string, e os.DirEntry, err error) error {
		rel, _ := filepath.Rel(p.copy, path)
		if err != nil || e.IsDir() {
			return err
		}
		// Of the last one: what has changed, its tree, list and name, and the packs that it shares with the first.
		if !strings.Contains(rel, "20261104T") && !strings.HasPrefix(rel, "uploads/packs/20261101T") && !strings.HasPrefix(rel, "comeback/backups/uploads/20261101T") && !strings.HasPrefix(rel, "comeback/runbooks/") {
			spare = append(spare, rel)
		}
		return nil
	})
	if err != nil || len(spare) > 0 {
		p.Errorf("%s: left are %q, %v", name, spare, err)
	}
}

// try takes a backup that may fail.
func (p *pruned) try() error {
	p.Helper()
	taken, err := p.run()
	if err == nil && len(taken) == 1 {
		err = taken[0].Err
		for _, why := range taken[0].Failed {
			err = errors.Join(err, why)
		}
	}
	return err
}

// appendOnly is a copy whose credentials may store and not remove.
type appendOnly struct{ storage.Store }

func (a appendOnly) Swap(ctx context.Context, old storage.Object, body []byte) (storage.Object, error) {
	swapper, _ := storage.As[storage.Swapper](a.Store)
	return swapper.Swap(ctx, old, body)
}

func (appendOnly) Remove(_ context.Context, o storage.Object) error {
	return &storage.Error{Op: "remove", Object: o.Key, Kind: storage.ErrDenied, Says: "these credentials may not remove"}
}

// Who may store and not remove takes one backup after the other: each is whole, and
// said to be, and what could not be tidied up is told.
func TestTake_appendOnly(t *testing.T) {
	p := newPruned(t, 1)
	p.store = appendOnly{p.store}
	for _, day := range []string{"03", "04"} {
		p.write("today", "of day "+day)
		taken, err := p.run()
		if err != nil || len(taken) != 1 || taken[0].Err != nil || len(taken[0].Failed) > 0 || len(taken[0].Copies) != 1 {
			t.Fatalf("day %s: %v, %+v", day, err, taken)
		}
		if said := strings.Join(taken[0].Manifest.Remarks, "; "); !strings.Contains(said, "could not be told that it is whole") {
			t.Errorf("day %s: it says %q", day, said)
		}
		p.now = p.now.AddDate(0, 0, 1)
	}
	if days := p.usable(); len(days) != 3 {
		t.Errorf("there are the days %v", days)
	}
}

// Backups that are taken within one second have names of their own.
func TestTake_sameSecond(t *testing.T) {
	p := newPruned(t, 0)
	for i := range 4 {
		p.write("today", fmt.Sprint("version ", i))
		p.take()
		p.now = p.now.Add(100 * time.Millisecond)
	}
	if all := p.usable(); len(all) != 4 {
		t.Errorf("of four backups there are %v", all)
	}
}

// blind is a copy whose list shows no runbook: another backup is just storing it.
type blind struct{ storage.Store }

func (b blind) Unwrap() storage.Store { return b.Store }

func (b blind) List(ctx context.Context, prefix string) iter.Seq2[storage.Object, error] {
	if strings.HasPrefix(prefix, "comeback/runbooks/") {
		return func(func(storage.Object, error) bool) {}
	}
	return b.Store.List(ctx, prefix)
}

// Backups of two components that begin in the same second both store the runbook: that
// the other was faster in one of the copies is no failure, and each copy has it.
func TestTake_runbookTwice(t *testing.T) {
	p := newPruned(t, 0)
	offsite := t.TempDir()
	var err error
	if p.offsite, err = storage.OpenDir(offsite); err != nil {
		t.Fatal(err)
	}
	p.take()
	books := func(dir string) int {
		found, err := filepath.Glob(filepath.Join(dir, "comeback", "runbooks", "shop", "*.md"))
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	if err := os.RemoveAll(filepath.Join(offsite, "comeback", "runbooks")); err != nil {
		t.Fatal(err)
	}
	p.store, p.component.Name = blind{p.store}, "others"
	p.component.Settings["prefix"] = []string{"others/"}
	if err := p.try(); err != nil || books(p.copy) != 1 || books(offsite) != 1 {
		t.Errorf("%v; nearby has %d runbooks, offsite %d", err, books(p.copy), books(offsite))
	}
}

// What a killed backup has left in the directory for what is not stored yet goes with
// the next one; that of one that is at work, and what others have there, stay.
func TestTake_temp(t *testing.T) {
	p := newPruned(t, 0)
	temp := t.TempDir()
	for _, name := range []string{"comeback-backup-dead/base", "comeback-backup-busy", "shop-backup"} {
		if err := os.MkdirAll(filepath.Join(temp, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	busy, err := os.Open(filepath.Join(temp, "comeback-backup-busy"))
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	if err := syscall.Flock(int(busy.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	p.temp = temp
	p.take()
	entries, err := os.ReadDir(temp)
	if err != nil || len(entries) != 2 || entries[0].Name() != "comeback-backup-busy" || entries[1].Name() != "shop-backup" {
		t.Errorf("left are %v, %v", entries, err)
	}
}
