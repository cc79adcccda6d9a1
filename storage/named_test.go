package storage_test

import (
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"comeback/storage"
	"comeback/storagetest"
)

// TestDir_ListFew proves that a list of one name in a large directory does not hold what all
// of the others are.
func TestDir_ListFew(t *testing.T) {
	const names = 5_000
	s, path := openDir(t)
	if err := os.Mkdir(filepath.Join(path, "wal"), 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range names {
		write(t, filepath.Join(path, "wal", fmt.Sprintf("0000000100000000%08X", i)), "")
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got := storagetest.Keys(t, s, "wal/000000010000000000001234")
	runtime.ReadMemStats(&after)
	if want := []string{"wal/000000010000000000001234"}; !slices.Equal(got, want) {
		t.Errorf("listed %q, want %q", got, want)
	}
	// A name and its place in a batch are about 70; an entry was several hundred.
	each := (after.TotalAlloc - before.TotalAlloc) / names
	if t.Logf("%d bytes for each name", each); each > 150 {
		t.Errorf("a list of one name took %d bytes for each of %d others", each, names)
	}
}

// asked counts what a store is asked for.
type asked struct {
	storage.Store
	lists, stats int
}

func (a *asked) List(ctx context.Context, prefix string) iter.Seq2[storage.Object, error] {
	a.lists++
	return a.Store.List(ctx, prefix)
}

func (a *asked) Stat(ctx context.Context, key string) (storage.Object, error) {
	a.stats++
	return a.Store.Stat(ctx, key)
}

// walking is one that says of itself what the store below says.
type walking struct{ *asked }

func (w walking) Unwrap() storage.Store { return w.Store }

// TestNamed proves that both ways to look for a few names give the same, and that a store
// whose lists are cheap is asked once.
func TestNamed(t *testing.T) {
	s, path := openDir(t)
	for _, key := range []string{"wal/a.zst", "wal/a", "wal/a.gz.tmp", "wal/ab", "wal/b.gz", "wal/d.gz/within", "elsewhere"} {
		storagetest.Put(t, s, key, key)
	}
	outside := filepath.Join(t.TempDir(), "outside")
	write(t, outside, "")
	for link, to := range map[string]string{"wal/c.gz": outside, "wal/c": "../elsewhere"} {
		if err := os.Symlink(to, filepath.Join(path, link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		key          string
		want         []string
		lists, stats int
	}{
		{"wal/a", []string{"wal/a", "wal/a.zst"}, 0, 3},
		{"wal/b", []string{"wal/b.gz"}, 0, 3},
		{"wal/c", []string{"wal/c"}, 1, 2}, // a link that leads out is no object, and a Stat refuses it
		{"wal/d", nil, 0, 3},
		{"nowhere/a", nil, 0, 3},
	} {
		named := func(s storage.Store) (keys []string) {
			for o, err := range storage.Named(t.Context(), s, c.key, []string{"", ".zst", ".gz"}) {
				if err != nil {
					t.Fatal(err)
				}
				if stat, err := s.Stat(t.Context(), o.Key); err != nil || stat != o {
					t.Errorf("%+v, and its stat is %+v, %v", o, stat, err)
				}
				keys = append(keys, o.Key)
			}
			return keys
		}
		listing, walks := &asked{Store: s}, &asked{Store: s}
		if got := named(listing); !slices.Equal(got, c.want) || listing.lists != 1 || listing.stats != len(got) {
			t.Errorf("%s: listed %q with %d lists and %d stats, want %q with one list", c.key, got, listing.lists, listing.stats-len(got), c.want)
		}
		if got := named(walking{walks}); !slices.Equal(got, c.want) || walks.lists != c.lists || walks.stats-len(got) != c.stats {
			t.Errorf("%s: found %q with %d lists and %d stats, want %q with %d and %d", c.key, got, walks.lists, walks.stats-len(got), c.want, c.lists, c.stats)
		}
	}
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	for _, s := range []storage.Store{&asked{Store: s}, walking{&asked{Store: s}}} {
		for o, err := range storage.Named(t.Context(), s, "wal/a", []string{""}) {
			if err == nil {
				t.Errorf("%+v was found in a directory that is gone", o)
			}
		}
	}
}
