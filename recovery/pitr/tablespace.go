package pitr

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"comeback/recovery"
	"comeback/recovery/pitr/xlog"
)

// Replaying CREATE TABLESPACE makes directories at an absolute path, which is
// the live cluster's own where scratch is on the same host. Every segment is
// looked through for such a record before the server gets it.

// newSpace is a CREATE TABLESPACE in the log.
type newSpace struct {
	LSN  recovery.LSN
	OID  uint32
	Path string
}

const (
	recordHeaderSize = 24
	rmgrTablespace   = 5
	tablespaceCreate = 0x00
	// maxSpaceRecord is more than a record of a tablespace can have: its
	// path is at most a kilobyte.
	maxSpaceRecord = 16 << 10
)

// looked is what one segment shows.
type looked struct {
	spaces []newSpace
	// tail is the beginning, at tailAt, of a record that goes on in the
	// next segment and may be one of interest; head is the rest of one that
	// began in the segment before.
	tail   []byte
	tailAt recovery.LSN
	head   []byte
}

// lookThrough walks from record to record. It reads headers only, and stops
// where the log stops to make sense: judging it is the server's business.
func lookThrough(r io.ReaderAt, start recovery.LSN, segmentSize, pageSize int64) (looked, error) {
	w := &walker{r: r, start: start, size: segmentSize, page: pageSize, buf: make([]byte, pageSize)}
	var found looked
	rest := w.continues()
	found.head = w.take(min(int64(rest), maxSpaceRecord))
	w.skip(int64(rest) - int64(len(found.head)))
	w.align()
	for w.err == nil {
		at := w.lsn()
		header := w.take(recordHeaderSize)
		if w.err == io.EOF && len(header) > 0 {
			found.tail, found.tailAt = header, at
			break
		}
		if len(header) < recordHeaderSize {
			break
		}
		total := int64(binary.LittleEndian.Uint32(header))
		if total < recordHeaderSize {
			break // the end of the log, or not log at all
		}
		if !interesting(header) || total > maxSpaceRecord {
			w.skip(total - recordHeaderSize)
			w.align()
			continue
		}
		record := append(header, w.take(total-recordHeaderSize)...)
		if int64(len(record)) < total {
			found.tail, found.tailAt = record, at
			break
		}
		if s, ok := parseSpace(record); ok {
			s.LSN = at
			found.spaces = append(found.spaces, s)
		}
		w.align()
	}
	if w.err != nil && w.err != io.EOF {
		return looked{}, w.err
	}
	return found, nil
}

// joined is the record that began in the segment before.
func (l looked) joined(before looked) (newSpace, bool) {
	record := append(bytes.Clone(before.tail), l.head...)
	if len(record) < recordHeaderSize || !interesting(record) {
		return newSpace{}, false
	}
	if total := binary.LittleEndian.Uint32(record); uint64(len(record)) >= uint64(total) {
		record = record[:total]
	}
	s, ok := parseSpace(record)
	s.LSN = before.tailAt
	return s, ok
}

// interesting reports whether a record's header is that of a new tablespace.
func interesting(header []byte) bool {
	return header[17] == rmgrTablespace && header[16]&0xF0 == tablespaceCreate
}

// parseSpace reads a record's oid and path.
func parseSpace(record []byte) (newSpace, bool) {
	b := record[min(len(record), recordHeaderSize):]
	for len(b) > 0 {
		id := b[0]
		b = b[1:]
		var skip, size int
		switch {
		case id == 253: // origin
			skip = 2
		case id == 252: // top-level transaction
			skip = 4
		case id == 255 && len(b) >= 1: // short main data
			skip, size = 1, int(b[0])
		case id == 254 && len(b) >= 4: // long main data
			skip, size = 4, int(binary.LittleEndian.Uint32(b))
		default:
			return newSpace{}, false
		}
		if len(b) < skip {
			return newSpace{}, false
		}
		b = b[skip:]
		if id < 254 {
			continue
		}
		if size < 4 || size > len(b) {
			return newSpace{}, false
		}
		location, _, _ := bytes.Cut(b[4:size], []byte{0})
		return newSpace{OID: binary.LittleEndian.Uint32(b), Path: string(location)}, true
	}
	return newSpace{}, false
}

// walker reads a segment's bytes without its page headers.
type walker struct {
	r          io.ReaderAt
	start      recovery.LSN
	size, page int64
	pos        int64 // in the segment
	buf        []byte
	loaded     int64 // the page in buf, plus one
	err        error
}

func (w *walker) lsn() recovery.LSN {
	if w.pos%w.page == 0 && w.pos < w.size {
		return w.start + recovery.LSN(uint64(w.pos)+xlog.HeaderAt(uint64(w.pos), w.size))
	}
	return w.start + recovery.LSN(w.pos)
}

// load reads the page that pos is in, and steps over its header.
func (w *walker) load() {
	if w.err != nil {
		return
	}
	if w.pos >= w.size {
		w.err = io.EOF
		return
	}
	page := w.pos / w.page
	if w.loaded != page+1 {
		if _, w.err = w.r.ReadAt(w.buf, page*w.page); w.err != nil {
			return
		}
		w.loaded = page + 1
	}
	if w.pos%w.page == 0 {
		w.pos += int64(xlog.HeaderAt(uint64(w.pos), w.size))
	}
}

// continues is how many bytes of a record from before the segment begins with.
func (w *walker) continues() uint32 {
	w.load()
	if w.err != nil || binary.LittleEndian.Uint16(w.buf[2:])&xlog.Continues == 0 {
		return 0
	}
	return binary.LittleEndian.Uint32(w.buf[16:])
}

// take reads n bytes; fewer at the end of the segment.
func (w *walker) take(n int64) []byte {
	var out []byte
	for n > 0 {
		w.load()
		if w.err != nil {
			return out
		}
		in := w.pos % w.page
		k := min(n, w.page-in)
		out = append(out, w.buf[in:in+k]...)
		w.pos, n = w.pos+k, n-k
	}
	return out
}

// skip passes over n bytes without reading the pages in between.
func (w *walker) skip(n int64) {
	for n > 0 && w.err == nil {
		if w.pos >= w.size {
			w.err = io.EOF
			return
		}
		if w.pos%w.page == 0 {
			w.pos += int64(xlog.HeaderAt(uint64(w.pos), w.size))
		}
		k := min(n, w.page-w.pos%w.page)
		w.pos, n = w.pos+k, n-k
	}
}

// align goes to where the next record can begin.
func (w *walker) align() { w.pos = (w.pos + 7) &^ 7 }

func (s newSpace) String() string {
	return fmt.Sprintf("CREATE TABLESPACE at %s, oid %d, location %s", s.LSN, s.OID, s.Path)
}
