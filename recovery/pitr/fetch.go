package pitr

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"comeback/recovery"
	"comeback/recovery/pitr/walfile"
	"comeback/recovery/pitr/xlog"
	"comeback/storage"
)

// lineage is what every segment of a cluster's log has in common.
type lineage struct {
	System      string `json:"system"`
	Major       int    `json:"major"`
	SegmentSize int64  `json:"segment_size"`
	PageSize    int64  `json:"page_size"`
}

// errForeign: the segment is of another cluster.
var errForeign = errors.New("belongs to another cluster")

// fetchSegment writes a segment, unpacked, to a file of its own, and gives that the name
// path when it was judged by its first page. It leaves nothing there when it fails.
func fetchSegment(ctx context.Context, r Repository, f File, l lineage, path string) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("read segment %s: %w", f.Object().Key, err)
		}
	}()
	in, err := r.Open(ctx, f)
	if err != nil {
		return err
	}
	defer in.Close()
	return arrive(path, func(out io.Writer) error {
		head := &headKeeper{}
		size, err := io.Copy(io.MultiWriter(out, head), io.LimitReader(in, l.SegmentSize+1))
		if err != nil {
			return err
		}
		return judge(f, l, head.bytes, size)
	})
}

// arrive writes a file that nobody else has, and gives it the name path when all of it was
// written and found to be right. It leaves nothing there when that fails.
func arrive(path string, write func(io.Writer) error) error {
	out, err := os.CreateTemp(filepath.Dir(path), arriving)
	if err != nil {
		return err
	}
	err = errors.Join(write(out), out.Close())
	if err == nil {
		err = os.Rename(out.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(out.Name()))
	}
	return nil
}

// arriving begins the names of files that are not whole, or not judged.
const arriving = "arriving-"

// maxHistory bounds the history of a timeline: a line of it is hardly 100 bytes.
const maxHistory = 1 << 20

// fetchHistory writes the history of a timeline to a new file at path. One that the point
// needs is judged before; of any other the server only wants to know that it is there.
func fetchHistory(ctx context.Context, r Repository, f File, needed bool, path string) error {
	in, err := r.Open(ctx, f)
	if err != nil {
		return fmt.Errorf("read %s: %w", f.Object().Key, err)
	}
	defer in.Close()
	text, err := io.ReadAll(io.LimitReader(in, maxHistory+1))
	if err == nil && len(text) > maxHistory {
		err = fmt.Errorf("%w: it is longer than the history of a timeline can be", storage.ErrCorrupt)
	}
	if _, errParse := parseHistory(string(text)); err == nil && errParse != nil && needed {
		err = fmt.Errorf("%w: %w", storage.ErrCorrupt, errParse)
	}
	if err == nil {
		err = arrive(path, func(out io.Writer) error { _, err := out.Write(text); return err })
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", f.Object().Key, err)
	}
	return nil
}

// judge compares a segment with what it must be.
func judge(f File, l lineage, head []byte, size int64) error {
	h, err := xlog.ParseHeader(head)
	switch {
	case err != nil:
		return fmt.Errorf("%w: it %w", storage.ErrCorrupt, err)
	case h.System != l.System:
		return recovery.Errorf("archive each cluster in a directory of its own, and name it with the setting wal",
			"%s %w: its system identifier is %s, the backup's is %s", f.Object().Key, errForeign, h.System, l.System).WithExit(recovery.Refused)
	case h.SegmentSize != l.SegmentSize || size != l.SegmentSize:
		return fmt.Errorf("%w: it holds %d bytes, and a segment has %d", storage.ErrCorrupt, size, l.SegmentSize)
	case h.Address != walfile.Start(f.Seg(l.SegmentSize), l.SegmentSize):
		return fmt.Errorf("%w: it holds the log at %s, which is not what its name says", storage.ErrCorrupt, h.Address)
	case h.Major != l.Major:
		return fmt.Errorf("%w: it is of PostgreSQL %d, the backup is of %d", storage.ErrCorrupt, h.Major, l.Major)
	}
	return nil
}

// headKeeper keeps the first bytes of what is written to it.
type headKeeper struct{ bytes []byte }

func (k *headKeeper) Write(b []byte) (int, error) {
	if n := xlog.LongHeaderSize - len(k.bytes); n > 0 {
		k.bytes = append(k.bytes, b[:min(n, len(b))]...)
	}
	return len(b), nil
}
