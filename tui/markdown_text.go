package tui

import (
	"slices"
	"strings"

	east "github.com/yuin/goldmark/extension/ast"
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

// leastColumn is how narrow a column of a table becomes before words are broken.
const leastColumn = 6

// table lays a table out: every column as wide as its longest cell, and where
// that is too much the widest ones are wrapped.
func (r *markdownRenderer) table(table *east.Table, indent int) {
	var rows [][]line
	header := 0
	for n := table.FirstChild(); n != nil; n = n.NextSibling() {
		k := plain
		if n.Kind() == east.KindTableHeader {
			k, header = strong, len(rows)+1
		}
		var row []line
		for c := n.FirstChild(); c != nil; c = c.NextSibling() {
			row = append(row, r.inline(c, k))
		}
		rows = append(rows, row)
	}
	widths := columnWidths(rows, r.room(indent))
	for i, row := range rows {
		r.add(indent, tableRow(row, widths, table.Alignments)...)
		if i+1 == header {
			var rule line
			for j, w := range widths {
				if j > 0 {
					rule = rule.say("  ")
				}
				rule = rule.and(faint, strings.Repeat("-", w))
			}
			r.add(indent, rule)
		}
	}
}

// columnWidths fits the columns of a table into w cells.
func columnWidths(rows [][]line, w int) []int {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 1)
			}
			for _, part := range wrapSpans(cell, 1<<20) {
				widths[i] = max(widths[i], part.cells())
			}
		}
	}
	if len(widths) == 0 {
		return nil
	}
	room := max(len(widths), w-2*(len(widths)-1))
	for total(widths) > room {
		widest := slices.Index(widths, slices.Max(widths))
		if widths[widest] <= 1 {
			break
		}
		if widths[widest] > leastColumn {
			widths[widest] = max(leastColumn, widths[widest]-max(1, (total(widths)-room)/2))
		} else {
			widths[widest]--
		}
	}
	return widths
}

func total(n []int) (sum int) {
	for _, v := range n {
		sum += v
	}
	return sum
}

// tableRow is one row of a table, as high as its highest cell.
func tableRow(row []line, widths []int, align []east.Alignment) []line {
	cellLines := make([][]line, len(widths))
	high := 1
	for i := range widths {
		if i < len(row) {
			cellLines[i] = wrapSpans(row[i], widths[i])
		}
		high = max(high, len(cellLines[i]))
	}
	out := make([]line, high)
	for y := range out {
		var l line
		for i, w := range widths {
			if i > 0 {
				l = l.say("  ")
			}
			var cell line
			if y < len(cellLines[i]) {
				cell = cellLines[i][y]
			}
			if i < len(align) && align[i] == east.AlignRight {
				l = append(l.say(strings.Repeat(" ", max(0, w-cell.cells()))), cell...)
			} else {
				l = append(l, cell.pad(w)...)
			}
		}
		out[y] = l
	}
	return out
}
