package tui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// copier is a screen that has something worth copying.
type copier interface {
	// clip is what y copies: a name for it, and the text.
	clip() (what, text string)
}

// copyOut hands a text to the terminal's clipboard (OSC 52), and says what it
// was: not every terminal takes it, and then it can be typed or marked.
func (m *model) copyOut(c copier) tea.Cmd {
	what, text := c.clip()
	if text == "" {
		return nil
	}
	text = plainText(text)
	m.said = "copied " + what + ": " + strings.TrimSpace(text)
	if n := strings.Count(strings.TrimSpace(text), "\n"); n > 0 {
		m.said = fmt.Sprintf("copied %s, %d lines", what, n+1)
	}
	return tea.SetClipboard(text)
}

// plainText makes every line of a text harmless.
func plainText(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = clean(lines[i])
	}
	return strings.Join(lines, "\n")
}

func (s *pagerScreen) clip() (what, text string) {
	return "all of it", strings.Join(s.source(), "\n") + "\n"
}

func (s *runScreen) clip() (what, text string) { return "the run's id", s.run.plan.Run }

func (s *resultScreen) clip() (what, text string) {
	return "the command", "comeback report verify " + s.run.plan.Run
}

func (s *checkScreen) clip() (what, text string) {
	return "the command", CheckCommand(s.system.Runbook)
}

func (s *planScreen) clip() (what, text string) { return "the plan's digest", s.prepared.Digest }

func (s *waitingScreen) clip() (what, text string) {
	if st := s.step(); st != nil && st.Error != "" {
		return "the cause", st.Error
	}
	return "the run's id", s.run.plan.Run
}

func (s *routeScreen) clip() (what, text string) {
	return "the command", strings.ReplaceAll(s.from.route().command, "RUNBOOK", recovery.ShellWord(s.from.path))
}

func (s *homeScreen) clip() (what, text string) {
	switch system, run := s.chosen(); {
	case system != nil:
		return "the path", system.Runbook
	case run != nil:
		return "the run's id", run.ID
	}
	return "", ""
}

func (s *commitsScreen) clip() (what, text string) {
	switch {
	case s.from.route().rescues && (s.cut != 0 || len(s.marked) > 0):
		return "the command", s.from.rescueCommand(s.log.window.Component, s.rescues(s.means().want))
	case s.typed != nil:
		return "the moment", s.typed.Text
	case s.cut != 0:
		return "the moment", s.means().want
	}
	return "", ""
}
