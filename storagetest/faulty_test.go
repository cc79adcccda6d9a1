package storagetest_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"comeback/storage"
	"comeback/storagetest"
)

func openFaulty(t *testing.T) *storagetest.Faulty {
	t.Helper()
	s, err := storage.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return storagetest.NewFaulty(s)
}

// TestFaulty holds the wrapper to the suite of what it wraps.
func TestFaulty(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storage.Store { return openFaulty(t) })
}

func TestFaulty_As(t *testing.T) {
	outer := storagetest.NewFaulty(openFaulty(t))
	if _, ok := storage.As[storage.Wrapper](outer); !ok {
		t.Error("a wrapper is not found")
	}
	if _, ok := storage.As[storage.Identifier](outer); !ok {
		t.Error("what the wrapped store can do is not found")
	}
	if _, ok := storage.As[storage.CredentialHolder](outer); ok {
		t.Error("a directory has no credentials that end")
	}
}

// TestFaulty_Strikes proves that each fault happens at its place, as often as
// it was asked for.
func TestFaulty_Strikes(t *testing.T) {
	f := openFaulty(t)
	o := storagetest.Put(t, f, "a", "0123456789")
	storagetest.Put(t, f, "b", "other")
	read := func(o storage.Object) (string, error) {
		r, err := f.Open(t.Context(), o, 0)
		if err != nil {
			return "", err
		}
		defer r.Close()
		data, err := io.ReadAll(r)
		return string(data), err
	}

	f.Inject(storagetest.Fault{Op: storagetest.OnStat, Key: "a", After: 1, Times: 1, Err: storagetest.Denied})
	for i, want := range []error{nil, storage.ErrDenied, nil} {
		if _, err := f.Stat(t.Context(), "b"); err != nil {
			t.Error(err)
		}
		if _, err := f.Stat(t.Context(), "a"); !errors.Is(err, want) {
			t.Errorf("call %d gives %v", i, err)
		}
	}

	f.Inject(storagetest.Fault{Op: storagetest.OnRead, At: 4, Flip: true, Times: 1},
		storagetest.Fault{Op: storagetest.OnRead, At: 7, Err: storagetest.Dropped, Times: 1})
	if got, err := read(o); got != "0123556" || !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("read %q, %v", got, err)
	}
	if got, err := read(o); got != "0123456789" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}

	f.Inject(storagetest.Fault{Op: storagetest.OnRead, At: 3, Cut: true})
	for range 2 {
		if got, err := read(o); got != "012" || err != nil {
			t.Errorf("read %q, %v", got, err)
		}
	}
	f.Heal()

	f.Inject(storagetest.Fault{Op: storagetest.OnList, At: 1, Times: 1, Err: storagetest.Expired})
	var seen int
	var last error
	for _, err := range f.List(t.Context(), "") {
		seen++
		last = err
	}
	if seen != 2 || !errors.Is(last, storage.ErrExpired) {
		t.Errorf("a list gave %d and ended with %v", seen, last)
	}

	f.Inject(storagetest.Fault{Op: storagetest.OnPut, At: 5, Times: 1, Err: storagetest.Unavailable})
	if err := put(f, "c"); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("put gives %v", err)
	}
	if _, err := f.Stat(t.Context(), "c"); !errors.Is(err, storage.ErrNotExist) {
		t.Errorf("after a failed put, stat gives %v", err)
	}
	if err := put(f, "c"); err != nil {
		t.Error(err)
	}
}

func TestFaulty_Gate(t *testing.T) {
	f := openFaulty(t)
	gate := storagetest.NewGate()
	f.Inject(storagetest.Fault{Op: storagetest.OnStat, Gate: gate})
	result := make(chan error)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { _, err := f.Stat(ctx, "a"); result <- err }()
	<-gate.Entered()
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled at the gate: %v", err)
	}
	go func() { _, err := f.Stat(t.Context(), "a"); result <- err }()
	gate.Open()
	if err := <-result; !errors.Is(err, storage.ErrNotExist) {
		t.Errorf("through the gate: %v", err)
	}
}

func put(s storage.Store, key string) error {
	_, err := s.Put(context.Background(), key, strings.NewReader("0123456789"), storage.PutOptions{Size: 10})
	return err
}
