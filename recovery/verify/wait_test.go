package verify_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/verify"
	"comeback/shop"
	"comeback/shop/shoptest"
)

// patient is an environment with a clock that only pauses move.
type patient struct {
	bound
	now   time.Time
	notes []string
	// pauses counts them, then is called with their number.
	pauses int
	then   func(int)
}

func (p *patient) Now() time.Time        { return p.now }
func (p *patient) Meter() recovery.Meter { return noted{p: p} }
func (p *patient) Binding(component string) (recovery.Binding, bool) {
	return p.bound.Binding(component)
}

func (p *patient) pause(_ context.Context, d time.Duration) {
	p.now = p.now.Add(d)
	p.pauses++
	if p.then != nil {
		p.then(p.pauses)
	}
}

type noted struct {
	quiet
	p *patient
}

func (n noted) Note(text string) { n.p.notes = append(n.p.notes, text) }

func wait(ctx context.Context, p *patient, query, expect string, every, timeout time.Duration) (recovery.Outcome, error) {
	s := recovery.NewStep("1", recovery.KindSQLWait, "wait", recovery.SQLCheckArgs{Name: "x", On: "database", Query: query, Expect: expect,
		Moment: moment, Every: recovery.Duration(every), Timeout: recovery.Duration(timeout)})
	return verify.SQLWait{Pause: p.pause}.Do(ctx, p, s)
}

func TestSQLWait(t *testing.T) {
	s := shoptest.Open(t, shop.Options{Scale: 20})
	conn, err := pgx.Connect(t.Context(), s.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	do := func(sql string) {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	do("create table ready (n int)")
	const count = "select count(*) from ready"

	t.Run("holds at once", func(t *testing.T) {
		p := &patient{bound: bound{url: s.URL()}}
		o, err := wait(t.Context(), p, count, "= 0", 0, 0)
		if err != nil || !o.Check.Held || o.Check.Found != "0" || p.pauses != 0 || o.Says != "expected = 0, found 0, asked once in 0m00" {
			t.Errorf("%+v, %v, %d pauses, %q", o.Check, err, p.pauses, o.Says)
		}
	})
	t.Run("comes true", func(t *testing.T) {
		p := &patient{bound: bound{url: s.URL()}, then: func(n int) { do("insert into ready values (1)") }}
		o, err := wait(t.Context(), p, count, ">= 3", 10*time.Second, time.Minute)
		if err != nil || !o.Check.Held || p.pauses != 3 || o.Says != "expected >= 3, found 3, asked 4 times in 0m30" {
			t.Errorf("%+v, %v, %d pauses, %q", o.Check, err, p.pauses, o.Says)
		}
		want := []string{"found 0; asked once, 1m00 left", "found 1; asked 2 times, 0m50 left", "found 2; asked 3 times, 0m40 left"}
		if !slices.Equal(p.notes, want) {
			t.Errorf("shown is %q", p.notes)
		}
	})
	t.Run("does not come true", func(t *testing.T) {
		p := &patient{bound: bound{url: s.URL()}}
		o, err := wait(t.Context(), p, count, "= 9", 7*time.Second, 20*time.Second)
		if err == nil || err.Error() != `wait "x": expected = 9 within 0m20, found 3 (asked 4 times)` || !strings.Contains(recovery.HintOf(err), "timeout") {
			t.Errorf("%v (hint %q)", err, recovery.HintOf(err))
		}
		if o.Check == nil || o.Check.Held || o.Check.Found != "3" || p.now.Sub(time.Time{}) != 20*time.Second {
			t.Errorf("%+v after %s", o.Check, p.now.Sub(time.Time{}))
		}
	})
	t.Run("as long as the step does not say", func(t *testing.T) {
		p := &patient{bound: bound{url: s.URL()}}
		_, err := wait(t.Context(), p, count, "= 9", 0, 0)
		if err == nil || !strings.Contains(err.Error(), "within 10m00") || p.pauses != 120 {
			t.Errorf("%v after %d pauses", err, p.pauses)
		}
	})
	t.Run("a server that comes up", func(t *testing.T) {
		p := &patient{bound: bound{url: "postgres:///shop?host=/nowhere&user=shop"}}
		p.then = func(n int) {
			if n == 2 {
				p.url = s.URL()
			}
		}
		o, err := wait(t.Context(), p, count, "rows", 0, 0)
		if err != nil || !o.Check.Held || p.pauses != 2 || !strings.Contains(p.notes[0], "found an error: the restored server of database is not running") {
			t.Errorf("%+v, %v, shown %q", o.Check, err, p.notes)
		}
	})
	t.Run("a table that comes", func(t *testing.T) {
		p := &patient{bound: bound{url: s.URL()}, then: func(int) { do("create table late ()") }}
		if o, err := wait(t.Context(), p, "select * from late", "no rows", 0, 0); err != nil || !o.Check.Held || p.pauses != 1 {
			t.Errorf("%+v, %v", o.Check, err)
		}
	})
	t.Run("a server that never comes up", func(t *testing.T) {
		p := &patient{bound: bound{url: "postgres:///shop?host=/nowhere&user=shop"}}
		o, err := wait(t.Context(), p, count, "rows", time.Minute, time.Hour)
		if err == nil || !strings.Contains(err.Error(), `wait "x": rows was not found within 1h00m, and the last of 61 answers is an error: the restored server of database is not running`) ||
			recovery.HintOf(err) != "try again: its server is started again first" || o.Check == nil || o.Check.Held {
			t.Errorf("%v (hint %q), %+v", err, recovery.HintOf(err), o.Check)
		}
	})
	for name, query := range map[string]string{"no SQL": "selct 1", "a write": "insert into ready values (1) returning 1", "no rows to judge": "do $$ begin end $$"} {
		t.Run("fails at once: "+name, func(t *testing.T) {
			p := &patient{bound: bound{url: s.URL()}}
			o, err := wait(t.Context(), p, query, "rows", 0, 0)
			if err == nil || p.pauses != 0 || o.Check == nil || o.Check.Held {
				t.Errorf("%v after %d pauses", err, p.pauses)
			}
		})
	}
	t.Run("no address", func(t *testing.T) {
		if _, err := wait(t.Context(), &patient{}, count, "rows", 0, 0); err == nil || !strings.Contains(err.Error(), "not checked") {
			t.Error(err)
		}
	})
}

// stopping is an environment whose run is stopped when it has shown a note.
type stopping struct {
	bound
	stop context.CancelFunc
}

func (stopping) Now() time.Time          { return time.Time{} }
func (s stopping) Meter() recovery.Meter { return stopMeter{stop: s.stop} }

type stopMeter struct {
	quiet
	stop context.CancelFunc
}

func (m stopMeter) Note(string) { m.stop() }

// A wait that is stopped does not wait for its timer, which is an hour's.
func TestSQLWait_stopped(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := recovery.NewStep("1", recovery.KindSQLWait, "wait", recovery.SQLCheckArgs{Name: "x", On: "database", Query: "select 1", Expect: "rows",
		Every: recovery.Duration(time.Hour), Timeout: recovery.Duration(time.Hour)})
	_, err := verify.SQLWait{}.Do(ctx, stopping{bound{url: "postgres:///shop?host=/nowhere&user=shop"}, cancel}, s)
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
