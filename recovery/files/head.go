package files

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"

	"comeback/storage"
)

// errCutOff says that an archive ends before its first entry does.
var errCutOff = errors.New("it is cut off")

var errNotTar = errors.New("what it holds is not tar")

// firstEntry is the name of an archive's first entry, by its first bytes; whole
// says that these are all.
func firstEntry(p packing, head []byte, whole bool) (string, error) {
	if p == plain && len(head) < blockSize {
		return "", errNotTar
	}
	in, err := unpack(p, bytes.NewReader(head))
	if err != nil {
		return "", cut(err, whole)
	}
	defer in.Close()
	r := tar.NewReader(in)
	for {
		h, err := r.Next()
		switch {
		case err == io.EOF:
			return "", errors.New("it holds nothing")
		case err != nil:
			return "", cut(tarDamage(err), whole)
		case h.Typeflag == tar.TypeXGlobalHeader:
			continue
		}
		return h.Name, nil
	}
}

// cut tells the end of what was read from damage.
func cut(err error, whole bool) error {
	switch {
	case errors.Is(err, tar.ErrHeader):
		return errNotTar
	case errors.Is(err, storage.ErrCorrupt) && whole:
		return fmt.Errorf("%w: %w", errCutOff, err)
	}
	return err
}
