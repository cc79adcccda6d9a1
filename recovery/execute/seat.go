package execute

import (
	"os"
	"sync"

	"comeback/pattern"

	"golang.org/x/sys/unix"
)

// seats are the places at the terminals of the steps.
type seats struct {
	mu    sync.Mutex
	steps map[string]*seat
}

func (s *seats) of(step string) *seat {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.steps[step]
}

func (s *seats) make(step string) *seat {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.steps == nil {
		s.steps = map[string]*seat{}
	}
	if old := s.steps[step]; old != nil {
		old.end()
	}
	n := &seat{}
	n.changed.L = &n.mu
	s.steps[step] = n
	return n
}

// remove ends a seat: whoever sits there reads to the end.
func (s *seats) remove(step string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.steps[step]; old != nil {
		old.end()
		delete(s.steps, step)
	}
}

// seat is where a person sits at a program's terminal.
type seat struct {
	mu      sync.Mutex
	changed sync.Cond // of what follows
	pty     *os.File  // nil until the program runs
	screen  Screen
	sitter  *Terminal // nil while nobody sits there
	sat     string    // who sat there last
	recent  []byte    // what was shown last, for the next sitter
	ended   bool
}

const (
	// maxRecent is how much of what was shown the next sitter sees, in bytes.
	maxRecent = 16 << 10
	// maxUnread is how far a terminal may fall behind before it is given up:
	// the program must not wait for it.
	maxUnread = 1 << 20
)

// leaveTo takes every seat from whoever sits there and is not who commands the run now.
func (s *seats) leaveTo(holder string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seat := range s.steps {
		seat.leaveTo(holder)
	}
}

// sit takes the seat.
func (s *seat) sit(by string, screen Screen) *Terminal {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sitter != nil {
		s.sitter.gone = true
	}
	t := &Terminal{seat: s, by: by, unread: append([]byte(nil), s.recent...)}
	s.sitter, s.sat, s.screen = t, by, screen
	s.resize()
	s.changed.Broadcast()
	return t
}

func (s *seat) leaveTo(holder string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sitter != nil && s.sitter.by != holder {
		s.sitter.gone, s.sitter = true, nil
		s.changed.Broadcast()
	}
}

// last is who sat there last.
func (s *seat) last() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sat
}

// taken reports whether somebody sits there.
func (s *seat) taken() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sitter != nil
}

// termName is what a terminal's name may be.
var termName = pattern.New(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$`)

// begin gives the seat the program's terminal and says what it is called.
func (s *seat) begin(p *os.File) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pty = p
	s.resize()
	s.changed.Broadcast()
	if !termName.MatchString(s.screen.Term) {
		return "xterm"
	}
	return s.screen.Term
}

// resize tells the program of the size; it may have ended meanwhile.
func (s *seat) resize() {
	const most = 10000
	if s.pty == nil || s.screen.Columns < 1 || s.screen.Rows < 1 || s.screen.Columns > most || s.screen.Rows > most {
		return
	}
	size := &unix.Winsize{Col: uint16(s.screen.Columns), Row: uint16(s.screen.Rows)}
	if conn, err := s.pty.SyscallConn(); err == nil {
		_ = conn.Control(func(fd uintptr) { _ = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, size) })
	}
}

func (s *seat) show(b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recent = append(s.recent, b...)
	if len(s.recent) > maxRecent {
		s.recent = append([]byte(nil), s.recent[len(s.recent)-maxRecent:]...)
	}
	if t := s.sitter; t != nil {
		t.unread = append(t.unread, b...)
		if len(t.unread) > maxUnread {
			t.gone, t.unread, s.sitter = true, nil, nil
		}
	}
	s.changed.Broadcast()
}

func (s *seat) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended, s.pty = true, nil
	s.changed.Broadcast()
}
