package main

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"comeback/recovery"
)

// killing is a recovery that is done again and again, killed at some entries of its
// journal, and resumed or stopped: live is the old system then, or the new one, and
// the journal knows which.
type killing struct {
	rig  func() *rig
	args []string
	// name is what a person types; now is all of what is live.
	name     string
	now      func() (string, error)
	old, new string
	// back undoes a recovery; nil is a switch back.
	back func(t *testing.T, r *rig, run string)
	// did tells by a run's state whether its people use what it brought back; nil is that
	// it has put something aside.
	did func(recovery.State) bool
}

// killing recovers a shop to before its harm.
func (l *lost) killing(t *testing.T, path, name string) killing {
	now := func() (string, error) {
		d, err := digests(t.Context(), l.URL())
		return fmt.Sprint(d), err
	}
	harmed, err := now()
	if err != nil {
		t.Fatal(err)
	}
	return killing{rig: func() *rig { return newRig(t).live(l) }, name: name, now: now, old: harmed, new: fmt.Sprint(l.before),
		args: []string{"recover", path, "--plain", "--to", fmt.Sprintf("before-xid:%d", l.incident.Harm.XID), "--confirm", name}}
}

// undo brings live to what it was.
func (k killing) undo(t *testing.T, r *rig, run string) {
	t.Helper()
	if k.back != nil {
		k.back(t, r, run)
		return
	}
	if got := r.run(t.Context(), "switch-back", run, "--plain", "--confirm", k.name); got.code != recovery.CameBack {
		t.Fatalf("switch back: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
}

// changed reports whether a run has come to where its people use what it restored.
func (k killing) changed(s recovery.State) bool {
	if k.did != nil {
		return k.did(s)
	}
	return len(s.Old) > 0
}

// anywhere kills it at entries from the first step of the switch on: between an act and
// its record as is said, and at some more; or, where it is soaked, at each of the journal.
func (k killing) anywhere(t *testing.T, first string, some int, between ...string) {
	undisturbed := k.rig()
	if got := undisturbed.run(t.Context(), k.args...); got.code != recovery.CameBack {
		t.Fatalf("undisturbed: exit %d\n%s%s", got.code, got.out, got.err)
	}
	run := filepath.Base(undisturbed.only(t))
	switching, entries := switchEntries(t, undisturbed.stateDir(run), first)
	if k.new == "" {
		var err error
		if k.new, err = k.now(); err != nil || k.new == k.old {
			t.Fatalf("nothing came back: %v", err)
		}
	}
	k.undo(t, undisturbed, run)
	var points []string
	for i := range entries {
		n := (switching-1+i)%entries + 1 // the switch first, the restore last
		points = append(points, fmt.Sprintf("before:%d", n), fmt.Sprintf("after:%d", n))
	}
	if !soaking() {
		points = between
		sample := rand.New(rand.NewPCG(5, uint64(entries)))
		for range some {
			points = append(points, fmt.Sprintf("%s:%d", []string{"before", "after"}[sample.IntN(2)], switching+sample.IntN(entries-switching)))
		}
	}
	for i, at := range points {
		t.Run(at, func(t *testing.T) { k.at(t, at, soaking() || i%2 == 0) })
		if soaking() {
			t.Run(at+" stopped", func(t *testing.T) { k.at(t, at, false) })
		}
	}
}

// at kills it once.
func (k killing) at(t *testing.T, at string, resume bool) {
	r := k.rig()
	defer r.runnersEnd(t) // what has ended lets go of its target a moment later
	r.environ["COMEBACK_TEST_KILL"] = at
	killed := r.run(t.Context(), k.args...)
	delete(r.environ, "COMEBACK_TEST_KILL")
	if runs, err := filepath.Glob(filepath.Join(r.state, "runs", "*")); err != nil || len(runs) != 1 {
		t.Fatalf("it did not begin: exit %d\n%s\n%s", killed.code, killed.out, killed.err)
	}
	run := filepath.Base(r.only(t))
	var got output
	if resume {
		args := []string{"resume", run, "--plain", "--unattended"}
		if k.name != "" {
			args = append(args, "--confirm", k.name)
		}
		got = r.run(t.Context(), args...)
	} else {
		r.run(t.Context(), "stop", run)
	}
	now, err := k.now()
	if err != nil {
		t.Fatalf("live is neither the old nor the new system: %v", err)
	}
	state := r.stateOf(t, run)
	switch changed := k.changed(state); {
	case now == k.new && changed:
		k.undo(t, r, run)
	case now == k.old && !changed:
	default:
		t.Fatalf("ended as %s: %s (changed %v, held %v)\n%s\n%s; live is neither the old nor the new system, or the journal does not know which", state.Result, state.Says, changed, state.Held(), got.out, now)
	}
	if resume && state.Result != recovery.ResultPassed {
		t.Errorf("resumed, it ended as %s: %s\n%s\n%s", state.Result, state.Says, got.out, got.err)
	}
	for _, c := range state.Held() {
		// What people may have been let into before it was recorded stays beside.
		if resume || !strings.Contains(c.Kept, "was open to its users") {
			t.Errorf("it holds %v", c)
		}
	}
}
