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
// where the log stops to make sense: judging it is the server's business. A record
// that does not go on, because a server died while it wrote it, is passed over as the
// server does.
func lookThrough(r io.ReaderAt, start recovery.LSN, segmentSize, pageSize int64) (looked, error) {
	w := &walker{r: r, start: start, size: segmentSize, page: pageSize, buf: make([]byte, pageSize), rest: unknown}
	var found looked
	w.load()
	w.rest = w.goesOn
	found.head = w.take(min(w.rest, maxSpaceRecord))
	w.end()
	for w.err == nil {
		if w.torn {
			w.torn, w.rest = false, w.goesOn
			w.end()
			continue
		}
		at := w.lsn()
		header := w.take(wordSize) // which is on one page
		if len(header) < wordSize {
			continue
		}
		total := int64(binary.LittleEndian.Uint32(header))
		if total < recordHeaderSize {
			break // the end of the log, or not log at all
		}
		w.rest = total - wordSize
		header = append(header, w.take(recordHeaderSize-wordSize)...)
		if len(header) == recordHeaderSize && (!interesting(header) || total > maxSpaceRecord) {
			w.end()
			continue
		}
		record := append(header, w.take(w.rest)...)
		if int64(len(record)) < total {
			if w.err == io.EOF {
				found.tail, found.tailAt = record, at
			}
			continue
		}
		if s, ok := parseSpace(record); ok {
			s.LSN = at
			found.spaces = append(found.spaces, s)
		}
		w.end()
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
	// rest is how many bytes of the record in hand follow pos, goesOn how many of
	// one the page in buf begins with. Where they differ the record is torn: pos is
	// behind the page's header, and nothing more is read of it.
	rest, goesOn int64
	torn         bool
	err          error
}

const (
	// wordSize is what the beginnings of records are aligned to.
	wordSize = 8
	// unknown is the rest of a record from before the segment.
	unknown = -1
)

func (w *walker) lsn() recovery.LSN {
	if w.pos%w.page == 0 && w.pos < w.size {
		return w.start + recovery.LSN(uint64(w.pos)+xlog.HeaderAt(uint64(w.pos), w.size))
	}
	return w.start + recovery.LSN(w.pos)
}

// load reads the page that pos is in, and steps over its header. The log ends at a
// page that was not written since the segment had another place in the log.
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
	if w.pos%w.page != 0 {
		return
	}
	if binary.LittleEndian.Uint64(w.buf[8:]) != uint64(w.start)+uint64(w.pos) {
		w.err = io.EOF
		return
	}
	w.goesOn = 0
	if binary.LittleEndian.Uint16(w.buf[2:])&xlog.Continues != 0 {
		w.goesOn = int64(binary.LittleEndian.Uint32(w.buf[16:]))
	}
	w.torn = w.rest != unknown && w.rest != w.goesOn
	w.pos += int64(xlog.HeaderAt(uint64(w.pos), w.size))
}

// take reads n bytes; fewer where the segment ends or the record is torn.
func (w *walker) take(n int64) []byte {
	var out []byte
	w.pass(n, func(b []byte) { out = append(out, b...) })
	return out
}

// end passes over the rest of a record, to where the next one can begin.
func (w *walker) end() {
	w.pass(w.rest, func([]byte) {})
	if w.err == nil && !w.torn {
		w.pos = (w.pos + wordSize - 1) &^ (wordSize - 1)
	}
}

// pass reads n bytes of a record, page by page.
func (w *walker) pass(n int64, to func([]byte)) {
	for n > 0 {
		w.load()
		if w.err != nil || w.torn {
			return
		}
		in := w.pos % w.page
		k := min(n, w.page-in)
		to(w.buf[in : in+k])
		w.pos, w.rest, n = w.pos+k, max(0, w.rest-k), n-k
	}
}

func (s newSpace) String() string {
	return fmt.Sprintf("CREATE TABLESPACE at %s, oid %d, location %s", s.LSN, s.OID, s.Path)
}
