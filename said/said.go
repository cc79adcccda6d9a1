// Package said takes what programs say while they run: the end of it for an error, or line by
// line for whoever follows.
//
// It bounds what it keeps, whatever a program says, and never fails a write, so that no
// program ends because nobody listened. It imports nothing of ours, and every package may
// import it.
package said

import (
	"bytes"
	"slices"
	"strings"
	"sync"
)

// Last keeps the end of what is written to it. It is safe for concurrent use.
type Last struct {
	// Most is how many bytes are kept.
	Most int

	mu sync.Mutex
	b  []byte
}

func (l *Last) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b = append(l.b, b...)
	if len(l.b) > l.Most {
		l.b = slices.Clone(l.b[len(l.b)-l.Most:])
	}
	return len(b), nil
}

// String is the end as it came, without space around it and without bytes that are no text.
func (l *Last) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.TrimSpace(strings.ToValidUTF8(string(l.b), ""))
}

// Words is the end in one line.
func (l *Last) Words() string { return strings.Join(strings.Fields(l.String()), " ") }

// Line is the last line in which something stands.
func (l *Last) Line() string { return LastLine(l.String()) }

// LastLine is the last line of a text in which something stands; what is written over, as
// with a carriage return, is a line of its own.
func LastLine(text string) string {
	text = strings.TrimSpace(text)
	return strings.TrimSpace(text[strings.LastIndexAny(text, "\r\n")+1:])
}

// Longest is how many bytes a line may have that Lines gives as one; of a longer one it
// gives pieces of so many.
const Longest = 64 << 10

// Lines cuts what is written to it into lines. A last one that has no end is not given.
type Lines struct {
	// Each is called with each line, without its end.
	Each func(line string)

	rest []byte
}

func (l *Lines) Write(b []byte) (int, error) {
	l.rest = append(l.rest, b...)
	left := l.rest
	for {
		line, rest, whole := bytes.Cut(left, []byte("\n"))
		switch {
		case len(line) > Longest:
			line, rest = left[:Longest], left[Longest:]
		case !whole:
			l.rest = append(l.rest[:0], left...)
			return len(b), nil
		}
		l.Each(string(line))
		left = rest
	}
}
