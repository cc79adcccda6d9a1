package tui

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
)

// vt100Sequence is what follows an escape.
var vt100Sequence = regexp.MustCompile(`^\x1b(?:\[([?]?)([0-9;]*)([a-zA-Z@` + "`" + `])|([78DEHM=>c])|[()][AB0])`)

// notVT100 is the first thing in an output that the VT100 User Guide has not.
func notVT100(out string) string {
	for out != "" {
		switch c := out[0]; {
		case c >= ' ' && c < 0x7f, strings.IndexByte("\r\n\t\b\a", c) >= 0:
			out = out[1:]
			continue
		case c != 0x1b:
			return fmt.Sprintf("%q", out[:1])
		}
		m := vt100Sequence.FindStringSubmatch(out)
		if m == nil {
			return fmt.Sprintf("%q", out[:min(12, len(out))])
		}
		private, args, final := m[1] != "", strings.Split(m[2], ";"), m[3]
		known := map[string][]string{"m": {"", "0", "1", "4", "5", "7"}, "J": {"", "0", "1", "2"}, "K": {"", "0", "1", "2"}}
		switch {
		case final == "":
		case final == "h" || final == "l":
			if !slices.Contains([]string{"1", "3", "4", "5", "6", "7", "8", "9"}, m[2]) || !private {
				return fmt.Sprintf("%q", m[0])
			}
		case private || !strings.Contains("ABCDHfJKmrgnc", final):
			return fmt.Sprintf("%q", m[0])
		case known[final] != nil:
			for _, arg := range args {
				if !slices.Contains(known[final], arg) {
					return fmt.Sprintf("%q", m[0])
				}
			}
		}
		out = out[len(m[0]):]
	}
	return ""
}

// A VT100 is sent nothing that it has not, through a run whose log scrolls, its
// full log, the help and back, and shows what every other terminal shows.
func TestRun_VT100(t *testing.T) {
	w := openWire(t, copied, "TERM=vt100", "LANG=C.UTF-8")
	w.shows("LOG")
	n := 0
	for range 3 {
		w.second(w.busySecond(&n))
	}
	for _, move := range []struct{ keys, shows string }{
		{"?", "KEYS EVERYWHERE"}, {"\x1b[6~\x1b[B\x1b[B", "WHO COMMANDS"}, {"\x1b[A\x1b[5~\x1b[A\x1b[A\x1b[A", "THIS SCREEN"},
		{"\x1b", "STAGE"}, {"l", "log of run"}, {"\x1b[5~\x1b[A\x1b[A", "talked through"}, {"\x1b", "STAGE"},
		{"nthe proxy is off", "NOTE > the proxy"}, {"\r", "LOG"}, {"q", "LEAVE THIS CONSOLE?"},
	} {
		io.WriteString(w.keys, move.keys)
		w.shows(move.shows)
	}
	w.second(nil)
	w.mu.Lock()
	sent := w.sent.String()
	w.mu.Unlock()
	if found := notVT100(sent); found != "" {
		t.Errorf("it was sent %s", found)
	}
	for _, l := range strings.Split(ansi.Strip(w.screen.Render()), "\n") {
		if cells := ansi.StringWidth(l); cells > 80 {
			t.Errorf("%d cells: %s", cells, l)
		}
	}
}
