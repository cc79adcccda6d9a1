package tree

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Hole is the least run of zeros that takes no room on disk.
const Hole = 4 << 10

var zeros [Hole]byte

// buffers are what files are copied through: small ones are many.
var buffers = sync.Pool{New: func() any { return new([16 * Hole]byte) }}

// copySparse writes a new file without its runs of zeros: what is skipped reads
// as zeros all the same.
func copySparse(out *os.File, in io.Reader) (n int64, err error) {
	lent := buffers.Get().(*[16 * Hole]byte)
	defer buffers.Put(lent)
	buffer := lent[:]
	skipped := false
	for err == nil {
		k := 0
		for k < len(buffer) && err == nil { // a stream gives as much as it likes
			var m int
			m, err = in.Read(buffer[k:])
			k += m
		}
		for piece := buffer[:k]; len(piece) > 0; {
			m := leadingData(piece)
			if m == 0 {
				skipped, m = true, Hole
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
	for at := 0; ; at += Hole {
		if at >= len(b) {
			return len(b)
		}
		if len(b)-at >= Hole && bytes.Equal(b[at:at+Hole], zeros[:]) {
			return at
		}
	}
}

// Holes is how many bytes of an open file lie in holes which a restore of it leaves as well: a
// compressing file system, which gives a file fewer blocks than it has bytes, makes none. What
// a file system does not tell is none: whoever reads the file learns what is wrong with it. The
// file is left where it begins.
func Holes(f *os.File, info fs.FileInfo) (n int64, err error) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || st.Blocks*512 >= st.Size {
		return 0, nil
	}
	for at := int64(0); at < st.Size; {
		hole, err := unix.Seek(int(f.Fd()), at, unix.SEEK_HOLE)
		if err != nil {
			break
		}
		at, err = unix.Seek(int(f.Fd()), hole, unix.SEEK_DATA)
		switch {
		case errors.Is(err, unix.ENXIO):
			at = st.Size // none comes any more
		case err != nil:
			at = math.MaxInt64
			continue
		}
		first := (hole + Hole - 1) / Hole * Hole // as a restore sees them
		n += max(0, min(at, st.Size)/Hole*Hole-first)
	}
	_, err = f.Seek(0, io.SeekStart)
	return n, err
}
