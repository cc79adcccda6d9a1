package main

import (
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
)

// A journey is what a person sees and does, one move after the other: the same in
// the console and line by line.
type journey []move

// move is one of them.
type move struct {
	// sees are what is shown; the first of them is there from the beginning.
	sees []string
	// keys are pressed in the console, line is answered line by line.
	keys, line string
	// meanwhile happens elsewhere before that.
	meanwhile func()
}

// voices are the two ways to make a journey: each opens comeback in a directory,
// goes along, and gives the exit code.
var voices = []struct {
	name string
	goes func(t *testing.T, r *rig, dir string, j journey, args ...string) int
}{
	{"console", func(t *testing.T, r *rig, dir string, j journey, args ...string) int {
		s := openTerminal(t, r, dir, 80, 24, args...)
		for _, m := range j {
			s.shows(m.sees...)
			if m.meanwhile != nil {
				m.meanwhile()
			}
			for _, k := range strings.Fields(m.keys) {
				s.press(named(k))
			}
		}
		return s.ends()
	}},
	{"plain", func(t *testing.T, r *rig, dir string, j journey, args ...string) int {
		c := converse(t, r, dir, append(args, "--plain")...)
		for _, m := range j {
			c.isTold(m.sees...)
			if m.meanwhile != nil {
				m.meanwhile()
			}
			c.answers(m.line)
		}
		return c.ends()
	}},
}

// named is a key by its name, and text as it is typed.
func named(key string) string {
	if k, ok := map[string]string{"enter": enter, "down": down, "esc": esc, "space": " ", "clear": "\x15"}[key]; ok {
		return k
	}
	return strings.ReplaceAll(key, "_", " ")
}

// isTold waits until all texts were told since the last answer, and until an
// answer was asked for after the first of them.
func (c *conversation) isTold(texts ...string) {
	c.t.Helper()
	deadline := time.After(3 * time.Minute)
	for ended := c.ended; ; {
		c.mu.Lock()
		changed, all := c.changed, ansi.Strip(c.raw.String())
		c.mu.Unlock()
		news, missing := all[c.read:], ""
		for _, text := range texts {
			if !strings.Contains(news, text) {
				missing = text
			}
		}
		if missing == "" {
			_, asked, _ := strings.Cut(news, texts[0])
			if strings.Contains(asked, "ANSWER: ") || strings.Contains(asked, "TYPE ") {
				c.read = len(all)
				return
			}
			missing = "what can be answered"
		}
		if ended == nil {
			c.t.Fatalf("it ended without telling %q:\n%s", missing, all)
		}
		select {
		case <-changed:
		case <-ended:
			ended = nil
		case <-deadline:
			c.t.Fatalf("it never told %q:\n%s", missing, all)
		}
	}
}
