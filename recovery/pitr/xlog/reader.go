package xlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"comeback/recovery"
)

// Stretch is a part of the log that lies in files.
type Stretch struct {
	// From is where a record begins; To is where the log ends that is wanted.
	From, To recovery.LSN
	// Major is PostgreSQL's, one from 13 to 18.
	Major int
	// SegmentSize and PageSize are in bytes.
	SegmentSize, PageSize int64
	// Path is where the file of a segment lies, unpacked and in its full size.
	Path func(seg uint64) string
}

const (
	headerSize = 24 // of a record
	// longest is the size up to which a record is held in memory.
	longest = 16 << 20
	// ahead is how much of a segment is read at a time.
	ahead = 256 << 10
)

// ErrTooLong is a record that is longer than a Reader holds.
var ErrTooLong = fmt.Errorf("the record has more than %d bytes", longest)

// Broken is a place at which the log cannot be read on.
type Broken struct {
	LSN recovery.LSN
	Why string
}

func (b *Broken) Error() string { return fmt.Sprintf("the log cannot be read at %s: %s", b.LSN, b.Why) }

// Reader reads the records of a stretch, in order.
type Reader struct {
	s     Stretch
	magic uint16

	next, last recovery.LSN // where the next record begins and the last one began
	timeline   uint32       // of the last page

	file *os.File
	seg  uint64
	// buf holds what was read of the file, from bufAt on.
	buf   []byte
	bufAt int64
	room  []byte

	page []byte // the current page
	at   uint64 // where it begins
	long []byte // a record that crosses pages
	bare bool   // tests leave the checksum out
}

// NewReader makes a reader of a stretch; Close releases it.
func NewReader(s Stretch) (*Reader, error) {
	r := &Reader{s: s, magic: Magic(s.Major), next: s.From, room: make([]byte, max(ahead, int(s.PageSize)))}
	if r.magic == 0 {
		return nil, fmt.Errorf("the log of PostgreSQL %d is not known", s.Major)
	}
	return r, nil
}

// Close releases the reader.
func (r *Reader) Close() error {
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Next reads the next record that ends within the stretch: io.EOF where there is
// none, a *Broken where the log cannot be read on.
func (r *Reader) Next(rec *Record) error {
	if r.next >= r.s.To {
		return io.EOF
	}
	if err := r.open(); err != nil {
		return err
	}
	start := uint64(r.next)
	off := start - r.at
	head := r.page[off:]
	// Records are aligned to eight bytes, so that the length is in one page.
	total := uint64(binary.LittleEndian.Uint32(head))
	if total < headerSize {
		return r.broken("a record of %d bytes", total)
	}
	if len(head) >= headerSize {
		if err := r.check(head); err != nil {
			return err
		}
	}
	if total > longest {
		return ErrTooLong
	}
	var whole []byte
	end := start + total
	if total <= uint64(len(head)) {
		whole = head[:total]
		if end > uint64(r.s.To) {
			return io.EOF
		}
	} else {
		if end = r.end(start, total); end > uint64(r.s.To) {
			return io.EOF
		}
		if err := r.assemble(head, int(total)); err != nil {
			return err
		}
		whole = r.long
		if len(head) < headerSize {
			if err := r.check(whole); err != nil {
				return err
			}
		}
	}
	le := binary.LittleEndian
	if !r.bare {
		sum := crc32.Update(0, castagnoli, whole[headerSize:])
		if sum = crc32.Update(sum, castagnoli, whole[:20]); sum != le.Uint32(whole[20:]) {
			return r.broken("its checksum is wrong")
		}
	}
	rec.LSN, rec.Total, rec.XID = r.next, uint32(total), le.Uint32(whole[4:])
	rec.Info, rec.Manager, rec.body = whole[16]&0xF0, Manager(whole[17]), whole[headerSize:]
	rec.Blocks, rec.Main = rec.Blocks[:0], nil
	r.last = r.next
	end = (end + 7) &^ 7
	if rec.Manager == XLOG && rec.Info == switchOp {
		size := uint64(r.s.SegmentSize)
		end = (end + size - 1) / size * size
	}
	r.next = recovery.LSN(end)
	return nil
}

// open makes the page current in which the next record begins, and steps over its
// header where the record begins behind that.
func (r *Reader) open() error {
	if err := r.turn(uint64(r.next) &^ (uint64(r.s.PageSize) - 1)); err != nil {
		return err
	}
	if uint64(r.next) != r.at {
		return nil
	}
	if r.flags()&Continues != 0 {
		return r.broken("the rest of another record")
	}
	r.next += recovery.LSN(HeaderAt(r.at, r.s.SegmentSize))
	return nil
}

// check checks the header of a record.
func (r *Reader) check(b []byte) error {
	prev := recovery.LSN(binary.LittleEndian.Uint64(b[8:]))
	if r.last != 0 && prev != r.last || prev >= r.next {
		return r.broken("it does not come after the record at %s", prev)
	}
	return nil
}

// end is where a record of total bytes ends, not aligned.
func (r *Reader) end(start, total uint64) uint64 {
	return uint64(RecordEnd(recovery.LSN(start), uint32(total), r.s.SegmentSize, r.s.PageSize)) - (8-total%8)%8
}

// assemble puts a record together that goes on in the pages after.
func (r *Reader) assemble(head []byte, total int) error {
	r.long = append(r.long[:0], head...)
	for len(r.long) < total {
		if err := r.turn(r.at + uint64(r.s.PageSize)); err != nil {
			return err
		}
		rest := total - len(r.long)
		if r.flags()&Continues == 0 || binary.LittleEndian.Uint32(r.page[16:]) != uint32(rest) {
			return r.broken("it does not go on in the page at %s", recovery.LSN(r.at))
		}
		b := r.page[HeaderAt(r.at, r.s.SegmentSize):]
		r.long = append(r.long, b[:min(rest, len(b))]...)
	}
	return nil
}

func (r *Reader) flags() uint16 { return binary.LittleEndian.Uint16(r.page[2:]) }

func (r *Reader) broken(why string, args ...any) error {
	return &Broken{r.next, fmt.Sprintf(why, args...)}
}

// turn makes the page at a position current.
func (r *Reader) turn(at uint64) error {
	if r.page != nil && r.at == at {
		return nil
	}
	size := uint64(r.s.SegmentSize)
	if err := r.load(at/size, int64(at%size)); err != nil {
		return err
	}
	r.at, r.page = at, r.buf[int64(at%size)-r.bufAt:][:r.s.PageSize]
	le := binary.LittleEndian
	first := at%size == 0
	timeline := le.Uint32(r.page[4:])
	switch {
	case le.Uint16(r.page) != r.magic:
		return r.broken("the page at %s has the number %04X", recovery.LSN(at), le.Uint16(r.page))
	case r.flags()&^pageFlags != 0 || first != (r.flags()&pageIsLong != 0) || le.Uint64(r.page[8:]) != at || timeline < r.timeline:
		return r.broken("the page at %s has a wrong header", recovery.LSN(at))
	case first && (uint64(le.Uint32(r.page[32:])) != size || int64(le.Uint32(r.page[36:])) != r.s.PageSize):
		return r.broken("the segment at %s has another size", recovery.LSN(at))
	}
	r.timeline = timeline
	return nil
}

// load reads a piece of a segment's file, if what was read does not hold the page
// at an offset.
func (r *Reader) load(seg uint64, offset int64) error {
	if r.file != nil && r.seg == seg && offset >= r.bufAt && offset+r.s.PageSize <= r.bufAt+int64(len(r.buf)) {
		return nil
	}
	if r.file == nil || r.seg != seg {
		if r.file != nil {
			if err := r.file.Close(); err != nil {
				return fmt.Errorf("read the log: %w", err)
			}
		}
		var err error
		if r.file, err = os.Open(r.s.Path(seg)); err != nil {
			r.file = nil
			return fmt.Errorf("read the log: %w", err)
		}
		r.seg = seg
	}
	n, err := r.file.ReadAt(r.room[:min(int64(len(r.room)), r.s.SegmentSize-offset)], offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the log: %w", err)
	}
	r.buf, r.bufAt = r.room[:n], offset
	if int64(n) < r.s.PageSize {
		return r.broken("the segment's file ends")
	}
	return nil
}
