package backup_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/storage"
)

// many is a copy with the manifests of many backups. Their reads wait at a gate, where
// there is one, until so many are under way, and fail where fails says so.
type many struct {
	storage.Store
	gate  int
	fails func(key string, opened int) error

	mu                  sync.Mutex
	opened, under, most int
	open                chan struct{} // closed when so many are under way
}

func (s *many) Open(ctx context.Context, o storage.Object, offset int64) (io.ReadCloser, error) {
	s.mu.Lock()
	s.opened++
	s.under++
	s.most = max(s.most, s.under)
	if s.under == s.gate {
		close(s.open)
		s.gate = 0
	}
	n := s.opened
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.under--
		s.mu.Unlock()
	}()
	if s.open != nil {
		select {
		case <-s.open:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if s.fails != nil {
		if err := s.fails(o.Key, n); err != nil {
			return nil, err
		}
	}
	return s.Store.Open(ctx, o, offset)
}

func (s *many) Unwrap() storage.Store { return s.Store }

// put stores the manifests of backups from..to, each begun a minute after the one before.
func (s *many) put(t *testing.T, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		m := recovery.Manifest{Format: recovery.ManifestFormat, ID: fmt.Sprintf("uploads/%06d.snapshot", i), System: "shop", Component: "uploads", Kind: recovery.Files, Engine: "files",
			Begun: time.Unix(0, 0).Add(time.Duration(i) * time.Minute).UTC(), Tables: []recovery.TableRecord{{Name: "t"}}}
		b, err := m.Encode()
		if err == nil {
			_, err = s.Store.Put(t.Context(), fmt.Sprintf("%suploads/%06d-snapshot.json", recovery.ManifestsIn, i), bytes.NewReader(b), storage.PutOptions{IfAbsent: true, Size: int64(len(b))})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func newMany(t *testing.T, n int) *many {
	t.Helper()
	dir, err := storage.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := &many{Store: dir}
	s.put(t, 0, n)
	return s
}

// What a copy knows is read side by side, and only once.
func TestKnow(t *testing.T) {
	s, ctx := newMany(t, 300), t.Context()
	s.gate, s.open = 8, make(chan struct{}) // nothing is read before eight are asked for
	k, err := backup.Know(ctx, s, nil)
	if err != nil || len(k.Manifests) != 300 || k.Unread != 0 || k.Err != nil || s.opened != 300 {
		t.Fatalf("%d manifests and %d unread by %d reads: %v, %v", len(k.Manifests), k.Unread, s.opened, k.Err, err)
	}
	if s.most < 8 || s.most > 16 {
		t.Errorf("%d were read at a time", s.most)
	}
	if !slices.IsSortedFunc(k.Manifests, func(a, b recovery.Manifest) int { return a.Begun.Compare(b.Begun) }) || k.Manifests[0].Tables != nil {
		t.Error("they are not in their order, or have their tables")
	}
	s.put(t, 300, 305)
	s.opened = 0
	again, err := backup.Know(ctx, s, k.Remember)
	if err != nil || len(again.Manifests) != 305 || s.opened != 5 || again.Remember.Same(k.Remember) {
		t.Errorf("%d manifests by %d more reads: %v", len(again.Manifests), s.opened, err)
	}
	other := again.Remember[recovery.ManifestsIn+"uploads/000304-snapshot.json"]
	other.Revision = "another"
	again.Remember[recovery.ManifestsIn+"uploads/000304-snapshot.json"] = other
	s.opened = 0
	if k, err := backup.Know(ctx, s, again.Remember); err != nil || len(k.Manifests) != 305 || s.opened != 1 {
		t.Errorf("%d manifests by %d reads, where one was changed: %v", len(k.Manifests), s.opened, err)
	}
}

// Where the time ends, or the copy refuses, what was read counts, and the next look goes
// on from there.
func TestKnow_unread(t *testing.T) {
	for name, test := range map[string]func(s *many, end func()){
		"the time is over": func(s *many, end func()) {
			s.fails = func(_ string, n int) error {
				if n == 100 {
					end()
				}
				return nil
			}
		},
		"it is refused": func(s *many, _ func()) {
			s.fails = func(_ string, n int) error {
				if n > 100 {
					return fmt.Errorf("read it: %w", storage.ErrDenied)
				}
				return nil
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newMany(t, 300)
			ctx, end := context.WithCancel(t.Context())
			test(s, end)
			k, err := backup.Know(ctx, s, nil)
			if err != nil || k.Err == nil || len(k.Manifests) == 0 || k.Unread < 100 || len(k.Manifests)+k.Unread != 300 || s.opened > 150 {
				t.Fatalf("%d manifests and %d unread by %d reads: %v, %v", len(k.Manifests), k.Unread, s.opened, k.Err, err)
			}
			s.fails, s.opened = nil, 0
			again, err := backup.Know(t.Context(), s, k.Remember)
			if err != nil || len(again.Manifests) != 300 || again.Unread != 0 || s.opened != k.Unread {
				t.Errorf("then %d manifests by %d reads, %d were unread: %v", len(again.Manifests), s.opened, k.Unread, err)
			}
		})
	}
}

// Who wants no more of them ends the others.
func TestManifests_refused(t *testing.T) {
	s := newMany(t, 100)
	s.fails = func(string, int) error { return fmt.Errorf("read it: %w", storage.ErrExpired) }
	if all, err := backup.Manifests(t.Context(), s, "uploads"); err == nil || s.opened > 40 {
		t.Errorf("%d manifests by %d reads, %v", len(all), s.opened, err)
	}
}
