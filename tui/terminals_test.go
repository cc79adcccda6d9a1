package tui

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/vt"

	"comeback/recovery"
)

// finder is a regular expression.
type finder interface{ FindString(string) string }

// What is sent to a terminal is what it understands, and every terminal shows the
// same words.
func TestRun_AnyTerminal(t *testing.T) {
	golden, err := os.ReadFile(filepath.Join("testdata", "home-80x24.txt"))
	if err != nil {
		t.Fatal(err)
	}
	colours := regexp.MustCompile(`\x1b\[[0-9;]*\b(3[0-8]|4[0-8]|9[0-7]|10[0-7])\b[0-9;]*m`)
	many := regexp.MustCompile(`\x1b\[[0-9;]*\b[34]8[;:]`) // more than sixteen
	title := regexp.MustCompile(`\x1b\]`)
	for _, c := range []struct {
		name    string
		environ []string
		colour  bool
		never   []finder
	}{
		{"xterm", []string{"TERM=xterm-256color", "LANG=C.UTF-8"}, true, nil},
		{"sixteen colours", []string{"TERM=xterm-16color", "LANG=C.UTF-8"}, true, []finder{many}},
		{"screen", []string{"TERM=screen", "LANG=C.UTF-8", "STY=1.tty"}, true, nil},
		{"tmux", []string{"TERM=tmux-256color", "LANG=C.UTF-8", "TMUX=/tmp/tmux-0/default,1,0"}, true, nil},
		{"the Linux console", []string{"TERM=linux", "LANG=C.UTF-8"}, true, []finder{title, unasked, many}},
		{"vt100", []string{"TERM=vt100", "LANG=C"}, false, []finder{title, unasked, regexp.MustCompile(`\x1b\[[0-9]*[Xb@]`)}},
		{"NO_COLOR", []string{"TERM=xterm-256color", "LANG=C.UTF-8", "NO_COLOR=yes"}, false, nil},
		{"NO_COLOR, truecolor", []string{"TERM=xterm-256color", "COLORTERM=truecolor", "LANG=C.UTF-8", "NO_COLOR=1"}, false, nil},
		{"not UTF-8", []string{"TERM=xterm-256color", "LANG=de_DE.ISO-8859-1"}, true, []finder{regexp.MustCompile(`[^\x00-\x7f]`)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			term := openTerminal(t, t.Context(), Options{Desk: shopDesk(), Operator: "ops1", Environ: c.environ})
			term.sees("WOULD IT SAVE US?")
			term.writes("the screen", func(out string) bool { return drawn80(t, out) == string(golden) })
			term.types("\x1b[B") // to the next row
			term.types("?")
			term.sees("THIS SCREEN")
			term.types("\x03")
			term.ends()
			out := term.written()
			if got := colours.MatchString(out); got != c.colour {
				t.Errorf("coloured: %t", got)
			}
			for _, never := range c.never {
				if found := never.FindString(out); found != "" {
					t.Errorf("it was sent %q", found)
				}
			}
		})
	}
}

// drawn80 is what a terminal of 80x24 shows of an output.
func drawn80(t *testing.T, out string) string {
	t.Helper()
	screen := vt.NewEmulator(80, 24)
	go func() { // what it answers
		buf := make([]byte, 256)
		for {
			if _, err := screen.Read(buf); err != nil {
				return
			}
		}
	}()
	defer screen.InputPipe().(io.Closer).Close() // Close races with Read
	// It knows no insert mode, which is older than what it knows instead.
	out = regexp.MustCompile(`\x1b\[4h(.*?)\x1b\[4l`).ReplaceAllStringFunc(out, func(s string) string {
		text := s[4 : len(s)-4]
		return fmt.Sprintf("\x1b[%d@%s", ansi.StringWidth(text), text)
	})
	if _, err := screen.WriteString(out); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, l := range strings.Split(ansi.Strip(screen.Render()), "\n") {
		b.WriteString(strings.TrimRight(l, " \r") + "\n")
	}
	return b.String()
}

// A terminal that takes nothing for a while, and then little at a time, shows in the
// end what is; the run and what was typed do not wait for it.
func TestRun_SlowTerminal(t *testing.T) {
	desk := shopDesk()
	term := openTerminal(t, t.Context(), Options{Desk: desk, Operator: "ops1", Start: Start{Session: desk.session}})
	started(desk)
	term.sees("Stop the writes")
	term.gate.Lock()
	for i := range 500 { // more than the terminal's queue holds
		desk.session.add(time.Duration(i)*time.Second, recovery.Noted{By: "ops2", Text: fmt.Sprintf("note %d", i)})
	}
	term.types("l")
	term.types("/note 499\r")
	term.chunk = 61
	term.gate.Unlock()
	term.writes("the log", func(out string) bool {
		shown := drawn80(t, out)
		return strings.Contains(shown, "log of run 7c31") && strings.Contains(shown, "note by ops2: note 499")
	})
	term.gate.Lock()
	for i := range 500 {
		desk.session.add(time.Duration(500+i)*time.Second, recovery.Noted{By: "ops2", Text: fmt.Sprintf("note %d", 500+i)})
	}
	// It goes away with all that it has not taken.
	term.master.Close()
	term.gate.Unlock()
	if e := term.ends(); !e.HungUp || e.Run != "7c31" {
		t.Errorf("it ended with %+v", e)
	}
}
