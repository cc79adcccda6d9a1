package tui

import (
	"strings"

	"github.com/yuin/goldmark/util"
)

// unescaped is a text as it is read: a backslash before punctuation hides it from
// Markdown, and "&lt;" is "<".
func unescaped(s string) string {
	if !strings.ContainsAny(s, `\&`) {
		return s
	}
	return string(util.ResolveEntityNames(util.ResolveNumericReferences(util.UnescapePunctuations([]byte(s)))))
}

// wrapSpans breaks a line into lines of at most w cells, between words, and keeps
// the looks. A line end in the text is kept.
func wrapSpans(l line, w int) []line {
	type word struct {
		line
		width int
	}
	var out []line
	var now line
	width := 0
	var part word
	flush := func() {
		if part.width == 0 {
			return
		}
		if width > 0 && width+1+part.width > w {
			out, now, width = append(out, now), nil, 0
		}
		if width > 0 {
			now, width = now.say(" "), width+1
		}
		for part.width > w { // longer than a line
			cutOff := part.fitHard(w)
			if cutOff.cells() == 0 {
				break
			}
			out = append(out, cutOff)
			part.line = part.line.without(cutOff)
			part.width = part.line.cells()
		}
		now, width = append(now, part.line...), width+part.width
		part = word{}
	}
	for _, s := range l {
		text := s.text
		for text != "" {
			i := strings.IndexAny(text, " \n\t")
			piece := text
			if i >= 0 {
				piece = text[:i]
			}
			if piece = clean(piece); piece != "" {
				part.line = part.and(s.look, piece)
				part.width += cells(piece)
			}
			if i < 0 {
				break
			}
			flush()
			if text[i] == '\n' {
				out, now, width = append(out, now), nil, 0
			}
			text = text[i+1:]
		}
	}
	flush()
	if width > 0 {
		out = append(out, now)
	}
	return out
}

// fitHard is as much of a line as fits into w cells, without a mark.
func (l line) fitHard(w int) (out line) {
	for _, s := range l {
		text := head(s.text, w)
		out = out.and(s.look, text)
		w -= cells(text)
		if len(text) < len(s.text) {
			break
		}
	}
	return out
}

// without is what follows the beginning of a line.
func (l line) without(begin line) line {
	n := len(begin.words())
	for i, s := range l {
		if n < len(s.text) {
			return append(line{{s.text[n:], s.look}}, l[i+1:]...)
		}
		n -= len(s.text)
	}
	return nil
}
