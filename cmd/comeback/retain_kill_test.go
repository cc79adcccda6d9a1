package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"comeback/enginetest/killat"
	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/recovery/postgres"
	"comeback/shop/shoptest"
	"comeback/storage"
	"comeback/storagetest"
)

// retaining is a component all but the newest of whose backups are to go.
type retaining struct {
	*killed
	// whole is what the copies hold before, kept what they hold after.
	whole, kept map[string]map[string]string
	// stays and until are, by copy, the newest backup and where the log ends.
	stays map[string]string
	until map[string]recovery.LSN
}

// newRetaining looks what a removal does that nobody disturbs.
func newRetaining(k *killed) (*retaining, []string) {
	k.t.Helper()
	r := &retaining{killed: k, stays: map[string]string{}, until: map[string]recovery.LSN{}}
	r.whole = r.contents()
	for name, store := range k.stores() {
		for _, s := range k.surveys(name, store, k.component) {
			for _, w := range s.Windows {
				r.until[name] = max(r.until[name], w.To.LSN)
			}
		}
	}
	calls := k.kill("retain", killat.Never, syscall.SIGKILL, "--remove").Calls
	r.kept = r.contents()
	for name, store := range k.stores() {
		for _, s := range k.surveys(name, store, k.component) {
			for _, b := range s.Backups {
				if b.Problem != "" {
					k.t.Fatalf("%s lists %s, and: %s", name, b.ID, b.Problem)
				}
				r.stays[name] = max(r.stays[name], b.ID) // the newest; it may be incremental to others
			}
		}
		if len(r.kept[name]) == 0 || len(r.kept[name]) > len(r.whole[name])-4 {
			k.t.Fatalf("of %d objects in %s, %d stay", len(r.whole[name]), name, len(r.kept[name]))
		}
		r.needs(name, store)
	}
	return r, calls
}

// contents is all that the copies hold, by copy and key.
func (k *killed) contents() map[string]map[string]string {
	k.t.Helper()
	all := map[string]map[string]string{}
	for name, store := range k.stores() {
		all[name] = map[string]string{}
		for _, key := range storagetest.Keys(k.t, store, "") {
			all[name][key] = storagetest.Read(k.t, store, key)
		}
	}
	return all
}

// again puts back all that there was where something goes, the oldest backup first: some
// are dated by when they were stored.
func (r *retaining) again() {
	r.t.Helper()
	top := func(key string) string { dir, _, _ := strings.Cut(key, "/"); return dir }
	for name, store := range r.stores() {
		goes := map[string]bool{}
		for key := range r.whole[name] {
			if _, stays := r.kept[name][key]; !stays {
				goes[top(key)] = true
			}
		}
		swapper, _ := storage.As[storage.Swapper](store)
		for o, err := range store.List(r.t.Context(), "") {
			if err == nil && goes[top(o.Key)] {
				err = swapper.Remove(r.t.Context(), o)
			}
			if err != nil {
				r.t.Fatal(err)
			}
		}
		for _, key := range slices.Sorted(maps.Keys(r.whole[name])) {
			if goes[top(key)] {
				r.put(store, key, r.whole[name][key])
			}
		}
	}
}

func (k *killed) put(store storage.Store, key, text string) {
	k.t.Helper()
	if _, err := store.Put(k.t.Context(), key, strings.NewReader(text), storage.PutOptions{IfAbsent: true, Size: int64(len(text))}); err != nil {
		k.t.Fatal(err)
	}
}

// needs fails where a backup that a copy lists lacks what it needs.
func (r *retaining) needs(name string, store storage.Store) {
	r.t.Helper()
	there := storagetest.Keys(r.t, store, "")
	has := func(id, key string) {
		if !slices.Contains(there, key) {
			r.t.Errorf("%s lists %s without %s", name, id, key)
		}
	}
	known, err := backup.Manifests(r.t.Context(), store, r.component)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, s := range r.surveys(name, store, r.component) {
		engine, _ := recovery.EngineNamed(engines(), s.Engine)
		for _, b := range s.Backups {
			if b.Problem != "" {
				if b.ID == r.stays[name] {
					r.t.Errorf("%s lists %s, and: %s", name, b.ID, b.Problem)
				}
				continue // it was to go, and nobody can choose it
			}
			for _, m := range known {
				for _, o := range m.Objects {
					if m.ID == b.ID && o.Key != m.Names {
						has(b.ID, o.Key)
					}
				}
			}
			if pruner, ok := engine.(recovery.Pruner); ok {
				needed, _, err := pruner.Shared(r.t.Context(), asked(r.component), []recovery.Backup{b}, store)
				if err != nil {
					r.t.Errorf("%s: %v", name, err)
				}
				for _, key := range needed {
					has(b.ID, key)
				}
			}
			if w := s.WindowFrom(b.ID); b.ID == r.stays[name] && w != nil && (w.To.LSN != r.until[name] || len(w.Gaps) > 0) {
				r.t.Errorf("%s has the log of %s until %s, not until %s, without %v", name, b.ID, w.To.LSN, r.until[name], w.Gaps)
			}
		}
	}
}

// at kills a removal at a call, and looks what that leaves, and what the next one does.
func (r *retaining) at(n int, signal syscall.Signal) {
	r.t.Helper()
	r.again()
	r.kill("retain", n, signal, "--remove")
	for name, store := range r.stores() {
		there := storagetest.Keys(r.t, store, "")
		for key := range r.kept[name] {
			if !slices.Contains(there, key) {
				r.t.Errorf("%s has lost %s, which stays", name, key)
			}
		}
		r.needs(name, store)
	}
	r.run(r.t.Context(), "retain", r.book, r.component, "--remove").has(r.t, recovery.CameBack)
	for name, now := range r.contents() {
		for key, text := range now {
			if was, ok := r.kept[name][key]; !ok || was != text {
				r.t.Errorf("%s still holds %s, or another one", name, key)
			}
		}
		if len(now) < len(r.kept[name]) {
			r.t.Errorf("%s holds %d objects, not %d", name, len(now), len(r.kept[name]))
		}
	}
}

// A removal is killed at each call by which it changes anything, by SIGKILL and by
// SIGTERM: what stays has all that it needs, of its own, of the log and of what others have
// stored, what is listed can be restored, and the next removal does the rest.
func TestRetain_killed(t *testing.T) {
	if plainly(t) {
		return
	}
	t.Run("snapshots", func(t *testing.T) {
		d := &dying{server: storagetest.StartS3(t), place: shoptest.Dir(t)}
		d.rig = newRig(t) // after those, which its last runs still use
		d.server.Setenv(t)
		d.server.CreateBucket("offsite")
		tree := filepath.Join(d.place, "uploads")
		write := func(name, text string) {
			t.Helper()
			if err := os.WriteFile(filepath.Join(tree, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Mkdir(tree, 0o700); err != nil {
			t.Fatal(err)
		}
		write("always", "of the first day")
		k := d.copies(t, "uploads")
		k.write(fmt.Sprintf("components:\n  uploads: {kind: files, path: %q, prefix: uploads/, retain: [1 daily]}\n---\n# Shop\n\n## Restore\nBudget: 5m.\n\n```yaml\nrestore: uploads\n```\n", tree))
		for i := range 3 {
			write("today", fmt.Sprint("version ", i))
			k.run(t.Context(), "backup", k.book).has(t, recovery.CameBack, "in nearby, offsite")
		}
		r, calls := newRetaining(k)
		r.atCalls(t, calls, r.at)
	})
	if !soaking() {
		return
	}
	tools, err := postgres.FindTools(0)
	if err != nil {
		t.Fatal(err)
	}
	d := newDying(t)
	cases := []struct{ name, component, more string }{
		{"directory dumps", "database", ", backup: dump, dump_format: directory, dump_jobs: 2, record: no"},
		{"base backups", "database", ", backup: base, record: no"},
		{"encrypted snapshots", "config", ", backup: dump, record: no"},
		{"bundles", "code", ", backup: dump, record: no"},
	}
	if postgres.TakesIncremental(tools.Major) {
		d.summarize(t)
		cases = append(cases, struct{ name, component, more string }{"incremental base backups", "database", ", backup: base, incremental: 2, record: no"})
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			k := d.killing(t, c.component, c.more)
			for range 3 {
				k.run(t.Context(), "backup", k.book, c.component).has(t, recovery.CameBack, "in nearby, offsite")
				if err := d.Archived(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if strings.Contains(c.more, "base") {
				k.archive()
			}
			r, calls := newRetaining(k)
			r.atCalls(t, calls, r.at)
			if c.component != "database" {
				k.newer(c.component)
			}
			for name, id := range r.stays {
				to := "latest"
				if c.component == "database" {
					to = id
				}
				k.run(t.Context(), "rehearse", k.book, "--to", to, "--copy", name, "--plain").has(t, recovery.CameBack, "EVERY CHECK HELD", id)
			}
		})
	}
}

// archive puts the log of the shop into the copies, too.
func (k *killed) archive() {
	k.t.Helper()
	from := filepath.Join(k.Copy(), "wal")
	entries, err := os.ReadDir(from)
	if err != nil {
		k.t.Fatal(err)
	}
	for _, store := range k.stores() {
		for _, e := range entries {
			text, err := os.ReadFile(filepath.Join(from, e.Name()))
			if err != nil {
				k.t.Fatal(err)
			}
			k.put(store, "wal/"+e.Name(), string(text))
		}
	}
}
