package tui

import (
	"strings"
	"time"

	"comeback/recovery"
)

// bar draws how much of a total is done, "[######----]", in w cells.
func bar(done, total int64, w int) string {
	inner := w - 2
	if inner < 1 {
		return ""
	}
	full := int(recovery.Share(done, total) * float64(inner))
	return "[" + strings.Repeat("#", full) + strings.Repeat("-", inner-full) + "]"
}

// progress shows what a running step does now, in two lines: what and how far,
// then the figures. Without a sample it says that there are no figures yet. Of
// is the component, where several steps run.
func progress(of, name string, s recovery.Sample, known bool, running time.Duration, w int) []line {
	if of != "" {
		of = clean(of) + ": "
	}
	if !known {
		return []line{spread(as(strong, of+name), say("running "+elapsed(running)), w), as(faint, "        no figures yet")}
	}
	phase := clean(s.Phase)
	if phase == "" {
		phase = name
	}
	phase = of + phase
	indent := min(max(8, cells(phase)+2), max(8, w/3))
	first := as(strong, pad(phase, indent-2)).say("  ")
	var figures []string
	if s.Note != "" {
		figures = append(figures, clean(s.Note))
	}
	if s.Total > 0 {
		left := ""
		if s.Left > 0 {
			left = elapsed(time.Duration(s.Left)+time.Second/2) + " left"
		}
		right := say(padLeft(recovery.Percent(s.Done, s.Total), 6)).say(padLeft(left, 13))
		first = spread(first.and(busy, bar(s.Done, s.Total, w-indent-right.cells()-1)), right, w)
		figures = append(figures, s.Unit.AmountOf(s.Done, s.Total))
	} else {
		first = spread(first.and(busy, "running"), say("for "+elapsed(running)+", end not known"), w)
		if s.Done > 0 {
			figures = append(figures, s.Unit.Amount(s.Done)+" so far")
		}
	}
	if s.PerSecond >= 1 {
		figures = append(figures, rate(int64(s.PerSecond), s.Unit))
	}
	return []line{first, say(strings.Repeat(" ", indent) + strings.Join(figures, "   "))}
}
