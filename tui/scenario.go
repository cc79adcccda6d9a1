package tui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// Card is one thing that a rehearsal's scenario lets happen: what people are told,
// one after the other, while they rehearse.
type Card struct {
	Title string
	// Text is Markdown.
	Text string
}

// cardMark begins the note that keeps a card in the journal, so that every console
// and the report know which were played.
const cardMark = "scenario card "

// played is how many cards the journal tells of.
func (a *attached) played() (n int) {
	for _, note := range a.state.Notes {
		if strings.HasPrefix(note.Text, cardMark) {
			n++
		}
	}
	return n
}

// nextCard is the number of the card that comes next, from 1; 0 where none does.
func (a *attached) nextCard(m *model) int {
	if n := a.played(); a.plan.Mode == recovery.Rehearsal && !a.over && n < len(m.cards) {
		return n + 1
	}
	return 0
}

// play shows the next card, once it stands in the journal.
func (a *attached) play(m *model, on screen, asks *asker) tea.Cmd {
	n := a.nextCard(m)
	card := m.cards[n-1]
	says := fmt.Sprintf("%s%d of %d: %s", cardMark, n, len(m.cards), strings.Join(strings.Fields(card.Title+": "+card.Text), " "))
	return a.ask(m, on, recovery.Command{Kind: recovery.DoNote, Text: says}, func(err error) tea.Cmd {
		if asks.err = err; err != nil {
			return nil
		}
		return m.push(newMarkdown(m, fmt.Sprintf("card %d of %d: %s", n, len(m.cards), card.Title), card.Text))
	})
}

// cardKey is what line 24 says of the next card.
func (a *attached) cardKey(m *model) []binding {
	if n := a.nextCard(m); n > 0 {
		return []binding{{"x", fmt.Sprintf("card %d of %d", n, len(m.cards))}}
	}
	return nil
}
