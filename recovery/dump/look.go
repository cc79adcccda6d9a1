package dump

import (
	"bytes"
	"context"
	"errors"
	"io"

	"comeback/storage"
)

// empty is the problem of an object without bytes.
const empty = "it is empty: the program that dumps failed and nobody noticed"

// cutOff is the problem of a dump without its end.
const cutOff = "it is cut off: the program that dumps was stopped in the middle"

// lookAt judges one object by its first bytes and, where that is cheap, its
// last. An empty key says that it is nothing to speak of. The error means that
// the copy cannot be read.
func lookAt(ctx context.Context, store storage.Store, o storage.Object) (found, error) {
	f := found{key: o.Key, objects: []storage.Object{o}}
	named := likeDump(o.Key) == dumpish
	if o.Size == 0 {
		if !named {
			return found{}, nil
		}
		f.problem = empty
		return f, nil
	}
	raw, err := readBeginning(ctx, store, o, headBytes)
	if err == nil && packingOf(raw) == zstded && o.Size > headBytes {
		raw, err = readBeginning(ctx, store, o, headBytesZstd)
	}
	if problem, ok := own(err); ok && named {
		f.problem = problem
		return f, nil
	} else if ok {
		return found{}, nil
	}
	if err != nil {
		return found{}, err
	}
	h, problem, ok := readHead(raw, int64(len(raw)) == o.Size)
	switch {
	case ok && h.rolesOnly:
		f.finding = onlyRoles
		return f, nil
	case !ok && problem != "" && named:
		f.finding = "cannot be restored: " + problem
		return f, nil
	case !ok && named:
		f.finding = "is not a dump of PostgreSQL"
		return f, nil
	case !ok:
		return found{}, nil
	}
	f.head = h
	if h.cut {
		f.problem = cutOff
		return f, nil
	}
	if h.Packing == unpacked && h.Form != customArchive {
		f.problem, err = lookAtEnd(ctx, store, o, h)
	}
	return f, err
}

// own sorts out failures that are one object's, not the copy's.
func own(err error) (problem string, ok bool) {
	switch {
	case errors.Is(err, storage.ErrNotExist):
		return "it was removed while the copy was surveyed", true
	case errors.Is(err, storage.ErrChanged):
		return "it was being written while the copy was surveyed", true
	case errors.Is(err, storage.ErrCorrupt), errors.Is(err, storage.ErrArchived):
		return err.Error(), true
	}
	return "", false
}

// readBeginning reads the first bytes of an object.
func readBeginning(ctx context.Context, store storage.Store, o storage.Object, n int64) ([]byte, error) {
	r := storage.NewReader(ctx, store, o, storage.ReadOptions{Attempts: 3})
	defer r.Close()
	return readFull(r, min(n, o.Size))
}

func readFull(r io.Reader, n int64) ([]byte, error) {
	b := make([]byte, n)
	k, err := io.ReadFull(r, b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return b[:k], err
}

// tailBytes is how much of the end of a plain script is read. After the last
// comment follow at most an \unrestrict and empty lines.
const tailBytes = 4 << 10

// lookAtEnd looks for what pg_dump writes last.
func lookAtEnd(ctx context.Context, store storage.Store, o storage.Object, h head) (problem string, err error) {
	r := storage.NewReader(ctx, store, o, storage.ReadOptions{Attempts: 3, From: max(0, o.Size-tailBytes)})
	defer r.Close()
	tail, err := readFull(r, min(tailBytes, o.Size))
	if problem, ok := own(err); ok {
		return problem, nil
	}
	if err != nil {
		return "", err
	}
	if h.Form == tarArchive {
		if !endsLikeTar(tail) {
			return tarCutOff, nil
		}
		return "", nil
	}
	if !h.ends(tail) {
		return cutOff, nil
	}
	return "", nil
}

// tarCutOff is the problem of a tar archive without its end.
const tarCutOff = "it is cut off: the empty blocks at the end of a tar archive are missing"

// endsLikeTar reports whether a tar archive's last bytes are its end. It has to
// be known beforehand: pg_restore reads a tar archive without an end for ever.
func endsLikeTar(tail []byte) bool {
	const end = 2 * 512
	return len(tail) >= end && len(bytes.TrimLeft(tail[len(tail)-end:], "\x00")) == 0
}
