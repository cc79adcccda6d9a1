package tui

import (
	"fmt"
	"strings"
)

// column is one column of a table.
type column struct {
	title string
	// width is in cells; 0 takes what the others leave.
	width int
	// right puts numbers at the right.
	right bool
	// keep says how long the column stays when room gets scarce: the lowest
	// goes first. A column with width 0 always stays.
	keep int
}

// leastRest is what the column of width 0 gets before others are dropped.
const leastRest = 12

// table lays rows out in w cells under a line of titles. Each row begins with a
// mark of two cells: "> " where the cursor stands. A cell is a span.
type table struct {
	columns []column
	w       int
}

// layout is the widths of the columns; those that are dropped get -1.
func (t table) layout() []int {
	widths := make([]int, len(t.columns))
	total, rest := 2, -1
	for i, c := range t.columns {
		widths[i] = c.width
		total += c.width + 1
		if c.width == 0 {
			rest = i
			total += leastRest
		}
	}
	for total-1 > t.w {
		drop := -1
		for i, c := range t.columns {
			if widths[i] > 0 && (drop < 0 || c.keep < t.columns[drop].keep) {
				drop = i
			}
		}
		if drop < 0 {
			break
		}
		total -= widths[drop] + 1
		widths[drop] = -1
	}
	if rest >= 0 {
		widths[rest] = max(1, leastRest+t.w-total+1)
	}
	return widths
}

// titles is the head of the table.
func (t table) titles() line {
	cells := make([]span, len(t.columns))
	for i, c := range t.columns {
		cells[i] = span{c.title, strong}
	}
	return t.row("  ", cells...)
}

// row is one line of the table.
func (t table) row(mark string, row ...span) line {
	l := say(mark)
	if strings.TrimSpace(mark) != "" {
		l = as(strong, mark)
	}
	first := true
	for i, width := range t.layout() {
		if width < 0 || i >= len(row) {
			continue
		}
		if !first {
			l = l.say(" ")
		}
		first = false
		text := clean(row[i].text)
		if t.columns[i].right {
			text = padLeft(text, width)
		} else {
			text = pad(text, width)
		}
		l = l.and(row[i].look, text)
	}
	return l
}

// mark is what stands before a row of a list.
func mark(chosen bool) string {
	if chosen {
		return "> "
	}
	return "  "
}

// window shows h of the lines of a list, around its cursor, and says how many
// it leaves out at either end.
func window(lines []line, cursor, h int) []line {
	if h <= 0 {
		return nil
	}
	if len(lines) <= h {
		return lines
	}
	from, _ := windowed(len(lines), cursor, h)
	out := append([]line(nil), lines[from:from+h]...)
	if h < 3 {
		return out
	}
	if from > 0 {
		out[0] = as(faint, fmt.Sprintf("  %s %d more above", cutMark, from+1))
	}
	if rest := len(lines) - from - h; rest > 0 {
		out[h-1] = as(faint, fmt.Sprintf("  %s %d more below", cutMark, rest+1))
	}
	return out
}

// windowed is which of n lines window shows.
func windowed(n, cursor, h int) (from, until int) {
	if n <= h {
		return 0, n
	}
	from = min(max(0, cursor-h/2), n-max(0, h))
	return from, from + max(0, h)
}
