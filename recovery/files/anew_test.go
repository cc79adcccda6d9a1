package files_test

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/recovery/exchange"
	"comeback/storage"
)

// A tree that is taken away when it was whole is restored again, all of it: what the ledger
// says is not of the directory that is made in its place.
func TestRestore_anew(t *testing.T) {
	members := []member{{tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o755}, ""}}
	for i := range 50 {
		members = append(members, member{tar.Header{Name: fmt.Sprint("f", i)}, strings.Repeat(fmt.Sprint(i), 500)})
	}
	snapshots := directory(t, nil)
	capture(t, oddTree(t), snapshots, later(1))
	for name, of := range map[string]struct {
		engine    recovery.Engine
		component recovery.Component
		store     storage.Store
	}{
		"archive":        {engine(), component, directory(t, map[string][]byte{"a.tar": tarOf(t, members...)})},
		"packed archive": {engine(), component, directory(t, map[string][]byte{"a.tar.gz": packed(t, tarOf(t, members...), "gzip", "-c")})},
		"snapshot":       {engine(), component, snapshots},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t, of.engine, of.component, of.store)
			var trees []string
			o.Probe = func(_ context.Context, env recovery.Env) error {
				dir, err := treeOf(env, "uploads")
				if err != nil {
					return err
				}
				if trees = append(trees, describe(t, dir)); len(trees) > 1 {
					return nil
				}
				if err := os.RemoveAll(dir); err != nil {
					return err
				}
				return fmt.Errorf("the tree was taken away: %w", recovery.ErrGone)
			}
			end, _ := restore(t, o)
			passed(t, end)
			if len(trees) != 2 || strings.Count(trees[0], "\n") < 4 {
				t.Fatalf("looked at %q", trees)
			}
			if diff := cmp.Diff(trees[0], trees[1]); diff != "" {
				t.Error(diff)
			}
			if says := end.Steps[0].Outcome.Says; strings.Contains(says, "attempt before") {
				t.Errorf("it says %s", says)
			}
		})
	}
}

// A tree that has become live in an exchange that was cut off is there, whatever links lead
// to where it was restored.
func TestRestore_liveByALink(t *testing.T) {
	dir := t.TempDir()
	linked := filepath.Join(dir, "linked")
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("data", linked); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", linked)
	o := options(t, engine(), component, directory(t, map[string][]byte{"a.tar": tarOf(t, member{tar.Header{Name: "a"}, "a"})}))
	looked := 0
	var pair exchange.Pair
	o.Probe = func(ctx context.Context, env recovery.Env) error {
		if looked++; looked > 1 {
			return nil
		}
		tree, err := treeOf(env, "uploads")
		if err != nil {
			return err
		}
		if !strings.HasPrefix(tree, linked) {
			return fmt.Errorf("%s does not lie behind a link", tree)
		}
		if pair, err = exchange.Look(filepath.Join(linked, "uploads"), tree); err != nil {
			return err
		}
		text, err := json.Marshal(pair)
		if err == nil {
			err = env.Claim(ctx, recovery.Resource{Kind: exchangedTree, ID: pair.Live, Details: map[string]string{"pair": string(text)}})
		}
		if err == nil {
			err = pair.Exchange()
		}
		if err != nil {
			return err
		}
		return errors.New("cut off")
	}
	o.Answer = func(recovery.StepState) recovery.Choice { return recovery.ChooseRetry }
	o.Releasers = []recovery.Releaser{undone{t, &pair}}
	end := enginetest.Restore(t, o)
	passed(t, end)
	if looked != 2 || end.Steps[0].Attempts != 1 {
		t.Errorf("looked at %d times, restored in %d attempts", looked, end.Steps[0].Attempts)
	}
}

const exchangedTree = recovery.Exchanged + " of trees"

// undone gives the exchange of the test above back: what was restored must be live.
type undone struct {
	t    *testing.T
	pair *exchange.Pair
}

func (undone) Resource() recovery.ResourceKind { return exchangedTree }

func (u undone) Release(context.Context, recovery.Resource) error {
	if b, err := os.ReadFile(filepath.Join(u.pair.Live, "a")); err != nil || string(b) != "a" {
		u.t.Errorf("live is %q, %v", b, err)
	}
	return u.pair.Undo()
}
