package journal

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"comeback/recovery"
)

// Tail reads a journal while another process appends to it.
type Tail struct {
	file *os.File
	head string
	seq  uint64
	size int64 // of the whole lines read so far
}

// OpenTail starts at a journal's first line.
func OpenTail(path, runbookSHA256 string) (*Tail, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("follow journal: %w", err)
	}
	return &Tail{file: f, head: Genesis(runbookSHA256)}, nil
}

// Next verifies and returns the events that were appended since the last call,
// none if there are none. A line without its end is not there yet; any other
// damage is an error that names the line.
func (t *Tail) Next() ([]recovery.Event, error) {
	if _, err := t.file.Seek(t.size, io.SeekStart); err != nil {
		return nil, fmt.Errorf("follow journal: %w", err)
	}
	var events []recovery.Event
	r := bufio.NewReader(t.file)
	for {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return events, nil
		}
		if err != nil {
			return events, fmt.Errorf("follow journal: %w", err)
		}
		e, err := link(line[:len(line)-1], t.head, t.seq+1)
		if err != nil {
			return events, fmt.Errorf("follow journal: %w", err)
		}
		events = append(events, e)
		t.head, t.seq, t.size = digest(line[:len(line)-1]), e.Seq, t.size+int64(len(line))
	}
}

// Close ends the reading.
func (t *Tail) Close() error { return t.file.Close() }

// link reads the line with the number n, which must follow the one whose digest
// is head.
func link(line []byte, head string, n uint64) (recovery.Event, error) {
	var e recovery.Event
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		return e, fmt.Errorf("line %d is damaged: %w", n, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return e, fmt.Errorf("line %d is damaged: something follows its event", n)
	}
	if e.Prev != head {
		return e, fmt.Errorf("line %d does not follow the line before it: the chain is broken", n)
	}
	if e.Seq != n {
		return e, fmt.Errorf("line %d has the number %d", n, e.Seq)
	}
	return e, nil
}
