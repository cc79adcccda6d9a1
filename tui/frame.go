package tui

import (
	"fmt"
	"strings"
	"time"

	"comeback/recovery"
)

// mode is how dangerous the screen is.
type mode uint8

const (
	looking mode = iota
	rehearsing
	recovering
)

// modeOf is the mode of a run.
func modeOf(m recovery.Mode) mode {
	if m == recovery.Recovery {
		return recovering
	}
	return rehearsing
}

var modes = [...]struct {
	words, short, rule string
	look               look
}{
	looking:    {"-- LOOKING: READ ONLY --", "-- LOOKING --", "-", plain},
	rehearsing: {".. REHEARSAL: SCRATCH ..", ".. REHEARSAL ..", ".", scratch},
	recovering: {"## RECOVERY: FOR REAL ##", "## FOR REAL ##", "=", danger},
}

// page is what a screen shows: what stands in the frame, and the body.
type page struct {
	// system and aside are the two ends of line 1.
	system, aside string
	mode          mode
	body          []line
	// focus is the line of the body that must be seen, -1 if none.
	focus int
	// pinned is how many lines at the end of the body stay in sight while what is
	// above them is scrolled: what a person is asked, and why it was refused.
	pinned int
	// live answers whether a live system is changed; note is the other end of
	// that line.
	live, note string
	liveLook   look
	// keys are what can be pressed, the most important first; leave is how to
	// get away from here. The frame adds the help.
	keys  []binding
	leave binding
	// typing says that a person types: then the help has no key.
	typing bool
	// picks are the lines of the body that the cursor can be put on.
	picks []pick
}

// pick is a line of a page's body that a person can put the cursor on: with the
// mouse, or by its number where the screen is told line by line. It chooses
// nothing by itself.
type pick struct {
	line int
	to   func()
	// on says that the cursor is there, of the rows of a list.
	on bool
}

// pick makes a line of the body one that the cursor can be put on.
func (p *page) pick(line int, to func()) { p.picks = append(p.picks, pick{line: line, to: to}) }

// pickRows makes rows of a list, of which a window is shown from a line of the
// body on, lines that the cursor can be put on.
func (p *page) pickRows(first, n, cursor, h int, to func(i int)) {
	from, until := windowed(n, cursor, h)
	for i := from; i < until; i++ {
		p.picks = append(p.picks, pick{first + i - from, func() { to(i) }, i == cursor})
	}
}

// The frame takes five lines, and fewer where there is not even room for that.
const (
	fullFrame = 10 // from this height on there are two rules
	keysFrame = 6  // from this height on there is a line of keys
	liveFrame = 2
)

// bodyHeight is what the frame leaves of a terminal's height.
func bodyHeight(h int) int {
	switch {
	case h >= fullFrame:
		return h - 5
	case h >= keysFrame:
		return h - 3
	case h >= liveFrame:
		return h - 2
	}
	return 0
}

// drawn is a page that met the terminal.
type drawn struct {
	text string
	// x and y are where the cursor stands, -1 where there is none.
	x, y int
	// scroll is where the body begins, most the last place where it may, rows how
	// many of its lines are scrolled.
	scroll, most, rows int
	// pinned is the first line of the body that is not.
	pinned int
}

// line is the line of the body that stands in a row of what the frame leaves, -1
// for none.
func (d drawn) line(row int) int {
	switch {
	case row < d.rows:
		return d.scroll + row
	case row == d.rows:
		return -1 // the rule between
	}
	return d.pinned + row - d.rows - 1
}

// pin says which lines are scrolled, in how many rows, and which stay below them.
// They do where the body is longer than the room for it and something is left
// for the rest.
func (p page) pin(room int) (rest, foot []line, rows int) {
	n := min(p.pinned, len(p.body))
	if n == 0 || len(p.body) <= room || n+1 > room-minScrolled {
		return p.body, nil, room
	}
	return p.body[:len(p.body)-n], p.body[len(p.body)-n:], room - n - 1
}

// minScrolled is the least room for what is scrolled above what stays.
const minScrolled = 4

// frame draws a page into w by h cells, with the body scrolled down as far as
// asked for; while follow is set, as the focus needs.
func (p page) frame(t theme, now time.Time, w, h, scroll int, follow bool) drawn {
	room := bodyHeight(h)
	rest, foot, rows := p.pin(room)
	d := drawn{x: -1, y: -1, most: max(0, len(rest)-rows), rows: rows, pinned: len(rest)}
	d.scroll = min(max(scroll, 0), d.most)
	if follow && p.focus >= 0 && p.focus < len(rest) && (p.focus < d.scroll || p.focus >= d.scroll+rows) {
		d.scroll = min(max(p.focus-rows/2, 0), d.most)
	}
	var lines []line
	lines = append(lines, p.header(now, w))
	rule := modes[p.mode].rule
	if h >= fullFrame {
		lines = append(lines, ruleLine(rule, w, d.scroll, "above", "pgup"))
	}
	top := len(lines)
	if h < liveFrame {
		top, room = 0, 0
	}
	for i := range min(rows, room) {
		if i+d.scroll < len(rest) {
			lines = append(lines, rest[i+d.scroll])
		} else {
			lines = append(lines, nil)
		}
	}
	if foot != nil && room > 0 {
		lines = append(append(lines, ruleLine(rule, w, d.most-d.scroll, "below", "pgdn")), foot...)
	}
	if h >= fullFrame {
		more := d.most - d.scroll
		if foot != nil {
			more = 0
		}
		lines = append(lines, ruleLine(rule, w, more, "below", "pgdn"))
	}
	if h >= liveFrame {
		lines = append(lines, p.liveLine(w))
	}
	if h >= keysFrame {
		lines = append(lines, p.keyLine(w))
	}
	text := make([]string, len(lines))
	for i, l := range lines {
		var caret int
		text[i], caret = l.draw(t, w)
		text[i] = strings.TrimRight(text[i], " ")
		if caret >= 0 && i >= top && i < top+room {
			d.x, d.y = caret, i
		}
	}
	d.text = strings.Join(text, "\n")
	return d
}

// header is line 1. Where there is no room for all of it the mode stays.
func (p page) header(now time.Time, w int) line {
	m := modes[p.mode]
	name := max(12, min(cells(clean(p.system)), 12+w-80))
	full := say(pad(clean(p.system), name)+" ").and(m.look, m.words)
	short := as(m.look, m.short).say(" " + clean(p.system))
	right := say(p.aside)
	for _, left := range []line{full.say(" " + clock(now)), full, short.say(" " + clock(now)), short} {
		if left.cells()+1+right.cells() <= w {
			return spread(left, right, w)
		}
	}
	return short.fit(w)
}

// liveLine is line 23. The answer is never cut for what stands beside it.
func (p page) liveLine(w int) line {
	live := as(p.liveLook, p.live)
	room := w - live.cells() - 2
	if note := say(p.note); room >= min(note.cells(), 12) {
		return spread(live, note.fit(room), w)
	}
	return live.fit(w)
}

// ruleLine is line 2 or 22, which says when there is more in its direction.
func ruleLine(rule string, w, more int, where, key string) line {
	text := strings.Repeat(rule, w)
	if more > 0 {
		note := fmt.Sprintf(" %s %s: %s ", count(more, "line", "lines"), where, key)
		if len(note)+2 < w {
			text = text[:w-len(note)-2] + note + text[:2]
		}
	}
	return as(faint, text)
}

// keyLine is line 24: as many keys as there is room for, and always the help
// and the way out.
func (p page) keyLine(w int) line {
	tail := line{}
	for _, b := range []binding{{"?", "help"}, p.leave} {
		if b.key != "" && (b.key != "?" || !p.typing) {
			tail = b.after(tail)
		}
	}
	keys := line{}
	for _, b := range p.keys {
		next := b.after(keys)
		if next.cells()+2+tail.cells() > w {
			break
		}
		keys = next
	}
	if len(keys) > 0 {
		keys = keys.say("  ")
	}
	return append(keys, tail...)
}
