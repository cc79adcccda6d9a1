// Package shoptest opens shops for tests.
package shoptest

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"comeback/shop"
)

// Open opens a shop that is gone when the test ends, with every process and
// file of it. Where o.Dir is empty it is [Dir].
func Open(t testing.TB, o shop.Options) *shop.Shop {
	t.Helper()
	if o.Dir == "" {
		o.Dir = Dir(t)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	s, err := shop.Open(ctx, o)
	if err != nil {
		t.Fatalf("open a shop: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close the shop: %v", err)
		}
		if left := Processes(t, o.Dir); len(left) > 0 {
			t.Errorf("processes of the shop are left: %v", left)
		}
	})
	return s
}

// Dir is a directory that the server's user can reach, and that is removed at
// the end of the test; t.TempDir is closed to other users.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "shop-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Processes lists the processes that stand in a directory or below it.
func Processes(t testing.TB, dir string) []string {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, link := range links {
		cwd, err := os.Readlink(link)
		if err != nil {
			continue // gone meanwhile
		}
		if cwd = strings.TrimSuffix(cwd, " (deleted)"); cwd == dir || strings.HasPrefix(cwd, dir+"/") {
			line, err := os.ReadFile(filepath.Join(filepath.Dir(link), "cmdline"))
			if err == nil && len(line) > 0 { // one that has just ended has none
				found = append(found, strings.ReplaceAll(string(line), "\x00", " "))
			}
		}
	}
	return found
}
