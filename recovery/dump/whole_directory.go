package dump

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/pierrec/lz4/v4"

	"comeback/pattern"
	"comeback/recovery"
)

// The files of a directory archive that hold a table's rows, a large object, and
// the list of large objects.
var (
	rowsFile  = pattern.New(`^\d+\.dat(\.gz|\.lz4|\.zst)?$`)
	blobFile  = pattern.New(`^blob_\d+\.dat(\.gz|\.lz4|\.zst)?$`)
	blobsFile = pattern.New(`^blobs(_\d+)?\.toc$`)
)

// errNotWhole: a file of a directory archive has no end.
var errNotWhole = errors.New("not whole")

// notWhole is a file, or an archive, that ends too early.
func notWhole(key, how string) error {
	return recovery.Errorf("choose an older dump, and look at what writes them: it was stopped in the middle, or not stored to its end", "%s is %w: %s", key, errNotWhole, how)
}

// ending follows a file of a directory archive to its end while it is fetched:
// pg_restore takes the end of the file for the end of the rows, wherever it is.
type ending struct {
	in   *io.PipeWriter
	says chan error
}

// follow begins to follow the file of an object behind what is there of it; nil
// says that the file's name promises no end.
func follow(key string, there io.Reader) *ending {
	name := path.Base(key)
	if !rowsFile.MatchString(name) && !blobFile.MatchString(name) {
		return nil
	}
	out, in := io.Pipe()
	e := &ending{in: in, says: make(chan error, 1)}
	go func() {
		err := readEnding(key, io.MultiReader(there, out))
		// What is missing of the object comes all the same: its checksum tells
		// first whether the copy is at fault.
		_, _ = io.Copy(io.Discard, out)
		e.says <- err
	}()
	return e
}

// Write takes what was fetched.
func (e *ending) Write(b []byte) (int, error) { return e.in.Write(b) }

// end says that all of the file has come, or that err ended it, and gives what is
// wrong with its end.
func (e *ending) end(err error) error {
	if e == nil {
		return nil
	}
	e.in.CloseWithError(err) // nil is io.EOF
	return <-e.says
}

// readEnding reads a file of a directory archive as pg_restore would.
func readEnding(key string, r io.Reader) error {
	in := bufio.NewReaderSize(r, readAheadBlock)
	rows, suffix := rowsFile.MatchString(path.Base(key)), path.Ext(key)
	if _, err := in.Peek(1); err == io.EOF {
		if rows || suffix == ".gz" || suffix == ".zst" {
			return notWhole(key, "it is empty")
		}
		return nil // a large object without bytes
	}
	text, err := unpackFile(suffix, in)
	if err != nil {
		return brokenFile(key, err)
	}
	defer text.Close()
	var ends ends
	if _, err := io.Copy(&ends, text); err != nil {
		return brokenFile(key, err)
	}
	if rows && !ends.whole() {
		return notWhole(key, "the end that pg_dump writes behind a table's rows is missing")
	}
	return nil
}

// unpackFile decompresses a file of a directory archive by its ending.
func unpackFile(suffix string, r io.Reader) (io.ReadCloser, error) {
	switch suffix {
	case ".gz":
		return unpack(gzipped, r)
	case ".zst":
		return unpack(zstded, r)
	case ".lz4":
		return io.NopCloser(lz4.NewReader(r)), nil
	}
	return unpack(unpacked, r)
}

// brokenFile is a file that does not decompress.
func brokenFile(key string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return notWhole(key, "the compressed data end before their end")
	}
	return recovery.Errorf("choose another dump or another copy", "%s is %w: %w", key, errNotWhole, err)
}

// What pg_dump writes behind rows: of COPY, also where there are none, and of
// INSERT (--inserts), without and with rows.
const (
	copyEnds    = "\\.\n\n\n"
	noInserts   = "\n\n"
	insertsEnd  = ";\n\n\n"
	insertBegin = "INSERT INTO "
)

// ends keeps the beginning and the end of what is written to it.
type ends struct{ first, last []byte }

func (e *ends) Write(b []byte) (int, error) {
	e.first = append(e.first, b[:min(len(b), len(insertBegin)-len(e.first))]...)
	e.last = append(e.last, b[max(0, len(b)-len(copyEnds)):]...)
	e.last = e.last[max(0, len(e.last)-len(copyEnds)):]
	return len(b), nil
}

// whole reports whether that is a table's rows to their end.
func (e *ends) whole() bool {
	return string(e.last) == copyEnds || string(e.last) == noInserts ||
		string(e.first) == insertBegin && bytes.HasSuffix(e.last, []byte(insertsEnd))
}

// wholeDirectory refuses a directory archive whose lists of large objects do not
// name all of those that it holds: they were cut off.
func (r *restore) wholeDirectory(dir string) error {
	held, named := 0, 0
	for _, o := range r.args.Objects {
		name := path.Base(o.Key)
		if blobFile.MatchString(name) {
			held++
		}
		if !blobsFile.MatchString(name) {
			continue
		}
		list, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return fmt.Errorf("look at the archive: %w", err)
		}
		named += strings.Count(string(list), "\n")
	}
	if named < held {
		return notWhole(r.args.Backup, fmt.Sprintf("it holds %s, and its list names %d", recovery.FormatCount(held, "large object"), named))
	}
	return nil
}
