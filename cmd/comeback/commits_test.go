package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"comeback/recovery"
	"comeback/shop"
)

// Any commit can be gone to: what is there is what the shop held right after
// it. make test takes a seeded few, make soak fifty.
func TestRehearse_anyCommit(t *testing.T) {
	t.Parallel()
	l := theShop(t)
	commits := l.Commits()
	first := slices.IndexFunc(commits, func(c shop.Commit) bool { return c.LSN > l.windowFrom(t) })
	if first < 0 || len(commits)-first < 200 {
		t.Fatalf("%d commits, the first in the window is %d", len(commits), first)
	}
	n := 2
	if soaking() {
		n = 50
	}
	random := rand.New(rand.NewPCG(4, 4))
	for i := range n {
		at := first + random.IntN(len(commits)-first)
		c := commits[at]
		to := fmt.Sprintf("after-xid:%d", c.XID)
		if next := at + 1; i%2 == 1 && next < len(commits) {
			to = fmt.Sprintf("before-xid:%d", commits[next].XID)
		}
		t.Run(to, func(t *testing.T) {
			var checks []digest
			for table, rows := range c.Counts {
				checks = append(checks, digest{table: table, query: fmt.Sprintf("select count(*) from %s", table), value: fmt.Sprint(rows)})
			}
			r := newRig(t)
			got := r.run(t.Context(), "rehearse", runbook(t, fmt.Sprintf("{url: %q}", l.CopyURL()), checks, ""), "--plain", "--to", to)
			if got.code != recovery.CameBack {
				t.Errorf("exit %d\n%s%s", got.code, got.out, got.err)
			}
		})
	}
}

// windowFrom is where the window of the base backup begins.
func (l *lost) windowFrom(t *testing.T) recovery.LSN {
	t.Helper()
	a := newRig(t).app(nil, nil)
	b, _, err := a.open(t.Context(), runbook(t, fmt.Sprintf("{url: %q}", l.CopyURL()), nil, ""))
	if err != nil {
		t.Fatal(err)
	}
	cat, err := a.survey(t.Context(), b, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range cat.Surveys {
		for _, w := range s.Windows {
			return w.From.LSN
		}
	}
	t.Fatal("no window")
	return 0
}
