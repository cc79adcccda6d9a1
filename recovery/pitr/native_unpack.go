package pitr

import (
	"archive/tar"
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
func (n *native) Unpack(ctx context.Context, b Base, put func(Entry) error, progress func(int)) error {
	for _, o := range b.Objects {
		if o.Key == b.Manifest {
			if err := n.whole(ctx, o, manifestName, put, progress); err != nil {
				return err
			}
		}
	}
	if b.Format == "plain" {
		return n.unpackTree(ctx, b, put, progress)
	}
	for _, o := range b.Objects {
		if o.Key == b.Manifest {
			continue
		}
		if err := n.unpackTar(ctx, o, under(b, o), put, progress); err != nil {
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

func (n *native) unpackTar(ctx context.Context, o storage.Object, dir string, put func(Entry) error, progress func(int)) error {
	packing := Gzip
	if !strings.HasSuffix(o.Key, ".tgz") {
		_, packing = cutPacking(o.Key)
	}
	in, err := n.open(ctx, o, packing, progress)
	if err != nil {
		return err
	}
	defer in.Close()
	tail := &zeroTail{r: in}
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
		e := Entry{Path: path.Join(dir, h.Name), Size: h.Size, Body: t}
		switch h.Typeflag {
		case tar.TypeReg:
		case tar.TypeDir:
			e = Entry{Path: e.Path, Dir: true}
		case tar.TypeSymlink:
			// A tablespace's link leads to where it was on its own host.
			if path.Dir(e.Path) != "pg_tblspc" {
				return fmt.Errorf("%w: %s is a link", storage.ErrCorrupt, h.Name)
			}
			e = Entry{Path: e.Path, Dir: true}
		default:
			return fmt.Errorf("%w: %s is of the type %q, which no data directory has", storage.ErrCorrupt, h.Name, h.Typeflag)
		}
		if err := put(e); err != nil {
			return err
		}
	}
	// The stream is read to its end: that is where its checksum stands.
	if _, err := io.Copy(io.Discard, tail); err != nil {
		return err
	}
	if tail.zeros < 1024 {
		return fmt.Errorf("%w: the tar file ends without its end mark, so its last part is missing", storage.ErrCorrupt)
	}
	return nil
}

// tarDamage tells what package tar finds wrong from what the store could not
// give.
func tarDamage(err error) error {
	if errors.Is(err, tar.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: as a tar file: %w", storage.ErrCorrupt, err)
	}
	return err
}

// zeroTail counts the zero bytes at the end of what was read.
type zeroTail struct {
	r     io.Reader
	zeros int64
}

func (z *zeroTail) Read(b []byte) (int, error) {
	n, err := z.r.Read(b)
	i := n
	for i > 0 && b[i-1] == 0 {
		i--
	}
	if i > 0 {
		z.zeros = 0
	}
	z.zeros += int64(n - i)
	return n, err
}

// unpackTree reads several objects at a time: most files of a data directory
// are small.
func (n *native) unpackTree(ctx context.Context, b Base, put func(Entry) error, progress func(int)) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, o := range b.Objects {
		if o.Key == b.Manifest {
			continue
		}
		group.Go(func() error {
			return n.whole(ctx, o, strings.TrimPrefix(o.Key, b.Root), put, progress)
		})
	}
	return group.Wait()
}

// whole gives one object as one file.
func (n *native) whole(ctx context.Context, o storage.Object, name string, put func(Entry) error, progress func(int)) error {
	in, err := n.open(ctx, o, Plain, progress)
	if err != nil {
		return fmt.Errorf("read %s: %w", o.Key, err)
	}
	defer in.Close()
	if err := put(Entry{Path: name, Size: o.Size, Body: in}); err != nil {
		return fmt.Errorf("read %s: %w", o.Key, err)
	}
	return nil
}
