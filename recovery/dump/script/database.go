package script

import (
	"slices"
	"strings"
)

// MakesPublic reports whether a statement creates the schema public, which every database
// has from its beginning.
func MakesPublic(p Part) bool {
	t := statement{tokens: p.Tokens(), text: p.Text}
	return t.word(0) == "create" && t.word(1) == "schema" && t.name(2) == "public" && len(t.tokens) == 3
}

// OwnsPublic reports whether a statement gives the schema public its owner.
func OwnsPublic(p Part) bool {
	t := statement{tokens: p.Tokens(), text: p.Text}
	return t.word(0) == "alter" && t.word(1) == "schema" && t.name(2) == "public" && t.word(3) == "owner"
}

// SetsDefault reports whether a statement says what later sessions of a database or a role
// have a setting at.
func SetsDefault(p Part) bool {
	t := statement{tokens: p.Tokens(), text: p.Text}
	return t.word(0) == "alter" && slices.Contains([]string{"database", "role", "user"}, t.word(1)) && t.find(3, "set") > 0
}

// ofLocale are the options of CREATE DATABASE that say how text sorts.
var ofLocale = []string{"locale", "lc_collate", "lc_ctype", "locale_provider", "icu_locale", "icu_rules", "builtin_locale", "collation_version"}

// WithoutLocale is a CREATE DATABASE that does not say how text sorts.
func WithoutLocale(p Part) string {
	t := statement{tokens: p.Tokens(), text: p.Text}
	var b strings.Builder
	for i := 0; i < len(t.tokens); i++ {
		if i > 2 && slices.Contains(ofLocale, t.word(i)) {
			if i++; t.word(i) == "=" {
				i++
			}
			continue // its value
		}
		// A number is a token for each of its digits.
		if i > 0 && t.tokens[i].Start > t.tokens[i-1].End {
			b.WriteByte(' ')
		}
		b.Write(t.text[t.tokens[i].Start:t.tokens[i].End])
	}
	return b.String()
}
