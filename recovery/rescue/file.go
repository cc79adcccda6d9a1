package rescue

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	"comeback/recovery"
)

// File is a file of rows in the private directory.
type File struct {
	Name   string `json:"name,omitempty"`
	Rows   int64  `json:"rows,string"`
	SHA256 string `json:"sha256,omitempty"`
}

// writer writes rows into a file that only its owner may read.
type writer struct {
	file *os.File
	w    *bufio.Writer
	sum  hash.Hash
	f    File
}

func createFile(dir, name string) (*writer, error) {
	file, err := create(filepath.Join(dir, name))
	if err != nil {
		return nil, fmt.Errorf("keep the rows that differ: %w", err)
	}
	w := &writer{file: file, sum: sha256.New(), f: File{Name: name}}
	w.w = bufio.NewWriterSize(io.MultiWriter(file, w.sum), 64<<10)
	return w, nil
}

// row writes a line of fields that are escaped already.
func (w *writer) row(what string, fields ...[]byte) error {
	w.f.Rows++
	w.w.WriteString(what)
	for _, f := range fields {
		w.w.WriteByte('\t')
		w.w.Write(f)
	}
	return w.w.WriteByte('\n') // a bufio.Writer keeps its first error
}

// finish ends the file; where err is not nil it is given back.
func (w *writer) finish(err error) (File, error) {
	err = errors.Join(err, w.w.Flush(), w.file.Close())
	if err != nil {
		return File{}, err
	}
	w.f.SHA256 = hex.EncodeToString(w.sum.Sum(nil))
	return w.f, nil
}

// each reads the rows of a file, which must be as they were written.
func (f File) each(dir string, do func(fields [][]byte) error) error {
	file, err := open(filepath.Join(dir, f.Name))
	if err != nil {
		return fmt.Errorf("read the rows that differ: %w", err)
	}
	defer file.Close() // it was only read
	sum := sha256.New()
	lines := newRows(io.TeeReader(file, sum))
	var fields [][]byte
	for {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read the rows that differ: %w", err)
		}
		fields = splitRow(line, fields)
		if err := do(fields); err != nil {
			return err
		}
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != f.SHA256 {
		return recovery.Errorf("compare the copies again", "the rows in %s are not those that were written", f.Name)
	}
	return nil
}
