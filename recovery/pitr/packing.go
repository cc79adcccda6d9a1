package pitr

import (
	"bufio"
	"compress/bzip2"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"comeback/recovery"
	"comeback/storage"
)

// Packing is how an object is compressed.
type Packing uint8

// The ways to compress that are read. Others are recognised, so that a survey
// can name them.
const (
	Plain Packing = iota
	Gzip
	Zstd
	LZ4
	Bzip2
	xz
	lzo
	brotli
	snappy
)

// packings are the suffixes that tell, the usual one of each first.
var packings = []struct {
	suffix  string
	packing Packing
}{
	{".gz", Gzip}, {".zst", Zstd}, {".zstd", Zstd},
	{".lz4", LZ4}, {".bz2", Bzip2}, {".xz", xz}, {".lzo", lzo}, {".br", brotli}, {".snappy", snappy},
}

var packingNames = [...]string{Plain: "not compressed", Gzip: "gzip", Zstd: "zstd", LZ4: "lz4", Bzip2: "bzip2", xz: "xz", lzo: "lzo", brotli: "brotli", snappy: "snappy"}

// endings are all that the object of a file can have behind its name, also those of ways
// that are not read.
var endings = func() []string {
	all := []string{""}
	for _, p := range packings {
		all = append(all, p.suffix)
	}
	return all
}()

// Named yields the objects that may hold a file of the log: those whose keys are key and
// nothing, or what tells how they are compressed.
func Named(ctx context.Context, store storage.Store, key string) iter.Seq2[storage.Object, error] {
	return storage.Named(ctx, store, key, endings)
}

// suffix is the usual one.
func (p Packing) suffix() string {
	for _, known := range packings {
		if known.packing == p {
			return known.suffix
		}
	}
	return ""
}

// MarshalText gives the name, nothing for what is not compressed.
func (p Packing) MarshalText() ([]byte, error) {
	if p == Plain {
		return nil, nil
	}
	return []byte(p.String()), nil
}

// UnmarshalText is the other way round.
func (p *Packing) UnmarshalText(text []byte) error {
	*p = Plain
	if len(text) == 0 {
		return nil
	}
	i := slices.Index(packingNames[:], string(text))
	if i <= 0 {
		return fmt.Errorf("%q is no way to compress that is known", text)
	}
	*p = Packing(i)
	return nil
}

// cutPacking takes the suffix that tells the packing off a name.
func cutPacking(name string) (string, Packing) {
	for _, p := range packings {
		if base, ok := strings.CutSuffix(name, p.suffix); ok {
			return base, p.packing
		}
	}
	return name, Plain
}

// Readable reports whether this version can unpack it.
func (p Packing) Readable() bool {
	switch p {
	case Plain, Gzip, Zstd, LZ4, Bzip2:
		return true
	}
	return false
}

func (p Packing) String() string { return packingNames[p] }

// unpacked streams what r holds, decompressed. Closing it closes r. A stream
// that ends early, or does not match its own checksum, is storage.ErrCorrupt.
func unpacked(r io.ReadCloser, p Packing) (io.ReadCloser, error) {
	switch p {
	case Plain:
		return r, nil
	case Gzip:
		z, err := gzip.NewReader(bufio.NewReaderSize(r, 256<<10))
		if err != nil {
			return nil, errors.Join(damaged(p, err), r.Close())
		}
		return &unpacker{Reader: z, packing: p, close: func() error { return errors.Join(z.Close(), r.Close()) }}, nil
	case Zstd:
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxWindow(2<<30))
		if err != nil {
			return nil, errors.Join(damaged(p, err), r.Close())
		}
		return &unpacker{Reader: z, packing: p, close: func() error { z.Close(); return r.Close() }}, nil
	case LZ4:
		z := lz4.NewReader(bufio.NewReaderSize(r, 256<<10))
		return &unpacker{Reader: z, packing: p, close: r.Close}, nil
	case Bzip2:
		return &unpacker{Reader: bzip2.NewReader(bufio.NewReaderSize(r, 256<<10)), packing: p, close: r.Close}, nil
	}
	return nil, errors.Join(fmt.Errorf("objects compressed with %s cannot be read", p), r.Close())
}

type unpacker struct {
	io.Reader
	packing Packing
	close   func() error
}

func (u *unpacker) Read(b []byte) (int, error) {
	n, err := u.Reader.Read(b)
	if err != nil && err != io.EOF {
		err = damaged(u.packing, err)
	}
	return n, err
}

func (u *unpacker) Close() error { return u.close() }

// damaged marks a decompressor's own complaints as corruption; what the store
// said below it stays what it is.
func damaged(p Packing, err error) error {
	for _, theirs := range []error{storage.ErrNotExist, storage.ErrDenied, storage.ErrExpired, storage.ErrArchived, storage.ErrChanged,
		storage.ErrCorrupt, storage.ErrConfig, storage.ErrUnavailable} {
		if errors.Is(err, theirs) {
			return err
		}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &recovery.Error{What: fmt.Sprintf("%v: the %s stream ends too early", storage.ErrCorrupt, p), Err: ErrCut}
	}
	var own interface{ Timeout() bool }
	if errors.As(err, &own) { // a broken connection that the store passed on as it was
		return err
	}
	return fmt.Errorf("%w: %s: %w", storage.ErrCorrupt, p, err)
}

// ErrCut is the damage of a stream that ends too early.
var ErrCut = fmt.Errorf("%w: it ends too early", storage.ErrCorrupt)

// Unpacked streams what an archived object holds, decompressed. Closing it closes
// r. A stream that ends early, or does not match its own checksum, is
// storage.ErrCorrupt, the former [ErrCut].
func Unpacked(r io.ReadCloser, p Packing) (io.ReadCloser, error) { return unpacked(r, p) }
