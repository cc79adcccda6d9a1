package tui

import (
	"fmt"
	"io"
	"testing"
	"time"

	"comeback/recovery"
)

// BenchmarkFirstFrame is from the start of the console to its first frame on a
// terminal.
func BenchmarkFirstFrame(b *testing.B) {
	for b.Loop() {
		w := openWire(b, func(*fakeDesk) {})
		w.shows("STAGE")
	}
}

// BenchmarkKeyEcho is from a key to what it shows, while a run talks.
func BenchmarkKeyEcho(b *testing.B) {
	w := openWire(b, copied)
	w.shows("LOG")
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for n := 0; ; n++ {
			s := recovery.Sample{At: ten.Add(6 * time.Minute), Step: "database/replay", Phase: "replay", Done: int64(n), Total: 1 << 30, Unit: recovery.InLSN, Lines: []string{fmt.Sprint("redo ", n)}}
			select {
			case w.desk.session.samples <- s:
			case <-stop:
				return
			}
		}
	}()
	keys := w.keys
	if _, err := io.WriteString(keys, "n"); err != nil {
		b.Fatal(err)
	}
	w.shows("NOTE > ")
	typed := ""
	for n := 0; b.Loop(); n++ {
		letter := string(rune('a' + n%26))
		if n%40 == 39 { // begin anew
			typed = ""
			io.WriteString(keys, "\x15")
		}
		typed += letter
		io.WriteString(keys, letter)
		w.shows("NOTE > " + typed)
	}
}

// BenchmarkLines100000 scrolls and searches a document of 100 000 lines.
func BenchmarkLines100000(b *testing.B) {
	text := make([]byte, 0, 8<<20)
	for i := range 100_000 {
		text = fmt.Appendf(text, "2026-11-23 02:41:%02d redo in progress, current LSN: 3/%08X, line %d\n", i%60, i, i)
	}
	m := newModel(b.Context(), Options{Desk: shopDesk(), Now: func() time.Time { return ten }})
	m.stack = append(m.stack, shown{screen: newPager(m, "a log", string(text))})
	m.View()
	b.Run("scroll", func(b *testing.B) {
		for b.Loop() {
			m.Update(keyOf("pgdown"))
			m.View()
		}
	})
	b.Run("search", func(b *testing.B) {
		s := m.top().screen.(*pagerScreen)
		s.found = "line 99999"
		for b.Loop() {
			s.first, s.follow = 0, false
			s.search(1, true)
			m.View()
		}
	})
}
