package storage

import (
	"fmt"
	"io"
)

// Exactly gives the bytes of r, and fails with ErrCorrupt where r ends before
// size bytes or goes on after them. With a negative size everything passes.
func Exactly(r io.Reader, size int64) io.Reader {
	if size < 0 {
		return r
	}
	return &exactly{r: r, size: size}
}

type exactly struct {
	r         io.Reader
	got, size int64
}

func (e *exactly) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	e.got += int64(n)
	switch {
	case e.got > e.size:
		n -= int(e.got - e.size)
		e.got = e.size + 1
		return max(n, 0), fmt.Errorf("%w: it goes on after %d bytes", ErrCorrupt, e.size)
	case err == io.EOF && e.got < e.size:
		return n, fmt.Errorf("%w: it ended after %d of %d bytes", ErrCorrupt, e.got, e.size)
	}
	return n, err
}

// Fill reads until p is full or r fails; its error is r's own, io.EOF at r's end, and
// nil where p is full. (io.ReadFull gives io.ErrUnexpectedEOF for an end in the middle of
// p, so that a source that was cut off, and says so with that very error, looks like one
// that has ended.)
func Fill(r io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var more int
		more, err = r.Read(p[n:])
		n += more
	}
	if n == len(p) && err == io.EOF {
		err = nil
	}
	return n, err
}
