package pitr

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

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

// fetchSegment writes a segment, unpacked and judged by its first page, to a
// new file at path. It leaves nothing there when it fails.
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
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	head := &headKeeper{}
	size, err := io.Copy(io.MultiWriter(out, head), io.LimitReader(in, l.SegmentSize+1))
	err = errors.Join(err, out.Close())
	if err == nil {
		err = judge(f, l, head.bytes, size)
	}
	if err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// fetchSmall writes a file that is not a segment, at most a megabyte of it, to a
// new file at path.
func fetchSmall(ctx context.Context, r Repository, f File, path string) error {
	in, err := r.Open(ctx, f)
	if err != nil {
		return fmt.Errorf("read %s: %w", f.Object().Key, err)
	}
	defer in.Close()
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, io.LimitReader(in, 1<<20))
	if err = errors.Join(err, out.Close()); err != nil {
		return errors.Join(fmt.Errorf("read %s: %w", f.Object().Key, err), os.Remove(path))
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
