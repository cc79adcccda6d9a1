package files

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"sync"

	"comeback/storage"
)

// copies are those that do not look like what they are copies of: of an object that was
// stored in parts, or encrypted with a key of its own, a service may keep nothing that shows
// it. The service has said that the one is a copy of the other.
type copies struct {
	mu  sync.Mutex
	of  map[copyOf]string // the versions that they are copies of
	out io.Writer         // keeps them; nil where nothing does
}

// copyOf names a copy.
type copyOf struct{ key, version string }

// keptCopy is a line of the artifact that keeps them.
type keptCopy struct {
	Key     string `json:"key"`
	Version string `json:"version"`
	Of      string `json:"of"`
}

func (c *copies) add(k keptCopy) {
	if c.of == nil {
		c.of = map[copyOf]string{}
	}
	c.of[copyOf{k.Key, k.Version}] = k.Of
}

// note keeps what became of a change, where that is a copy which does not show it.
func (c *copies) note(of change, copy storage.Reverted) error {
	if of.To == nil || copy.Version == "" || copy.Revision == of.To.Revision {
		return nil
	}
	k := keptCopy{Key: of.Key, Version: copy.Version, Of: of.To.Version}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(k)
	if c.out == nil {
		return nil
	}
	b, err := json.Marshal(k)
	if err == nil {
		_, err = c.out.Write(append(b, '\n'))
	}
	if err != nil {
		return fmt.Errorf("keep which versions are copies: %w", err)
	}
	return nil
}

// has reports whether a version is a copy of another one.
func (c *copies) has(o, of storage.Object) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	was, ok := c.of[copyOf{o.Key, o.Version}]
	return ok && was == of.Version
}

// others leaves out what is current as such a copy.
func (c *copies) others(list iter.Seq2[change, error]) iter.Seq2[change, error] {
	return func(yield func(change, error) bool) {
		for d, err := range list {
			if err == nil && d.Was != nil && d.To != nil && c.has(*d.Was, *d.To) {
				continue
			}
			if !yield(d, err) {
				return
			}
		}
	}
}

// readCopies reads those that were kept. The last line may be cut off: then its copy is not
// known.
func readCopies(path string) (*copies, error) {
	c := &copies{}
	if path == "" {
		return c, nil
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read which versions are copies: %w", err)
	}
	defer f.Close()
	d := json.NewDecoder(bufio.NewReader(f))
	for {
		var k keptCopy
		switch err := d.Decode(&k); {
		case err == io.EOF, errors.Is(err, io.ErrUnexpectedEOF):
			return c, nil
		case err != nil:
			return nil, fmt.Errorf("read which versions are copies: %w", err)
		}
		c.add(k)
	}
}
