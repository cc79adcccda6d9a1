package xlog

import (
	"encoding/binary"
	"errors"

	"comeback/recovery"
)

// Manager is a resource manager: the part of PostgreSQL that a record is of.
type Manager uint8

// The managers that matter here, as src/include/access/rmgrlist.h numbers them.
const (
	XLOG        Manager = 0
	Transaction Manager = 1
	Storage     Manager = 2
	Database    Manager = 4
	Tablespace  Manager = 5
	Standby     Manager = 8
	Heap2       Manager = 9
	Heap        Manager = 10
)

// switchOp is the XLOG record behind which the rest of a segment is empty.
const switchOp = 0x40

// Fork is a fork of a relation's file.
type Fork uint8

// The forks that matter here.
const (
	MainFork Fork = 0
	InitFork Fork = 3 // of an unlogged relation
)

// Block is a block that a record changes.
type Block struct {
	ID   uint8 // which of the record's blocks
	Fork Fork
	// Space, Database and Node name the file.
	Space, Database, Node uint32
	Number                uint32
}

// Record is a record of the log. It is filled anew by every Next and Decode.
type Record struct {
	LSN recovery.LSN
	// Total is its size in bytes, without the headers of pages.
	Total uint32
	// XID is the transaction's; a savepoint has its own. Zero is none.
	XID     uint32
	Manager Manager
	// Info is what the manager does, with the manager's flags; the lower half
	// of the byte is not its.
	Info uint8
	// Blocks and Main are there after Decode. Main is valid until the next
	// record is read.
	Blocks []Block
	Main   []byte

	body []byte
}

// The identifiers of a record's parts that are no blocks.
const (
	partShort    = 255
	partLong     = 254
	partOrigin   = 253
	partTopLevel = 252
	lastBlock    = 32
)

// The flags of a block.
const (
	blockFork    = 0x0F
	blockImage   = 0x10
	blockData    = 0x20
	blockSameRel = 0x80
)

// The flags of an image that say that it has a hole, and is compressed: before
// 15 with pglz, from then on with one of several methods.
const (
	imageHole         = 0x01
	imageCompressed   = 0x02
	imageCompressed15 = 0x04 | 0x08 | 0x10
)

var errParts = errors.New("the parts of the record do not add up to its length")

// Decode finds the blocks and the main data of the record in what it holds, as
// the major writes it.
func (r *Record) Decode(major int) error {
	b := parts{b: r.body}
	var data, main int
	var last Block
	r.Blocks, r.Main = r.Blocks[:0], nil
	compressed := byte(imageCompressed)
	if major >= 15 {
		compressed = imageCompressed15
	}
	for !b.bad && len(b.b) > data+main {
		switch id := b.byte(); {
		case id == partShort:
			main = int(b.byte())
		case id == partLong:
			main = int(b.long())
		case id == partOrigin:
			b.short()
		case id == partTopLevel:
			b.long()
		case id <= lastBlock:
			flags := b.byte()
			size := int(b.short())
			if flags&blockData == 0 && size != 0 {
				return errParts
			}
			data += size
			if flags&blockImage != 0 {
				data += int(b.short())
				b.short() // where the hole is
				if image := b.byte(); image&imageHole != 0 && image&compressed != 0 {
					b.short() // how large it is
				}
			}
			if flags&blockSameRel == 0 {
				last = Block{Space: b.long(), Database: b.long(), Node: b.long()}
			} else if len(r.Blocks) == 0 {
				return errParts
			}
			last.ID, last.Fork, last.Number = id, Fork(flags&blockFork), b.long()
			r.Blocks = append(r.Blocks, last)
		default:
			return errParts
		}
	}
	if b.bad || len(b.b) != data+main {
		return errParts
	}
	r.Main = b.b[data:]
	return nil
}

// Block is the record's block with an identifier.
func (r *Record) Block(id uint8) (Block, bool) {
	for _, b := range r.Blocks {
		if b.ID == id {
			return b, true
		}
	}
	return Block{}, false
}

// parts reads numbers; bad says that there were fewer.
type parts struct {
	b   []byte
	bad bool
}

func (p *parts) take(n int) []byte {
	if len(p.b) < n {
		p.bad, p.b = true, nil
		return make([]byte, n)
	}
	b := p.b[:n]
	p.b = p.b[n:]
	return b
}

func (p *parts) byte() byte    { return p.take(1)[0] }
func (p *parts) short() uint16 { return binary.LittleEndian.Uint16(p.take(2)) }
func (p *parts) long() uint32  { return binary.LittleEndian.Uint32(p.take(4)) }
