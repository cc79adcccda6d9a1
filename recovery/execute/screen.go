package execute

import (
	"bytes"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"comeback/recovery"
)

// screen turns what a program writes for a terminal into lines as the terminal
// would finally show them: colours and other escape sequences are gone, and
// what a progress bar overwrote is, too. It is a terminal of one line: what
// moves the cursor to another line is ignored.
//
// It is safe for concurrent use, and what it holds is bounded.
type screen struct {
	line    func(string) // gets whole lines
	partial func(string) // may be nil; gets a line that is being overwritten

	mu     sync.Mutex
	cells  []rune
	cursor int
	redone bool // something was overwritten since the line began
	state  escapeState
	params []byte // of a control sequence
	rest   []byte // the beginning of a rune
}

// escapeState is where in an escape sequence the output stands.
type escapeState int

const (
	text       escapeState = iota
	escape                 // after ESC
	control                // in a control sequence, after ESC [
	command                // in a string that BEL or ESC \ ends: titles, links, images
	commandEnd             // in such a string, after ESC
)

// maxLine is where a line without an end is broken, so that a program that
// never ends one cannot fill memory. It is in characters.
const maxLine = 16 << 10

// widest is how many columns a program can believe that a terminal has.
const widest = 500

// tabWidth is how far apart a terminal's tab stops are.
const tabWidth = 8

func newScreen(line, partial func(string)) *screen { return &screen{line: line, partial: partial} }

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := b
	if len(s.rest) > 0 {
		in = append(s.rest, b...)
		s.rest = nil
	}
	for len(in) > 0 {
		if !utf8.FullRune(in) {
			s.rest = bytes.Clone(in)
			break
		}
		r, size := utf8.DecodeRune(in)
		in = in[size:]
		s.next(r)
	}
	if s.redone && s.partial != nil && len(s.cells) > 0 {
		s.partial(strings.TrimRight(string(s.cells[:min(len(s.cells), widest)]), " "))
	}
	return len(b), nil
}

// flush gives a last line that has no end.
func (s *screen) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range s.rest {
		s.put(utf8.RuneError)
	}
	s.rest = nil
	if len(s.cells) > 0 {
		s.end()
	}
}

// String is the line as it stands.
func (s *screen) String() string { return strings.TrimRight(string(s.cells), " ") }

func (s *screen) end() {
	s.line(s.String())
	s.cells, s.cursor, s.redone = s.cells[:0], 0, false
}

func (s *screen) next(r rune) {
	switch s.state {
	case text:
		s.show(r)
	case escape:
		switch {
		case r == '[':
			s.state, s.params = control, s.params[:0]
		case strings.ContainsRune("]PX^_", r):
			s.state = command
		case r < 0x20 && r != 0x1b: // acts as it does outside
			s.show(r)
		case r >= 0x30:
			s.state = text
		}
	case control:
		switch {
		case r == 0x1b:
			s.state = escape
		case r < 0x20:
			s.show(r)
		case r < 0x40:
			if len(s.params) < 16 {
				s.params = append(s.params, byte(r))
			}
		default:
			s.state = text
			s.control(r)
		}
	case command, commandEnd:
		switch {
		case r == 0x07, s.state == commandEnd && r == '\\', r == '\n': // no honest one has a line's end
			s.state = text
			if r == '\n' {
				s.end()
			}
		case r == 0x1b:
			s.state = commandEnd
		default:
			s.state = command
		}
	}
}

// show does what a character does outside of escape sequences.
func (s *screen) show(r rune) {
	switch r {
	case '\n':
		s.end()
	case '\r':
		s.cursor = 0
	case '\b':
		s.move(s.cursor - 1)
	case '\t':
		s.move((s.cursor/tabWidth + 1) * tabWidth)
		s.fill()
	case 0x1b:
		s.state = escape
	case 0x9b: // ESC [ in one character, and so on
		s.state, s.params = control, s.params[:0]
	case 0x90, 0x98, 0x9d, 0x9e, 0x9f:
		s.state = command
	default:
		// A terminal shows nothing of a control character. What would make the record read
		// otherwise than it is can be seen in it.
		if !unicode.IsControl(r) {
			s.put(recovery.VisibleRune(r))
		}
	}
}

// control does what a control sequence does, as far as it is within the line.
func (s *screen) control(final rune) {
	n, given := 0, false
	for _, c := range s.params {
		if c < '0' || c > '9' {
			break
		}
		n, given = min(n*10+int(c-'0'), maxLine), true
	}
	steps := max(n, 1)
	switch final {
	case 'C':
		s.move(s.cursor + steps)
	case 'D':
		s.move(s.cursor - steps)
	case 'G', '`':
		s.move(steps - 1)
	case 'P': // delete characters
		if s.cursor < len(s.cells) {
			s.cells = append(s.cells[:s.cursor], s.cells[min(s.cursor+steps, len(s.cells)):]...)
		}
	case 'K':
		switch {
		case !given || n == 0:
			s.cells = s.cells[:min(s.cursor, len(s.cells))]
		case n == 1:
			for i := range min(s.cursor+1, len(s.cells)) {
				s.cells[i] = ' '
			}
		default:
			s.cells = s.cells[:0]
		}
	case 'J': // the screen, and so this line
		if n >= 2 {
			s.cells = s.cells[:0]
		}
	}
}

// move puts the cursor into the line, or behind its end as far as a wide
// terminal goes.
func (s *screen) move(to int) { s.cursor = min(max(to, 0), max(len(s.cells), widest)) }

// fill makes the line reach the cursor.
func (s *screen) fill() {
	for len(s.cells) < s.cursor {
		s.cells = append(s.cells, ' ')
	}
}

func (s *screen) put(r rune) {
	s.fill()
	if s.cursor < len(s.cells) {
		s.cells[s.cursor], s.redone = r, true
	} else {
		s.cells = append(s.cells, r)
	}
	if s.cursor++; s.cursor >= maxLine {
		s.end()
	}
}
