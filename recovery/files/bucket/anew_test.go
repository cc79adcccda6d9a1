package bucket_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"comeback/enginetest"
	"comeback/recovery"
)

// A tree that is taken away when it was whole is restored again, all of it: what the ledger
// says is not of the directory that is made in its place.
func TestBucket_anew(t *testing.T) {
	_, store := versioned(t)
	for i := range 5 {
		store.put(t, fmt.Sprintf("uploads/d/%d", i), "as it was")
	}
	o := options(t, bucketEngine(), inBucket, store)
	var trees []map[string]string
	o.Probe = func(_ context.Context, env recovery.Env) error {
		dir, err := treeOf(env, "uploads")
		if err != nil {
			return err
		}
		if trees = append(trees, files(t, dir)); len(trees) > 1 {
			return nil
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		return fmt.Errorf("the tree was taken away: %w", recovery.ErrGone)
	}
	end := enginetest.Restore(t, o)
	passed(t, end)
	if len(trees) != 2 || len(trees[0]) != 5 {
		t.Fatalf("looked at %q", trees)
	}
	if diff := cmp.Diff(trees[0], trees[1]); diff != "" {
		t.Error(diff)
	}
	if says := end.Steps[0].Outcome.Says; strings.Contains(says, "attempt before") {
		t.Errorf("it says %s", says)
	}
}

// files are those of a tree, with what the restore has given them.
func files(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := contents(t, dir)
	for name, text := range all {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		all[name] = fmt.Sprintf("%v %v %q", info.Mode(), info.ModTime(), text)
	}
	return all
}
