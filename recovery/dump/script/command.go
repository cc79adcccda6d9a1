package script

import (
	"strings"
)

// ParseConnect reads the \connect commands that pg_dump and pg_dumpall write,
// and gives the database:
//
//	\connect shop
//	\connect "Shop"
//	\connect -reuse-previous=on "dbname='the shop'"
//
// Anything else (a host, a user) is not theirs, and ok is false.
func ParseConnect(text string) (database string, ok bool) {
	rest, ok := cutCommand(text, `\connect`)
	if !ok {
		return "", false
	}
	rest, reuse := strings.CutPrefix(rest, "-reuse-previous=on ")
	word, ok := oneWord(strings.TrimSpace(rest))
	if !ok || word == "" || word == "-" {
		return "", false
	}
	if !reuse {
		// psql takes a name like these for a connection string.
		if strings.Contains(word, "=") || strings.HasPrefix(word, "postgres://") || strings.HasPrefix(word, "postgresql://") {
			return "", false
		}
		return word, true
	}
	value, ok := strings.CutPrefix(word, "dbname=")
	if !ok {
		return "", false
	}
	return connectionValue(value)
}

// IsRestrict reports whether a command is \restrict or \unrestrict, with which
// newer pg_dump protects psql. They mean nothing to anyone else.
func IsRestrict(text string) bool {
	for _, name := range []string{`\restrict`, `\unrestrict`} {
		if rest, ok := cutCommand(text, name); ok {
			return strings.IndexFunc(rest, func(r rune) bool {
				return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z')
			}) < 0
		}
	}
	return false
}

func cutCommand(text, name string) (string, bool) {
	rest, ok := strings.CutPrefix(strings.TrimRight(text, " \t\r\n"), name)
	if !ok || rest == "" || rest[0] != ' ' {
		return "", false
	}
	return strings.TrimSpace(rest), true
}

// oneWord reads a name, plain or "quoted" with "" for a quote.
func oneWord(s string) (string, bool) {
	if !strings.HasPrefix(s, `"`) {
		return s, !strings.ContainsAny(s, " \t'\"`\\:|")
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] != '"' {
			b.WriteByte(s[i])
			continue
		}
		if i+1 == len(s) {
			return b.String(), true
		}
		if s[i+1] != '"' {
			return "", false
		}
		b.WriteByte('"')
		i++
	}
	return "", false
}

// connectionValue reads the only value of a connection string: plain, or
// 'quoted' with backslashes.
func connectionValue(s string) (string, bool) {
	if !strings.HasPrefix(s, "'") {
		return s, s != "" && !strings.ContainsAny(s, ` '\`)
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\'':
			if i+1 < len(s) { // a second setting
				return "", false
			}
			return b.String(), true
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(s[i])
		}
	}
	return "", false
}
