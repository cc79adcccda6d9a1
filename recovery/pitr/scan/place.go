package scan

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"

	"comeback/recovery"
)

// The headers of the log's pages: a long one begins every segment.
const (
	longHeader  = 40
	shortHeader = 24
)

// recordEnd is where a record of total bytes that begins at start ends, as
// PostgreSQL counts: aligned to eight bytes, page headers skipped.
func recordEnd(start recovery.LSN, total uint32, segment, page int64) recovery.LSN {
	rest, pos := (uint64(total)+7)&^7, uint64(start)
	for {
		in := uint64(page) - pos%uint64(page)
		if rest <= in {
			return recovery.LSN(pos + rest)
		}
		rest -= in
		pos += in
		if pos%uint64(segment) == 0 {
			pos += longHeader
		} else {
			pos += shortHeader
		}
	}
}

// continued is where the record ends that began before a segment and goes on in
// it: the segment's start where none does. It reads the segment's file.
func continued(path string, seg uint64, segment, page int64) (recovery.LSN, error) {
	start := recovery.LSN(seg * uint64(segment))
	f, err := os.Open(path)
	if err != nil {
		return 0, fmt.Errorf("read the segment's header: %w", err)
	}
	defer f.Close()
	var header [shortHeader]byte
	if _, err := io.ReadFull(f, header[:]); err != nil {
		return 0, fmt.Errorf("read the header of segment %s: %w", path, err)
	}
	const continues = 1
	order := binary.ByteOrder(binary.LittleEndian)
	if header[0] == 0xd1 { // the magic number's first byte on a big-endian host
		order = binary.BigEndian
	}
	rest := order.Uint32(header[16:])
	if order.Uint16(header[2:])&continues == 0 || recovery.LSN(order.Uint64(header[8:])) != start {
		return start, nil
	}
	return recordEnd(start+longHeader, rest, segment, page), nil
}
