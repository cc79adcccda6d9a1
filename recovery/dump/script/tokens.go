package script

import (
	"bytes"
	"strings"
)

// TokenKind is what a token of a statement is.
type TokenKind string

// The kinds of tokens.
const (
	Word   TokenKind = "word"   // a key word or unquoted name, in lower case
	Quoted TokenKind = "quoted" // a "quoted name", without its quotes
	String TokenKind = "string" // a literal of any form, its text undecoded
	Other  TokenKind = "other"  // one byte of anything else
)

// Token is a word of a statement. Start and End are its place in the text.
type Token struct {
	Kind       TokenKind
	Text       string
	Start, End int
}

// Is reports whether the token is a given key word or sign.
func (t Token) Is(text string) bool {
	return t.Text == text && (t.Kind == Word || t.Kind == Other)
}

// Name reports whether the token can be a name, and gives it.
func (t Token) Name() (string, bool) { return t.Text, t.Kind == Word || t.Kind == Quoted }

// maxTokens is how much of a statement is looked at: enough for every statement
// that is judged, little of an INSERT.
const maxTokens = 10_000

// Tokens are the first tokens of a statement, without white space, comments
// and the semicolon.
func (p Part) Tokens() []Token { return p.tokens(maxTokens) }

// tokens are the first of them, at most max.
func (p Part) tokens(max int) []Token {
	var all []Token
	text, escapes := p.letters.bare(p.Text), p.Escapes
	for i := 0; i < len(text) && len(all) < max; {
		start, c := i, text[i]
		next := byte(0)
		if i+1 < len(text) {
			next = text[i+1]
		}
		t := Token{Kind: Other, Start: start}
		switch {
		case isSpace(c) || c == ';':
			i++
			continue
		case c == '-' && next == '-':
			for i < len(text) && notNewline(text[i]) {
				i++
			}
			continue
		case c == '/' && next == '*':
			i = skipComment(text, i)
			continue
		case (c == 'e' || c == 'E') && next == '\'':
			i = skipQuoted(text, i+1, true)
			t.Kind = String
		case isIdentStart(c):
			for i < len(text) && isIdent(text[i]) {
				i++
			}
			t.Kind, t.Text = Word, lower(p.Text[start:i], text[start:i])
		case c == '"':
			i = skipQuoted(text, i, false)
			t.Kind = Quoted
			t.Text = strings.ReplaceAll(strings.TrimSuffix(string(p.Text[start+1:i]), `"`), `""`, `"`)
		case c == '\'':
			i = skipQuoted(text, i, escapes)
			t.Kind = String
		case c == '$':
			if end := skipDollar(text, i); end > i {
				i, t.Kind = end, String
			} else {
				i++
			}
		default:
			i++
		}
		t.End = i
		if t.Kind == String || t.Kind == Other {
			t.Text = string(p.Text[start:i])
		}
		all = append(all, t)
	}
	return all
}

// lower folds as PostgreSQL does for names: ASCII only, which bare tells.
func lower(word, bare []byte) string {
	word = bytes.Clone(word)
	for i, c := range bare {
		if c >= 'A' && c <= 'Z' {
			word[i] += 'a' - 'A'
		}
	}
	return string(word)
}

func skipComment(text []byte, i int) int {
	for depth := 0; i < len(text); i++ {
		if i+1 >= len(text) {
			return len(text)
		}
		switch string(text[i : i+2]) {
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
	return len(text)
}

// skipQuoted is the end of the literal or name whose quote is at i.
func skipQuoted(text []byte, i int, escapes bool) int {
	quote := text[i]
	for i++; i < len(text); i++ {
		switch {
		case escapes && text[i] == '\\':
			i++
		case text[i] == quote:
			if i+1 < len(text) && text[i+1] == quote {
				i++
				continue
			}
			return i + 1
		}
	}
	return len(text)
}

// skipDollar is the end of the dollar quote at i, or i if none begins there.
func skipDollar(text []byte, i int) int {
	j := i + 1
	for j < len(text) && (isIdentStart(text[j]) || j > i+1 && text[j] >= '0' && text[j] <= '9') {
		j++
	}
	if j >= len(text) || text[j] != '$' {
		return i
	}
	tag := text[i : j+1]
	if end := bytes.Index(text[j+1:], tag); end >= 0 {
		return j + 1 + end + len(tag)
	}
	return len(text)
}

// Summary is a statement's beginning for messages, on one line, with its
// literals left out: they may be secrets or people's data.
func (p Part) Summary() string {
	text := p.Text
	var b strings.Builder
	last := -1
	for _, t := range p.tokens(16) {
		if last >= 0 && t.Start > last {
			b.WriteByte(' ')
		}
		last = t.End
		if t.Kind == String {
			b.WriteString("'…'")
			continue
		}
		b.Write(text[t.Start:t.End])
		if b.Len() > 80 {
			b.WriteString(" …")
			break
		}
	}
	return strings.Join(strings.Fields(strings.ToValidUTF8(b.String(), "?")), " ")
}
