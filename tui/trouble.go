package tui

import (
	"fmt"

	"comeback/recovery"
)

// mostHint is how many lines what to do next may take; a screen scrolls.
const mostHint = 10

// trouble shows why something was refused, in the program's words, and what to
// do next.
func (m *model) trouble(word string, err error, w int) []line {
	if err == nil {
		return nil
	}
	lines := paragraph(word, 10, bad, m.pasted(err.Error()), w, 5)
	if hint := recovery.HintOf(err); hint != "" {
		lines = append(lines, paragraph("DO", 10, plain, m.pasted(hint), w, mostHint)...)
	}
	return lines
}

// problems lists what must be mended in a runbook.
func problems(list []Problem, w, most int) []line {
	var lines []line
	for i, p := range list {
		if i == most && len(list) > most+1 {
			return append(lines, as(faint, fmt.Sprintf("            %d more; comeback runbook lint lists them all", len(list)-most)))
		}
		place := ""
		if p.Line > 0 {
			place = fmt.Sprint("line ", p.Line)
		}
		text := p.What
		if p.Do != "" {
			text += "; " + p.Do
		}
		for j, l := range paragraph("", 12, plain, text, w, 2) {
			if j == 0 {
				l = as(warn, "  "+pad(place, 10)).say(clean(l[1].text))
			}
			lines = append(lines, l)
		}
	}
	return lines
}
