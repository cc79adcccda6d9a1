package execute

import (
	"slices"
	"strings"
	"testing"
	"unicode"
)

// shown is what a screen makes of output that comes in pieces of a size.
func shown(output string, size int) []string {
	var lines []string
	s := newScreen(func(l string) { lines = append(lines, l) }, func(string) {})
	for piece := range slices.Chunk([]byte(output), size) {
		if n, err := s.Write(piece); n != len(piece) || err != nil {
			panic("a screen takes everything")
		}
	}
	s.flush()
	return lines
}

func TestScreen(t *testing.T) {
	for name, c := range map[string]struct {
		output string
		want   []string
	}{
		"lines":                {"one\ntwo\n", []string{"one", "two"}},
		"no end":               {"one\ntwo", []string{"one", "two"}},
		"empty lines":          {"\n\n", []string{"", ""}},
		"carriage returns":     {"one\r\ntwo\r\n", []string{"one", "two"}},
		"colours":              {"\x1b[1;31mFAILED\x1b[0m: x\n", []string{"FAILED: x"}},
		"24-bit colour":        {"\x1b[38:2::255:0:0mred\x1b[m\n", []string{"red"}},
		"a title":              {"\x1b]0;my title\x07text\n", []string{"text"}},
		"a link":               {"\x1b]8;;https://example.com\x1b\\text\x1b]8;;\x1b\\\n", []string{"text"}},
		"a device string":      {"a\x1bPq#0;2;0\x1b\\b\n", []string{"ab"}},
		"a character set":      {"\x1b(Btext\n", []string{"text"}},
		"one-character CSI":    {"\u009b31mred\n", []string{"red"}},
		"a progress bar":       {" 10%\r 50%\r100%\ndone\n", []string{"100%", "done"}},
		"a shorter overwrite":  {"abcdef\rxyz\n", []string{"xyzdef"}},
		"an erased line":       {"copying\r\x1b[Kdone\n", []string{"done"}},
		"an erased whole line": {"copying\x1b[2K\rdone\n", []string{"done"}},
		"an erased beginning":  {"abc\x1b[1Dx\x1b[2D\x1b[1Ky\n", []string{" yx"}},
		"backspaces":           {"passs\b\bx\n", []string{"pasxs"}},
		"a spinner":            {"|\b/\b-\bok\n", []string{"ok"}},
		"tabs":                 {"a\tb\n", []string{"a       b"}},
		"a column":             {"abc\x1b[1Gx\n", []string{"xbc"}},
		"a deletion":           {"abcdef\x1b[3G\x1b[2P\n", []string{"abef"}},
		"bells and more":       {"a\x07b\x00c\x7f\n", []string{"abc"}},
		"turned text":          {"a\u202eb\u200bc\u2028d\n", []string{"a\ufffdb\ufffdc d"}},
		"umlauts":              {"größer ≥ 1\n", []string{"größer ≥ 1"}},
		"not UTF-8":            {"a\xffb\n", []string{"a\ufffdb"}},
		"half a rune":          {"a\xe2\x82", []string{"a\ufffd\ufffd"}},
		"an unfinished escape": {"text\x1b[", []string{"text"}},
		"an unfinished title":  {"a\x1b]0;title\nb\n", []string{"a", "b"}},
		"a far cursor":         {"a\x1b[999999999Cb\n", []string{"a" + strings.Repeat(" ", widest-1) + "b"}},
		"no line at all":       {strings.Repeat("x", maxLine+1), []string{strings.Repeat("x", maxLine), "x"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{1, 2, 3, 1 << 20} {
				if got := shown(c.output, size); !slices.Equal(got, c.want) {
					t.Errorf("in pieces of %d: %q, want %q", size, got, c.want)
				}
			}
		})
	}
}

// What is being overwritten is seen while it is, and not recorded.
func TestScreen_partial(t *testing.T) {
	var lines, partial []string
	s := newScreen(func(l string) { lines = append(lines, l) }, func(l string) { partial = append(partial, l) })
	for _, piece := range []string{"start\n", " 10%", "\r 50%", "\r100%\n", "end\n"} {
		s.Write([]byte(piece))
	}
	if !slices.Equal(lines, []string{"start", "100%", "end"}) || !slices.Equal(partial, []string{" 50%"}) {
		t.Errorf("lines %q, meanwhile %q", lines, partial)
	}
}

func TestTailWriter(t *testing.T) {
	tail := &tailWriter{}
	tail.Write([]byte("1\n2\n3\n\n4\n\x1b[31m5\x1b[0m\n6"))
	if got, want := tail.String(), "2; 3; 4; 5; 6"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// However output is cut, the lines are the same; none can command a terminal,
// or grow without bound.
func FuzzScreen(f *testing.F) {
	f.Add("a\x1b[31mb\x1b[0m\r\n\x1b]0;t\x07x", 1)
	f.Add("\xe2\x82\xac\b\b\t\x1b[5C\x1b[K", 2)
	f.Add("\x1bP\x1b\\\u009d\u0085\u2028", 3)
	f.Fuzz(func(t *testing.T, output string, size int) {
		if size < 1 || len(output) > 1<<16 {
			return
		}
		whole := shown(output, 1<<20)
		if pieces := shown(output, size); !slices.Equal(whole, pieces) {
			t.Errorf("%q and in pieces %q", whole, pieces)
		}
		for _, l := range whole {
			if strings.ContainsFunc(l, unicode.IsControl) || len([]rune(l)) > maxLine {
				t.Errorf("a line is %q", l)
			}
		}
	})
}
