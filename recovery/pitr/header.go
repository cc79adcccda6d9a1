package pitr

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"comeback/recovery"
)

// longHeader is the header of a segment's first page.
type longHeader struct {
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

// The sizes of page headers, and the flags in them.
const (
	longHeaderSize  = 40
	shortHeaderSize = 24

	pageContinues = 1 // XLP_FIRST_IS_CONTRECORD
	pageIsLong    = 2 // XLP_LONG_HEADER
)

// majors are the values of XLOG_PAGE_MAGIC, which changes with every major.
var majors = map[uint16]int{
	0xD106: 13, 0xD10D: 14, 0xD110: 15, 0xD113: 16, 0xD116: 17, 0xD118: 18,
}

// oldest is the first major that is restored: before it recovery was
// configured in recovery.conf.
const oldest = 13

var errNotWAL = errors.New("is not WAL")

// parseLongHeader reads the first bytes of a segment. It knows little-endian
// WAL, which is what PostgreSQL writes on every machine that this program runs
// on.
func parseLongHeader(b []byte) (longHeader, error) {
	if len(b) < longHeaderSize {
		return longHeader{}, fmt.Errorf("%w: it has %d bytes", errNotWAL, len(b))
	}
	le := binary.LittleEndian
	magic, info := le.Uint16(b), le.Uint16(b[2:])
	h := longHeader{
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
		return longHeader{}, fmt.Errorf("%w: it begins with %X", errNotWAL, b[:4])
	case h.Major == 0:
		return longHeader{}, fmt.Errorf("is WAL of an unknown PostgreSQL: page magic %04X, and 13 to 18 are known", magic)
	case info&pageIsLong == 0 || !validSegmentSize(h.SegmentSize) || h.PageSize < 512 || h.PageSize > 65536 || h.PageSize&(h.PageSize-1) != 0:
		return longHeader{}, fmt.Errorf("%w: its first page has no proper header", errNotWAL)
	case uint64(h.Address)%uint64(h.SegmentSize) != 0:
		return longHeader{}, fmt.Errorf("%w: its first page belongs to %s, inside of a segment", errNotWAL, h.Address)
	}
	return h, nil
}

// recordEnd is where a record of total bytes that begins at start ends, as
// PostgreSQL counts: aligned to eight bytes, page headers skipped.
func recordEnd(start recovery.LSN, total uint32, segmentSize, pageSize int64) recovery.LSN {
	rest := (uint64(total) + 7) &^ 7
	pos := uint64(start)
	for {
		inPage := uint64(pageSize) - pos%uint64(pageSize)
		if rest <= inPage {
			return recovery.LSN(pos + rest)
		}
		rest -= inPage
		pos += inPage
		pos += headerAt(pos, segmentSize)
	}
}

// headerAt is the size of the header of the page that begins at pos.
func headerAt(pos uint64, segmentSize int64) uint64 {
	if pos%uint64(segmentSize) == 0 {
		return longHeaderSize
	}
	return shortHeaderSize
}

// nextStart is where the record after one that ends at end begins: the same
// place, or behind a page header.
func nextStart(end recovery.LSN, segmentSize, pageSize int64) recovery.LSN {
	if uint64(end)%uint64(pageSize) == 0 {
		return end + recovery.LSN(headerAt(uint64(end), segmentSize))
	}
	return end
}
