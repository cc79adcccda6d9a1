package isolation

import (
	"bytes"
	"strings"
)

// LastWords keeps the end of what a program says, for an error.
type LastWords struct {
	// Most is how many bytes are kept.
	Most int
	b    []byte
}

func (l *LastWords) Write(b []byte) (int, error) {
	l.b = append(l.b, b...)
	if len(l.b) > l.Most {
		l.b = bytes.Clone(l.b[len(l.b)-l.Most:])
	}
	return len(b), nil
}

// Bytes are the words as they came, String in one line.
func (l *LastWords) Bytes() []byte { return l.b }

func (l *LastWords) String() string {
	return strings.Join(strings.Fields(strings.ToValidUTF8(string(l.b), "")), " ")
}
