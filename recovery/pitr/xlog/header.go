package xlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"comeback/recovery"
)

// Header is the header of a segment's first page.
type Header struct {
	// Major is PostgreSQL's major version.
	Major    int
	Timeline uint32
	// Address is where the segment begins.
	Address recovery.LSN
	// Rest is how many bytes of a record that began earlier follow.
	Rest uint32
	// System is the system identifier, a decimal number.
	System      string
	SegmentSize int64
	PageSize    int64
}

// The sizes of page headers in bytes, and the flags in them.
const (
	LongHeaderSize  = 40 // of a segment's first page
	ShortHeaderSize = 24

	Continues  = 1 // XLP_FIRST_IS_CONTRECORD: the page begins with the rest of a record
	pageIsLong = 2 // XLP_LONG_HEADER
	pageFlags  = 7 // those and XLP_BKP_REMOVABLE
)

// majors are the values of XLOG_PAGE_MAGIC, which changes with every major.
var majors = map[uint16]int{
	0xD106: 13, 0xD10D: 14, 0xD110: 15, 0xD113: 16, 0xD116: 17, 0xD118: 18,
}

// ErrNotWAL says that something is no segment of a log.
var ErrNotWAL = errors.New("is not WAL")

// ParseHeader reads the first bytes of a segment. It knows little-endian
// WAL, which is what PostgreSQL writes on every machine that this program runs
// on.
func ParseHeader(b []byte) (Header, error) {
	if len(b) < LongHeaderSize {
		return Header{}, fmt.Errorf("%w: it has %d bytes", ErrNotWAL, len(b))
	}
	le := binary.LittleEndian
	magic, info := le.Uint16(b), le.Uint16(b[2:])
	h := Header{
		Major:       majors[magic],
		Timeline:    le.Uint32(b[4:]),
		Address:     recovery.LSN(le.Uint64(b[8:])),
		Rest:        le.Uint32(b[16:]),
		System:      strconv.FormatUint(le.Uint64(b[24:]), 10),
		SegmentSize: int64(le.Uint32(b[32:])),
		PageSize:    int64(le.Uint32(b[36:])),
	}
	switch {
	case magic>>8 != 0xD0 && magic>>8 != 0xD1:
		return Header{}, fmt.Errorf("%w: it begins with %X", ErrNotWAL, b[:4])
	case h.Major == 0:
		return Header{}, fmt.Errorf("is WAL of an unknown PostgreSQL: page magic %04X, and 13 to 18 are known", magic)
	case info&pageIsLong == 0 || !ValidSegmentSize(h.SegmentSize) || h.PageSize < 512 || h.PageSize > 65536 || h.PageSize&(h.PageSize-1) != 0:
		return Header{}, fmt.Errorf("%w: its first page has no proper header", ErrNotWAL)
	case uint64(h.Address)%uint64(h.SegmentSize) != 0:
		return Header{}, fmt.Errorf("%w: its first page belongs to %s, inside of a segment", ErrNotWAL, h.Address)
	}
	return h, nil
}

// RecordEnd is where a record of total bytes that begins at start ends, as
// PostgreSQL counts: aligned to eight bytes, page headers skipped.
func RecordEnd(start recovery.LSN, total uint32, segmentSize, pageSize int64) recovery.LSN {
	rest := (uint64(total) + 7) &^ 7
	pos := uint64(start)
	for {
		inPage := uint64(pageSize) - pos%uint64(pageSize)
		if rest <= inPage {
			return recovery.LSN(pos + rest)
		}
		rest -= inPage
		pos += inPage
		pos += HeaderAt(pos, segmentSize)
	}
}

// HeaderAt is the size of the header of the page that begins at pos.
func HeaderAt(pos uint64, segmentSize int64) uint64 {
	if pos%uint64(segmentSize) == 0 {
		return LongHeaderSize
	}
	return ShortHeaderSize
}

// NextStart is where the record after one that ends at end begins: the same
// place, or behind a page header.
func NextStart(end recovery.LSN, segmentSize, pageSize int64) recovery.LSN {
	if uint64(end)%uint64(pageSize) == 0 {
		return end + recovery.LSN(HeaderAt(uint64(end), segmentSize))
	}
	return end
}

// ValidSegmentSize reports whether PostgreSQL can have segments of that size: a
// power of two from 1 MB to 1 GB.
func ValidSegmentSize(n int64) bool { return n >= 1<<20 && n <= 1<<30 && n&(n-1) == 0 }

// Magic is the number in the pages' headers of a major; zero where it is not
// known.
func Magic(major int) uint16 {
	for magic, m := range majors {
		if m == major {
			return magic
		}
	}
	return 0
}
