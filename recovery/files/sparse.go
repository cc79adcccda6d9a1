package files

import (
	"bytes"
	"io"
	"os"
	"sync"
)

// hole is the least run of zeros that takes no room on disk.
const hole = 4 << 10

var zeros [hole]byte

// buffers are what files are copied through: small ones are many.
var buffers = sync.Pool{New: func() any { return new([16 * hole]byte) }}

// copySparse writes a new file without its runs of zeros: what is skipped reads
// as zeros all the same.
func copySparse(out *os.File, in io.Reader) (n int64, err error) {
	lent := buffers.Get().(*[16 * hole]byte)
	defer buffers.Put(lent)
	buffer := lent[:]
	skipped := false
	for err == nil {
		var k int
		k, err = fill(in, buffer)
		for piece := buffer[:k]; len(piece) > 0; {
			m := leadingData(piece)
			if m == 0 {
				skipped, m = true, hole
			} else if _, errWrite := out.WriteAt(piece[:m], n); errWrite != nil {
				return n, errWrite
			}
			n, piece = n+int64(m), piece[m:]
		}
	}
	if err == io.EOF {
		err = nil
		if skipped {
			err = out.Truncate(n)
		}
	}
	return n, err
}

// leadingData is how much of b comes before the next hole.
func leadingData(b []byte) int {
	for at := 0; ; at += hole {
		if at >= len(b) {
			return len(b)
		}
		if len(b)-at >= hole && bytes.Equal(b[at:at+hole], zeros[:]) {
			return at
		}
	}
}

// fill reads until b is full or r has ended; its error is r's own.
func fill(r io.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var k int
		k, err = r.Read(b[n:])
		n += k
	}
	return n, err
}
