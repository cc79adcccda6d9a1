package tui

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	uv "github.com/charmbracelet/ultraviolet"
	"github.com/google/go-cmp/cmp"

	"comeback/recovery"
)

// link is a line that delivers what was typed in pieces, each of them late by some
// time of its own clock.
type link struct {
	clock  time.Time
	pieces []string
	late   time.Duration
}

func (l *link) read(b []byte) (int, error) {
	if len(l.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(b, l.pieces[0])
	l.pieces = l.pieces[1:]
	return n, nil
}

func (l *link) ready(d time.Duration) bool {
	if len(l.pieces) == 0 || l.late > d {
		l.clock = l.clock.Add(d)
		return false
	}
	l.clock = l.clock.Add(l.late)
	return true
}

// events are the keys, pastes and clicks that arrive over a link.
func (l *link) events() (events []uv.Event) {
	k := keys{read: l.read, ready: l.ready, now: func() time.Time { return l.clock }}
	var decoder uv.EventDecoder
	buf := make([]byte, 256)
	for {
		n, err := k.Read(buf)
		if err != nil {
			return events
		}
		l.clock = l.clock.Add(l.late)
		for b := buf[:n]; len(b) > 0; {
			width, event := decoder.Decode(b)
			events, b = append(events, event), b[width:]
		}
	}
}

// every is a text in pieces of n bytes.
func every(n int, text string) (pieces []string) {
	for ; len(text) > n; text = text[n:] {
		pieces = append(pieces, text[:n])
	}
	return append(pieces, text)
}

func TestKeys_AreNeverSplit(t *testing.T) {
	typed := []string{"\x1b[A", "\x1b[6~", "\x1bOB", "\x1b[1;5C", "\x1b[<64;10;12M", "ä", "世", "🙂", "q", "\r", "\x1b[200~", "2", "\x1b[201~", "\x1b\x1b[A", "\x1bx"}
	text := strings.Join(typed, "")
	want := (&link{pieces: []string{text}}).events()
	for _, late := range []time.Duration{0, 40 * time.Millisecond} {
		for n := 1; n < 5; n++ {
			got := (&link{pieces: every(n, text), late: late}).events()
			if diff := cmp.Diff(fmt.Sprintf("%#v", want), fmt.Sprintf("%#v", got)); diff != "" {
				t.Errorf("%d at a time, %s late (-want +got):\n%s", n, late, diff)
			}
		}
	}
	// Later than that, an escape is the key of that name; but what follows it is
	// never a letter.
	for _, key := range typed {
		for i := 1; i < len(key); i++ {
			for _, event := range (&link{pieces: []string{key[:i], key[i:]}, late: 300 * time.Millisecond}).events() {
				if k, ok := event.(uv.KeyPressEvent); ok && strings.HasPrefix(key, "\x1b") && k.Text != "" && key != "\x1bx" {
					t.Errorf("%q in two became the key %q", key, k.Text)
				}
			}
		}
	}
	if got := (&link{pieces: []string{"\x1b", "[", "B"}, late: 300 * time.Millisecond}).events(); len(got) != 2 {
		t.Errorf("esc and an arrow are %#v", got)
	}
}

// typesAhead types over a slow link, a byte at a time.
func (d *driver) typesAhead(text string) {
	d.t.Helper()
	for _, event := range (&link{pieces: every(1, text), late: 40 * time.Millisecond}).events() {
		if k, ok := event.(uv.KeyPressEvent); ok {
			d.update(tea.KeyPressMsg(k))
		}
	}
}

// What was typed before a question came to the screen does not pass it, where the
// answer would change live, end a run or change what it does.
func TestTypedAhead_PassesNoQuestion(t *testing.T) {
	const eager = "\r\x1b[B\r1\r2\r y5\r\r\x1b[6~\r"
	never := func(t *testing.T, desk *fakeDesk, before int, kinds ...recovery.CommandKind) {
		t.Helper()
		for _, c := range desk.session.asked()[before:] {
			if slices.Contains(kinds, c.Kind) || c.Choice == recovery.ChooseStop {
				t.Errorf("the run was asked for %+v", c)
			}
		}
	}
	t.Run("how to go on", func(t *testing.T) {
		d, desk := onRun(t, twoCopies, failing)
		for _, text := range []string{"5\r\r\r", "\x1b", "S\r\r", "\x1b", "4\r\r\r\r", "\x1b", "3\r\r \r\r"} {
			d.typesAhead(text)
		}
		never(t, desk, 0, recovery.DoStop, recovery.DoAmend)
	})
	t.Run("an amendment", func(t *testing.T) {
		d, desk := onRun(t, nil, restoreFails)
		d.press("2", "enter", "=latest", "enter")
		d.sees("AMENDMENT")
		d.typesAhead("\r\r\x1b[6~ \r")
		never(t, desk, 0, recovery.DoStop, recovery.DoAmend)
	})
	t.Run("the name of a plan", func(t *testing.T) {
		desk := shopDesk()
		forReal(desk)
		d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
		toRealPlan(d, desk)
		d.typesAhead(eager)
		if desk.typed != "" || d.m.run != nil {
			t.Error("the recovery has begun")
		}
	})
	t.Run("the name in a run, and what follows it", func(t *testing.T) {
		desk := shopDesk()
		forReal(desk)
		d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
		startReal(d, desk)
		waitsForName(d, desk)
		before := len(desk.session.asked())
		d.typesAhead(eager + "\x1b\x1b")
		never(t, desk, before, recovery.DoConfirm, recovery.DoStop)
	})
	t.Run("after a recovery", func(t *testing.T) {
		desk := shopDesk()
		forReal(desk)
		d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
		startReal(d, desk)
		switchedBack(d, desk)
		desk.typed = ""
		d.press("b")
		d.sees("To change LIVE, type the target, db1/shop")
		d.typesAhead(eager)
		if desk.typed != "" {
			t.Error("the switch back has begun")
		}
	})
}
