package execute

import (
	"strings"
	"sync"
)

// tailLines is how many of a program's last lines an error carries.
const tailLines = 5

// tailWriter keeps the last lines that are not empty of what a program writes.
// It is safe for concurrent use.
type tailWriter struct {
	mu     sync.Mutex
	screen *screen
	lines  []string
}

func (t *tailWriter) Write(b []byte) (int, error) {
	t.mu.Lock()
	if t.screen == nil {
		t.screen = newScreen(t.add, nil)
	}
	s := t.screen
	t.mu.Unlock()
	return s.Write(b)
}

// add takes a line that was made of the output already.
func (t *tailWriter) add(line string) {
	line = strings.TrimSpace(line)
	if line == "" {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, line)
	if len(t.lines) > tailLines {
		t.lines = t.lines[1:]
	}
}

// String is the lines as one.
func (t *tailWriter) String() string {
	t.mu.Lock()
	s := t.screen
	t.mu.Unlock()
	if s != nil {
		s.flush()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, "; ")
}
