// Package storagetest is the suite that every store, wrapper and fake passes,
// a wrapper that breaks a store in chosen places, and a real S3 server with a
// connection that can be cut.
package storagetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"comeback/storage"
)

// Run proves that a store keeps the promises of storage.Store. Each call of
// open gives an empty store.
func Run(t *testing.T, open func(t *testing.T) storage.Store) {
	for _, part := range []struct {
		name string
		run  func(t *testing.T, open func(t *testing.T) storage.Store)
	}{
		{"URL", testURL},
		{"List", testList},
		{"Stat", testStat},
		{"Open", testOpen},
		{"Put", testPut},
		{"IfAbsent", testIfAbsent},
		{"Swap", testSwap},
		{"Reader", testReader},
		{"Context", testContext},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(t, open) })
	}
}

func testURL(t *testing.T, open func(t *testing.T) storage.Store) {
	s := open(t)
	if url := s.URL(); !strings.Contains(url, "://") || strings.HasSuffix(url, "/") || strings.Contains(url, "@") {
		t.Errorf("URL is %q: want scheme://place, no slash at the end, no credentials", url)
	}
}

// Put stores text under key and fails the test where that fails.
func Put(t testing.TB, s storage.Store, key, text string) storage.Object {
	t.Helper()
	o, err := s.Put(context.Background(), key, strings.NewReader(text), storage.PutOptions{Size: int64(len(text))})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Read gives the text under key and fails the test where it cannot.
func Read(t testing.TB, s storage.Store, key string) string {
	t.Helper()
	o, err := s.Stat(context.Background(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(readObject(t, s, o))
}

func readObject(t testing.TB, s storage.Store, o storage.Object) []byte {
	t.Helper()
	r := storage.NewReader(context.Background(), s, o, storage.ReadOptions{})
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Keys lists a store and fails the test where that fails.
func Keys(t testing.TB, s storage.Store, prefix string) []string {
	t.Helper()
	var keys []string
	for o, err := range s.List(context.Background(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, o.Key)
	}
	return keys
}

// noise is n bytes that do not repeat, the same in each run.
func noise(n int) []byte {
	data := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n)}).Read(data)
	return data
}

// refused fails the test unless err is of the kind, names the object, and is
// of no other kind that a caller would act on.
func refused(t testing.TB, err, kind error, name string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("error is %v, want one that is %q", err, kind)
	}
	if !strings.Contains(err.Error(), name) {
		t.Errorf("error %q does not name %q", err, name)
	}
	for _, other := range []error{storage.ErrNotExist, storage.ErrExist, storage.ErrDenied, storage.ErrExpired, storage.ErrArchived,
		storage.ErrChanged, storage.ErrCorrupt, storage.ErrConfig, storage.ErrUnavailable} {
		if other != kind && errors.Is(err, other) {
			t.Errorf("error %q is %q too", err, other)
		}
	}
}

// holds fails the test unless key has this content.
func holds(t testing.TB, s storage.Store, key string, want []byte) {
	t.Helper()
	o, err := s.Stat(context.Background(), key)
	if err != nil {
		t.Fatal(err)
	}
	if got := readObject(t, s, o); !bytes.Equal(got, want) {
		t.Errorf("%s holds %d bytes that are not the %d that were stored", key, len(got), len(want))
	}
}

// absent fails the test unless nothing is stored under key.
func absent(t testing.TB, s storage.Store, key string) {
	t.Helper()
	_, err := s.Stat(context.Background(), key)
	refused(t, err, storage.ErrNotExist, key)
	if keys := Keys(t, s, key); len(keys) > 0 {
		t.Errorf("%s is absent, but a list shows %q", key, keys)
	}
}
