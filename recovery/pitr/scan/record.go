package scan

import (
	"bytes"
	"errors"
	"fmt"

	"comeback/recovery"
)

// op is what a record does, as far as it matters here.
type op byte

const (
	opOther op = iota
	opInsert
	opMultiInsert
	opUpdate
	opDelete
	opTransaction // its end: see end.go
	opLock        // an AccessExclusiveLock: database and node (an OID)
	opCreateFile  // database, node
	opCutFile     // an empty file: database, node
	opImage       // the image of a page: database, node
	opRunning     // next is the first xid that is not assigned
	opRestorePoint
	opDatabase
	opTablespace
)

// The flags of heap records that change what they count.
const (
	deleteIsSuper     = 0x08 // takes back a speculative insert
	deleteIsMove      = 0x10 // the row goes to another partition
	flagsOfDeletes    = deleteIsSuper | deleteIsMove
	catalogClass      = 1259
	catalogType       = 1247
	catalogIndex      = 2610
	catalogSequence   = 2224
	headOfLine        = "rmgr: "
	lengthAt          = len(headOfLine) + 11 + 1
	lengthLabel       = "len (rec/tot): "
	firstBlock        = "blkref #0: rel "
	mainForkSeparator = "blk "
)

// record is one record of the log as pg_waldump shows it. It is filled anew for
// every line; its slices are the line's.
type record struct {
	op    op
	xid   uint32
	lsn   recovery.LSN
	total uint32
	file
	block uint32
	// space is the tablespace of an opCreateFile.
	space uint32
	// rows are the tuples of an opMultiInsert; flags those of an opDelete.
	rows  int64
	flags uint32
	init  bool // opCreateFile, opImage: of an unlogged relation
	next  uint32
	desc  []byte
	// native says that it was read without a text: then the row that was
	// changed lies in oldBlock at oldOffset, the new one at newOffset, and ended
	// is what an opTransaction tells, if it ends one.
	native               bool
	oldBlock             uint32
	oldOffset, newOffset uint16
	ended                *end
}

var descLabel = []byte(", desc: ")

var errFormat = errors.New("it is not as pg_waldump writes records")

// parse reads a line of pg_waldump's output, written with TZ=UTC. Lines that
// show no record are not ok.
func (r *record) parse(line []byte) (ok bool, err error) {
	if len(line) < lengthAt+len(lengthLabel) || string(line[:len(headOfLine)]) != headOfLine {
		return false, nil
	}
	s := scanner{b: line, at: lengthAt}
	if !s.skip(lengthLabel) {
		// A name of more than eleven letters, of an extension's own.
		i := bytes.Index(line, []byte(" "+lengthLabel))
		if i < 0 {
			return false, malformed(line)
		}
		s.at = i + 1 + len(lengthLabel)
	}
	s.number()
	ok = s.skip("/")
	total := s.number()
	ok = ok && s.skip(", tx: ")
	xid := s.number()
	ok = ok && s.skip(", lsn: ")
	lsn := s.lsn()
	// The position of the record before is of no interest.
	if i := bytes.Index(line[s.at:], descLabel); i >= 0 {
		s.at += i + len(descLabel)
	} else {
		ok = false
	}
	if !ok || s.bad || total > 1<<32-1 || xid > 1<<32-1 {
		return false, malformed(line)
	}
	*r = record{xid: uint32(xid), total: uint32(total), lsn: lsn, desc: line[s.at:]}
	switch line[len(headOfLine)] {
	case 'H':
		switch string(line[len(headOfLine):lengthAt]) {
		case "Heap        ":
			ok = r.heap()
		case "Heap2       ":
			ok = r.heap2()
		}
	case 'T':
		switch string(line[len(headOfLine):lengthAt]) {
		case "Transaction ":
			r.op = opTransaction
		case "Tablespace  ":
			r.op = opTablespace
		}
	case 'S':
		switch string(line[len(headOfLine):lengthAt]) {
		case "Storage     ":
			ok = r.storage()
		case "Standby     ":
			ok = r.standby()
		}
	case 'D':
		if string(line[len(headOfLine):lengthAt]) == "Database    " {
			r.op = opDatabase
		}
	case 'X':
		if string(line[len(headOfLine):lengthAt]) == "XLOG        " {
			ok = r.xlog()
		}
	}
	if !ok {
		return false, malformed(line)
	}
	return true, nil
}

func malformed(line []byte) error {
	return fmt.Errorf("pg_waldump says %q: %w", line[:min(len(line), 200)], errFormat)
}

// heap reads "HOT_UPDATE off 3 xmax 740 flags 0x60 ; new off 4 xmax 0, blkref …".
func (r *record) heap() bool {
	switch verb, rest, _ := bytes.Cut(r.desc, []byte(" ")); string(verb) {
	case "INSERT", "INSERT+INIT":
		r.op = opInsert
	case "UPDATE", "HOT_UPDATE", "UPDATE+INIT", "HOT_UPDATE+INIT":
		r.op = opUpdate
	case "DELETE":
		r.op = opDelete
		i := bytes.Index(rest, []byte("flags"))
		if i < 0 {
			return false
		}
		s := scanner{b: rest, at: i + len("flags")}
		s.skip(":")
		if !s.skip(" 0x") {
			return false
		}
		r.flags = uint32(s.hex())
	default:
		return true
	}
	return r.firstFile()
}

// heap2 reads "MULTI_INSERT+INIT 5 tuples flags 0x02, blkref …", from 16 on
// "MULTI_INSERT+INIT ntuples: 5, flags: 0x02, …".
func (r *record) heap2() bool {
	verb, rest, _ := bytes.Cut(r.desc, []byte(" "))
	if string(verb) != "MULTI_INSERT" && string(verb) != "MULTI_INSERT+INIT" {
		return true
	}
	r.op = opMultiInsert
	s := scanner{b: rest}
	s.skip("ntuples: ")
	n := s.number()
	if s.bad || n > 1<<16 {
		return false
	}
	r.rows = int64(n)
	return r.firstFile()
}

// firstFile reads "blkref #0: rel 1663/16384/16390 blk 0". What is in another
// fork of the file has no node.
func (r *record) firstFile() bool {
	i := bytes.Index(r.desc, []byte(firstBlock))
	if i < 0 {
		return false
	}
	s := scanner{b: r.desc, at: i + len(firstBlock)}
	s.number()
	ok := s.skip("/")
	database := s.number()
	ok = ok && s.skip("/")
	node := s.number()
	if !ok || s.bad || database > 1<<32-1 || node > 1<<32-1 {
		return false
	}
	if r.op == opImage && s.skip(" fork init") {
		r.init = true
	}
	if !s.skip(" " + mainForkSeparator) {
		return true
	}
	block := s.number()
	r.file, r.block = file{uint32(database), uint32(node)}, uint32(block)
	return !s.bad && block <= 1<<32-1
}

// storage reads "CREATE base/5/16391" and "TRUNCATE base/5/16445 to 0 blocks flags 7".
func (r *record) storage() bool {
	verb, rest, _ := bytes.Cut(r.desc, []byte(" "))
	path, rest, _ := bytes.Cut(rest, []byte(" "))
	switch string(verb) {
	case "CREATE":
		f, fork, ok := parsePath(path)
		if !ok {
			return false
		}
		if fork == "" || fork == "init" {
			r.op, r.file, r.space, r.init = opCreateFile, f.file, f.space, fork == "init"
		}
	case "TRUNCATE":
		if bytes.HasPrefix(rest, []byte("to 0 blocks")) {
			f, _, ok := parsePath(path)
			r.op, r.file = opCutFile, f.file
			return ok
		}
	}
	return true
}

// standby reads "LOCK xid 745 db 5 rel 16385 " and "RUNNING_XACTS nextXid 757 …".
func (r *record) standby() bool {
	s := scanner{b: r.desc}
	switch {
	case s.skip("LOCK "):
		// Several locks where the record repeats those that are held.
		if !s.skip("xid ") {
			return false
		}
		holder := s.number()
		ok := s.skip(" db ")
		database := s.number()
		ok = ok && s.skip(" rel ")
		oid := s.number()
		if !ok || s.bad || holder > 1<<32-1 || database > 1<<32-1 || oid > 1<<32-1 {
			return false
		}
		if r.xid != 0 && r.xid == uint32(holder) {
			r.op, r.file = opLock, file{uint32(database), uint32(oid)}
		}
	case s.skip("RUNNING_XACTS nextXid "):
		n := s.number()
		r.op, r.next = opRunning, uint32(n)
		return !s.bad && n <= 1<<32-1
	}
	return true
}

// xlog reads "FPI , blkref …", "RESTORE_POINT name" and "CHECKPOINT_ONLINE redo
// 0/A91648; …; xid 0:757; …".
func (r *record) xlog() bool {
	switch verb, rest, _ := bytes.Cut(r.desc, []byte(" ")); string(verb) {
	case "FPI":
		r.op = opImage
		return r.firstFile()
	case "RESTORE_POINT":
		r.op, r.desc = opRestorePoint, rest
	case "CHECKPOINT_SHUTDOWN", "CHECKPOINT_ONLINE":
		// An online checkpoint's xid is of its beginning; the
		// RUNNING_XACTS beside it says the same.
		if string(verb) == "CHECKPOINT_ONLINE" {
			return true
		}
		i := bytes.Index(rest, []byte("; xid "))
		if i < 0 {
			return false
		}
		s := scanner{b: rest, at: i + len("; xid ")}
		s.number()
		ok := s.skip(":")
		n := s.number()
		r.op, r.next = opRunning, uint32(n)
		return ok && !s.bad && n <= 1<<32-1
	}
	return true
}
