package pitrtest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/storage"
)

// Store opens one of the cluster's repositories as a copy.
func (s *Kept) Store(t testing.TB, name string) storage.Store {
	t.Helper()
	store, err := storage.OpenDir(s.Path(name))
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// Copied copies the repository that lies in plain, for a test to damage, and gives the name
// of the copy.
func (s *Kept) Copied(t testing.TB) string {
	t.Helper()
	name := "copy-" + strings.NewReplacer("/", "-", " ", "-").Replace(t.Name())
	if err := os.CopyFS(s.Path(name), os.DirFS(s.Path("plain"))); err != nil {
		t.Fatal(err)
	}
	if s.Owner.UID >= 0 {
		err := filepath.WalkDir(s.Path(name), func(path string, _ fs.DirEntry, err error) error {
			return errors.Join(err, os.Lchown(path, s.Owner.UID, s.Owner.GID))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return name
}

// Surveyed is what an engine finds in a copy.
func Surveyed(t testing.TB, e recovery.Engine, c recovery.Component, store storage.Store) recovery.Survey {
	t.Helper()
	s, err := e.Survey(t.Context(), c, recovery.Copy{Name: "nearby", URL: store.URL()}, store)
	if err != nil {
		t.Fatalf("survey: %v (%s)", err, recovery.HintOf(err))
	}
	return s
}

// Resolved is the point that an engine finds for what is wanted.
func Resolved(t testing.TB, e recovery.Engine, s recovery.Survey, store storage.Store, to string) recovery.Point {
	t.Helper()
	w, err := recovery.ParseWant(to, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	p, err := e.Resolve(t.Context(), s, w, store)
	if err != nil {
		t.Fatalf("resolve %s: %v (%s)", to, err, recovery.HintOf(err))
	}
	return p
}

// Tree lists everything below a directory, with sizes and times.
func Tree(t testing.TB, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err == nil {
			all = append(all, fmt.Sprint(path, info.Size(), info.ModTime()))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
