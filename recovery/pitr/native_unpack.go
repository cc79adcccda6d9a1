package pitr

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"

	"comeback/storage"
)

// manifestName is what pg_basebackup calls the list of what it wrote.
const manifestName = "backup_manifest"

// Unpack gives the manifest first where it stands by itself, so that every
// file can be verified as it is written.
func (n *native) Unpack(ctx context.Context, b Base, to Sink) error {
	for _, o := range b.Objects {
		if o.Key == b.Manifest {
			if err := n.whole(ctx, o, manifestName, to); err != nil {
				return err
			}
		}
	}
	if b.Format == "plain" {
		return n.unpackTree(ctx, b, to)
	}
	for _, o := range b.Objects {
		if o.Key == b.Manifest {
			continue
		}
		if err := n.unpackTar(ctx, b, o, to); err != nil {
			return fmt.Errorf("read %s: %w", o.Key, err)
		}
	}
	return nil
}

// under is the directory that a tar file of a backup is of.
func under(b Base, o storage.Object) string {
	name, _ := cutPacking(path.Base(o.Key))
	switch part, _ := strings.CutSuffix(name, ".tar"); {
	case o.Key == b.Root || part == "base":
		return ""
	case part == "pg_wal":
		return "pg_wal"
	default:
		return "pg_tblspc/" + part
	}
}

// unpackTar reads a tar file from where the sink wants it. A file that is
// compressed is read from its beginning, and so is one without a manifest: then
// the store's checksum over the whole is the only proof of it.
func (n *native) unpackTar(ctx context.Context, b Base, o storage.Object, to Sink) error {
	packing := Gzip
	if !strings.HasSuffix(o.Key, ".tgz") {
		_, packing = cutPacking(o.Key)
	}
	var from int64
	resumable := packing == Plain && b.Manifest != ""
	if resumable {
		from = to.From(o.Key)
		to.Progress(int(from))
	}
	read := n.read
	read.From, read.Progress, read.Ahead = from, to.Progress, storage.Wide
	in, err := unpacked(storage.NewReader(ctx, n.store, o, read), packing)
	if err != nil {
		return err
	}
	defer in.Close()
	tail := &zeroTail{r: in, at: from}
	t := tar.NewReader(tail)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return tarDamage(err)
		}
		if !filepath.IsLocal(h.Name) {
			return fmt.Errorf("%w: %q leads out of the data directory", storage.ErrCorrupt, h.Name)
		}
		e := Entry{Path: path.Join(under(b, o), h.Name), Size: h.Size, Body: t}
		switch h.Typeflag {
		case tar.TypeReg:
		case tar.TypeDir:
			e.Dir = true
		case tar.TypeSymlink:
			// A tablespace's link leads to where it was on its own host.
			if path.Dir(e.Path) != "pg_tblspc" {
				return fmt.Errorf("%w: %s is a link", storage.ErrCorrupt, h.Name)
			}
			e.Dir = true
		default:
			return fmt.Errorf("%w: %s is of the type %q, which no data directory has", storage.ErrCorrupt, h.Name, h.Typeflag)
		}
		if e.Dir {
			e.Size, e.Body = 0, nil
		} else if to.Has(e.Path, e.Size) {
			continue
		}
		if resumable {
			// The body begins here and fills whole blocks.
			e.Object, e.Next = o.Key, tail.at+(e.Size+tarBlock-1)/tarBlock*tarBlock
		}
		if err := to.Put(e); err != nil {
			return err
		}
	}
	// The stream is read to its end: that is where its checksum stands.
	if _, err := io.Copy(io.Discard, tail); err != nil {
		return err
	}
	if tail.zeros < 2*tarBlock {
		return fmt.Errorf("%w: the tar file ends without its end mark, so its last part is missing", storage.ErrCorrupt)
	}
	return nil
}

// tarBlock is what everything in a tar file is a multiple of.
const tarBlock = 512

// tarDamage tells what package tar finds wrong from what the store could not
// give.
func tarDamage(err error) error {
	if errors.Is(err, tar.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: as a tar file: %w", storage.ErrCorrupt, err)
	}
	return err
}

// zeroTail counts the zero bytes at the end of what was read, and knows where in
// the file that is.
type zeroTail struct {
	r     io.Reader
	at    int64
	zeros int64
}

func (z *zeroTail) Read(b []byte) (int, error) {
	n, err := z.r.Read(b)
	z.at += int64(n)
	i := lenWithoutZeros(b[:n])
	if i > 0 {
		z.zeros = 0
	}
	z.zeros += int64(n - i)
	return n, err
}

var zeroPage [4096]byte

// lenWithoutZeros is the length of b without the zero bytes at its end.
func lenWithoutZeros(b []byte) int {
	for len(b) >= len(zeroPage) && bytes.Equal(b[len(b)-len(zeroPage):], zeroPage[:]) {
		b = b[:len(b)-len(zeroPage)]
	}
	i := len(b)
	for i > 0 && b[i-1] == 0 {
		i--
	}
	return i
}

// unpackTree reads several objects at a time: most files of a data directory
// are small.
func (n *native) unpackTree(ctx context.Context, b Base, to Sink) error {
	for _, oid := range b.Bare { // the log may bring something into them
		if err := to.Put(Entry{Path: "pg_tblspc/" + oid, Dir: true}); err != nil {
			return err
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, o := range b.Objects {
		if o.Key == b.Manifest {
			continue
		}
		group.Go(func() error {
			name := b.nameIn(o.Key)
			if to.Has(name, o.Size) {
				to.Progress(int(o.Size))
				return nil
			}
			return n.whole(ctx, o, name, to)
		})
	}
	return group.Wait()
}

// whole gives one object as one file.
func (n *native) whole(ctx context.Context, o storage.Object, name string, to Sink) error {
	in, err := n.open(ctx, o, Plain, to.Progress)
	if err != nil {
		return fmt.Errorf("read %s: %w", o.Key, err)
	}
	defer in.Close()
	if err := to.Put(Entry{Path: name, Size: o.Size, Body: in}); err != nil {
		return fmt.Errorf("read %s: %w", o.Key, err)
	}
	return nil
}
