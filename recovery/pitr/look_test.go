package pitr

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/enginetest"
	"comeback/recovery"
)

// resolveLook resolves a want with a look.
func resolveLook(t testing.TB, c *copyOf, to string) recovery.Point {
	t.Helper()
	want, err := recovery.ParseWant(to, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	want.Look = true
	p, err := testEngine(t).Resolve(t.Context(), survey(t, c.store, database), want, c.store)
	if err != nil {
		t.Fatalf("Resolve %s: %v (%s)", to, err, recovery.HintOf(err))
	}
	return p
}

// sight is what a person sees in a paused copy.
type sight struct {
	recovering bool
	orders     string
	carts      int
	writes     error
}

// lookThere asks a paused copy as a person would.
func lookThere(t testing.TB, o recovery.Outcome) (s sight) {
	t.Helper()
	if len(o.Bindings) != 1 {
		t.Fatalf("the bindings are %+v", o.Bindings)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, o.Bindings[0].URL)
	if err != nil {
		t.Error(err)
		return s
	}
	defer conn.Close(ctx)
	for query, into := range map[string]any{"select pg_is_in_recovery()": &s.recovering, ordersQuery: &s.orders, "select count(*) from carts": &s.carts} {
		_, err := conn.Exec(ctx, "set lock_timeout = '2s'")
		if err == nil {
			err = conn.QueryRow(ctx, query).Scan(into)
		}
		if err != nil {
			t.Errorf("%s: %v", query, err)
		}
	}
	_, s.writes = conn.Exec(ctx, "create table x ()")
	return s
}

// At a look the copy is paused and read-only, nothing in it is locked although a
// table is dropped by the first transaction to lose, and then it goes to exactly
// the point.
func TestLook_BeforeADrop(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	c := l.copy(t, "zstd")
	to := fmt.Sprintf("before-xid:%d", l.special["drop table"])
	p, exact := resolveLook(t, c, to), mustResolve(t, c.store, survey(t, c.store, database), to)
	if p.Stop != exact.Stop || p.Inclusive != exact.Inclusive || p.Kept != exact.Kept || p.Lost != exact.Lost {
		t.Errorf("with a look the point is %+v, without %+v", p, exact)
	}
	var s sight
	var pausedAt, opened recovery.Outcome
	r := restore(t, c.store, p, func(o *enginetest.Options) {
		o.Event = func(e recovery.Event) {
			f, ok := payload[recovery.StepFinished](e)
			switch {
			case ok && f.Step == "replay":
				pausedAt = f.Outcome
				s = lookThere(t, f.Outcome)
			case ok && f.Step == "open":
				opened = f.Outcome
			}
		}
	})
	r.passed(t)
	want := l.prior(t, "drop table").orders
	if !s.recovering || s.orders != want || s.writes == nil || !strings.Contains(s.writes.Error(), "read-only") {
		t.Errorf("a person sees %+v, want the orders %s", s, want)
	}
	for _, part := range []string{"paused there and read-only", fmt.Sprintf("just before transaction %d locks carts", l.special["drop table"]), "psql -h " + filepath.Join(os.TempDir(), "cb-"), "-U postgres shop"} {
		if !strings.Contains(pausedAt.Says, part) {
			t.Errorf("it says %q, want %q in it", pausedAt.Says, part)
		}
	}
	r.replay = opened
	r.proven(t, exact)
	if r.orders != want {
		t.Errorf("the orders are %s, want %s", r.orders, want)
	}
}

// later is an engine whose plan looks at one point and then goes on to another,
// as a run does whose person has chosen a later one.
type later struct {
	recovery.Engine
	to recovery.Point
}

func (e later) Plan(c recovery.Component, p recovery.Point, t recovery.Target) ([]recovery.Step, error) {
	first, err := e.Engine.Plan(c, p, t)
	if err != nil {
		return nil, err
	}
	second, err := e.Engine.Plan(c, e.to, t)
	if err != nil {
		return nil, err
	}
	if string(first[0].Args) != string(second[0].Args) || second[1].Position <= first[1].Position {
		return nil, fmt.Errorf("what is copied depends on the point:\n%s\n%s", first[0].Args, second[0].Args)
	}
	second[1].ID, second[1].After = "further", []string{first[1].ID}
	second[2].After = []string{"further"}
	return append(first[:2], second[1:]...), nil
}

// From one look a later one is reached, and its point, without copying again.
func TestLook_Later(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	c := l.copy(t, "tar")
	p := resolveLook(t, c, fmt.Sprintf("before-xid:%d", l.mark(t, "order 9").xid))
	to := resolveLook(t, c, fmt.Sprintf("before-xid:%d", l.mark(t, "order 19").xid))
	looks := map[string]string{}
	var opened recovery.Outcome
	r := restore(t, c.store, p, func(o *enginetest.Options) {
		o.Engine = later{o.Engine, to}
		o.Event = func(e recovery.Event) {
			f, ok := payload[recovery.StepFinished](e)
			switch {
			case ok && (f.Step == "replay" || f.Step == "further"):
				conn, err := pgx.Connect(context.Background(), f.Outcome.Bindings[0].URL)
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close(context.Background())
				var orders string
				if err := conn.QueryRow(context.Background(), ordersQuery).Scan(&orders); err != nil {
					t.Error(err)
				}
				looks[f.Step] = orders
			case ok && f.Step == "open":
				opened = f.Outcome
			}
		}
	})
	r.passed(t)
	want := l.prior(t, "order 19").orders
	if looks["replay"] != l.prior(t, "order 9").orders || looks["further"] != want || r.orders != want {
		t.Errorf("seen first %s, then %s, in the end %s", looks["replay"], looks["further"], r.orders)
	}
	r.replay = opened
	r.proven(t, to)
}

// A runner that dies while people look, or while the copy is opened after it,
// comes back to exactly there.
func TestLook_Survive(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	c := l.copy(t, "tar")
	p := resolveLook(t, c, fmt.Sprintf("before-xid:%d", l.special["drop table"]))
	uncut, seq := dying(t, c, p), map[string]uint64{}
	uncut.Event = func(e recovery.Event) {
		if f, ok := payload[recovery.StepFinished](e); ok {
			seq[f.Step] = e.Seq
		}
		if f, ok := payload[recovery.StepStarted](e); ok {
			seq["start "+f.Step] = e.Seq
		}
	}
	want := uncut.Run(t).Restored
	for _, after := range []string{"replay", "start open", "open"} {
		t.Run(after, func(t *testing.T) {
			t.Parallel()
			d := dying(t, c, p)
			d.Cuts = []enginetest.Cut{{After: seq[after]}}
			end := d.Whole(t, want)
			if n := end.Step("copy").Attempts; n != 1 {
				t.Errorf("the base backup was copied %d times", n)
			}
			if n := end.Step("replay").Attempts; n != 1 {
				t.Errorf("the log was replayed to the look %d times", n)
			}
		})
	}
}

// Whatever a LOCK record says, it is read whole or not at all.
func TestRecord_Locks(t *testing.T) {
	t.Parallel()
	var r record
	if err := r.locks("xid 812 db 16385 rel 16391 xid 813 db 5 rel 16402 "); err != nil || len(r.Locks) != 2 || r.Locks[1] != (tableLock{813, 5, 16402}) || r.Kind != lockRecord {
		t.Errorf("%+v, %v", r, err)
	}
	for _, bad := range []string{"", "xid 812", "xid 812 db 16385 rel", "xid a db 1 rel 2", "db 1 xid 2 rel 3"} {
		if err := (&record{}).locks(bad); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
}

// lookOf is where people look before a point.
func lookOf(t testing.TB, p recovery.Point) lookAt {
	t.Helper()
	var f pointFacts
	if err := json.Unmarshal(p.Facts, &f); err != nil || f.Look == nil {
		t.Fatalf("the point has no look: %s, %v", p.Facts, err)
	}
	return *f.Look
}

// A lock that is far older than the point moves the look before all that was
// committed since, and says so; one that was given back does not.
func TestLook_LongLock(t *testing.T) {
	t.Parallel()
	c, _ := copyFork(t, "gzip")
	special := forked.maker.special
	p := resolveLook(t, c, fmt.Sprintf("before-xid:%d", special["beside 2"]))
	look := lookOf(t, p)
	if p.Kept.XID != special["beside 1"] || look.Kept.XID != special["truncate"] || look.Lost.XID != special["beside 0"] ||
		look.Lock == nil || look.Locked || look.Inclusive || look.Stop >= look.Lost.LSN || look.Stop < look.Kept.End {
		t.Errorf("the point is %+v, the look %+v", p, look)
	}
	if after := lookOf(t, resolveLook(t, c, "latest")); after.Lock != nil {
		t.Errorf("after the lock: %+v", after)
	}
	var paused, opened recovery.Outcome
	r := restore(t, c.store, p, func(o *enginetest.Options) {
		o.Event = func(e recovery.Event) {
			f, ok := payload[recovery.StepFinished](e)
			switch {
			case ok && f.Step == "replay":
				paused = f.Outcome
				lookThere(t, f.Outcome)
			case ok && f.Step == "open":
				opened = f.Outcome
			}
		}
	})
	r.passed(t)
	r.replay = opened
	r.proven(t, p)
	if want := fmt.Sprintf("what was committed from there to xid %d of ", special["beside 1"]); !strings.Contains(paused.Says, "locks carts") || !strings.Contains(paused.Says, want) {
		t.Errorf("it says %q, want %q in it", paused.Says, want)
	}
}
