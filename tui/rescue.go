package tui

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// preview is what a rescue would do to live, table by table, once the run has
// found that out. While somebody types, keys are text.
func (a *attached) preview(m *model, w int, typing bool) []line {
	const most = 8
	var tables []string
	for i := range a.state.Steps {
		facts := a.state.Steps[i].Outcome.Facts
		for _, name := range slices.Sorted(maps.Keys(facts)) {
			if table, ok := strings.CutPrefix(name, previewed); ok {
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
	key := "v"
	if typing {
		key = "esc, then v"
	}
	return append(lines, paragraph("ROWS", 10, plain, key+" shows some of each, like "+m.pasted("comeback rescue show "+a.plan.Run), w, 2)...)
}

// previews says that the run is a rescue which has found out what it would do, and
// still has the rows.
func (a *attached) previews() bool {
	return !a.over && slices.ContainsFunc(a.state.Steps, func(s recovery.StepState) bool {
		for fact := range s.Outcome.Facts {
			if strings.HasPrefix(fact, previewed) {
				return true
			}
		}
		return false
	})
}

// previewed begins the names of facts that tell what a rescue would do to a table.
const previewed = "rescue of "

// rows shows some of the rows that a rescue would bring back.
func (a *attached) rows(m *model) tea.Cmd {
	return m.push(newReading(m, "rows of the rescue "+a.plan.Run, func(ctx context.Context) (string, error) { return m.desk.Rows(ctx, a.plan.Run) }))
}
