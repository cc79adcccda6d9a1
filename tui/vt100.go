package tui

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"comeback/pattern"
)

// A VT100, and many a serial console that calls itself one, has no insert mode, no
// deletion of characters or lines, no second screen and no mouse. The library sends
// it all of that: it knows terminals by their names only where they can do more.

// isVT100 reports whether the terminal calls itself one.
func isVT100(environ []string) bool { return strings.HasPrefix(variable(environ, "TERM"), "vt1") }

// newer are the modes that came after it: the second screen, pasting, the mouse, a
// cursor that is hidden or of another shape.
var newer = pattern.New(`\x1b\[(?:\?(?:25|100[0-6]|1049|2004)[hl]|[0-9]* q)`)

// noBreakSpace stands at the end of a line that is held.
const noBreakSpace = "\u00a0"

// hold makes lines that are only written over: the library moves what stands in a
// line where its end is empty, and lines where they are equal. So each line ends
// in a cell of its own, which looks as it looked.
func hold(text string, w int) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		last := noBreakSpace
		if n := ansi.StringWidth(l); n >= w {
			last = ansi.Strip(ansi.Cut(l, w-1, w))
			l = ansi.Cut(l, 0, w-1)
		} else {
			l += strings.Repeat(" ", w-1-n)
		}
		lines[i] = l + fmt.Sprintf("\x1b[38;5;%dm", i%256) + last + "\x1b[m" // no colour is shown
	}
	return strings.Join(lines, "\n")
}

// forVT100 is what a VT100 is sent of an output.
func forVT100(b []byte) []byte {
	return bytes.ReplaceAll([]byte(newer.ReplaceAllString(string(b), "")), []byte(noBreakSpace), []byte(" "))
}
