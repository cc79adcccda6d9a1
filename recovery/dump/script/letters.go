package script

import (
	"bytes"
	"strings"
)

// letters is how an encoding writes letters of several bytes where one of these behind the
// first may be any sign of a script's, such as a backslash. psql knows such encodings, too:
// no server stores text in them, but dumps may be written in them.
type letters int

const (
	byBytes       letters = iota // no byte of a letter of several is a sign
	shiftJIS                     // two, but for some of one
	pairs                        // two: BIG5, GBK, UHC
	pairsOrFours                 // GB18030
	pairsOrThrees                // JOHAB
)

// lettersOf are those of an encoding by its name or another one that PostgreSQL knows it by.
func lettersOf(encoding string) letters {
	name := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			return c
		}
		return -1
	}, strings.ToLower(encoding))
	switch name {
	case "sjis", "shiftjis", "mskanji", "win932", "windows932", "shiftjis2004":
		return shiftJIS
	case "big5", "win950", "windows950", "gbk", "win936", "windows936", "uhc", "win949", "windows949":
		return pairs
	case "gb18030":
		return pairsOrFours
	case "johab":
		return pairsOrThrees
	}
	return byBytes
}

// length is how many bytes a letter has, by its first two.
func (l letters) length(first, second byte) int {
	switch {
	case first < 0x80, l == byBytes, l == shiftJIS && first >= 0xa1 && first <= 0xdf:
		return 1
	case l == pairsOrFours && second >= '0' && second <= '9':
		return 4
	case l == pairsOrThrees && first == 0x8f:
		return 3
	}
	return 2
}

// bare is text in which no byte of a letter looks like a sign: those behind its first one
// have their highest bit set, and mean nothing.
func (l letters) bare(text []byte) []byte {
	if l == byBytes {
		return text
	}
	text = append(bytes.Clone(text), 0)
	end := len(text) - 1
	for i := 0; i < end; {
		n := min(l.length(text[i], text[i+1]), end-i)
		for j := i + 1; j < i+n; j++ {
			text[j] = 0xff
		}
		i += n
	}
	return text[:end]
}

// clientEncoding is the encoding in which a script says that it goes on; ok is false where a
// statement says nothing of that.
func clientEncoding(p Part) (encoding string, ok bool) {
	const begins = "set client_encoding"
	if len(p.Text) < len(begins) || len(p.Text) > 200 || !bytes.EqualFold(p.Text[:len(begins)], []byte(begins)) {
		return "", false
	}
	t := statement{tokens: p.Tokens(), text: p.Text}
	if len(t.tokens) != 4 || t.word(2) != "=" && t.word(2) != "to" {
		return "", false
	}
	return strings.Trim(t.tokens[3].Text, "'"), true
}
