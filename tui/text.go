package tui

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// cutMark ends a text that was cut.
const cutMark = ".."

// clean makes a text from outside harmless: escape sequences, control and
// formatting characters are dropped, tabs become spaces, line ends a space,
// and bytes that are not text a question mark. What it returns prints in one
// line, from left to right, and changes nothing but the cells it fills.
func clean(s string) string {
	if printableASCII(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	column := 0
	for i := 0; i < len(s); {
		if s[i] == ansi.ESC {
			i += escapeLength(s[i:])
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		i += size
		switch {
		case r == '\t':
			n := 8 - column%8
			b.WriteString("        "[:n])
			column += n
			continue
		case r == utf8.RuneError && size == 1:
			r = '?'
		case r == '\n' || unicode.IsSpace(r) && r != '\r':
			r = ' '
		case unicode.Is(unicode.Variation_Selector, r) || !unicode.IsPrint(r):
			continue
		}
		b.WriteRune(r)
		column += runeCells(r)
	}
	return b.String()
}

// asciiOnly replaces what a terminal without UTF-8 cannot show, cell by cell.
func asciiOnly(s string) string {
	if printableASCII(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if r < utf8.RuneSelf {
			b.WriteRune(r)
			continue
		}
		b.WriteString(strings.Repeat("?", runeCells(r)))
	}
	return b.String()
}

func printableASCII(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// escapeLength is the length of the escape sequence that s begins with. Of a
// string sequence without an end only the introducer counts, so that it cannot
// swallow the text behind it.
func escapeLength(s string) int {
	if len(s) < 2 {
		return len(s)
	}
	i := 1
	switch s[1] {
	case '[':
		for i = 2; i < len(s) && s[i] >= 0x20 && s[i] <= 0x3f; i++ {
		}
		if i < len(s) && s[i] >= 0x40 && s[i] <= 0x7e {
			i++
		}
		return i
	case ']', 'P', 'X', '^', '_':
		end := strings.IndexAny(s[2:], "\a\x1b")
		switch {
		case end < 0:
			return 2
		case s[2+end] == '\a':
			return 2 + end + 1
		case strings.HasPrefix(s[2+end:], "\x1b\\"):
			return 2 + end + 2
		}
		return 2
	}
	for i < len(s) && s[i] >= 0x20 && s[i] <= 0x2f {
		i++
	}
	if i < len(s) && s[i] >= 0x30 && s[i] <= 0x7e {
		i++
	}
	return i
}

// cells is the number of cells that a clean text fills, at most: terminals
// disagree about some characters.
func cells(s string) int {
	if printableASCII(s) {
		return len(s)
	}
	return max(ansi.StringWidth(s), ansi.StringWidthWc(s))
}

// fits reports whether a clean text fills at most w cells. It looks no further
// than it must.
func fits(s string, w int) bool {
	return len(head(s, w)) == len(s)
}

// head is as much of a clean text as fits into w cells.
func head(s string, w int) string {
	if w <= 0 {
		return ""
	}
	if begin := s[:min(w, len(s))]; printableASCII(begin) {
		return begin
	}
	n := 0
	for i, r := range s {
		if n += runeCells(r); n > w {
			s = s[:i]
			break
		}
	}
	for cells(s) > w {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}

// tail is as much of the end of a clean text as fits into w cells.
func tail(s string, w int) string {
	n, i := 0, len(s)
	for i > 0 {
		r, size := utf8.DecodeLastRuneInString(s[:i])
		if n += runeCells(r); n > w {
			break
		}
		i -= size
	}
	for s = s[i:]; cells(s) > w; {
		_, size := utf8.DecodeRuneInString(s)
		s = s[size:]
	}
	return s
}

func runeCells(r rune) int {
	if r < utf8.RuneSelf {
		return 1
	}
	return ansi.StringWidthWc(string(r))
}

// cut shortens a clean text to w cells and marks that it did.
func cut(s string, w int) string {
	if fits(s, w) {
		return s
	}
	if w < 2*len(cutMark) {
		return head(s, w)
	}
	return head(s, w-len(cutMark)) + cutMark
}

// cutLeft is cut that keeps the end, for paths.
func cutLeft(s string, w int) string {
	if fits(s, w) {
		return s
	}
	if w < 2*len(cutMark) {
		return head(s, w)
	}
	return cutMark + tail(s, w-len(cutMark))
}

// pad makes a clean text exactly w cells wide.
func pad(s string, w int) string {
	s = cut(s, w)
	return s + strings.Repeat(" ", max(0, w-cells(s)))
}

// padLeft is pad with the text at the right, for numbers.
func padLeft(s string, w int) string {
	s = cut(s, w)
	return strings.Repeat(" ", max(0, w-cells(s))) + s
}

// wrap breaks a text into lines of at most w cells, between words where it can.
func wrap(s string, w int) []string {
	if w < 1 {
		return nil
	}
	var lines []string
	line := ""
	for _, word := range strings.Fields(clean(s)) {
		for {
			switch {
			case line == "" && fits(word, w):
				line = word
			case line != "" && fits(word, w-1-cells(line)):
				line += " " + word
			case line != "":
				lines = append(lines, line)
				line = ""
				continue
			default: // a word that is longer than a line
				part := head(word, w)
				if part == "" { // a character that is wider than the line
					_, size := utf8.DecodeRuneInString(word)
					part = word[:size]
				}
				lines = append(lines, part)
				word = word[len(part):]
				if word != "" {
					continue
				}
			}
			break
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
