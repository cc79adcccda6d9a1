package tui

import (
	"bytes"
	"os"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// A slow link may end what it delivers in the middle of a key: of an arrow, which
// is an escape and letters, or of a letter that is several bytes. The library takes
// what it has after a while, so that an arrow would be esc and two letters.
const (
	// afterEscape is how long the rest of a key may be under way behind an
	// escape, which may also be the key of that name.
	afterEscape = 60 * time.Millisecond
	// afterPart is the same where it is sure that something is missing.
	afterPart = 2 * time.Second
)

// unfinished is how much longer to wait for the rest of the key that b ends in, 0
// where b ends with a whole one.
func unfinished(b []byte) time.Duration {
	if i := bytes.LastIndexByte(b, 0x1b); i >= 0 {
		switch seq := b[i+1:]; {
		case len(seq) == 0:
			return afterEscape
		case !wholeSequence(seq):
			return afterPart
		}
	}
	for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
		if last := b[len(b)-i:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				return afterPart
			}
			break
		}
	}
	return 0
}

// wholeSequence reports whether what follows an escape is all of a sequence, and
// maybe more.
func wholeSequence(seq []byte) bool {
	switch seq[0] {
	case '[':
		final := bytes.IndexFunc(seq[1:], func(r rune) bool { return r >= '@' && r <= '~' })
		// A click of an old terminal has three bytes behind its M.
		return final > 0 || final == 0 && (seq[1] != 'M' || len(seq) >= 5) && (seq[1] != '[' || len(seq) >= 3)
	case 'O': // a key of a keypad, or alt and a capital letter
		return len(seq) >= 2
	case ']', 'P', '_', '^': // an answer of the terminal, up to a bell or ST
		return bytes.IndexByte(seq, '\a') >= 0
	case '\\':
		return true // the end of one
	}
	return true
}

// keys hands on the bytes of a terminal key by key. A link that delivers them one
// by one, and late, is the same to it as any other.
type keys struct {
	read func([]byte) (int, error)
	// ready waits until something can be read, for d at most.
	ready func(d time.Duration) bool
	now   func() time.Time
	// escaped is when an escape was handed on without what may follow it, zero if it
	// was not the last.
	escaped time.Time
}

// keysOf are the keys of a terminal.
func keysOf(f *os.File) keys {
	return keys{read: f.Read, now: time.Now, ready: func(d time.Duration) bool {
		deadline := time.Now().Add(d)
		for left := d; left > 0; left = time.Until(deadline) {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(f.Fd()), Events: unix.POLLIN}}, int(left.Milliseconds())+1)
			if err != unix.EINTR {
				return err == nil && n > 0
			}
		}
		return false
	}}
}

// Read waits for the rest of a key that has begun. Where the rest of a sequence
// comes so late that its escape was handed on alone already, it is given its
// escape back: a letter of it is never a key.
func (k *keys) Read(b []byte) (int, error) {
	if len(b) < 2 {
		return k.read(b)
	}
	n, err := k.read(b[1:])
	if err != nil || n <= 0 {
		return n, err
	}
	late := !k.escaped.IsZero() && k.now().Sub(k.escaped) < afterPart
	if first := b[1]; late && (first == '[' || first == 'O' && n > 1) {
		b[0], n = 0x1b, n+1
	} else {
		copy(b, b[1:1+n])
	}
	for n < len(b) {
		wait := unfinished(b[:n])
		if wait == 0 || !k.ready(wait) {
			break
		}
		more, err := k.read(b[n:])
		if err != nil || more <= 0 {
			break // the next Read says so again
		}
		n += more
	}
	k.escaped = time.Time{}
	if b[n-1] == 0x1b {
		k.escaped = k.now()
	}
	return n, nil
}
