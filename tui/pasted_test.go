package tui

import (
	"regexp"
	"strings"
	"testing"
)

// Whatever screen tells a command about a run, it tells it as it is to be pasted where the
// console is read.
func TestView_CommandsCanBePasted(t *testing.T) {
	ofRuns := regexp.MustCompile(`\bcomeback (?:attach|resume|stop|status|look|terminal|approve|switch-back|expire|rescue (?:undo|show|choose)) [0-9a-f]{4}\b(?: --on db1)?`)
	pasted := func(text string) string {
		return ofRuns.ReplaceAllStringFunc(text, func(command string) string { return strings.TrimSuffix(command, " --on db1") + " --on db1" })
	}
	told := map[string]bool{} // the scenes that tell one
	for _, s := range scenes {
		d, _ := s.show(t, Options{Pasted: pasted})
		d.size(80, 60)
		for _, command := range ofRuns.FindAllString(strings.Join(strings.Fields(d.screen()), " "), -1) {
			told[s.name] = true
			if !strings.HasSuffix(command, " --on db1") {
				t.Errorf("%s tells %q", s.name, command)
			}
		}
	}
	for _, name := range []string{"waiting-terminal", "waiting-approval", "died", "leave", "run-stop-open"} {
		if !told[name] {
			t.Errorf("%s tells no command", name)
		}
	}
}
