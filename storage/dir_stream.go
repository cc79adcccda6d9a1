package storage

import (
	"context"
	"fmt"
	"io"
	"os"
)

// dirStream reads one file at one revision. The revision is compared when the
// file is opened and again at its end: a file that was replaced meanwhile is
// read to the end of its old bytes, a file that was written to is refused.
type dirStream struct {
	ctx    context.Context
	dir    *dir
	file   *os.File
	object Object
	left   int64 // bytes of the revision that were not read yet
}

// prepare proves the revision and goes to the offset.
func (s *dirStream) prepare(offset int64) error {
	info, err := s.file.Stat()
	if err != nil {
		return s.dir.refusal("open", s.object.Key, err)
	}
	if !info.Mode().IsRegular() {
		return s.dir.notFile("open", s.object.Key)
	}
	if object(s.object.Key, info).Revision != s.object.Revision {
		return &Error{Op: "open", Object: s.dir.name(s.object.Key), Kind: ErrChanged}
	}
	if offset < 0 || offset > info.Size() {
		return &Error{Op: "open", Object: s.dir.name(s.object.Key), Kind: ErrConfig,
			Says: fmt.Sprintf("byte %d is outside of its %d bytes", offset, info.Size())}
	}
	if _, err := s.file.Seek(offset, io.SeekStart); err != nil {
		return s.dir.refusal("open", s.object.Key, err)
	}
	s.left = info.Size() - offset
	return nil
}

func (s *dirStream) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, s.dir.refusal("read", s.object.Key, err)
	}
	if s.left == 0 {
		return 0, s.unchanged()
	}
	n, err := s.file.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	if err == io.EOF {
		err = s.unchanged()
	} else if err != nil {
		err = s.dir.refusal("read", s.object.Key, err)
	}
	return n, err
}

// unchanged is io.EOF where the file still is the revision that was opened.
func (s *dirStream) unchanged() error {
	info, err := s.file.Stat()
	if err != nil {
		return s.dir.refusal("read", s.object.Key, err)
	}
	switch {
	case object(s.object.Key, info).Revision == s.object.Revision:
		return io.EOF
	case info.Size() < s.object.Size:
		return &Error{Op: "read", Object: s.dir.name(s.object.Key), Kind: ErrCorrupt,
			Says: fmt.Sprintf("it was cut from %d to %d bytes while it was read", s.object.Size, info.Size())}
	}
	return &Error{Op: "read", Object: s.dir.name(s.object.Key), Kind: ErrChanged}
}

func (s *dirStream) Close() error { return s.file.Close() }
