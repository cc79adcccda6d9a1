package schedule

import (
	"strings"

	"comeback/pattern"
)

// EnvironmentVariable names the file from which comeback takes variables when it is
// started by cron: systemd reads such a file itself, and a shell would read it as a
// program of its own.
const EnvironmentVariable = "COMEBACK_ENVIRONMENT"

var variableName = pattern.New(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Environment reads a file of variables as systemd's EnvironmentFile= does: a line
// NAME=VALUE each, taken as it is written. Lines that begin with # or ; are comments.
// Spaces around a value are not of it unless it is quoted, a backslash takes the next
// character as it is, and one at the end of a line goes on in the next. Nothing is
// expanded. Each is given as NAME=VALUE.
func Environment(text string) []string {
	const blank, ends = " \t\r", "\n"
	var all []string
	for rest := text; rest != ""; {
		rest = strings.TrimLeft(rest, blank+ends)
		end := strings.IndexAny(rest+ends, ends)
		if line := rest[:end]; line == "" || line[0] == '#' || line[0] == ';' || !strings.Contains(line, "=") {
			rest = rest[end:]
			continue
		}
		var name, value string
		name, rest, _ = strings.Cut(rest, "=")
		value, rest = environmentValue(rest)
		if name = strings.TrimRight(name, blank); variableName.MatchString(name) {
			all = append(all, name+"="+value)
		}
	}
	return all
}

// environmentValue is the value that a text begins with, and what is behind its line.
func environmentValue(text string) (value, rest string) {
	var b strings.Builder
	whole := 0 // what of it stays where blanks at its end go
	begun := false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\n':
			return b.String()[:whole], text[i:]
		case c == '\\' && i+1 < len(text):
			begun = true
			if i++; text[i] != '\n' {
				b.WriteByte(text[i])
				whole = b.Len()
			}
		case !begun && (c == '\'' || c == '"'):
			for i++; i < len(text) && text[i] != c; i++ {
				if c == '"' && text[i] == '\\' && i+1 < len(text) {
					i++
					if text[i] == '\n' {
						continue
					}
					if !strings.ContainsRune("\"\\`$", rune(text[i])) {
						b.WriteByte('\\')
					}
				}
				b.WriteByte(text[i])
			}
			whole = b.Len()
		case c == ' ' || c == '\t' || c == '\r':
			if begun {
				b.WriteByte(c)
			}
		default:
			begun = true
			b.WriteByte(c)
			whole = b.Len()
		}
	}
	return b.String()[:whole], ""
}
