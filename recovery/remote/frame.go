package remote

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"comeback/recovery"
)

// A frame is its kind, the length of its content as four bytes, the highest
// first, and the content.
type kind byte

// What this end says to the host.
const (
	kindStart    kind = 's' // a Start
	kindTyped    kind = 't' // bytes for the command's input
	kindTypedAll kind = 'e' // the end of the command's input
	kindResize   kind = 'r' // a Size
	kindSignal   kind = 'i' // the number of a signal, in a byte
	kindQuestion kind = 'q' // a question
)

// What the host says to this end.
const (
	kindOut   kind = 'o' // what the command writes
	kindErr   kind = 'x' // what it writes as its errors
	kindTaken kind = 'n' // how many bytes more of its input the command has taken
	kindEnded kind = 'd' // an ending: the last of a command
	kindBytes kind = 'b' // a part of an answer
	kindEnd   kind = 'a' // an ending: the last of an answer
)

// maxFrame bounds a frame: a runbook of the greatest size fits.
const maxFrame = 32 << 20

// atOnce is how much of a stream makes a frame.
const atOnce = 32 << 10

// Size is that of a terminal, in cells.
type Size struct {
	Columns int `json:"columns"`
	Rows    int `json:"rows"`
}

// File goes along with a command line.
type File struct {
	// Arg is the argument that ends with the file's path on the host.
	Arg  int    `json:"arg"`
	Name string `json:"name"`
	// Bytes is the whole file.
	Bytes []byte `json:"bytes"`
}

// Start is a command line for the host.
type Start struct {
	Args []string `json:"args"`
	// Env are variables, NAME=VALUE, that the command gets beside the host's.
	Env   []string `json:"env"`
	Files []File   `json:"files,omitempty"`
	// Terminal is the size of this end's terminal; nil where it has none.
	Terminal *Size `json:"terminal,omitempty"`
}

type question struct {
	About string `json:"about"`
	Body  []byte `json:"body,omitempty"`
}

// ending is how a command or an answer ended.
type ending struct {
	Code int    `json:"code,omitempty"`
	What string `json:"what,omitempty"`
	Hint string `json:"hint,omitempty"`
}

func endingOf(err error) ending {
	if err == nil {
		return ending{}
	}
	return ending{Code: int(recovery.ExitOf(err)), What: err.Error(), Hint: recovery.HintOf(err)}
}

func (e ending) err() error {
	if e.What == "" {
		return nil
	}
	return recovery.Errorf(e.Hint, "%s", e.What).WithExit(recovery.Exit(e.Code))
}

// frames writes whole frames, of several goroutines.
type frames struct {
	mu sync.Mutex
	w  io.Writer
}

func (f *frames) write(k kind, content []byte) error {
	head := [5]byte{byte(k)}
	binary.BigEndian.PutUint32(head[1:], uint32(len(content)))
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.w.Write(head[:]); err != nil {
		return err
	}
	_, err := f.w.Write(content)
	return err
}

func (f *frames) encode(k kind, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return f.write(k, b)
}

// stream writes what is written to it as frames of a kind.
type stream struct {
	to *frames
	k  kind
}

func (s stream) Write(b []byte) (int, error) {
	n := 0
	for len(b) > 0 {
		part := b[:min(len(b), atOnce)]
		if err := s.to.write(s.k, part); err != nil {
			return n, err
		}
		n, b = n+len(part), b[len(part):]
	}
	return n, nil
}

func readFrame(r io.Reader) (kind, []byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n > maxFrame {
		return 0, nil, fmt.Errorf("a frame of %d bytes is none of this program's", n)
	}
	content := make([]byte, n)
	_, err := io.ReadFull(r, content)
	return kind(head[0]), content, err
}
