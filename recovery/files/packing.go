package files

import (
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/klauspost/pgzip"

	"comeback/storage"
)

// packing is what an archive is compressed with, as a whole.
type packing string

const (
	plain   packing = ""
	gzipped packing = "gzip"
	zstded  packing = "zstd"
	bzipped packing = "bzip2"
)

// packingOf tells how content is compressed by its first bytes.
func packingOf(head []byte) packing {
	for p, magic := range map[packing]string{gzipped: "\x1f\x8b", zstded: "\x28\xb5\x2f\xfd", bzipped: "BZh"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return p
		}
	}
	return plain
}

// unreadable names what this version cannot read.
func unreadable(head []byte) string {
	for magic, says := range map[string]string{
		"\xfd7zXZ\x00":         "it is compressed with xz, which this version does not read",
		"\x04\x22\x4d\x18":     "it is compressed with lz4, which this version does not read",
		"PK\x03\x04":           "it is a ZIP archive, which this version does not read",
		"age-encryption.org/":  "it is encrypted with age; a component of kind config can be restored from it",
		"-----BEGIN PGP MESSA": "it is encrypted with OpenPGP, which this version does not read",
	} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return says
		}
	}
	return ""
}

const maxWindow = 512 << 20 // zstd --long=29

// unpack decompresses r. What is wrong with the content itself is
// storage.ErrCorrupt; errors of r come through as they are.
func unpack(p packing, r io.Reader) (io.ReadCloser, error) {
	src := &noted{r: r}
	switch p {
	case plain:
		return io.NopCloser(r), nil
	case gzipped:
		z, err := pgzip.NewReaderN(src, 512<<10, 4)
		if err != nil {
			return nil, src.judge(p, err)
		}
		return &unpacker{z, z.Close, src, p}, nil
	case zstded:
		z, err := zstd.NewReader(src, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderConcurrency(2))
		if err != nil {
			return nil, src.judge(p, err)
		}
		return &unpacker{z, func() error { z.Close(); return nil }, src, p}, nil
	case bzipped:
		return &unpacker{bzip2.NewReader(src), func() error { return nil }, src, p}, nil
	}
	return nil, fmt.Errorf("the plan asks for the compression %q, which this version does not read", p)
}

type unpacker struct {
	io.Reader
	close func() error
	src   *noted
	p     packing
}

func (u *unpacker) Read(b []byte) (int, error) {
	n, err := u.Reader.Read(b)
	return n, u.src.judge(u.p, err)
}

func (u *unpacker) Close() error { return u.close() }

// noted marks its source's failures, so that they are told from the content's.
type noted struct{ r io.Reader }

func (s *noted) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	if err != nil && err != io.EOF {
		err = &sourceError{err}
	}
	return n, err
}

// sourceError marks what the source said.
type sourceError struct{ err error }

func (e *sourceError) Error() string { return e.err.Error() }
func (e *sourceError) Unwrap() error { return e.err }

// judge tells the source's failures from the content's.
func (s *noted) judge(p packing, err error) error {
	var source *sourceError
	switch {
	case err == nil || err == io.EOF:
		return err
	case errors.As(err, &source):
		return source.err
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return fmt.Errorf("%w: its %s data end too early", storage.ErrCorrupt, p)
	}
	return fmt.Errorf("%w: %s: %w", storage.ErrCorrupt, p, err)
}
