package tui

import "strings"

// span is a piece of text with one look.
type span struct {
	text string
	look look
}

// line is one line of a screen before it meets the width of a terminal.
type line []span

// say begins a line in the plain look.
func say(text string) line { return line{{text: text}} }

// as begins a line in another look.
func as(k look, text string) line { return line{{text, k}} }

// and goes on in a look.
func (l line) and(k look, text string) line { return append(l[:len(l):len(l)], span{text, k}) }

// say goes on in the plain look.
func (l line) say(text string) line { return l.and(plain, text) }

// caret marks where the terminal's cursor stands.
func (l line) caret() line { return l.and(caretMark, "") }

// cells is the width of the line.
func (l line) cells() int {
	n := 0
	for _, s := range l {
		n += cells(clean(s.text))
	}
	return n
}

// fit is the line in at most w cells; where something was cut off it says so.
func (l line) fit(w int) line {
	if l.cells() <= w {
		return l
	}
	mark := cutMark
	if w < 2*len(cutMark) {
		mark = ""
	}
	room := w - len(mark)
	out := make(line, 0, len(l))
	for _, s := range l {
		text := clean(s.text)
		n := cells(text)
		if n > room {
			return append(out, span{head(text, room) + mark, s.look})
		}
		out, room = append(out, span{text, s.look}), room-n
	}
	return out
}

// pad is the line in exactly w cells.
func (l line) pad(w int) line {
	l = l.fit(w)
	if n := w - l.cells(); n > 0 {
		return l.say(strings.Repeat(" ", n))
	}
	return l
}

// trim drops the space at the end of the line, which nobody sees.
func (l line) trim() line {
	for n := len(l) - 1; n >= 0 && l[n].look != caretMark && l[n].look != danger; n-- {
		text := strings.TrimRight(l[n].text, " ")
		if text != "" {
			return l[:n:n].and(l[n].look, text)
		}
		l = l[:n:n]
	}
	return l
}

// draw writes the line in at most w cells, and says in which cell the caret
// stands, -1 where it has none. This is the only place in which text from
// outside meets escape sequences.
func (l line) draw(t theme, w int) (text string, caret int) {
	var b strings.Builder
	caret = -1
	column := 0
	for _, s := range l.fit(w).trim() {
		if s.look == caretMark {
			caret = min(column, w-1)
			continue
		}
		text := clean(s.text)
		if t.ascii {
			text = asciiOnly(text)
		}
		column += cells(text)
		b.WriteString(t.style(s.look, text))
	}
	return b.String(), caret
}

// spread puts one line at the left and one at the right of w cells. Where both
// do not fit the left one is cut.
func spread(left, right line, w int) line {
	n := right.cells()
	if n == 0 {
		return left.fit(w)
	}
	if n+1 >= w {
		return right.fit(w)
	}
	return append(left.pad(w-n-1).say(" "), right...)
}

// beside puts two blocks side by side: the left one in lw cells, the right one
// in what is left of w after a gap of two.
func beside(left, right []line, lw, w int) []line {
	out := make([]line, max(len(left), len(right)))
	for i := range out {
		var l line
		if i < len(left) {
			l = left[i]
		}
		l = l.pad(lw)
		if i < len(right) {
			l = append(l.say("  "), right[i].fit(w-lw-2)...)
		}
		out[i] = l
	}
	return out
}

// paragraph is a wrapped text under a name: the name stands in the first
// indent cells of the first line, the text in the rest of every line. Of a text
// that takes more than most lines the last one is marked; most 0 is no limit.
func paragraph(name string, indent int, k look, text string, w, most int) []line {
	room := max(8, w-indent)
	lines := wrap(text, room)
	if most > 0 && len(lines) > most {
		lines = lines[:most]
		lines[most-1] = head(lines[most-1], room-len(cutMark)) + cutMark
	}
	if len(lines) == 0 {
		lines = []string{""}
	}
	out := make([]line, len(lines))
	for i, s := range lines {
		out[i] = as(strong, pad(name, indent)).and(k, s)
		name = ""
	}
	return out
}
