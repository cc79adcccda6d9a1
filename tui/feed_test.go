package tui

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"comeback/recovery"
)

// hear reads snapshots until one of them is as it should be, and returns them.
func hear(t *testing.T, f *feed, enough func(snapshot) bool) []snapshot {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var heard []snapshot
	for {
		select {
		case s, ok := <-f.out:
			if !ok {
				t.Fatal("the feed ended before it had said enough")
			}
			heard = append(heard, s)
			if enough(s) {
				return heard
			}
		case <-ctx.Done():
			t.Fatalf("waited in vain after %d snapshots", len(heard))
		}
	}
}

func TestFeed_ManyEventsAreFewSnapshots(t *testing.T) {
	session := newFakeSession(shopPlan())
	began := time.Now()
	f := follow(t.Context(), session, zone)
	hear(t, f, func(snapshot) bool { return true })
	const n = 20000
	payloads := make([]recovery.Payload, n)
	for i := range payloads {
		payloads[i] = recovery.StepStarted{Step: "database/copy", Attempt: i + 2}
	}
	session.add(0, payloads...)
	session.end()
	heard := hear(t, f, func(s snapshot) bool { return s.over })
	last := heard[len(heard)-1]
	if got := last.state.Seq; got != n {
		t.Errorf("%d of %d events were folded", got, n)
	}
	a := &attached{}
	for _, s := range heard {
		if len(s.lines) > logBatch {
			t.Errorf("a snapshot brings %d lines", len(s.lines))
		}
		a.take(s)
	}
	if most := int(time.Since(began)/eventPace) + n/logBatch + 2; len(heard) > most {
		t.Errorf("%d events made %d snapshots, and not %d at most", n, len(heard), most)
	}
	if end := a.log[len(a.log)-1].text; !strings.HasSuffix(end, fmt.Sprint("attempt ", n+1)) {
		t.Errorf("the log ends with %q", end)
	}
}

func TestFeed_AttachingTellsTheNewestEventsOnly(t *testing.T) {
	session := newFakeSession(shopPlan())
	const n = 3 * logBefore
	payloads := make([]recovery.Payload, n)
	for i := range payloads {
		payloads[i] = recovery.Noted{Text: fmt.Sprint("note ", i+1), By: "ops1"}
	}
	session.add(0, payloads...)
	before, err := session.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f := follow(t.Context(), session, zone)
	told := func(s []snapshot) (lines []logLine) {
		for _, s := range s {
			lines = append(lines, s.lines...)
		}
		return lines
	}
	var heard []snapshot
	for len(told(heard)) < logBefore {
		heard = append(heard, hear(t, f, func(snapshot) bool { return true })...)
	}
	if diff := cmp.Diff(before, heard[len(heard)-1].state); diff != "" {
		t.Errorf("what is told again is folded again (-want +got):\n%s", diff)
	}
	lines := told(heard)
	if first := lines[0].text; len(lines) != logBefore || !strings.HasSuffix(first, fmt.Sprint("note ", n-logBefore+1)) {
		t.Errorf("%d lines are told, from %q on", len(lines), first)
	}
	session.add(time.Second, recovery.Noted{Text: "the next", By: "ops2"})
	last := hear(t, f, func(s snapshot) bool { return s.state.Seq == n+1 })
	if got := last[len(last)-1]; len(got.state.Notes) != n+1 || len(got.lines) != 1 {
		t.Errorf("after one more event there are %d notes and %d new lines", len(got.state.Notes), len(got.lines))
	}
}

func TestFeed_AStateThatCannotBeReadEndsIt(t *testing.T) {
	f := follow(t.Context(), statelessSession{newFakeSession(shopPlan())}, zone)
	heard := hear(t, f, func(s snapshot) bool { return s.over })
	if last := heard[len(heard)-1]; last.err != errBroken {
		t.Errorf("the feed ended with %v", last.err)
	}
}

// statelessSession has lost its runner.
type statelessSession struct{ *fakeSession }

func (statelessSession) State(context.Context) (recovery.State, error) {
	return recovery.State{}, errBroken
}

// BenchmarkFollow_attach is how long a console that attaches to a long run takes
// until it can draw the state, and until its log stands.
func BenchmarkFollow_attach(b *testing.B) {
	session := newFakeSession(shopPlan())
	payloads := make([]recovery.Payload, 100_000)
	for i := range payloads {
		payloads[i] = recovery.StepCheckpoint{Step: "database/copy", Text: fmt.Sprint(i)}
		if i%10 == 0 {
			payloads[i] = recovery.StepStarted{Step: "database/copy", Attempt: i + 1}
		}
	}
	session.add(0, payloads...)
	session.end()
	for b.Loop() {
		f := follow(b.Context(), session, zone)
		for s := range f.out {
			if s.state.Seq != uint64(len(payloads)) {
				b.Fatalf("the first state is of event %d", s.state.Seq)
			}
		}
	}
}

func TestFeed_SaysWhatItLeavesOut(t *testing.T) {
	f, s := &feed{zone: zone}, &snapshot{}
	for i := range logBatch + 100 {
		f.log(s, ten, fmt.Sprint("line ", i))
	}
	if first := s.lines[0].text; len(s.lines) != logBatch || !strings.Contains(first, "lines were left out") {
		t.Errorf("%d lines, of which the first is %q", len(s.lines), first)
	}
}

func TestFeed_ManyLinesAreOneSnapshot(t *testing.T) {
	session := newFakeSession(shopPlan())
	f := follow(t.Context(), session, zone)
	hear(t, f, func(snapshot) bool { return true })
	const n = 1000
	for i := range n {
		session.samples <- recovery.Sample{At: ten, Step: "database/copy", Done: int64(i), Lines: []string{fmt.Sprint("line ", i)}}
	}
	heard := hear(t, f, func(s snapshot) bool { return s.samples["database/copy"].Done == n-1 })
	lines := 0
	for _, s := range heard {
		lines += len(s.lines)
	}
	if lines != n || len(heard) != 1 {
		t.Errorf("%d lines came in %d snapshots", lines, len(heard))
	}
	if s := heard[0].samples["database/copy"]; s.Lines != nil {
		t.Error("a sample keeps lines that the log has")
	}
}

var errBroken = errors.New("connection lost")

// brokenSession fails after its first event.
type brokenSession struct{ *fakeSession }

func (s brokenSession) Events(ctx context.Context, from uint64) iter.Seq2[recovery.Event, error] {
	return func(yield func(recovery.Event, error) bool) {
		for e, err := range s.fakeSession.Events(ctx, from) {
			if !yield(e, err) {
				return
			}
		}
		yield(recovery.Event{}, errBroken)
	}
}

func TestFeed_AnErrorEndsIt(t *testing.T) {
	session := newFakeSession(shopPlan())
	session.add(0, recovery.Noted{Text: "before", By: "ops1"})
	session.end()
	f := follow(t.Context(), brokenSession{session}, zone)
	heard := hear(t, f, func(s snapshot) bool { return s.over })
	if last := heard[len(heard)-1]; last.err != errBroken || len(last.state.Notes) != 1 {
		t.Errorf("the feed ended with %v and %d notes", last.err, len(last.state.Notes))
	}
	if _, more := <-f.out; more {
		t.Error("the feed goes on after its end")
	}
}

func TestFeed_StopEndsIt(t *testing.T) {
	f := follow(t.Context(), newFakeSession(shopPlan()), zone)
	f.stop()
	for range f.out { // ends when the feed does, or the test never does
	}
}

func TestFeed_HostileAndEndlessLines(t *testing.T) {
	session := newFakeSession(shopPlan())
	f := follow(t.Context(), session, zone)
	session.samples <- recovery.Sample{At: ten, Step: "database/copy", Lines: []string{hostile, strings.Repeat("x", 1<<20)}}
	heard := hear(t, f, func(s snapshot) bool { return len(s.lines) == 2 })
	for _, l := range heard[len(heard)-1].lines {
		if l.text != clean(l.text) || len(l.text) > logWidth+100 {
			t.Errorf("a line of %d bytes: %.80q", len(l.text), l.text)
		}
		if !strings.HasPrefix(l.text, "10:00:00 database: ") {
			t.Errorf("a line begins with %.40q", l.text)
		}
	}
}

func TestAttached_TheLogIsInOrder(t *testing.T) {
	a := &attached{}
	at := func(s int) time.Time { return ten.Add(time.Duration(s) * time.Second) }
	a.take(snapshot{lines: []logLine{{at: at(3), text: "c"}, {at: at(1), text: "a"}}})
	a.take(snapshot{lines: []logLine{{at: at(2), text: "b"}, {at: at(3), text: "d"}}})
	text := ""
	for _, l := range a.log {
		text += l.text
	}
	if text != "abcd" {
		t.Errorf("the log reads %q", text)
	}
}

// The log tells each event as the plain output does, but for those that only a full record
// has.
func TestFeed_TellsInTheWordsOfTheRun(t *testing.T) {
	session := newFakeSession(shopPlan())
	f := follow(t.Context(), session, zone)
	session.add(0, recovery.StepStarted{Step: "database/copy", Attempt: 1}, recovery.StepCheckpoint{Step: "database/copy", Text: "half of it"},
		recovery.StepFailed{Step: "database/copy", Error: "the disk is full", Hint: "make room"}, recovery.ClaimReleased{}, recovery.Noted{Text: "ask lead", By: "ops1"})
	heard := hear(t, f, func(s snapshot) bool { return s.state.Seq == 5 })
	var got, want []string
	for _, s := range heard {
		for _, l := range s.lines {
			got = append(got, l.text)
		}
	}
	state := heard[len(heard)-1].state
	for i, e := range session.events {
		if i != 1 && i != 3 {
			want = append(want, "10:00:00 "+state.Tell(e, zone).Line())
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the log has\n%s\nnot\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
