package backup_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/storage"
)

// as lets what follows be done for a system.
func (p *pruned) as(system string) {
	p.system, p.component.Claims.System = system, system
}

// give lets a backup be another system's, as one that an older version has taken into the
// same place.
func (p *pruned) give(system string, number int) {
	p.Helper()
	all, err := filepath.Glob(filepath.Join(p.copy, "comeback/backups/uploads/*.json"))
	if err != nil || len(all) <= number {
		p.Fatal(all, err)
	}
	text, err := os.ReadFile(all[number])
	if err != nil {
		p.Fatal(err)
	}
	runbooks := filepath.Join(p.copy, "comeback/runbooks", system)
	if err := errors.Join(os.WriteFile(all[number], bytes.Replace(text, []byte(`"system": "shop"`), []byte(`"system": "`+system+`"`), 1), 0o600), os.MkdirAll(runbooks, 0o700),
		os.WriteFile(filepath.Join(runbooks, "20261101T030000Z-"+strings.Repeat("0", 64)+".md"), []byte("# "+system), 0o600)); err != nil {
		p.Fatal(err)
	}
}

// Of two systems whose backups older versions have put into one place, each lists its own
// alone, and keeps what its own rule says; what they have in common stays for both.
func TestPrune_twoSystems(t *testing.T) {
	p := newPruned(t, 0)
	p.now = p.now.AddDate(100, 0, 0) // files that were changed before are unchanged
	for range 6 {
		p.write("today", "of "+p.now.String())
		p.take()
		p.now = p.now.AddDate(0, 0, 1)
	}
	for day := 1; day < 6; day += 2 {
		p.give("blog", day)
	}
	days := map[string][]string{"shop": {"01", "03", "05"}, "blog": {"02", "04", "06"}}
	for system, want := range days {
		if p.as(system); !slices.Equal(p.usable(), want) {
			t.Fatalf("%s lists %v", system, p.usable())
		}
	}
	p.as("shop")
	if removed, refused := p.look(backup.Keep{Daily: 1}, nil).Remove(t.Context()); removed != 2 || len(refused) > 0 {
		t.Errorf("removed %d, refused %v", removed, refused)
	}
	if got := p.usable(); !slices.Equal(got, []string{"05"}) {
		t.Errorf("left to the shop are the days %v", got)
	}
	if p.as("blog"); !slices.Equal(p.usable(), days["blog"]) {
		t.Errorf("left to the blog are the days %v", p.usable())
	}
	if removed, refused := p.look(backup.Keep{Daily: 2}, nil).Remove(t.Context()); removed != 1 || len(refused) > 0 {
		t.Errorf("removed %d, refused %v", removed, refused)
	}
	if got := p.usable(); !slices.Equal(got, []string{"04", "06"}) {
		t.Errorf("left to the blog are the days %v", got)
	}
	if p.as("shop"); !slices.Equal(p.usable(), []string{"05"}) {
		t.Errorf("left to the shop are the days %v", p.usable())
	}
}

// Manifests that say no system are the only system's, and nobody's where there are two.
func TestPrune_noSystem(t *testing.T) {
	p := newPruned(t, 0)
	for day := range 3 {
		p.write("today", "of "+p.now.String())
		p.take()
		p.give("", day)
		p.now = p.now.AddDate(0, 0, 1)
	}
	if look := p.look(backup.Keep{Daily: 1}, nil); len(look.Going) != 2 {
		t.Errorf("of one system %d go", len(look.Going))
	}
	p.take()
	p.give("blog", 3)
	if look := p.look(backup.Keep{Daily: 1}, nil); len(look.Going) > 0 || len(look.Kept) > 0 {
		t.Errorf("of two systems: %+v", look)
	}
}

// A backup is refused where it would lie among another system's, copy by copy, and says what
// to do; with a place of its own it is taken.
func TestTake_amongAnothers(t *testing.T) {
	p := newPruned(t, 1)
	before := p.keys()
	p.as("blog")
	taken, err := p.run()
	if err != nil || len(taken) != 1 {
		t.Fatal(taken, err)
	}
	refused := func(err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), `backups of the system shop lie in "uploads/`) || recovery.ExitOf(err) != recovery.Refused ||
			!strings.Contains(recovery.HintOf(err), "`prefix: blog/uploads/`") || !strings.Contains(recovery.HintOf(err), "`formerly: [shop]`") {
			t.Errorf("it says: %v (%s)", err, recovery.HintOf(err))
		}
	}
	if refused(taken[0].Err); !slices.Equal(p.keys(), before) {
		t.Errorf("it has stored %v", p.keys())
	}
	if p.offsite, err = storage.OpenDir(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	if taken, err = p.run(); err != nil || taken[0].Err != nil || !slices.Equal(taken[0].Copies, []string{"offsite"}) {
		t.Fatal(taken, err)
	}
	refused(taken[0].Failed["nearby"])
	p.now = p.now.AddDate(0, 0, 1)
	p.component.Settings = recovery.Settings{"path": {p.dir}, "prefix": {"blog/uploads/"}}
	if taken, err = p.run(); err != nil || taken[0].Err != nil || len(taken[0].Copies) != 2 {
		t.Fatal(taken, err)
	}
	if got := p.usable(); len(got) != 1 {
		t.Errorf("the blog lists %v", got)
	}
	p.component.Settings = recovery.Settings{"path": {p.dir}, "prefix": {"uploads/"}}
	p.as("shop")
	p.take()
}

// A system that got another name long ago, with the same prefix, is backed up as ever, and
// told what to write into its runbook; with that, its backups of both names are its own.
func TestTake_renamed(t *testing.T) {
	p := newPruned(t, 0)
	p.now = p.now.AddDate(100, 0, 0) // files that were changed before are unchanged
	for day := range 4 {
		p.write("today", "of "+p.now.String())
		p.take()
		if p.now = p.now.AddDate(0, 0, 1); day >= 2 {
			p.give("webshop", day)
		}
	}
	remarks := func() string {
		t.Helper()
		all, err := backup.Manifests(t.Context(), p.store, "uploads")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(all[len(all)-1].Remarks, " ")
	}
	p.as("webshop")
	if p.take(); !strings.Contains(remarks(), "`formerly: [shop]`") {
		t.Errorf("it remarks %q", remarks())
	}
	if got, want := p.usable(), []string{"03", "04", "05"}; !slices.Equal(got, want) {
		t.Errorf("as webshop alone it lists %v, want %v", got, want)
	}
	p.component.Claims.Formerly = []string{"shop"}
	p.now = p.now.AddDate(0, 0, 1)
	if p.take(); remarks() != "" {
		t.Errorf("it remarks %q", remarks())
	}
	if got, want := p.usable(), []string{"01", "02", "03", "04", "05", "06"}; !slices.Equal(got, want) {
		t.Errorf("under both names it lists %v, want %v", got, want)
	}
	if removed, refused := p.look(backup.Keep{Daily: 2}, nil).Remove(t.Context()); removed != 4 || len(refused) > 0 {
		t.Errorf("removed %d, refused %v", removed, refused)
	}
	if got := p.usable(); !slices.Equal(got, []string{"05", "06"}) {
		t.Errorf("left are the days %v", got)
	}
}

// archived is a store of which the objects under a prefix may be listed, and not read.
type archived struct {
	storage.Store
	prefix string
}

func (a archived) Unwrap() storage.Store { return a.Store }

func (a archived) Open(ctx context.Context, o storage.Object, offset int64) (io.ReadCloser, error) {
	if strings.HasPrefix(o.Key, a.prefix) {
		return nil, &storage.Error{Op: "read", Object: o.Key, Kind: storage.ErrDenied}
	}
	return a.Store.Open(ctx, o, offset)
}

// Where one manifest may not be read, backups are listed and taken all the same, and nothing
// is removed: it may name what is to go.
func TestPrune_deniedManifest(t *testing.T) {
	p := newPruned(t, 3)
	p.as("blog")
	p.component.Name, p.component.Settings = "posts", recovery.Settings{"path": {p.dir}, "prefix": {"blog/posts/"}}
	p.take()
	p.as("shop")
	p.component.Name, p.component.Settings = "uploads", recovery.Settings{"path": {p.dir}, "prefix": {"uploads/"}}
	open := p.store
	p.store = archived{open, "comeback/backups/posts/"}
	if got := p.usable(); len(got) < 3 {
		t.Errorf("it lists %v", got)
	}
	p.now = p.now.AddDate(0, 0, 1)
	p.take()
	if look := p.look(backup.Keep{Daily: 1}, nil); len(look.Going) > 0 || !strings.Contains(strings.Join(look.Remarks, " "), "1 manifest may not be read") {
		t.Errorf("%d go: %v", len(look.Going), look.Remarks)
	}
	p.store = open
	if look := p.look(backup.Keep{Daily: 1}, nil); len(look.Going) == 0 {
		t.Errorf("nothing goes: %v", look.Remarks)
	}
}
