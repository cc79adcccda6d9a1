package trees

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comeback/recovery"
)

// disownedAt is the env of a step with a restored tree that is not its owners'.
type disownedAt struct{ restoredAt }

const disowned = `2 names, the first "says" of user 33, group 33`

func (d disownedAt) Binding(component string) (recovery.Binding, bool) {
	b, ok := d.restoredAt.Binding(component)
	b.Disowned = disowned
	return b, ok
}

// A tree that could not be given to its owners, and is made live, is an exception and something
// to do, also after it was exchanged once; the one that was live before is neither.
func TestSwap_disowned(t *testing.T) {
	dir := t.TempDir()
	live, beside := tree(t, filepath.Join(dir, "uploads"), "old"), tree(t, filepath.Join(dir, "scratch", "tree"), "new")
	env := disownedAt{restoredAt{url: (&url.URL{Scheme: "file", Path: beside}).String()}}
	a := args{Component: "uploads", Path: live, Aside: live + ".old-7c31"}
	swapped := func(env recovery.Env, a args) recovery.Outcome {
		t.Helper()
		o, err := swap{}.Do(t.Context(), env, recovery.NewStep("swap", swapName, "make it live", a))
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	o := swapped(env, a)
	if len(o.Exceptions) != 1 || !strings.Contains(o.Exceptions[0], disowned) || len(o.ToDo) != 1 || !strings.Contains(o.ToDo[0], disowned) || !strings.Contains(o.ToDo[0], a.Aside) || says(live) != "new" {
		t.Errorf("exceptions %q, to do %q", o.Exceptions, o.ToDo)
	}
	if err := errors.Join(os.Rename(live, beside), os.Rename(a.Aside, live)); err != nil {
		t.Fatal(err)
	}
	if o := swapped(env.restoredAt, a); len(o.Exceptions)+len(o.ToDo) > 0 {
		t.Errorf("of a tree with its owners: exceptions %q, to do %q", o.Exceptions, o.ToDo)
	}
	back := args{Component: "uploads", Path: live, Beside: a.Aside}
	if o := swapped(env, back); len(o.Exceptions)+len(o.ToDo) > 0 || says(live) != "old" {
		t.Errorf("of the one before: exceptions %q, to do %q", o.Exceptions, o.ToDo)
	}
	_, how := handOverArgs{Component: "uploads", Run: "7c31", Place: filepath.Join(dir, "handed"), Live: []string{live}}.toLive(env, recovery.Binding{Disowned: disowned}, false)
	if !strings.Contains(how, disowned) {
		t.Errorf("handed over it says %q", how)
	}
}
