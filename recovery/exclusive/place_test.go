package exclusive

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/storage"
	"comeback/storage/s3"
	"comeback/storagetest"
)

const target = "db1:/srv/pg/shop"

// copyOf is a copy that two hosts reach: real ones, each opened anew.
type copyOf struct {
	url  string
	open func(testing.TB) storage.Store
	// file is where the bytes of an object lie, behind the store's back.
	file func(key string) string
	// keeps says that the copy keeps versions.
	keeps  bool
	server *storagetest.S3
}

// copies runs a test over each kind of copy.
func copies(t *testing.T, test func(t *testing.T, c copyOf)) {
	server := storagetest.StartS3(t)
	server.Setenv(t)
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	n := 0
	bucket := func(t *testing.T, versions bool) copyOf {
		n++
		name := "bucket-" + string(rune('a'+n))
		server.CreateBucket(name)
		if versions {
			server.SetVersioning(name, true)
		}
		return copyOf{url: "s3://" + name + "/shop", open: opens("s3://"+name+"/shop", server.Endpoint()), keeps: versions, server: server,
			file: func(key string) string { return server.File(name, "shop/"+key) }}
	}
	t.Run("directory", func(t *testing.T) { test(t, directory(t)) })
	t.Run("bucket", func(t *testing.T) { test(t, bucket(t, false)) })
	t.Run("bucket with versions", func(t *testing.T) { test(t, bucket(t, true)) })
}

func directory(t testing.TB) copyOf {
	dir := t.TempDir()
	return copyOf{url: "file://" + dir, open: opens("file://"+dir, ""), file: func(key string) string { return filepath.Join(dir, key) }}
}

func opens(url, endpoint string) func(testing.TB) storage.Store {
	return func(t testing.TB) storage.Store {
		s, err := openURL(t.Context(), url, endpoint)
		must(t, err)
		return s
	}
}

func openURL(ctx context.Context, url, endpoint string) (storage.Store, error) {
	if dir, ok := strings.CutPrefix(url, "file://"); ok {
		return storage.OpenDir(dir)
	}
	return s3.Open(ctx, s3.Options{URL: url, Region: storagetest.Region, Endpoint: endpoint, PathStyle: true})
}

// silence makes the lease look as if its holder had been silent for so long.
func (c copyOf) silence(t testing.TB, d time.Duration) {
	t.Helper()
	then := time.Now().Add(-d)
	must(t, os.Chtimes(c.file(lockKey(target)), then, then))
}

// left is what a copy shows of leases.
func (c copyOf) left(t testing.TB) []string { return storagetest.Keys(t, c.open(t), ".comeback/") }

// stored is the record of the lease.
func (c copyOf) stored(t testing.TB) record {
	t.Helper()
	store := c.open(t)
	for {
		o, err := store.Stat(t.Context(), lockKey(target))
		must(t, err)
		in := storage.NewReader(t.Context(), store, o, storage.ReadOptions{})
		b, err := io.ReadAll(in)
		must(t, in.Close())
		if errors.Is(err, storage.ErrChanged) {
			continue // a heart has beaten since
		}
		must(t, err)
		return parse(b)
	}
}

// host is one machine's way to take targets.
type host struct {
	t    testing.TB
	name string
	Options
}

func newHost(t testing.TB, name, run string, copies ...copyOf) *host {
	h := &host{t: t, name: name, Options: Options{Dir: filepath.Join(t.TempDir(), "locks"), Now: time.Now,
		Holder: Holder{Run: run, Operator: "ops-of-" + run, Host: name, PID: os.Getpid()}}}
	for _, c := range copies {
		h.Stores = append(h.Stores, c.open(t))
	}
	return h
}

// take takes the target, until the end of the test.
func (h *host) take() *Hold {
	h.t.Helper()
	held, err := Take(h.t.Context(), []string{target}, h.Options)
	must(h.t, err)
	h.t.Cleanup(func() { _ = held.Release(context.WithoutCancel(h.t.Context())) })
	return held
}

// refused fails the test unless the target is refused, in these words.
func (h *host) refused(parts ...string) error {
	h.t.Helper()
	held, err := Take(h.t.Context(), []string{target}, h.Options)
	if err == nil {
		_ = held.Release(context.WithoutCancel(h.t.Context()))
	}
	refusal(h.t, err, parts...)
	return err
}

// refusal fails the test unless err is one: a sentence that says all this, and
// a next step.
func refusal(t testing.TB, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no refusal, want one with %q", parts)
	}
	for _, part := range append(parts, "refused: ") {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	if recovery.ExitOf(err) != recovery.Refused || recovery.HintOf(err) == "" || strings.Contains(err.Error(), "\n") {
		t.Errorf("%q: exit %d, hint %q", err, recovery.ExitOf(err), recovery.HintOf(err))
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// await waits until something is so.
func await(t testing.TB, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain until %s", what)
		case <-tick.C:
		}
	}
}

// only is a store without the abilities of the one that it hides.
type only struct{ storage.Store }

// noClock can swap, and does not tell its time.
type noClock struct {
	storage.Store
	storage.Swapper
}

func withoutClock(s storage.Store) storage.Store {
	swapper, _ := storage.As[storage.Swapper](s)
	return noClock{s, swapper}
}

// careless is a service that does not know conditions.
type careless struct{ storage.Store }

func (c careless) Put(ctx context.Context, key string, r io.Reader, o storage.PutOptions) (storage.Object, error) {
	o.IfAbsent = false
	return c.Store.Put(ctx, key, r, o)
}

func (c careless) Swap(ctx context.Context, old storage.Object, body []byte) (storage.Object, error) {
	return c.Store.Put(ctx, old.Key, strings.NewReader(string(body)), storage.PutOptions{Size: int64(len(body))})
}

func (c careless) Remove(ctx context.Context, old storage.Object) error {
	swapper, _ := storage.As[storage.Swapper](c.Store)
	o, err := c.Stat(ctx, old.Key)
	if err != nil {
		return err
	}
	return swapper.Remove(ctx, o)
}
