package tui

import (
	"fmt"

	"comeback/recovery"
)

// wording is that of all front ends.
var wording = recovery.Wording{}

// tableName is a table's name, or the number that the log has.
func tableName(t recovery.TableChange) string { return wording.TableName(t) }

// words are what it did.
func (h *happened) words() string {
	text := wording.Line(h.Transaction, h.usual)
	if h.more > 0 {
		text += fmt.Sprintf(", and %d more tables", h.more)
	}
	return text
}
