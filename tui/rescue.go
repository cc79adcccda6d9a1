package tui

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// preview is what a rescue would do to live, table by table, once the run has
// found that out.
func (a *attached) preview(w int) []line {
	const most = 8
	var tables []string
	for i := range a.state.Steps {
		facts := a.state.Steps[i].Outcome.Facts
		for _, name := range slices.Sorted(maps.Keys(facts)) {
			if table, ok := strings.CutPrefix(name, "rescue of "); ok {
				tables = append(tables, table+": "+facts[name])
			}
		}
	}
	if len(tables) == 0 {
		return nil
	}
	var lines []line
	name := "PREVIEW"
	for i, says := range tables {
		if i == most && len(tables) > most+1 {
			says = fmt.Sprintf("and %d more tables", len(tables)-i)
		}
		lines = append(lines, paragraph(name, 10, plain, says, w, 2)...)
		if name = ""; i == most && len(tables) > most+1 {
			break
		}
	}
	return append(lines, paragraph("ROWS", 10, plain, "comeback rescue show "+a.plan.Run+" lists some of each", w, 2)...)
}
