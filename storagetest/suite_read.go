package storagetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"golang.org/x/sync/errgroup"

	"comeback/storage"
)

func testStat(t *testing.T, open func(t *testing.T) storage.Store) {
	s := open(t)
	Put(t, s, "db/full", "bytes")
	for _, key := range []string{"db/none", "db", "db/ful", "db/full.gz", "none/none"} {
		_, err := s.Stat(t.Context(), key)
		refused(t, err, storage.ErrNotExist, key)
	}
	for _, key := range []string{"../db/full", "db/../db/full", "./db/full", ""} {
		if o, err := s.Stat(t.Context(), key); err == nil {
			t.Errorf("key %q gives %+v", key, o)
		}
	}
}

func testOpen(t *testing.T, open func(t *testing.T) storage.Store) {
	s := open(t)
	data := noise(3<<20 + 17)
	o, err := s.Put(t.Context(), "db/noise", bytes.NewReader(data), storage.PutOptions{Size: int64(len(data))})
	if err != nil {
		t.Fatal(err)
	}

	t.Run("range", func(t *testing.T) {
		for _, offset := range []int{0, 1, 4096, 1 << 20, len(data) - 1, len(data)} {
			r, err := s.Open(t.Context(), o, int64(offset))
			if err != nil {
				t.Fatalf("offset %d: %v", offset, err)
			}
			got, err := io.ReadAll(r)
			if err != nil || !bytes.Equal(got, data[offset:]) {
				t.Errorf("offset %d: %d bytes, %v; want the last %d", offset, len(got), err, len(data)-offset)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
		for _, offset := range []int{-1, len(data) + 1} {
			_, err := s.Open(t.Context(), o, int64(offset))
			refused(t, err, storage.ErrConfig, o.Key)
		}
	})
	t.Run("a part", func(t *testing.T) {
		ranger, ok := storage.As[storage.Ranger](s)
		if !ok {
			return
		}
		for _, part := range [][2]int64{{0, 1}, {0, 1 << 20}, {4095, 2 << 20}, {1, o.Size - 1}, {o.Size - 1, o.Size}, {0, o.Size}} {
			r, err := ranger.OpenRange(t.Context(), o, part[0], part[1])
			if err != nil {
				t.Fatalf("%d: %v", part, err)
			}
			got, err := io.ReadAll(r)
			if err != nil || !bytes.Equal(got, data[part[0]:part[1]]) {
				t.Errorf("%d: %d bytes, %v", part, len(got), err)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
		for _, part := range [][2]int64{{-1, 1}, {5, 5}, {5, 4}, {0, o.Size + 1}} {
			_, err := ranger.OpenRange(t.Context(), o, part[0], part[1])
			refused(t, err, storage.ErrConfig, o.Key)
		}
		_, err := ranger.OpenRange(t.Context(), storage.Object{Key: o.Key, Size: o.Size, Revision: "another"}, 0, 10)
		refused(t, err, storage.ErrChanged, o.Key)
	})
	t.Run("closed early", func(t *testing.T) {
		r, err := s.Open(t.Context(), o, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
			t.Error(err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Run("at once", func(t *testing.T) {
		var group errgroup.Group
		for range 8 {
			group.Go(func() error {
				r := storage.NewReader(t.Context(), s, o, storage.ReadOptions{})
				defer r.Close()
				got, err := io.ReadAll(r)
				if err == nil && !bytes.Equal(got, data) {
					err = errors.New("other bytes")
				}
				return err
			})
		}
		if err := group.Wait(); err != nil {
			t.Error(err)
		}
	})
	t.Run("empty", func(t *testing.T) {
		empty := Put(t, s, "db/empty", "")
		if empty.Size != 0 {
			t.Errorf("size is %d", empty.Size)
		}
		holds(t, s, "db/empty", nil)
	})
	t.Run("absent", func(t *testing.T) {
		_, err := s.Open(t.Context(), storage.Object{Key: "db/none", Size: 5, Revision: o.Revision}, 0)
		refused(t, err, storage.ErrNotExist, "db/none")
	})
	t.Run("revision", func(t *testing.T) { testRevision(t, s) })
}

// testRevision proves that an object is read at its revision or not at all.
func testRevision(t *testing.T, s storage.Store) {
	old := Put(t, s, "db/moving", "the old bytes")
	now := Put(t, s, "db/moving", "the new bytes")
	if old.Revision == now.Revision {
		t.Errorf("other bytes have the same revision %q", now.Revision)
	}
	if got := string(readObject(t, s, now)); got != "the new bytes" {
		t.Errorf("read %q", got)
	}
	for _, offset := range []int64{0, 4, old.Size} {
		r, err := s.Open(t.Context(), old, offset)
		if err != nil {
			refused(t, err, storage.ErrChanged, "db/moving")
			continue
		}
		got, err := io.ReadAll(r)
		r.Close()
		if old.Version == "" || err != nil || string(got) != "the old bytes"[offset:] {
			t.Errorf("the old revision gives %q, %v at %d", got, err, offset)
		}
	}

	r, err := s.Open(t.Context(), now, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	Put(t, s, "db/moving", "newer still!!")
	if got, err := io.ReadAll(r); err == nil && string(got) != "the new bytes" {
		t.Errorf("replaced while it was read, the object gives %q", got)
	}
}

func testReader(t *testing.T, open func(t *testing.T) storage.Store) {
	s := open(t)
	o := Put(t, s, "text", "twelve bytes")
	t.Run("from", func(t *testing.T) {
		var seen int
		r := storage.NewReader(t.Context(), s, o, storage.ReadOptions{From: 7, Progress: func(n int) { seen += n }})
		defer r.Close()
		if got, err := io.ReadAll(r); string(got) != "bytes" || err != nil || seen != 5 {
			t.Errorf("read %q, %v, progress %d", got, err, seen)
		}
	})
	t.Run("long and short", func(t *testing.T) {
		for _, size := range []int64{11, 13} {
			wrong := o
			wrong.Size = size
			r := storage.NewReader(t.Context(), s, wrong, storage.ReadOptions{})
			defer r.Close()
			_, err := io.ReadAll(r)
			refused(t, err, storage.ErrCorrupt, "text")
		}
	})
	t.Run("checksum", func(t *testing.T) {
		wrong := o
		wrong.Checksum = "sha256:AAAA"
		r := storage.NewReader(t.Context(), s, wrong, storage.ReadOptions{})
		defer r.Close()
		_, err := io.ReadAll(r)
		refused(t, err, storage.ErrCorrupt, "text")
	})
}

func testContext(t *testing.T, open func(t *testing.T) storage.Store) {
	s := open(t)
	data := noise(8 << 20)
	o, err := s.Put(t.Context(), "big", bytes.NewReader(data), storage.PutOptions{Size: -1})
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()

	t.Run("stat", func(t *testing.T) {
		_, err := s.Stat(ended, "big")
		cancelled(t, err)
	})
	t.Run("list", func(t *testing.T) {
		for _, err := range s.List(ended, "") {
			cancelled(t, err)
		}
	})
	t.Run("open", func(t *testing.T) {
		_, err := s.Open(ended, o, 0)
		cancelled(t, err)
	})
	t.Run("put", func(t *testing.T) {
		_, err := s.Put(ended, "other", bytes.NewReader(data), storage.PutOptions{Size: -1})
		cancelled(t, err)
		absent(t, s, "other")
	})
	t.Run("reader", func(t *testing.T) {
		r := storage.NewReader(ended, s, o, storage.ReadOptions{})
		defer r.Close()
		_, err := io.ReadAll(r)
		cancelled(t, err)
	})
	t.Run("while it is read", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r, err := s.Open(ctx, o, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if _, err := io.ReadFull(r, make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		cancel()
		_, err = io.ReadAll(r)
		cancelled(t, err)
	})
	t.Run("while it is put", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		_, err := s.Put(ctx, "other", &trigger{Reader: bytes.NewReader(data), at: 1 << 20, do: cancel}, storage.PutOptions{Size: int64(len(data))})
		cancelled(t, err)
		absent(t, s, "other")
	})
}

func cancelled(t testing.TB, err error) {
	t.Helper()
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want one that is %q", err, context.Canceled)
	}
	if errors.Is(err, storage.ErrUnavailable) || errors.Is(err, storage.ErrNotExist) {
		t.Errorf("error %v blames the store", err)
	}
}

// trigger does something once when a number of bytes was read.
type trigger struct {
	io.Reader
	at int64
	do func()
}

func (r *trigger) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if r.at -= int64(n); r.at <= 0 && r.do != nil {
		r.do()
		r.do = nil
	}
	return n, err
}
