package scan

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"

	"comeback/recovery"
	"comeback/recovery/pitr/xlog"
)

// continued is where the record ends that began before a segment and goes on in
// it: the segment's start where none does. It reads the segment's file.
func continued(path string, seg uint64, segment, page int64) (recovery.LSN, error) {
	start := recovery.LSN(seg * uint64(segment))
	f, err := os.Open(path)
	if err != nil {
		return 0, fmt.Errorf("read the segment's header: %w", err)
	}
	defer f.Close()
	var header [xlog.ShortHeaderSize]byte
	if _, err := io.ReadFull(f, header[:]); err != nil {
		return 0, fmt.Errorf("read the header of segment %s: %w", path, err)
	}
	order := binary.LittleEndian
	rest := order.Uint32(header[16:])
	if order.Uint16(header[2:])&xlog.Continues == 0 || recovery.LSN(order.Uint64(header[8:])) != start {
		return start, nil
	}
	return xlog.RecordEnd(start+xlog.LongHeaderSize, rest, segment, page), nil
}
