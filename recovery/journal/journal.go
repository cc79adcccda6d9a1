// Package journal keeps the events of a run: one JSON object a line, each
// naming the SHA-256 of the line before, each durable when Append returns.
//
// The first line's prev is the SHA-256 of "comeback-journal-1", a newline, the
// runbook's hex digest and a newline, so that a journal belongs to one runbook.
// A changed, missing or exchanged line breaks the chain at a line that can be
// named. The chain does not stop the holder of the signing key from writing a
// whole new journal before it is signed; the head that the copies keep does.
//
// A crash can leave one torn line at the end, a line without its newline. It
// was never acknowledged, so [Open] drops it and nothing else. The package
// never rewrites what was acknowledged.
package journal

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"comeback/durable"
	"comeback/recovery"
)

// ErrTorn says that a journal's last line has no end; the lines before it are
// whole.
var ErrTorn = errors.New("its last line is torn")

// Name is the journal's file name in a run's directory.
const Name = "journal.jsonl"

// Genesis is the prev of a journal's first line.
func Genesis(runbookSHA256 string) string {
	return digest([]byte("comeback-journal-1\n" + runbookSHA256 + "\n"))
}

// Journal appends to a journal file. Its methods must not be called
// concurrently: the executor has one writer.
type Journal struct {
	file *os.File
	prev string
	seq  uint64
	size int64
	// broken says why nothing can be appended any more.
	broken error
}

// Create makes a new journal; the file must not exist.
func Create(path, runbookSHA256 string) (*Journal, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create journal: %w", err)
	}
	if err := durable.SyncDir(filepath.Dir(path)); err != nil {
		f.Close()
		return nil, fmt.Errorf("create journal: %w", err)
	}
	return &Journal{file: f, prev: Genesis(runbookSHA256)}, nil
}

// Open continues a journal and returns its events. A torn last line is dropped;
// any other damage is an error that names the line.
func Open(path, runbookSHA256 string) (*Journal, []recovery.Event, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("open journal: %w", err)
	}
	c, err := readChain(f, Genesis(runbookSHA256))
	if errors.Is(err, ErrTorn) {
		if err = f.Truncate(c.size); err == nil {
			err = f.Sync()
		}
	}
	if err == nil {
		_, err = f.Seek(c.size, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, nil, fmt.Errorf("open journal %s: %w", path, err)
	}
	return &Journal{file: f, prev: c.head, seq: uint64(len(c.events)), size: c.size}, c.events, nil
}

// Append chains e, writes it and returns it as it stands in the journal. The
// line is durable when Append returns nil. After an error nothing of the line
// is left, and the journal can still be appended to (once there is room); where
// the line could not be taken away again, every further Append fails.
func (j *Journal) Append(e recovery.Event) (recovery.Event, error) {
	if j.broken != nil {
		return e, fmt.Errorf("append %s to journal: an earlier line could not be taken back: %w", e.Type, j.broken)
	}
	e.Seq, e.Prev = j.seq+1, j.prev
	e.At = e.At.Round(0).UTC()
	line, err := json.Marshal(e)
	if err != nil {
		return e, fmt.Errorf("append %s to journal: %w", e.Type, err)
	}
	if _, err = j.file.Write(append(line, '\n')); err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		j.broken = j.file.Truncate(j.size)
		_, seek := j.file.Seek(j.size, io.SeekStart)
		j.broken = errors.Join(j.broken, seek)
		return e, fmt.Errorf("append %s to journal: %w", e.Type, errors.Join(err, j.broken))
	}
	j.seq, j.prev, j.size = e.Seq, digest(line), j.size+int64(len(line))+1
	return e, nil
}

// Close closes the file. Everything in it is durable already.
func (j *Journal) Close() error { return j.file.Close() }

// Read verifies a journal's chain and returns its events. Where only the last
// line is torn it returns the events before it with ErrTorn; any other damage
// is an error that names the line.
func Read(path, runbookSHA256 string) ([]recovery.Event, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	defer f.Close()
	c, err := readChain(f, Genesis(runbookSHA256))
	if err != nil {
		return c.events, fmt.Errorf("read journal %s: %w", path, err)
	}
	return c.events, nil
}

// Head gives the digest of a journal's last line and the number of its lines.
// It does not verify the chain: Read does.
func Head(path string) (head string, entries int, err error) {
	err = heads(path, func(h string) bool { head, entries = h, entries+1; return true })
	return head, entries, err
}

// Holds reports whether a head was that of a journal once: lines may have been appended
// since, and none before can be another.
func Holds(path, head string) (is bool, err error) {
	err = heads(path, func(h string) bool { is = h == head; return !is })
	return is, err
}

// heads gives the digest of each line, until yield wants no more.
func heads(path string, yield func(head string) bool) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read journal: %w", err)
	}
	defer f.Close()
	r := bufio.NewReader(f)
	for {
		line, err := r.ReadBytes('\n')
		switch {
		case errors.Is(err, io.EOF) && len(line) > 0:
			return fmt.Errorf("read journal %s: %w", path, ErrTorn)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read journal: %w", err)
		case !yield(digest(line[:len(line)-1])):
			return nil
		}
	}
}

// chain is what a journal file holds.
type chain struct {
	events []recovery.Event
	head   string
	size   int64 // of the whole lines
}

func readChain(f io.Reader, genesis string) (chain, error) {
	c := chain{head: genesis}
	r := bufio.NewReader(f)
	for n := 1; ; n++ {
		line, err := r.ReadBytes('\n')
		switch {
		case errors.Is(err, io.EOF) && len(line) == 0:
			return c, nil
		case errors.Is(err, io.EOF):
			return c, ErrTorn
		case err != nil:
			return c, err
		}
		line = line[:len(line)-1]
		e, err := link(line, c.head, uint64(n))
		if err != nil {
			return c, err
		}
		c.events = append(c.events, e)
		c.head = digest(line)
		c.size += int64(len(line)) + 1
	}
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
