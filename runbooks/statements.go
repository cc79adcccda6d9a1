package runbooks

import (
	"strings"
	"unicode"

	"comeback/pattern"
)

var dollarQuote = pattern.New(`^\$(?:[A-Za-z_\x80-\x{10FFFF}][A-Za-z0-9_\x80-\x{10FFFF}]*)?\$`)

// statements counts the statements of a piece of SQL the way PostgreSQL's
// scanner would: strings, quoted names, dollar quotes and comments may hold
// semicolons. It also says whether psql's own commands are among them.
func statements(sql string) (n int, command bool) {
	open := false // something of the current statement has been seen
	for i := 0; i < len(sql); {
		rest := sql[i:]
		switch c := sql[i]; {
		case strings.HasPrefix(rest, "--"):
			i += untilAfter(rest, "\n")
			continue
		case strings.HasPrefix(rest, "/*"):
			i += comment(rest)
			continue
		case c == ';':
			if open {
				n++
			}
			open = false
			i++
			continue
		case unicode.IsSpace(rune(c)):
			i++
			continue
		case c == '\\':
			return n, true
		case c == '\'':
			escapes := i > 0 && (sql[i-1] == 'e' || sql[i-1] == 'E')
			i += quoted(rest, '\'', escapes)
		case c == '"':
			i += quoted(rest, '"', false)
		case c == '$':
			if tag := dollarQuote.FindString(rest); tag != "" && (i == 0 || !wordByte(sql[i-1])) {
				i += len(tag) + untilAfter(rest[len(tag):], tag)
			} else {
				i++
			}
		default:
			i++
		}
		open = true
	}
	if open {
		n++
	}
	return n, false
}

func wordByte(c byte) bool {
	return c == '_' || c == '$' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || c >= 0x80
}

// untilAfter is the length of s up to and with end, or all of it.
func untilAfter(s, end string) int {
	if i := strings.Index(s, end); i >= 0 {
		return i + len(end)
	}
	return len(s)
}

// quoted is the length of the quoted piece that s begins with. A doubled quote
// needs no care: it is two pieces side by side.
func quoted(s string, quote byte, escapes bool) int {
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && escapes:
			i++
		case s[i] == quote:
			return i + 1
		}
	}
	return len(s)
}

// comment is the length of the /* comment */ that s begins with; they nest.
func comment(s string) int {
	depth := 0
	for i := 0; i+1 < len(s); i++ {
		switch s[i : i+2] {
		case "/*":
			depth++
			i++
		case "*/":
			depth--
			i++
			if depth == 0 {
				return i + 1
			}
		}
	}
	return len(s)
}
