package filing_test

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/recovery/filing"
	"comeback/recovery/report"
	"comeback/recovery/runner"
	"comeback/storage"
	"comeback/storagetest"
)

// twoCopies are those of shop, each a directory that can be broken.
func twoCopies(t *testing.T) (c filing.Copies, nearby, offsite *storagetest.Faulty) {
	t.Helper()
	stores := map[string]*storagetest.Faulty{}
	for _, name := range []string{"nearby", "offsite"} {
		store, err := storage.OpenDir(t.TempDir())
		must(t, err)
		stores[name] = storagetest.NewFaulty(store)
	}
	return filing.Copies{System: "shop", Copies: []recovery.Copy{{Name: "nearby"}, {Name: "offsite"}},
		Open: func(_ context.Context, c recovery.Copy) (storage.Store, error) { return stores[c.Name], nil }}, stores["nearby"], stores["offsite"]
}

// files puts a signed run, as a report of this version has it, into a copy.
func files(t *testing.T, as string, into storage.Store) {
	t.Helper()
	k := key(t)
	p := holds(t, runner.Home{Dir: t.TempDir()}, as, &k)
	must(t, backup.FileRun(t.Context(), into, p.Dir, "shop", p.Plan.Number, run))
}

// filesAltered puts one into it that says it is the same.
func filesAltered(t *testing.T, as string, into storage.Store) {
	t.Helper()
	k := key(t)
	p := holds(t, runner.Home{Dir: t.TempDir()}, as, &k)
	must(t, os.WriteFile(filepath.Join(p.Dir, report.MarkdownFile), []byte("# All is well\n"), 0o600))
	must(t, backup.FileRun(t.Context(), into, p.Dir, "shop", p.Plan.Number, run))
}

// fetchedHere are the names under which runs were fetched.
func fetchedHere(t *testing.T, home runner.Home) []string {
	t.Helper()
	entries, err := os.ReadDir(home.Filed().Runs())
	must(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// While a copy does not give what it is asked for, the others are read. Of two hosts that gave
// their runs one ID each run is fetched, whichever comes first.
func TestFetch_silentCopy(t *testing.T) {
	c, nearby, offsite := twoCopies(t)
	files(t, "passed", nearby)
	files(t, "failed", offsite)
	silent, lists, gives := storagetest.NewGate(), storagetest.NewGate(), storagetest.NewGate()
	nearby.Inject(storagetest.Fault{Op: storagetest.OnOpen, Gate: silent})
	offsite.Inject(storagetest.Fault{Op: storagetest.OnList, Gate: lists}, storagetest.Fault{Op: storagetest.OnOpen, Gate: gives})
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		<-silent.Entered() // the first copy is being read
		lists.Open()
		select {
		case <-gives.Entered():
		case <-t.Context().Done():
		}
		silent.Open()
		gives.Open()
	}()
	home := runner.Home{Dir: t.TempDir()}
	f, err := filing.Fetch(t.Context(), home, c)
	must(t, err)
	if f.Failed != nil || len(f.Unread)+f.Left > 0 {
		t.Errorf("%+v", f)
	}
	if names := fetchedHere(t, home); len(names) != 2 || names[0] != run || len(names[1]) <= len(run) {
		t.Errorf("here are %q", names)
	}
	<-asked
}

// A run that two copies hold comes from one of them; from the other where that one is silent, does
// not give it, or has it otherwise than it was signed.
func TestFetch_inTwoCopies(t *testing.T) {
	for name, test := range map[string]struct {
		silent  bool
		err     error
		altered bool
		unread  []string
	}{
		"it has it":          {},
		"it is silent":       {silent: true, unread: []string{"nearby"}},
		"it does not give":   {err: storagetest.Denied, unread: []string{"nearby"}},
		"it has another one": {altered: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, nearby, offsite := twoCopies(t)
				if files(t, "passed", offsite); test.altered {
					filesAltered(t, "passed", nearby)
				} else {
					files(t, "passed", nearby)
				}
				first, then := storagetest.NewGate(), storagetest.NewGate()
				nearby.Inject(storagetest.Fault{Op: storagetest.OnOpen, Gate: first, Err: test.err})
				offsite.Inject(storagetest.Fault{Op: storagetest.OnList, Gate: then})
				go func() {
					<-first.Entered()
					then.Open()
					synctest.Wait() // the second one sees that the first is being asked
					if !test.silent {
						first.Open()
					}
				}()
				home := runner.Home{Dir: t.TempDir()}
				f, err := filing.Fetch(t.Context(), home, c)
				must(t, err)
				if !slices.Equal(slices.Sorted(maps.Keys(f.Unread)), test.unread) || f.Left > 0 || (len(f.Altered) > 0) != test.altered {
					t.Errorf("%+v", f)
				}
				if names := fetchedHere(t, home); !slices.Equal(names, []string{run}) {
					t.Errorf("here are %q", names)
				}
				if asked := offsite.Calls(storagetest.OnOpen) > 0; asked != (test.silent || test.err != nil || test.altered) {
					t.Errorf("the second one was asked: %v", asked)
				}
			})
		})
	}
}
