package tui

import (
	"comeback/recovery"
)

// about is what a log line of a step begins with: its component, or its stage.
func about(s recovery.State, id string) string {
	if of := s.About(id); of != "" {
		return of + ": "
	}
	return ""
}
