package tui

import (
	"slices"
	"strings"
	"sync"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"

	"comeback/pattern"
)

// Tables and boxes to tick are read here and not by the library's extensions: what
// comes with those costs the program a good part of its start.

// inlineParser reads what stands in a cell, which holds no blocks.
var inlineParser = sync.OnceValue(func() parser.Parser {
	return parser.NewParser(parser.WithBlockParsers(util.Prioritized(parser.NewParagraphParser(), 1)), parser.WithInlineParsers(parser.DefaultInlineParsers()...))
})

// delimiterRow is the line under the titles of a table.
var delimiterRow = pattern.New(`^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$`)

// leastColumn is how narrow a column of a table becomes before words are broken.
const leastColumn = 6

// paragraph shows a paragraph, or the table that begins in it.
func (r *markdownRenderer) paragraph(n ast.Node, indent int) {
	lines := r.raw(n)
	at := slices.IndexFunc(lines, func(l string) bool { return strings.Contains(l, "|") && delimiterRow.MatchString(l) })
	if at < 1 || len(cellsOf(lines[at])) != len(cellsOf(lines[at-1])) {
		r.add(indent, wrapSpans(r.inline(n, plain), r.room(indent))...)
		return
	}
	if at > 1 {
		r.add(indent, wrapSpans(r.apart(strings.Join(lines[:at-1], "\n"), plain), r.room(indent))...)
		r.gap()
	}
	r.table(lines[at-1:], indent)
}

// apart is a text in the line as spans.
func (r *markdownRenderer) apart(source string, k look) line {
	inner := &markdownRenderer{source: []byte(source), w: r.w}
	var out line
	for n := inlineParser().Parse(text.NewReader(inner.source)).FirstChild(); n != nil; n = n.NextSibling() {
		out = append(out, inner.inline(n, k)...)
	}
	return out
}

// cellsOf are the cells of a row; a bar behind a backslash is text.
func cellsOf(row string) []string {
	row = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(row), "|"), "|")
	var list []string
	for _, part := range strings.Split(row, "|") {
		if n := len(list); n > 0 && strings.HasSuffix(list[n-1], `\`) {
			list[n-1] = strings.TrimSuffix(list[n-1], `\`) + "|" + part
			continue
		}
		list = append(list, part)
	}
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	return list
}

// table lays a table out: every column as wide as its longest cell, and where
// that is too much the widest ones are wrapped. Its first line holds the titles,
// its second says which columns are aligned to the right.
func (r *markdownRenderer) table(lines []string, indent int) {
	var right []bool
	for _, c := range cellsOf(lines[1]) {
		right = append(right, strings.HasSuffix(c, ":") && !strings.HasPrefix(c, ":"))
	}
	var rows [][]line
	for i, text := range append(lines[:1:1], lines[2:]...) {
		k := plain
		if i == 0 {
			k = strong
		}
		row := make([]line, len(right))
		for j, c := range cellsOf(text) {
			if j < len(row) {
				row[j] = r.apart(c, k)
			}
		}
		rows = append(rows, row)
	}
	widths := columnWidths(rows, r.room(indent))
	for i, row := range rows {
		r.add(indent, tableRow(row, widths, right)...)
		if i > 0 {
			continue
		}
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

// boxed makes the box of an item to tick stand out.
func boxed(l line) line {
	text := l.words()
	for _, box := range []string{"[ ] ", "[x] ", "[X] "} {
		if strings.HasPrefix(text, box) {
			return append(as(strong, strings.ToLower(box)), l.without(say(box))...)
		}
	}
	return l
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
func tableRow(row []line, widths []int, right []bool) []line {
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
			if i < len(right) && right[i] {
				l = append(l.say(strings.Repeat(" ", max(0, w-cell.cells()))), cell...)
			} else {
				l = append(l, cell.pad(w)...)
			}
		}
		out[y] = l
	}
	return out
}
