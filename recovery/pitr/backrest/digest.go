package backrest

import (
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"comeback/storage"
)

// summed holds what is read to its end against a SHA-1; "" is none.
func summed(r io.ReadCloser, digest string) io.ReadCloser {
	if digest == "" {
		return r
	}
	return &summing{ReadCloser: r, want: digest, sum: sha1.New()}
}

type summing struct {
	io.ReadCloser
	want string
	sum  hash.Hash
}

func (s *summing) Read(b []byte) (int, error) {
	n, err := s.ReadCloser.Read(b)
	s.sum.Write(b[:n])
	if errors.Is(err, io.EOF) {
		if is := hex.EncodeToString(s.sum.Sum(nil)); is != s.want {
			return n, fmt.Errorf("%w: its SHA-1 is %s, and its name says %s", storage.ErrCorrupt, is, s.want)
		}
	}
	return n, err
}
