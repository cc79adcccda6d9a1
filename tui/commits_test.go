package tui

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// check compares what a place means with what a look at the whole log says.
func checkMeaning(t *testing.T, c *commits, all []recovery.Transaction, i int) {
	t.Helper()
	m := c.meaning(i)
	at, _ := c.effective(i)
	cut := c.cutAt(at)
	var kept, lost *recovery.Transaction
	var commits, rows int64
	for j := range all {
		h := happened{Transaction: all[j]}
		if !h.counts() {
			continue
		}
		if h.LSN < cut {
			kept = &all[j]
			break
		}
		lost, commits, rows = &all[j], commits+1, rows+h.written()
	}
	same := func(h *happened, t *recovery.Transaction) bool {
		return h == nil && t == nil || h != nil && t != nil && h.LSN == t.LSN
	}
	if kept != nil && kept.LSN < c.lowest {
		kept = nil // it was not read yet
	}
	if m.unlisted {
		m.kept = nil
		kept = nil
	}
	if m.about {
		m.lost = nil
		lost = nil
	}
	if !same(m.kept, kept) || !same(m.lost, lost) || m.commits != commits || m.rows != rows {
		t.Fatalf("place %d: kept %v, lost %v, %d commits, %d rows; the log says %v, %v, %d, %d", i, m.kept, m.lost, m.commits, m.rows, kept, lost, commits, rows)
	}
	// The moment that is asked for is the same place.
	want, err := recovery.ParseWant(m.want, ten)
	if err != nil {
		t.Fatalf("place %d: %q: %v", i, m.want, err)
	}
	until := want.LSN // what commits before it is kept
	for j := range all {
		if (&happened{Transaction: all[j]}).counts() && want.XID != 0 && all[j].XID == want.XID {
			if until = all[j].LSN; want.Kind == recovery.WantAfterXID {
				until++
			}
		}
	}
	for j := range all {
		if (&happened{Transaction: all[j]}).counts() && (all[j].LSN < until) != (all[j].LSN < cut) {
			t.Fatalf("place %d: %s disagrees with the cut %s about transaction %d at %s", i, m.want, cut, all[j].XID, all[j].LSN)
		}
	}
}

func randomLog(r *rand.Rand, n int) []recovery.Transaction {
	hows := []recovery.TransactionEnd{recovery.Committed, recovery.Committed, recovery.Committed, recovery.CommittedPrepared, recovery.Aborted, recovery.Prepared, recovery.AbortedPrepared, recovery.NamedPoint}
	return logOf(n, time.Duration(1+r.IntN(20))*time.Second, func(_ int, t *recovery.Transaction) {
		t.How = hows[r.IntN(len(hows))]
		if t.How == recovery.NamedPoint {
			t.XID, t.Tables, t.RestorePoint = 0, nil, "point"
		}
		switch r.IntN(20) {
		case 0:
			t.Tables = []recovery.TableChange{rowsIn("orders", 0, 0, 5000)}
		case 1:
			if t.How == recovery.Committed { // it acts a few commits before its own
				t.Databases = []recovery.ObjectChange{{OID: 17000, Name: "coupons", Dropped: true}}
				t.Stop, t.Inclusive = t.LSN-recovery.LSN(0x200*(1+r.IntN(3))), r.IntN(4) > 0
				if !t.Inclusive {
					t.Stop += 0x10
				}
			}
		}
	})
}

func TestCommits_EveryPlaceMeansWhatTheLogSays(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 11))
			all := randomLog(r, 1+r.IntN(120))
			var c commits
			for _, x := range all {
				c.add(x)
				c.add(x) // read twice where spans overlap
			}
			for i := range len(c.list) + 1 {
				if got := c.place(c.cutAt(i)); got != i {
					t.Fatalf("the cut at %d is found at %d", i, got)
				}
				checkMeaning(t, &c, all, i)
			}
		})
	}
}

func TestCommits_SheddingKeepsHarmAndCounts(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	all := randomLog(r, 3000)
	c := commits{limit: 400}
	harms := 0
	for i, x := range all {
		c.add(x)
		c.shed(min(i, 700))
		if len(x.Harms()) > 0 {
			harms++
		}
	}
	if len(c.list) > 400+400/4+3*harms {
		t.Errorf("%d lines are kept", len(c.list))
	}
	listed := 0
	for i := range c.list {
		if isHarm(&c.list[i]) {
			listed++
		}
	}
	if listed != harms || c.harmful != harms {
		t.Errorf("%d harms are listed and %d counted of %d", listed, c.harmful, harms)
	}
	for i := range len(c.list) + 1 {
		checkMeaning(t, &c, all, i)
	}
}

func TestCommits_ADropIsUndoneBeforeItActs(t *testing.T) {
	all := logOf(20, time.Second, func(xid int, t *recovery.Transaction) {
		if xid == 83990 {
			t.Databases = []recovery.ObjectChange{{OID: 17000, Name: "coupons", Dropped: true}}
			t.Stop, t.Inclusive = t.LSN-3*0x200, true // two commits came between
		}
	})
	var c commits
	for _, x := range all {
		c.add(x)
	}
	m := c.meaning(c.find(0, true, isHarm) + 1)
	if m.want != "after-xid:83987" || m.kept.XID != 83987 || m.lost.XID != 83988 || m.early == nil {
		t.Errorf("before the drop is %s: keeps %d, loses %d first, early %v", m.want, m.kept.XID, m.lost.XID, m.early)
	}
}

func BenchmarkCommits(b *testing.B) {
	desk := shopDesk()
	withLog(desk)
	m := newModel(b.Context(), Options{Desk: desk, Now: func() time.Time { return ten }, Environ: []string{"TERM=xterm", "LANG=C.UTF-8"}})
	from := newRunbook(m, shopMD, "")
	from.opened, from.rows = desk.opened, desk.rows
	list := newMoment(m, from)
	s := newCommits(list, list.offers()[0])
	for _, t := range logOf(100_000, time.Second, nil) {
		s.add(t)
	}
	m.stack = append(m.stack, shown{screen: s})
	m.Update(tea.WindowSizeMsg{Width: 80, Height: 24})
	m.Update(tea.KeyPressMsg{Code: tea.KeyHome})
	for b.Loop() {
		m.Update(tea.KeyPressMsg{Code: tea.KeyDown})
		_ = m.View()
	}
}
