package bucket

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"sync"

	"comeback/durable"
	"comeback/recovery"
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

// has reports whether a version is a copy of another one, or a copy of such a copy.
func (c *copies) has(o, of storage.Object) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := o.Version
	for range c.of { // no more often, whatever was read
		was, ok := c.of[copyOf{o.Key, id}]
		if !ok || was == of.Version {
			return ok
		}
		id = was
	}
	return false
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

// copiesName is the artifact, of a component, that keeps them.
func copiesName(component string) string { return component + "-copies" }

// ofRun are the copies that a run has made of a component's versions, whose artifacts lie in
// a directory: those of all of its attempts and of all that was given back. Each has kept
// them in a file of its own, which nothing changes any more once a report may name it.
func ofRun(dir, component string) (*copies, error) {
	c := &copies{}
	for n := 1; ; n++ {
		ok, err := c.read(filepath.Join(dir, recovery.ArtifactOf(copiesName(component), ".jsonl", n)))
		if err != nil {
			return nil, fmt.Errorf("read which versions are copies: %w", err)
		}
		if !ok && n > 1 {
			return c, durable.SyncDir(dir)
		}
		if !ok {
			return c, nil
		}
	}
}

// read adds those that a file keeps, if it is there, and they are durable then: what is made
// of them may be known by them alone. The last line may be cut off: then its copy is not
// known.
func (c *copies) read(path string) (ok bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return false, err
	}
	d := json.NewDecoder(bufio.NewReader(f))
	for {
		var k keptCopy
		switch err := d.Decode(&k); {
		case err == io.EOF, errors.Is(err, io.ErrUnexpectedEOF):
			return true, nil
		case err != nil:
			return false, err
		}
		c.add(k)
	}
}

// nextCopies is the file of copies that are made while a run is given back. It is created
// with the first one.
type nextCopies struct {
	dir, component string
	file           *os.File
}

func (n *nextCopies) Write(b []byte) (int, error) {
	for i := 1; n.file == nil; i++ {
		f, err := os.OpenFile(filepath.Join(n.dir, recovery.ArtifactOf(copiesName(n.component), ".jsonl", i)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return 0, err
		}
		n.file = f
	}
	return n.file.Write(b)
}

// Close makes them durable, if there are any.
func (n *nextCopies) Close() error {
	if n.file == nil {
		return nil
	}
	if err := errors.Join(n.file.Sync(), n.file.Close(), durable.SyncDir(n.dir)); err != nil {
		return fmt.Errorf("keep which versions are copies: %w", err)
	}
	return nil
}
