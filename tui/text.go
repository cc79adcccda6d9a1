package tui

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"

	"comeback/recovery"
)

// cutMark ends a text that was cut.
const cutMark = ".."

// clean makes a text from outside harmless, by the rule of recovery.Harmless, and one of
// which the cells can be counted: tabs and all kinds of space become spaces, what only
// changes the look of a character goes, and of what no terminal is sure to show it is seen
// that it is there. What it returns prints in one line, from left to right, and changes
// nothing but the cells it fills.
func clean(s string) string {
	if printableASCII(s) {
		return s
	}
	s = recovery.HarmlessLines(s)
	var b strings.Builder
	b.Grow(len(s))
	column := 0
	for _, r := range s {
		switch {
		case r == '\t':
			n := 8 - column%8
			b.WriteString("        "[:n])
			column += n
			continue
		case unicode.IsSpace(r):
			r = ' '
		case unicode.Is(unicode.Variation_Selector, r):
			continue
		case !unicode.IsPrint(r):
			r = unicode.ReplacementChar
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
