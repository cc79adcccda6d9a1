package storage

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"hash/crc32"
	"strings"

	"github.com/minio/crc64nvme"
)

// A Checksummer is a stream of a whole object that knows the object's checksum
// in the form of Object.Checksum, or "". [NewReader] asks the first stream
// where the object itself says none.
type Checksummer interface{ Checksum() string }

// hashers are the algorithms of Object.Checksum that can be verified.
var hashers = map[string]func() hash.Hash{
	"crc32":     func() hash.Hash { return crc32.NewIEEE() },
	"crc32c":    func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) },
	"crc64nvme": func() hash.Hash { return crc64nvme.New() },
	"sha1":      sha1.New,
	"sha256":    sha256.New,
}

// checksum compares the bytes written to it with what a store says of them.
type checksum struct {
	hash.Hash
	algorithm, want string
}

// newChecksum is nil where text is empty or of an unknown algorithm.
func newChecksum(text string) *checksum {
	algorithm, want, _ := strings.Cut(text, ":")
	make, ok := hashers[algorithm]
	if !ok {
		return nil
	}
	return &checksum{Hash: make(), algorithm: algorithm, want: want}
}

func (c *checksum) got() string { return base64.StdEncoding.EncodeToString(c.Sum(nil)) }

func (c *checksum) holds() bool { return c.got() == c.want }
