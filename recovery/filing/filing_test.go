package filing_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/recovery/check"
	"comeback/recovery/filing"
	"comeback/recovery/report"
	"comeback/recovery/runner"
	"comeback/storage"
)

// now is after the run that the tests file: number 12 of shop, 4f2a, a rehearsal on bastion
// that passed.
var now = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

const run = "4f2a"

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// key makes a key of a person.
func key(t *testing.T) report.Key {
	t.Helper()
	k, err := report.CreateKey(filepath.Join(t.TempDir(), "key"), "somebody")
	must(t, err)
	return k
}

// holds puts a run as a report of this version has it into a home, signed where there is a
// key, and reads it.
func holds(t *testing.T, home runner.Home, as string, k *report.Key) runner.Past {
	t.Helper()
	dir := home.RunDir(run)
	must(t, os.MkdirAll(filepath.Dir(dir), 0o700))
	must(t, os.CopyFS(dir, os.DirFS(filepath.Join("..", "report", "testdata", "runs", as))))
	if k != nil {
		signer, err := k.Signer(t.Context(), nil)
		must(t, err)
		_, err = report.Sign(t.Context(), dir, signer)
		must(t, err)
	}
	return load(t, home)
}

func load(t *testing.T, home runner.Home) runner.Past {
	t.Helper()
	p, err := home.Load(run)
	must(t, errors.Join(err, p.Problem))
	return p
}

// copies are those of shop: one directory.
func copies(t *testing.T) (filing.Copies, storage.Store) {
	t.Helper()
	store, err := storage.OpenDir(t.TempDir())
	must(t, err)
	return filing.Copies{System: "shop", Copies: []recovery.Copy{{Name: "nearby"}},
		Open: func(context.Context, recovery.Copy) (storage.Store, error) { return store, nil }}, store
}

// A key counts where this host signs with it or the reader's list names it, and not because a
// run that came from elsewhere brings it along.
func TestTrust(t *testing.T) {
	ours, theirs := key(t), key(t)
	home := runner.Home{Dir: t.TempDir()}
	own, fetched := holds(t, home, "passed", &ours), holds(t, home.Filed(), "passed", &theirs)
	line, err := report.AllowedSigner("ops2@example.com", theirs)
	must(t, err)
	list := filepath.Join(t.TempDir(), "allowed_signers")
	must(t, os.WriteFile(list, []byte(line), 0o600))
	none := filing.Signers{File: filepath.Join(home.Dir, "allowed_signers")}
	judges := func(name string, signers filing.Signers, alone bool, knowsOwn, knowsFetched bool) {
		t.Helper()
		trust, err := filing.NewTrust(home, []runner.Past{own, fetched}, signers, now)
		must(t, err)
		if alone {
			trust = trust.ByListAlone()
		}
		for p, want := range map[*runner.Past]bool{&own: knowsOwn, &fetched: knowsFetched} {
			v, err := trust.Verify(*p)
			if must(t, err); v.Known() != want {
				t.Errorf("%s: the signer under %s is known: %v, want %v", name, p.Dir, v.Known(), want)
			}
			proofs := trust.Proofs([]runner.Past{*p}, "shop")
			if len(proofs) != 1 || !proofs[0].Passed || proofs[0].Signed != want || (proofs[0].Stranger == nil) != want {
				t.Errorf("%s: %s proves %+v", name, p.Dir, proofs)
			}
			closest, ok := trust.Closest([]runner.Past{*p}, "shop", now)
			if lacks := closest.Lacks(); !ok || (lacks == "") != want || !want && lacks != recovery.LacksSigner {
				t.Errorf("%s: %s lacks %q, %v", name, p.Dir, lacks, ok)
			}
		}
	}
	judges("no list", none, false, true, false)
	judges("a list", filing.Signers{File: list, Named: true}, false, true, true)
	judges("a list alone", filing.Signers{File: list, Named: true}, true, false, true)
	must(t, home.MarkForeign(run))
	judges("brought with somebody else's signature", none, false, false, false)

	none.Named = true
	if _, err := filing.NewTrust(home, nil, none, now); err == nil {
		t.Error("a list that was named and is not there is nothing")
	}
	trust, err := filing.NewTrust(home, []runner.Past{own}, filing.Signers{}, now)
	must(t, err)
	if closest, ok := trust.Closest([]runner.Past{own}, "others", now); ok || len(trust.Proofs([]runner.Past{own}, "others")) > 0 {
		t.Errorf("another system is proven by %+v", closest)
	}
}

// A run lacks what keeps it from being a proof; the newest that proves something stands before
// newer ones that do not, and where none does, the one that comes closest.
func TestTrust_Closest(t *testing.T) {
	ours := key(t)
	home := runner.Home{Dir: t.TempDir()}
	signed := holds(t, home, "passed", &ours)
	trust, err := filing.NewTrust(home, []runner.Past{signed}, filing.Signers{}, now)
	must(t, err)
	unsigned, unchecked, failed, nothing, ahead := signed, signed, signed, signed, signed
	ahead.ID, ahead.State.Ended = "b8ae", now.AddDate(1, 0, 0) // by a clock that was wrong
	unsigned.Signed = false
	unchecked.State.Steps = slices.DeleteFunc(slices.Clone(signed.State.Steps), func(st recovery.StepState) bool { return st.Outcome.Check != nil })
	failed.State.Result = recovery.ResultFailed
	nothing.State = recovery.State{Ended: signed.State.Ended, Result: recovery.ResultFailed, Moment: signed.State.Moment}
	for _, c := range []struct {
		runs []runner.Past
		want recovery.Lack
	}{
		{[]runner.Past{failed, unsigned, unchecked, signed}, ""},
		{[]runner.Past{ahead, signed}, ""},
		{[]runner.Past{ahead, unchecked}, recovery.LacksChecks},
		{[]runner.Past{ahead, failed}, recovery.LacksTime},
		{[]runner.Past{failed, unsigned, unchecked}, recovery.LacksChecks},
		{[]runner.Past{failed, unsigned}, recovery.LacksSignature},
		{[]runner.Past{nothing, failed}, recovery.LacksSuccess},
	} {
		if closest, ok := trust.Closest(c.runs, "shop", now); !ok || closest.Lacks() != c.want {
			t.Errorf("of %d runs the closest lacks %q, %v, not %q", len(c.runs), closest.Lacks(), ok, c.want)
		}
	}
	if closest, ok := trust.Closest([]runner.Past{nothing}, "shop", now); ok {
		t.Errorf("a run that brought nothing back is %+v", closest)
	}
	must(t, os.WriteFile(filepath.Join(signed.Dir, recovery.RunbookFile), []byte("# Another\n"), 0o600))
	if closest, ok := trust.Closest([]runner.Past{signed}, "shop", now); !ok || closest.Lacks() != recovery.LacksBytes {
		t.Errorf("a run that was changed since lacks %q, %v", closest.Lacks(), ok)
	}
}

// A run proves what was checked in it, and how long it takes where it measured that: a
// recovery whose RTO is unknown did not, whatever it took.
func TestTrust_Proofs_unknown(t *testing.T) {
	for as, want := range map[string]struct {
		unchecked, untimed bool
		took               time.Duration
	}{
		"passed": {took: 4*time.Minute + 27*time.Second}, "recovery": {took: 14*time.Minute + 27*time.Second}, "amended": {untimed: true},
		"protected":    {took: 14*time.Minute + 27*time.Second},                  // and an hour and a half more, for a base backup
		"resumed":      {took: 6*time.Minute + 48*time.Second},                   // within an hour and a quarter
		"side-by-side": {took: 44*time.Minute + 27*time.Second, unchecked: true}, // nobody ran it for 20 minutes
	} {
		t.Run(as, func(t *testing.T) {
			home := runner.Home{Dir: t.TempDir()}
			p := holds(t, home, as, nil)
			trust, err := filing.NewTrust(home, []runner.Past{p}, filing.Signers{}, now)
			must(t, err)
			proof := func() check.Proof {
				t.Helper()
				proofs := trust.Proofs([]runner.Past{p}, p.Plan.System)
				if len(proofs) != 1 {
					t.Fatalf("proofs: %+v", proofs)
				}
				return proofs[0]
			}
			if got := proof(); got.Unchecked != want.unchecked || got.Untimed != want.untimed || got.Took != want.took {
				t.Errorf("unchecked %v, untimed %v, took %s; want %+v", got.Unchecked, got.Untimed, got.Took, want)
			}
			if closest, ok := trust.Closest([]runner.Past{p}, p.Plan.System, now); !ok || closest.Untimed != want.untimed || closest.Took != want.took {
				t.Errorf("the closest: %v, untimed %v, took %s; want %+v", ok, closest.Untimed, closest.Took, want)
			}
			p.State.Steps = nil // a run without checks
			if !proof().Unchecked {
				t.Error("a run without a check is checked")
			}
		})
	}
}

// What a run has checked is read in the runbook that it was made from, and in no other.
func TestTrust_Proofs_runbook(t *testing.T) {
	home := runner.Home{Dir: t.TempDir()}
	p := holds(t, home, "passed", nil)
	trust, err := filing.NewTrust(home, []runner.Past{p}, filing.Signers{}, now)
	must(t, err)
	book := filepath.Join(p.Dir, recovery.RunbookFile)
	if proofs := trust.Proofs([]runner.Past{p}, "shop"); len(proofs) != 1 || proofs[0].Checks == nil {
		t.Errorf("by its own: %+v", proofs)
	}
	must(t, os.WriteFile(book, []byte("# Another\n"), 0o600))
	if proofs := trust.Proofs([]runner.Past{p}, "shop"); len(proofs) != 1 || proofs[0].Checks != nil {
		t.Errorf("by another: %+v", proofs)
	}
}

// What a copy holds is fetched once, as it was signed, beside the runs of this host; what was
// altered is told and not kept.
func TestFetch(t *testing.T) {
	k := key(t)
	here, there := runner.Home{Dir: t.TempDir()}, runner.Home{Dir: t.TempDir()}
	p := holds(t, there, "passed", &k)
	c, store := copies(t)
	if f, err := filing.Fetch(t.Context(), there, c); err != nil || !slices.Equal(f.Unfiled, []string{run}) {
		t.Errorf("where nothing is filed: %+v, %v", f, err)
	}
	must(t, backup.FileRun(t.Context(), store, p.Dir, "shop", p.Plan.Number, run))
	for range 2 {
		f, err := filing.FetchAll(t.Context(), here, c)
		if err != nil || f.Failed != nil || len(f.Altered)+len(f.Unfiled)+len(f.Unread)+f.Left > 0 {
			t.Fatalf("%+v, %v", f, err)
		}
		all, err := filing.Runs(here)
		if err != nil || len(all) != 1 || all[0].ID != run || !filing.IsFetched(here, all[0].Dir) || filing.HasHere(here, all[0]) {
			t.Fatalf("here are %+v, %v", all, err)
		}
	}
	if f, err := filing.Fetch(t.Context(), there, c); err != nil || len(f.Unfiled) > 0 {
		t.Errorf("where it is from: %+v, %v", f, err)
	}
	if dirs, err := filepath.Glob(filepath.Join(there.Filed().Runs(), "*")); err != nil || len(dirs) > 0 {
		t.Errorf("where it is from it was fetched, too: %q, %v", dirs, err)
	}

	// It is another one, which says that it is the same.
	c, store = copies(t)
	must(t, os.WriteFile(filepath.Join(p.Dir, report.MarkdownFile), []byte("# All is well\n"), 0o600))
	must(t, backup.FileRun(t.Context(), store, p.Dir, "shop", p.Plan.Number, run))
	elsewhere := runner.Home{Dir: t.TempDir()}
	f, err := filing.Fetch(t.Context(), elsewhere, c)
	if err != nil || !slices.Equal(f.Altered, []string{run + " in nearby"}) {
		t.Errorf("an altered run: %+v, %v", f, err)
	}
	// So is one that has the name of another run.
	c, store = copies(t)
	must(t, backup.FileRun(t.Context(), store, here.Filed().RunDir(run), "shop", p.Plan.Number, "5b3c"))
	if g, err := filing.Fetch(t.Context(), elsewhere, c); err != nil || !slices.Equal(g.Altered, []string{"5b3c in nearby"}) {
		t.Errorf("a run of another name: %+v, %v", g, err)
	}
	if all, err := filing.Runs(elsewhere); err != nil || len(all) > 0 {
		t.Errorf("kept are %+v, %v", all, err)
	}
}

// A journal of this host that is gone, or another than the one whose head a copy keeps, is
// told; one that ended on another host is not this one's to have.
func TestCompare(t *testing.T) {
	home := runner.Home{Dir: t.TempDir()}
	p := holds(t, home, "passed", nil)
	c, _ := copies(t)
	p.Plan.Copies = c.Copies
	must(t, filing.KeepHead(t.Context(), home, p.Dir, p.Plan, recovery.State{}, nil, c.Open)) // it has not ended
	tells := func(name, host string, gone, others []string) {
		t.Helper()
		vanished, rewritten, err := filing.Compare(t.Context(), home, host, c)
		if err != nil || !slices.Equal(vanished, gone) || !slices.Equal(rewritten, others) {
			t.Errorf("%s: gone are %q, others %q, %v", name, vanished, rewritten, err)
		}
	}
	if in := filing.Keeping(t.Context(), p.Dir, p.Plan, c.Open); len(in) > 0 {
		t.Errorf("the head of a run that has not ended is kept in %q", in)
	}
	must(t, os.Rename(p.Dir, p.Dir+".aside"))
	tells("no head is kept", p.State.Host, nil, nil)
	must(t, os.Rename(p.Dir+".aside", p.Dir))
	must(t, filing.KeepHead(t.Context(), home, p.Dir, p.Plan, p.State, nil, c.Open))
	tells("as it ended", p.State.Host, nil, nil)
	if in := filing.Keeping(t.Context(), p.Dir, p.Plan, c.Open); len(in) != len(c.Copies) || in[0] != c.Copies[0].Name {
		t.Errorf("its head is kept in %q", in)
	}
	must(t, os.RemoveAll(p.Dir))
	tells("it is gone", p.State.Host, []string{run}, nil)
	tells("of another host", "db2", nil, nil)
	holds(t, home.Filed(), "passed", nil)
	tells("it is gone here, and fetched", p.State.Host, nil, nil)
	holds(t, home, "failed", nil)
	tells("another one is in its place", p.State.Host, nil, []string{run})
}

// A backup is proven by whoever restored it in a run that passed and is signed, known
// here or not, and by no other run; what nobody has checked says so.
func TestProvers(t *testing.T) {
	k := recovery.Backup{ID: "base/1", Component: "database", Copy: "offsite"}
	points := []recovery.Point{{Component: "database", Copy: "offsite", Backup: k}}
	ci := &check.Stranger{Fingerprint: "SHA256:ci"}
	got := filing.Provers([]check.Proof{
		{Passed: true, Stranger: ci, Points: points},
		{Passed: true, Signed: true, Points: points},
		{Passed: true, Signed: true, Unchecked: true, Points: points},
		{Passed: true, Points: points}, // unsigned
		{Stranger: &check.Stranger{Fingerprint: "SHA256:failed"}, Points: points},
		{Passed: true, Stranger: &check.Stranger{Fingerprint: "SHA256:elsewhere"}, Points: []recovery.Point{{Component: "database", Copy: "nearby", Backup: k}}},
	})(k)
	if want := []backup.Prover{{Signer: ci.Fingerprint}, {}, {Unchecked: true}}; !slices.Equal(got, want) {
		t.Errorf("proven by %+v, want %+v", got, want)
	}
}
