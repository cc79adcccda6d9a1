package neighbours

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"comeback/recovery"
	"comeback/storage"
)

// A survey does not list what is another's, nor comeback's own; by its key all of it is
// there.
func TestSee(t *testing.T) {
	t.Parallel()
	store, err := storage.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"uploads/a", "invoices/b", "comeback/backups/uploads/c.json", "other/d"} {
		if _, err := store.Put(t.Context(), key, strings.NewReader("x"), storage.PutOptions{Size: 1}); err != nil {
			t.Fatal(err)
		}
	}
	uploads := recovery.Apart("shop", []recovery.Component{{Name: "uploads", Kind: recovery.Files}, {Name: "invoices", Kind: recovery.Files}})[0]
	in := See(uploads, store)
	var listed []string
	for o, err := range in.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		listed = append(listed, o.Key)
	}
	if want := []string{"other/d", "uploads/a"}; !slices.Equal(listed, want) {
		t.Errorf("it lists %q, want %q", listed, want)
	}
	if _, err := in.Stat(t.Context(), "invoices/b"); err != nil {
		t.Errorf("what was asked for: %v", err)
	}
	if _, ok := storage.As[storage.Swapper](in); !ok {
		t.Error("what the store can do is not found any more")
	}
}

// A survey lists nothing that another system's manifests name, however often it is asked:
// they are read once for all that look.
func TestSee_neighbours(t *testing.T) {
	t.Parallel()
	dir, err := storage.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	store := &opened{Store: dir}
	put := func(key, text string) {
		t.Helper()
		if _, err := store.Put(t.Context(), key, strings.NewReader(text), storage.PutOptions{Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
	}
	taken := func(system, component, key string) {
		t.Helper()
		put(key, "x")
		text, err := recovery.Manifest{ID: key, System: system, Component: component, Objects: []recovery.StoredObject{{Key: key, Size: 1}}}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		put(recovery.ManifestsIn+component+"/"+stampDay+"Z-dump.json", string(text))
	}
	const shop, blog = "nightly/shop-" + stampDay + ".sql", "nightly/blog-" + stampDay + ".sql"
	taken("shop", "database", shop)
	taken("blog", "posts", blog)
	put("nightly/by-hand.sql", "x")
	put(recovery.ManifestsIn+"posts/damaged.json", "{")
	listed := func(system string) (keys []string) {
		t.Helper()
		c := recovery.Apart(system, []recovery.Component{{Name: "database", Kind: recovery.Postgres}})[0]
		for o, err := range See(c, Once(store)).List(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, o.Key)
		}
		return keys
	}
	all := []string{blog, "nightly/by-hand.sql", shop}
	if put(recovery.RunbooksIn+"shop/x.md", "x"); !slices.Equal(listed("shop"), all) || store.n.Load() > 0 {
		t.Errorf("alone it lists %v, and %d objects were read", listed("shop"), store.n.Load())
	}
	put(recovery.RunbooksIn+"blog/x.md", "x")
	if got := listed("shop"); !slices.Equal(got, all[1:]) {
		t.Errorf("the shop lists %v", got)
	}
	if got := listed("blog"); !slices.Equal(got, all[:2]) {
		t.Errorf("the blog lists %v", got)
	}
	if got := listed(""); !slices.Equal(got, all) {
		t.Errorf("who says no system lists %v", got)
	}
	store.n.Store(0)
	once, c := Once(store), recovery.Component{Name: "database", Claims: recovery.Claims{System: "shop"}}
	for range 3 {
		for _, err := range See(c, once).List(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := store.n.Load(); n != 3 {
		t.Errorf("%d objects were read for three surveys", n)
	}
	if got := Known(once, "shop").Systems(); !slices.Equal(got, []string{"blog"}) {
		t.Errorf("the neighbours are %v", got)
	}
}

// stampDay is when backups of these tests were taken.
const stampDay = "20261101T030000"

// Whoever may only add manifests to a copy hides nothing that a system's own manifests name,
// nor what has not the time of the manifest in its name; what they name, nothing removes.
func TestRead_planted(t *testing.T) {
	t.Parallel()
	store, err := storage.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	planted := func(system, component, name string, keys ...string) {
		t.Helper()
		m := recovery.Manifest{ID: keys[0], System: system, Component: component}
		for _, key := range keys {
			m.Objects = append(m.Objects, recovery.StoredObject{Key: key, Size: 1})
		}
		text, err := m.Encode()
		if err == nil {
			_, err = store.Put(t.Context(), recovery.ManifestsIn+name, bytes.NewReader(text), storage.PutOptions{Size: int64(len(text))})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	const own, theirs, byHand, later = "nightly/shop-" + stampDay + ".sql", "nightly/blog-" + stampDay + ".sql", "nightly/by-hand.sql", "nightly/shop-20261102T030000.sql"
	planted("shop", "database", "database/"+stampDay+"Z-dump.json", own)
	planted("x", "database", "database/"+stampDay+"Z-planted.json", theirs, own, byHand, later)
	planted("x", "database", "other/"+stampDay+"Z-dump.json", "nightly/a-"+stampDay+".sql")
	planted("x", "database", "database/a.json", "nightly/b-"+stampDay+".sql")
	n, err := Read(t.Context(), store, "shop")
	if err != nil {
		t.Fatal(err)
	}
	if got := maps.Collect(n.Objects()); !maps.Equal(got, map[string]string{theirs: "x"}) {
		t.Errorf("hidden are %v", got)
	}
	if got := maps.Collect(n.Named()); len(got) != 6 || got[own] != "x" {
		t.Errorf("named are %v", got)
	}
}

// What manifests have told is not read again when a copy is opened again, and what is new is.
func TestCache(t *testing.T) {
	t.Parallel()
	dir, err := storage.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	counted := &opened{Store: dir}
	put := func(key, text string) {
		t.Helper()
		if _, err := dir.Put(t.Context(), key, strings.NewReader(text), storage.PutOptions{Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
	}
	taken := func(stamp string) {
		t.Helper()
		key := "nightly/blog-" + stamp + ".sql"
		text, err := recovery.Manifest{ID: key, System: "blog", Component: "posts", Objects: []recovery.StoredObject{{Key: key, Size: 1}}}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		put(recovery.ManifestsIn+"posts/"+stamp+"Z-dump.json", string(text))
	}
	put(recovery.RunbooksIn+"blog/x.md", "x")
	taken(stampDay)
	taken("20261102T030000")
	var read Cache
	open := read.Opening(func(context.Context, recovery.Copy) (storage.Store, error) { return counted, nil })
	look := func() (hidden int, read int64) {
		t.Helper()
		s, err := open(t.Context(), recovery.Copy{})
		if err != nil {
			t.Fatal(err)
		}
		before := counted.n.Load()
		n, err := In(t.Context(), Once(s), "shop")
		if err != nil {
			t.Fatal(err)
		}
		return len(maps.Collect(n.Objects())), counted.n.Load() - before
	}
	for i, want := range []struct {
		hidden int
		read   int64
	}{{2, 2}, {2, 0}, {3, 1}} {
		if i == 2 {
			taken("20261103T030000")
		}
		if hidden, read := look(); hidden != want.hidden || read != want.read {
			t.Errorf("look %d: %d are hidden, %d were read; want %+v", i, hidden, read, want)
		}
	}
}

// Of a copy that does not tell its neighbours, each survey of one look is told so at once.
func TestOnce_failure(t *testing.T) {
	t.Parallel()
	s := &unlisted{}
	once, c := Once(s), recovery.Component{Name: "database", Claims: recovery.Claims{System: "shop"}}
	for range 3 {
		for _, err := range See(c, once).List(t.Context(), "") {
			if !errors.Is(err, storage.ErrUnavailable) {
				t.Fatal(err)
			}
		}
	}
	if s.n != 1 {
		t.Errorf("it was asked %d times", s.n)
	}
}

// unlisted does not answer, and counts who has asked.
type unlisted struct {
	storage.Store
	n int
}

func (u *unlisted) List(context.Context, string) iter.Seq2[storage.Object, error] {
	u.n++
	return func(yield func(storage.Object, error) bool) { yield(storage.Object{}, storage.ErrUnavailable) }
}

// opened counts what is read.
type opened struct {
	storage.Store
	n atomic.Int64
}

func (o *opened) Open(ctx context.Context, object storage.Object, offset int64) (io.ReadCloser, error) {
	o.n.Add(1)
	return o.Store.Open(ctx, object, offset)
}
