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
