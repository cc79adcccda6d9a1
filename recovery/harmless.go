package recovery

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// What comes from a backup, a server, a copy or a person is data. None of it may command the
// terminal that shows it, or show itself otherwise than it is. There is one rule for that:
//
//   - A control character, and what separates lines and paragraphs, is a space.
//   - A formatting character, which nobody would see and which could turn around what stands
//     beside it, is U+FFFD, so that everybody sees that there was one. So are bytes that are
//     no text.
//   - For a terminal an escape sequence goes as a whole before that, so that what it would
//     have done leaves no letters behind. A page commands nothing, and keeps them.

// Visible is a text for one line of a page.
func Visible(s string) string { return strings.Map(VisibleRune, s) }

// Harmless is a text for one line of a terminal.
func Harmless(s string) string {
	if printable(s) {
		return s
	}
	return Visible(withoutEscapes(s))
}

// VisibleLines is Visible for a text of several lines: line ends and tabs stay.
func VisibleLines(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		return VisibleRune(r)
	}, s)
}

// HarmlessLines is Harmless for a text of several lines: line ends and tabs stay.
func HarmlessLines(s string) string {
	if printable(s) {
		return s
	}
	return VisibleLines(withoutEscapes(s))
}

// VisibleRune is the rule for a character.
func VisibleRune(r rune) rune {
	switch {
	case unicode.IsControl(r), r == '\u2028', r == '\u2029':
		return ' '
	case unicode.Is(unicode.Cf, r):
		return unicode.ReplacementChar
	}
	return r
}

// printable reports whether a text is printable ASCII, as nearly all are.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// escape begins an escape sequence.
const escape = '\x1b'

// withoutEscapes is a text without its escape sequences.
func withoutEscapes(s string) string {
	if strings.IndexByte(s, escape) < 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); {
		if s[i] == escape {
			i += escapeLength(s[i:])
			continue
		}
		_, size := utf8.DecodeRuneInString(s[i:])
		b.WriteString(s[i : i+size])
		i += size
	}
	return b.String()
}

// escapeLength is the length of the escape sequence that s begins with. Of a string sequence
// without an end only the introducer counts, so that it cannot swallow the text behind it.
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
