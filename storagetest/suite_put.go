package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"comeback/storage"
)

func testPut(t *testing.T, open func(t *testing.T) storage.Store) {
	t.Run("replace", func(t *testing.T) {
		s := open(t)
		for _, text := range []string{"first", "second, longer", "", "third"} {
			Put(t, s, "key", text)
			holds(t, s, "key", []byte(text))
		}
	})
	t.Run("unknown size", func(t *testing.T) {
		s := open(t)
		data := noise(3<<20 + 1)
		o, err := s.Put(t.Context(), "key", onlyReader{bytes.NewReader(data)}, storage.PutOptions{Size: -1})
		if err != nil {
			t.Fatal(err)
		}
		if o.Size != int64(len(data)) {
			t.Errorf("size is %d, want %d", o.Size, len(data))
		}
		holds(t, s, "key", data)
	})
	t.Run("keys that may not be", func(t *testing.T) {
		s := open(t)
		for _, key := range []string{"", "/", "/abs", "..", "../up", "a/../b", "a/./b", ".", "a//b", "a/", "nul\x00"} {
			_, err := s.Put(t.Context(), key, strings.NewReader("x"), storage.PutOptions{Size: 1})
			if !errors.Is(err, storage.ErrConfig) {
				t.Errorf("key %q: error is %v, want one that is %q", key, err, storage.ErrConfig)
			}
		}
		if keys := Keys(t, s, ""); len(keys) > 0 {
			t.Errorf("stored %q", keys)
		}
	})
	t.Run("failure", func(t *testing.T) { testFailedPut(t, open(t)) })
}

// testFailedPut proves that a failed Put leaves what was there.
func testFailedPut(t *testing.T, s storage.Store) {
	data := noise(1 << 20)
	size := int64(len(data))
	broken := errors.New("the pipe broke")
	large := noise(9 << 20) // more than a part of an upload in parts
	for _, test := range []struct {
		name  string
		bytes []byte
		then  error // after the bytes
		size  int64
		want  error
	}{
		{"short", data, io.EOF, size + 1, storage.ErrCorrupt},
		{"long", data, io.EOF, size - 1, storage.ErrCorrupt},
		{"long by all", data, io.EOF, 0, storage.ErrCorrupt},
		{"source fails", data, broken, -1, broken},
		{"source fails with its size known", data[:100], broken, size, broken},
		{"source fails at its end", data, broken, size, broken},
		{"source is cut off", data[:100], io.ErrUnexpectedEOF, -1, io.ErrUnexpectedEOF},
		{"large source is cut off", large, io.ErrUnexpectedEOF, 40 << 20, io.ErrUnexpectedEOF},
		{"large source fails", large, broken, 40 << 20, broken},
	} {
		for _, before := range []string{"", "what was there"} {
			t.Run(fmt.Sprintf("%s %q", test.name, before), func(t *testing.T) {
				key := test.name + before
				if before != "" {
					Put(t, s, key, before)
				}
				r := io.MultiReader(bytes.NewReader(test.bytes), failing{test.then})
				_, err := s.Put(t.Context(), key, r, storage.PutOptions{Size: test.size})
				if !errors.Is(err, test.want) || !strings.Contains(err.Error(), key) {
					t.Errorf("error is %v, want one that is %q and names the object", err, test.want)
				}
				if before == "" {
					absent(t, s, key)
				} else {
					holds(t, s, key, []byte(before))
				}
			})
		}
	}
}

func testIfAbsent(t *testing.T, open func(t *testing.T) storage.Store) {
	s := open(t)
	put := func(key, text string) error {
		_, err := s.Put(context.Background(), key, strings.NewReader(text), storage.PutOptions{Size: int64(len(text)), IfAbsent: true})
		return err
	}
	t.Run("taken", func(t *testing.T) {
		if err := put("wal/1", "first"); err != nil {
			t.Fatal(err)
		}
		refused(t, put("wal/1", "second"), storage.ErrExist, "wal/1")
		refused(t, put("wal/1", "first"), storage.ErrExist, "wal/1")
		holds(t, s, "wal/1", []byte("first"))
	})
	t.Run("race", func(t *testing.T) {
		for round := range 5 {
			const racers = 8
			key := fmt.Sprintf("wal/race-%d", round)
			var start, done sync.WaitGroup
			errs := make([]error, racers)
			start.Add(1)
			for i := range racers {
				done.Go(func() {
					start.Wait()
					errs[i] = put(key, fmt.Sprintf("racer %d", i))
				})
			}
			start.Done()
			done.Wait()
			winner := -1
			for i, err := range errs {
				switch {
				case err == nil && winner >= 0:
					t.Fatalf("racers %d and %d have both won", winner, i)
				case err == nil:
					winner = i
				default:
					refused(t, err, storage.ErrExist, key)
				}
			}
			if winner < 0 {
				t.Fatal("nobody has won")
			}
			holds(t, s, key, fmt.Appendf(nil, "racer %d", winner))
		}
	})
}

// onlyReader hides everything but Read.
type onlyReader struct{ io.Reader }

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
