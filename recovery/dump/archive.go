package dump

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"comeback/recovery/postgres"
)

// archiveHeader is the beginning of an archive of pg_dump, of any format: its
// table of contents begins with it.
type archiveHeader struct {
	// Version is the archive format's, 1.14 as 1014.
	Version int
	// Created is the clock on the wall where pg_dump ran, as if it were UTC:
	// the archive does not tell the zone.
	Created  time.Time
	Database string
	// Server and Dumper are versions: "15.18 (Debian …)".
	Server, Dumper string
}

const archiveMagic = "PGDMP"

func archiveVersion(v int) string { return fmt.Sprintf("%d.%d", v/1000, v%1000) }

var errNoArchive = errors.New("this is no archive header")

// readArchiveHeader reads what pg_dump's WriteHead wrote.
func readArchiveHeader(b []byte) (archiveHeader, error) {
	if !bytes.HasPrefix(b, []byte(archiveMagic)) || len(b) < 11 {
		return archiveHeader{}, errNoArchive
	}
	h := archiveHeader{Version: int(b[5])*1000 + int(b[6])}
	if h.Version < 1010 {
		return archiveHeader{}, fmt.Errorf("the archive format %s is older than PostgreSQL 8", archiveVersion(h.Version))
	}
	if h.Version > postgres.NewestArchive() {
		return h, nil // nobody here knows what follows
	}
	r := archiveReader{b: b[11:], intSize: int(b[8])}
	if h.Version >= 1015 {
		r.take(1) // the algorithm of the compression
	} else {
		r.int() // its level
	}
	var tm [7]int // second, minute, hour, day, month, year, summer time
	for i := range tm {
		tm[i] = r.int()
	}
	h.Created = time.Date(tm[5]+1900, time.Month(tm[4]+1), tm[3], tm[2], tm[1], tm[0], 0, time.UTC)
	h.Database, h.Server, h.Dumper = r.text(), r.text(), r.text()
	if r.err == nil && (h.Created.Year() < 2000 || h.Created.Year() > 2200) {
		r.err = errNoArchive
	}
	return h, r.err
}

type archiveReader struct {
	b       []byte
	intSize int
	err     error
}

func (r *archiveReader) take(n int) []byte {
	if r.err == nil && (n < 0 || n > len(r.b)) {
		r.err = io.ErrUnexpectedEOF
	}
	if r.err != nil {
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

// int is a sign and the bytes of a number, the lowest first.
func (r *archiveReader) int() int {
	sign := r.take(1)
	b := r.take(r.intSize)
	if r.err != nil || r.intSize > 8 {
		return 0
	}
	var whole [8]byte
	copy(whole[:], b)
	n := int(int32(binary.LittleEndian.Uint64(whole[:])))
	if sign[0] != 0 {
		return -n
	}
	return n
}

func (r *archiveReader) text() string {
	n := r.int()
	if n < 0 { // NULL
		return ""
	}
	return string(r.take(n))
}
