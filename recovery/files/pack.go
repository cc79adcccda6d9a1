package files

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"

	"comeback/recovery/files/tree"
	"comeback/storage"
)

const (
	// frameSize is about how much of a pack is compressed by itself.
	frameSize = 256 << 10
	// storing is how many packs are stored side by side.
	storing = 2
	// sealedSuffix is after the names of objects that are encrypted.
	sealedSuffix = ".age"
)

// packer puts files into packs and stores these. Their numbers are those of the
// snapshot.
type packer struct {
	*capture
	ctx   context.Context
	group *errgroup.Group
	enc   *zstd.Encoder

	mu      sync.Mutex // guards parts
	parts   []*part
	numbers map[string]int
	serial  int
	trees   int
	files   *pack // being filled
	tree    *pack // of directories and links
}

func newPacker(ctx context.Context, c *capture) (*packer, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	p := &packer{capture: c, enc: enc, numbers: map[string]int{}}
	p.group, p.ctx = errgroup.WithContext(ctx)
	p.group.SetLimit(storing)
	return p, nil
}

// number gives a pack its number; its name, size and digest follow.
func (p *packer) number() (int, *part) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.parts = append(p.parts, &part{})
	return len(p.parts) - 1, p.parts[len(p.parts)-1]
}

// known is the number of a pack of an earlier snapshot that holds one more file.
func (p *packer) known(old part) int {
	n, ok := p.numbers[old.Name]
	if !ok {
		var mine *part
		n, mine = p.number()
		*mine, mine.Files = old, 0
		p.numbers[old.Name] = n
	}
	p.parts[n].Files++
	return n
}

// reused are the keys of the packs of earlier snapshots.
func (p *packer) reused() (keys []string) {
	for _, name := range slices.Sorted(maps.Keys(p.numbers)) {
		keys = append(keys, inPrefix(p.Prefix, name))
	}
	return keys
}

// add packs an open file and says where in its record. again is true, and
// nothing is packed, where the file has changed while it was read.
func (p *packer) add(ctx context.Context, r *tree.Record, f *os.File) (again bool, err error) {
	if r.Size >= p.Large {
		return p.alone(ctx, r, f)
	}
	body := make([]byte, r.Size+1)
	n, err := fill(f, body)
	if err != nil && err != io.EOF {
		return false, err
	}
	if int64(n) != r.Size || changed(f, *r) {
		return true, nil
	}
	sum := sha256.Sum256(body[:n])
	r.SHA256 = hex.EncodeToString(sum[:])
	if p.files == nil {
		p.serial++
		p.files = p.open(fmt.Sprintf("%04d", p.serial))
	}
	r.Pack, r.At = p.files.n, int64(p.files.out.Len())
	p.files.part.Files++
	if err := p.files.member(*r, bytes.NewReader(body[:n])); err != nil {
		return false, err
	}
	if p.files.full() {
		return false, p.close(&p.files)
	}
	return false, nil
}

// changed reports whether a file is not any more what its record says.
func changed(f *os.File, r tree.Record) bool {
	info, err := f.Stat()
	return err != nil || info.Size() != r.Size || !info.ModTime().Equal(r.Modified)
}

// packedAtMost is how large content may be in a pack: what cannot be compressed, and is
// encrypted, becomes a little larger.
func packedAtMost(size int64) int64 { return size + size/100 + 1<<20 }

// lookEvery is how much of a large file is read before it is looked whether it has changed:
// one that grows for hours is not read to its end for nothing.
const lookEvery = 64 << 20

// still reads a file for as long as it has not changed.
type still struct {
	*os.File
	of   tree.Record
	read int64 // since it was looked at
}

func (s *still) Read(b []byte) (int, error) {
	n, err := s.File.Read(b)
	if s.read += int64(n); s.read >= lookEvery {
		if s.read = 0; changed(s.File, s.of) {
			return n, fmt.Errorf("%s changed while it was read", tree.Show(s.of.Path))
		}
	}
	return n, err
}

// link packs what is no file.
func (p *packer) link(r tree.Record) error {
	if p.tree == nil {
		name := "tree"
		if p.trees++; p.trees > 1 {
			name = fmt.Sprintf("tree%d", p.trees)
		}
		p.tree = p.open(name)
	}
	if err := p.tree.member(r, nil); err != nil {
		return err
	}
	if p.tree.full() {
		return p.close(&p.tree)
	}
	return nil
}

// alone streams one large file into a pack of its own.
func (p *packer) alone(ctx context.Context, r *tree.Record, f *os.File) (again bool, err error) {
	p.serial++
	sum := sha256.New()
	torn := false
	stored, err := p.store(ctx, "packs/"+p.id+fmt.Sprintf("-%04d.tar.zst", p.serial), packedAtMost(r.Size), func(w io.Writer) error {
		z, err := zstd.NewWriter(w)
		if err != nil {
			return err
		}
		t := tar.NewWriter(z)
		err = t.WriteHeader(header(*r))
		if err == nil {
			_, err = io.Copy(t, io.TeeReader(storage.Exactly(&still{File: f, of: *r}, r.Size), sum))
		}
		if torn = changed(f, *r); torn {
			return fmt.Errorf("%s changed while it was read", tree.Show(r.Path))
		}
		if err == nil {
			err = t.Close()
		}
		if err == nil {
			err = z.Close()
		}
		return err
	})
	switch {
	case torn && ctx.Err() == nil:
		return true, nil
	case err != nil:
		return false, err
	}
	n, mine := p.number()
	*mine = stored
	mine.Files = 1
	r.Pack, r.At, r.SHA256 = n, 0, hex.EncodeToString(sum.Sum(nil))
	return false, nil
}

// finish stores what is not stored yet and lists the packs; nothing is stored
// any more where the snapshot has failed.
func (p *packer) finish(well bool) ([]part, error) {
	var err error
	for _, open := range []**pack{&p.files, &p.tree} {
		if well && *open != nil && err == nil {
			err = p.close(open)
		}
	}
	if errStore := p.group.Wait(); errStore != nil {
		err = errStore
	}
	if err != nil {
		return nil, err
	}
	parts := make([]part, len(p.parts))
	for i, mine := range p.parts {
		parts[i] = *mine
	}
	return parts, nil
}

// pack is one being filled, in memory.
type pack struct {
	*packer
	name string
	n    int
	part *part
	held int64
	raw  bytes.Buffer // of the frame that is not compressed yet
	out  bytes.Buffer
	tar  *tar.Writer
}

func (p *packer) open(name string) *pack {
	k := &pack{packer: p, name: "packs/" + p.id + "-" + name + ".tar.zst"}
	k.n, k.part = p.number()
	k.tar = tar.NewWriter(&k.raw)
	return k
}

// full: of empty files a pack would hold without end, and a restore knows all of a
// pack's files at a time.
func (k *pack) full() bool {
	return int64(k.out.Len()+k.raw.Len()) >= k.PackSize || k.held >= atOnce/2
}

// member appends one member. A frame ends where it is large enough, and never
// in the middle of a member.
func (k *pack) member(r tree.Record, body io.Reader) error {
	err := k.tar.WriteHeader(header(r))
	if err == nil && body != nil {
		_, err = io.Copy(k.tar, body)
	}
	if err == nil {
		err = k.tar.Flush()
	}
	if err != nil {
		return fmt.Errorf("pack %s: %w", tree.Show(r.Path), err)
	}
	k.held++
	if k.raw.Len() >= frameSize {
		k.frame()
	}
	return nil
}

func (k *pack) frame() {
	k.out.Write(k.enc.EncodeAll(k.raw.Bytes(), nil))
	k.raw.Reset()
}

// close ends a pack and stores it, beside others.
func (p *packer) close(open **pack) error {
	k := *open
	*open = nil
	if err := k.tar.Close(); err != nil {
		return err
	}
	k.frame()
	p.group.Go(func() error {
		stored, err := p.store(p.ctx, k.name, packedAtMost(int64(k.out.Len())), func(w io.Writer) error {
			_, err := w.Write(k.out.Bytes())
			return err
		})
		files := k.part.Files
		*k.part = stored
		k.part.Files = files
		return err
	})
	return p.ctx.Err()
}

// store stores what write writes, at most so much, sealed where that is asked for, and
// gives its size and digest.
func (p *packer) store(ctx context.Context, name string, atMost int64, write func(io.Writer) error) (part, error) {
	if p.Seal != nil {
		name += sealedSuffix
	}
	sum := sha256.New()
	o, err := storage.PutFrom(ctx, p.Store, inPrefix(p.Prefix, name), atMost, nil, func(_ context.Context, w io.Writer) error {
		to := io.MultiWriter(w, sum)
		if p.Seal == nil {
			return write(to)
		}
		sealed, err := p.Seal(to)
		if err != nil {
			return err
		}
		if err := write(sealed); err != nil {
			return err
		}
		return sealed.Close()
	})
	if err != nil {
		return part{}, fmt.Errorf("store %s: %w", path.Base(name), err)
	}
	return part{Name: name, Size: o.Size, SHA256: hex.EncodeToString(sum.Sum(nil))}, nil
}

// header is a record as tar has it. The format of GNU holds names of any bytes, that of PAX
// extended attributes.
func header(r tree.Record) *tar.Header {
	h := &tar.Header{Format: tar.FormatGNU, Name: r.Path, Mode: int64(r.Mode), Uid: r.UID, Gid: r.GID, ModTime: r.Modified, Size: r.Size, Linkname: r.Link}
	switch r.Type {
	case tree.File:
		h.Typeflag = tar.TypeReg
	case tree.Directory:
		h.Typeflag, h.Name = tar.TypeDir, r.Path+"/"
	case tree.Symlink:
		h.Typeflag, h.Mode = tar.TypeSymlink, 0o777
	case tree.HardLink:
		h.Typeflag = tar.TypeLink
	}
	if len(r.Attributes) > 0 {
		h.Format, h.PAXRecords = tar.FormatPAX, map[string]string{}
		for _, a := range r.Attributes {
			h.PAXRecords[inPAX+toPAX.Replace(a.Name)] = string(a.Value)
		}
	}
	return h
}
