package backup_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/recovery/dump"
	"comeback/storage"
)

// customArchive is as much of a custom archive of pg_dump as a survey reads, and some data.
func customArchive(at time.Time) []byte {
	b := bytes.NewBufferString("PGDMP\x01\x0e\x00\x04\x08\x01")
	number := func(n int) {
		b.WriteByte(0)
		b.Write(binary.LittleEndian.AppendUint32(nil, uint32(n)))
	}
	for _, n := range []int{0, at.Second(), at.Minute(), at.Hour(), at.Day(), int(at.Month()) - 1, at.Year() - 1900, 0} {
		number(n)
	}
	for _, text := range []string{"shop", "15.18", "15.18"} {
		number(len(text))
		b.WriteString(text)
	}
	return append(b.Bytes(), bytes.Repeat([]byte("rows"), 1000)...)
}

// nightly is a copy with the dumps of one component as comeback takes them.
type nightly struct {
	*testing.T
	dir       string
	store     storage.Store
	component recovery.Component
	engine    recovery.Engine
	now       time.Time
}

func newNightly(t *testing.T) *nightly {
	n := &nightly{T: t, dir: t.TempDir(), now: time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC),
		component: recovery.Component{Name: "database", Kind: recovery.Postgres, Settings: recovery.Settings{"prefix": {"db/"}}}}
	n.engine = dump.New(dump.Options{Now: func() time.Time { return n.now }})
	var err error
	if n.store, err = storage.OpenDir(n.dir); err != nil {
		t.Fatal(err)
	}
	return n
}

// put stores a dump of a time, of some objects, with its manifest. The last makes it whole.
func (n *nightly) put(id string, at time.Time, objects map[string][]byte) {
	n.Helper()
	m := recovery.Manifest{ID: id, System: "shop", Component: "database", Kind: recovery.Postgres, Engine: dump.Name, Begun: at, Ended: at.Add(time.Minute)}
	write := func(key string, b []byte) {
		path := filepath.Join(n.dir, key)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			n.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			n.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			n.Fatal(err)
		}
	}
	for key, b := range objects {
		write(key, b)
		m.Objects = append(m.Objects, recovery.StoredObject{Key: key, Size: int64(len(b))})
	}
	slices.SortFunc(m.Objects, func(a, b recovery.StoredObject) int { return -strings.Compare(a.Key, b.Key) })
	b, err := m.Encode()
	if err != nil {
		n.Fatal(err)
	}
	write(fmt.Sprintf("%sdatabase/%s-dump.json", recovery.ManifestsIn, at.Format("20060102T150405Z")), b)
}

// What was damaged after it was stored is told from what is whole by its manifest, also where
// a survey does not see it: the whole dump of the same day stays.
func TestPrune_damaged(t *testing.T) {
	morning, evening := time.Date(2026, 11, 28, 2, 0, 0, 0, time.UTC), time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	for name, damage := range map[string]func(*nightly) string{
		"a custom archive is cut to half": func(n *nightly) string {
			n.put("db/evening.dump", evening, map[string][]byte{"db/evening.dump": customArchive(evening)})
			path := filepath.Join(n.dir, "db/evening.dump")
			if err := os.Truncate(path, int64(len(customArchive(evening))/2)); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, evening, evening); err != nil {
				t.Fatal(err)
			}
			return "db/evening.dump"
		},
		"a directory lacks a file": func(n *nightly) string {
			toc := customArchive(evening)
			toc[10] = 5 // of a directory
			n.put("db/evening", evening, map[string][]byte{"db/evening/toc.dat": toc, "db/evening/3001.dat.gz": []byte("rows"), "db/evening/3002.dat.gz": []byte("rows")})
			if err := os.Remove(filepath.Join(n.dir, "db/evening/3002.dat.gz")); err != nil {
				t.Fatal(err)
			}
			return "db/evening"
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNightly(t)
			n.put("db/morning.dump", morning, map[string][]byte{"db/morning.dump": customArchive(morning)})
			id := damage(n)
			s, err := n.engine.Survey(t.Context(), n.component, recovery.Copy{Name: "nearby"}, n.store)
			if err != nil || len(s.Backups) != 2 {
				t.Fatalf("%+v, %v", s, err)
			}
			p, err := backup.Prune(t.Context(), backup.PruneOptions{Component: n.component, Engine: n.engine, Survey: s, Store: n.store, Keep: backup.Keep{Daily: 1}, Zone: time.UTC, System: "shop",
				Now: func() time.Time { return n.now }})
			if err != nil || len(p.Kept) != 2 || len(p.Going) > 0 {
				t.Fatalf("%+v, %v", p, err)
			}
			for _, k := range p.Kept {
				if why := strings.Join(k.Why, "; "); k.Damaged != (k.ID == id) || strings.Contains(why, "damaged") != k.Damaged || strings.Contains(why, "the newest;") == k.Damaged {
					t.Errorf("%s stays because %q: %+v", k.ID, why, k.Backup)
				}
			}
		})
	}
}

// What cannot be read of a backup that was whole when it was stored lets nothing of it go: it
// stays as long as it would if it were whole.
func TestPrune_unread(t *testing.T) {
	n := newNightly(t)
	for day := range 3 {
		at := n.now.AddDate(0, 0, day-3)
		id := "db/" + at.Format(time.DateOnly) + ".dump"
		n.put(id, at, map[string][]byte{id: customArchive(at)})
	}
	for unread, goes := range map[string]string{"": "db/2026-11-25.dump", "it has changed since it was listed": ""} { // that of the third day takes its place
		s, err := n.engine.Survey(t.Context(), n.component, recovery.Copy{Name: "nearby"}, n.store)
		if err != nil || len(s.Backups) != 3 {
			t.Fatalf("%+v, %v", s, err)
		}
		for i := range s.Backups {
			if s.Backups[i].ID == "db/2026-11-26.dump" {
				s.Backups[i].Problem = unread
			}
		}
		p, err := backup.Prune(t.Context(), backup.PruneOptions{Component: n.component, Engine: n.engine, Survey: s, Store: n.store, Keep: backup.Keep{Daily: 2}, Zone: time.UTC, System: "shop",
			Now: func() time.Time { return n.now }})
		going := ""
		for _, g := range p.Going {
			going += g.Manifest.ID
		}
		if err != nil || going != goes {
			t.Errorf("where one cannot be read because %q, %q goes, not %q: %v", unread, going, goes, err)
		}
	}
}
