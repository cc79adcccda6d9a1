package tui

import (
	"io"
	"os"

	"comeback/pattern"
)

// unasked are sequences that ask a terminal for its abilities, or for more of its
// keyboard: one that knows nothing of them may show them as text.
var unasked = pattern.New(`\x1b\[(?:[<=>][0-9;]*[a-zA-Z]|\?u|\?[0-9]+\$p|\?5W)`)

// simpleOutput is a terminal that is not asked for what it cannot do.
type simpleOutput struct {
	*os.File
	vt100 bool
}

// Write leaves the questions out. The library writes each of them whole.
func (o simpleOutput) Write(b []byte) (int, error) {
	out := []byte(unasked.ReplaceAllString(string(b), ""))
	if o.vt100 {
		out = forVT100(out)
	}
	if _, err := o.File.Write(out); err != nil {
		return 0, err
	}
	return len(b), nil
}

// WriteString is Write.
func (o simpleOutput) WriteString(s string) (int, error) { return o.Write([]byte(s)) }

// outputOf is where a terminal is written to.
func outputOf(out io.Writer, environ []string) io.Writer {
	if f, ok := out.(*os.File); ok && !titled(environ) {
		return simpleOutput{f, isVT100(environ)}
	}
	return out
}
