package storagetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"comeback/storage"
)

func testList(t *testing.T, open func(t *testing.T) storage.Store) {
	t.Run("nothing", func(t *testing.T) {
		s := open(t)
		for _, prefix := range []string{"", "db/", "/", "../", "/etc/"} {
			if keys := Keys(t, s, prefix); len(keys) > 0 {
				t.Errorf("an empty store lists %q under %q", keys, prefix)
			}
		}
	})
	t.Run("order", func(t *testing.T) { testOrder(t, open(t)) })
	t.Run("prefix", func(t *testing.T) { testPrefix(t, open(t)) })
	t.Run("odd keys", func(t *testing.T) { testOddKeys(t, open(t)) })
	t.Run("pages", func(t *testing.T) { testPages(t, open(t)) })
}

// testOrder proves the order of bytes, where directories sort differently than
// their names do, and that list, stat and put say the same of an object.
func testOrder(t *testing.T, s storage.Store) {
	keys := []string{"a-b", "a.txt", "a/b", "a/b.c", "a0", "aB", "ab/c/d", "b", "Z", "ä"}
	put := map[string]storage.Object{}
	for _, key := range keys {
		put[key] = Put(t, s, key, "about "+key)
	}
	slices.Sort(keys)
	if got := Keys(t, s, ""); !slices.Equal(got, keys) {
		t.Fatalf("listed %q, want %q", got, keys)
	}
	for listed, err := range s.List(context.Background(), "") {
		if err != nil {
			t.Fatal(err)
		}
		stat, err := s.Stat(context.Background(), listed.Key)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range []storage.Object{put[listed.Key], stat} {
			if o.Key != listed.Key || o.Size != listed.Size || o.Revision != listed.Revision {
				t.Errorf("a list says %+v, put or stat says %+v", listed, o)
			}
		}
		if listed.Size != int64(len("about "+listed.Key)) || listed.Revision == "" || listed.Modified.IsZero() || stat.Modified.IsZero() {
			t.Errorf("%+v, %+v: want the size, a revision and a time", listed, stat)
		}
	}
}

func testPrefix(t *testing.T, s storage.Store) {
	for _, key := range []string{"db/2026-11-21.sql.gz", "db/2026-11-22.sql.gz", "db2/x", "dbx", "wal/00/a"} {
		Put(t, s, key, key)
	}
	for prefix, want := range map[string]int{
		"": 5, "d": 4, "db": 4, "db/": 2, "db/2026-11-2": 2, "db/2026-11-22.sql.gz": 1, "db/2026-11-22.sql.gz/": 0,
		"wal": 1, "wal/": 1, "wal/0": 1, "wal/00/": 1, "e": 0, "db//": 0, "./db": 0, "/db": 0, "wal/../db": 0,
	} {
		if got := Keys(t, s, prefix); len(got) != want {
			t.Errorf("prefix %q lists %q, want %d", prefix, got, want)
		}
	}
	sequence := s.List(context.Background(), "")
	for range 2 { // a list can be left early, and walked again
		for o, err := range sequence {
			if err != nil || o.Key != "db/2026-11-21.sql.gz" {
				t.Errorf("first is %v, %v", o, err)
			}
			break
		}
	}
}

// testOddKeys proves that a key that a store takes comes back as it was. It
// may refuse one, as ErrConfig.
func testOddKeys(t *testing.T, s storage.Store) {
	keys := []string{
		"two words", " lead", "plus+plus", "per%cent", "per%20cent", "a?b=c&d", "hash#tag", `quo"te's`, `back\slash`, "semi;colon:at@",
		"tilde~", "[brackets]{}", "<xml>&amp;", "new\nline", "tab\t", "grüße/日本語/🗄.sql", "e\u0301", "-dash", "...", "a..b",
		strings.Repeat("long", 60), strings.Repeat("deep/", 40) + "end",
	}
	for _, key := range keys {
		t.Run(fmt.Sprintf("%.20q", key), func(t *testing.T) {
			_, err := s.Put(context.Background(), key, strings.NewReader(key), storage.PutOptions{Size: int64(len(key))})
			if errors.Is(err, storage.ErrConfig) {
				t.Logf("refused: %v", err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := Keys(t, s, key); !slices.Equal(got, []string{key}) {
				t.Errorf("listed %q, want %q", got, key)
			}
			holds(t, s, key, []byte(key))
		})
	}
	if n := len(Keys(t, s, "")); n < len(keys)-3 {
		t.Errorf("%d of %d keys are there", n, len(keys))
	}
}

// testPages proves a list that takes several requests, which hold 1000 each.
func testPages(t *testing.T, s storage.Store) {
	const n = 2500
	var group errgroup.Group
	group.SetLimit(16)
	var want []string
	for i := range n {
		key := fmt.Sprintf("wal/%02X/%08X", i%3, i)
		want = append(want, key)
		group.Go(func() error {
			_, err := s.Put(t.Context(), key, strings.NewReader(key), storage.PutOptions{Size: int64(len(key))})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	if got := Keys(t, s, "wal/"); !slices.Equal(got, want) {
		t.Errorf("listed %d keys, want %d in order", len(got), n)
	}

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen, last := 0, error(nil)
	for _, err := range s.List(ctx, "") {
		if last != nil {
			t.Fatalf("a list goes on after its error %v", last)
		}
		seen++
		last = err
		if seen == 10 {
			cancel()
		}
	}
	if !errors.Is(last, context.Canceled) || seen >= n {
		t.Errorf("a cancelled list gave %d objects and ended with %v", seen, last)
	}
}
