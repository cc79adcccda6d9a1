package tui

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// histogram draws how much was written when, each line one or more powers of
// ten: what is little and what is much are both seen.
type histogram struct {
	// perSecond are rows per second, a column each, from the earliest on.
	perSecond []float64
	from, to  time.Time
	// read is the earliest time that was read; what is before it is not known.
	read time.Time
	// harms and at are times that are marked; at may be zero.
	harms []time.Time
	at    time.Time
	ascii bool
}

// histogramLabel is the width of the scale at the left.
const histogramLabel = 8

// steps are the heights within a line, from least to most.
var (
	asciiSteps = []rune("_.:")
	blockSteps = []rune("▁▂▃▄▅▆▇█")
)

// column is the column of a time, -1 where it is not in the span.
func (g histogram) column(t time.Time) int {
	n := len(g.perSecond)
	if n == 0 || t.IsZero() || t.Before(g.from) || t.After(g.to) || !g.to.After(g.from) {
		return -1
	}
	return min(n-1, int(float64(t.Sub(g.from))/float64(g.to.Sub(g.from))*float64(n)))
}

// lines draws h lines over a line of times.
func (g histogram) lines(h int) []line {
	low, high := 0, 0 // powers of ten: of the least, and of the most
	first := true
	for _, v := range g.perSecond {
		if v > 0 {
			power := int(math.Floor(math.Log10(v)))
			if first {
				low, high, first = power, power, false
			}
			low, high = min(low, power), max(high, power)
		}
	}
	decades := (high - low + h) / max(1, h) // in a line
	high = low + decades*h - 1
	steps := blockSteps
	if g.ascii {
		steps = asciiSteps
	}
	harm := make([]bool, len(g.perSecond))
	for _, t := range g.harms {
		if i := g.column(t); i >= 0 {
			harm[i] = true
		}
	}
	at := g.column(g.at)
	unread := g.column(g.read)
	if g.read.After(g.to) {
		unread = len(g.perSecond)
	}
	var out []line
	for row := range h {
		power := high + 1 - (row+1)*decades
		label := strconv.FormatFloat(math.Pow10(power), 'f', -1, 64)
		if row == 0 {
			label = ">" + label
		}
		cells := make([]span, 0, len(g.perSecond)+1)
		cells = append(cells, span{padLeft(label, histogramLabel-1) + " ", faint})
		var run strings.Builder
		flush := func() {
			if run.Len() > 0 {
				cells = append(cells, span{run.String(), plain})
				run.Reset()
			}
		}
		for i, v := range g.perSecond {
			switch {
			case row == 0 && harm[i]:
				flush()
				cells = append(cells, span{"!", bad})
			case i == at && row > 0 && bit(v, power, decades, false, steps) == ' ':
				flush()
				cells = append(cells, span{"|", strong})
			case i < unread && row == h-1:
				flush()
				cells = append(cells, span{"?", faint})
			default:
				run.WriteRune(bit(v, power, decades, row == h-1, steps))
			}
		}
		flush()
		out = append(out, line(cells).trim())
	}
	return append(out, g.axis(at))
}

// bit is what stands in one cell: of a decade's line as much as the rate fills.
// What is less than the lowest line shows is still something.
func bit(v float64, power, decades int, lowest bool, steps []rune) rune {
	if v <= 0 {
		return ' '
	}
	n := int(math.Floor((math.Log10(v) - float64(power)) / float64(decades) * float64(len(steps))))
	switch {
	case n >= 0:
		return steps[min(n, len(steps)-1)]
	case lowest:
		return steps[0]
	}
	return ' '
}

// axis names times under the columns, and points at the moment.
func (g histogram) axis(at int) line {
	n := len(g.perSecond)
	text := []rune(strings.Repeat(" ", n))
	put := func(place int, s string) {
		if at >= 0 && at >= place-1 && at <= place+len(s) {
			return // the mark stands there
		}
		for i, r := range s {
			if place+i >= 0 && place+i < n {
				text[place+i] = r
			}
		}
	}
	layout := "15:04"
	switch d := g.to.Sub(g.from); {
	case d > 36*time.Hour:
		layout = "2 Jan 15h"
	case d <= 5*time.Minute:
		layout = "15:04:05"
	}
	parts := max(1, min(4, n/16))
	for i := range parts {
		when := g.from.Add(g.to.Sub(g.from) * time.Duration(i) / time.Duration(parts))
		put(n*i/parts, when.Format(layout))
	}
	end := g.to.Format(layout)
	put(n-len(end), end)
	l := as(faint, pad("rows/s", histogramLabel))
	if at < 0 {
		return l.and(faint, string(text)).trim()
	}
	return l.and(faint, string(text[:at])).and(strong, "^").and(faint, string(text[at+1:])).trim()
}
