package storage_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/storage"
)

// kept is a store of versions alone; what it opens are the words of a version.
type kept struct {
	storage.Store
	all []storage.Version
}

func (k kept) URL() string { return "kept:" }

func (k kept) Versioning(context.Context, string) (storage.Versioning, error) {
	return storage.Versioning{On: true}, nil
}

func (k kept) Versions(_ context.Context, prefix string) iter.Seq2[storage.Version, error] {
	return func(yield func(storage.Version, error) bool) {
		for _, v := range k.all {
			if strings.HasPrefix(v.Key, prefix) && !yield(v, nil) {
				return
			}
		}
	}
}

func (k kept) Open(_ context.Context, o storage.Object, offset int64) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(("bytes of " + o.Version)[offset:])), nil
}

func (k kept) OpenRange(_ context.Context, o storage.Object, offset, to int64) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(("bytes of " + o.Version)[offset:to])), nil
}

var hour = func(h int) time.Time { return time.Date(2026, 11, 29, h, 0, 0, 0, time.UTC) }

func version(key string, h int) storage.Version {
	id := fmt.Sprintf("%s@%d", key, h)
	return storage.Version{Object: storage.Object{Key: key, Size: 4, Modified: hour(h), Revision: "r" + id, Version: id}}
}

func deleted(key string, h int) storage.Version {
	v := version(key, h)
	v.Deleted = true
	return v
}

// What was current at a moment is there, whatever happened since, and nothing else.
func TestAsOf(t *testing.T) {
	inner := kept{all: []storage.Version{
		version("came later", 20),
		deleted("deleted", 19), version("deleted", 9), version("deleted", 8),
		deleted("gone then, back now", 8), version("gone then, back now", 7),
		version("kept", 5),
		version("overwritten", 19), version("overwritten", 18), version("overwritten", 10), version("overwritten", 9),
		version("overwritten/below", 10),
	}}
	s, err := storage.AsOf(inner, hour(10))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"deleted@9", "kept@5", "overwritten@10", "overwritten/below@10"}
	for prefix, n := range map[string]int{"": 4, "over": 2, "overwritten": 2, "overwritten/": 1, "none": 0} {
		var got []string
		for o, err := range s.List(t.Context(), prefix) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, o.Version)
		}
		if want := slices.DeleteFunc(slices.Clone(want), func(v string) bool { return !strings.HasPrefix(v, prefix) }); !slices.Equal(got, want) || len(got) != n {
			t.Errorf("%q: %q, want %q", prefix, got, want)
		}
	}
	for _, v := range inner.all {
		o, err := s.Stat(t.Context(), v.Key)
		if is := slices.Contains(want, o.Version); is != (err == nil) || !is && !errors.Is(err, storage.ErrNotExist) {
			t.Errorf("%s is %q, %v", v.Key, o.Version, err)
		}
	}
	if _, err := s.Stat(t.Context(), "over"); !errors.Is(err, storage.ErrNotExist) {
		t.Error(err)
	}
	ranger, ok := storage.As[storage.Ranger](s)
	if !ok {
		t.Fatal("it gives no ranges")
	}
	for _, o := range []storage.Object{version("overwritten", 10).Object, {Key: "overwritten", Revision: "roverwritten@10"}, {Key: "overwritten"}} {
		whole, err := s.Open(t.Context(), o, 9)
		part, errPart := ranger.OpenRange(t.Context(), o, 9, 20)
		if err != nil || errPart != nil {
			t.Fatal(err, errPart)
		}
		a, err := io.ReadAll(whole)
		b, errPart := io.ReadAll(part)
		if string(a) != "overwritten@10" || string(b) != "overwritten" || err != nil || errPart != nil {
			t.Errorf("%+v: %q, %q, %v, %v", o, a, b, err, errPart)
		}
	}
	for _, c := range []struct {
		o    storage.Object
		want error
	}{{storage.Object{Key: "overwritten", Revision: "roverwritten@19"}, storage.ErrChanged}, {storage.Object{Key: "came later"}, storage.ErrNotExist}} {
		if _, err := s.Open(t.Context(), c.o, 0); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v", c.o, err)
		}
		if _, err := ranger.OpenRange(t.Context(), c.o, 0, 1); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v", c.o, err)
		}
	}
	if storage.Current(s).URL() != inner.URL() || storage.Current(inner).URL() != inner.URL() {
		t.Error("the store as it is now is another")
	}
	if _, isThen := storage.Current(s).(kept); !isThen {
		t.Error("the store as it is now is as it was")
	}
}

// A store that keeps no versions, and one whose times say nothing, are refused.
func TestAsOf_refuses(t *testing.T) {
	dir, err := storage.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := storage.AsOf(dir, hour(10)); !errors.Is(err, storage.ErrConfig) || !strings.Contains(err.Error(), "keeps no versions") {
		t.Error(err)
	}
	var all []storage.Version
	for _, key := range []string{"a", "b", "c"} {
		all = append(all, version(key, 19), version(key, 19))
	}
	s, err := storage.AsOf(kept{all: all}, hour(20))
	if err != nil {
		t.Fatal(err)
	}
	var last error
	for _, err := range s.List(t.Context(), "") {
		last = err
	}
	if !errors.Is(last, storage.ErrConfig) || !strings.Contains(last.Error(), "not their own") {
		t.Error(last)
	}
}
