package dump

import (
	"bytes"
	"fmt"
	"io"

	"compress/bzip2"

	"github.com/klauspost/compress/zstd"
	"github.com/klauspost/pgzip"
)

// form is what a dump is.
type form string

const (
	plainScript      form = "plain"     // pg_dump
	clusterScript    form = "cluster"   // pg_dumpall
	customArchive    form = "custom"    // pg_dump -Fc
	tarArchive       form = "tar"       // pg_dump -Ft
	directoryArchive form = "directory" // pg_dump -Fd
)

// script reports whether the dump is SQL text.
func (f form) script() bool { return f == plainScript || f == clusterScript }

// packing is what a dump is compressed with, as a whole.
type packing string

const (
	unpacked packing = ""
	gzipped  packing = "gzip"
	zstded   packing = "zstd"
	bzipped  packing = "bzip2"
)

// says is the form for people: "plain SQL, gzip".
func (f form) says(p packing) string {
	words := map[form]string{
		plainScript: "plain SQL", clusterScript: "plain SQL of a whole cluster",
		customArchive: "custom archive", tarArchive: "tar archive", directoryArchive: "directory archive",
	}[f]
	if words == "" {
		return "not known"
	}
	if p == unpacked {
		return words
	}
	return words + ", " + string(p)
}

// packingOf tells how content is compressed by its first bytes.
func packingOf(head []byte) packing {
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return gzipped
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return zstded
	case bytes.HasPrefix(head, []byte("BZh")):
		return bzipped
	}
	return unpacked
}

// unreadable tells content that this version cannot read, and what to do.
func unreadable(head []byte) string {
	for _, known := range []struct{ magic, says string }{
		{"\xfd7zXZ\x00", "it is compressed with xz, which this version does not read"},
		{"\x04\x22\x4d\x18", "it is compressed with lz4, which this version does not read"},
		{"age-encryption.org/", "it is encrypted with age"},
		{"-----BEGIN AGE ENCRYPTED FILE", "it is encrypted with age"},
		{"-----BEGIN PGP MESSAGE", "it is encrypted with OpenPGP"},
		{"Salted__", "it is encrypted with openssl"},
		{"PK\x03\x04", "it is a ZIP archive"},
		{"-- MySQL dump", "it is a dump of MySQL"},
		{"-- MariaDB dump", "it is a dump of MariaDB"},
		{"/*!999999\\- enable the sandbox", "it is a dump of MariaDB"},
	} {
		if bytes.HasPrefix(head, []byte(known.magic)) {
			return known.says
		}
	}
	return ""
}

// The read-ahead of the decompression, which runs beside the restore.
const (
	readAheadBlock  = 512 << 10
	readAheadBlocks = 4
	maxZstdWindow   = 512 << 20 // zstd --long=29
)

// unpack decompresses what r gives. Its errors say what is wrong with the
// content; those of r come through as they are.
func unpack(p packing, r io.Reader) (io.ReadCloser, error) {
	switch p {
	case unpacked:
		return io.NopCloser(r), nil
	case gzipped:
		z, err := pgzip.NewReaderN(r, readAheadBlock, readAheadBlocks)
		if err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
		return z, nil
	case zstded:
		z, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(maxZstdWindow))
		if err != nil {
			return nil, fmt.Errorf("zstd: %w", err)
		}
		return z.IOReadCloser(), nil
	case bzipped:
		return io.NopCloser(bzip2.NewReader(r)), nil
	}
	return nil, fmt.Errorf("the plan asks for the compression %q, which this version does not read", p)
}
