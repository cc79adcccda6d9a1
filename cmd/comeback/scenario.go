package main

import (
	"os"
	"strings"

	"comeback/recovery"
	"comeback/tui"
)

// readScenario reads the cards of a rehearsal: each "## " section of a Markdown file
// is one, in the order of the file. What stands before the first is for the one who
// leads the rehearsal.
func readScenario(path string) ([]tui.Card, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, recovery.Errorf("give the path of a Markdown file whose ## sections are the cards", "read the scenario: %w", err).WithExit(recovery.Usage)
	}
	var cards []tui.Card
	fenced := false
	for _, line := range strings.Split(strings.ReplaceAll(string(b), "\r\n", "\n"), "\n") {
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
		}
		if title, ok := strings.CutPrefix(line, "## "); ok && !fenced {
			cards = append(cards, tui.Card{Title: strings.TrimSpace(title)})
			continue
		}
		if n := len(cards); n > 0 {
			cards[n-1].Text += line + "\n"
		}
	}
	if len(cards) == 0 {
		return nil, usage("begin each card with a line like: ## The phone rings", "the scenario %s has no card", path)
	}
	for i := range cards {
		cards[i].Text = strings.TrimSpace(cards[i].Text)
	}
	return cards, nil
}
