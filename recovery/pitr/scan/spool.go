package scan

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"comeback/recovery/pitr/walfile"
)

// spool holds the segments that are being read. The first segment of a chunk
// stays until the older chunk beside it was read too, because a record may go
// on in it.
type spool struct {
	reader Reader
	dir    string
	// catalogs are the server's own relations with unusual files.
	catalogs map[file]uint32

	mu   sync.Mutex
	held map[uint64]*held
}

// held is a segment in the spool.
type held struct {
	users int
	fetch sync.Once
	err   error
}

func newSpool(r Reader, dir string) *spool {
	return &spool{reader: r, dir: dir, catalogs: catalogsOf(r.Names), held: map[uint64]*held{}}
}

func (s *spool) path(seg uint64) string {
	return filepath.Join(s.dir, s.reader.segmentName(seg))
}

// reserve keeps a segment, as soon as it was fetched, until it is released.
func (s *spool) reserve(seg uint64) *held {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.held[seg]
	if h == nil {
		h = &held{}
		s.held[seg] = h
	}
	h.users++
	return h
}

// hold fetches a segment, unless it is there. Each hold needs a release, after
// an error too.
func (s *spool) hold(ctx context.Context, seg uint64) error {
	h := s.reserve(seg)
	h.fetch.Do(func() { h.err = s.fetch(ctx, seg) })
	return h.err
}

// fetch fetches a segment and checks its size.
func (s *spool) fetch(ctx context.Context, seg uint64) error {
	name, path := s.reader.segmentName(seg), s.path(seg)
	if err := s.reader.Fetch(ctx, name, path); err != nil {
		return fmt.Errorf("fetch segment %s: %w", name, err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("fetch segment %s: %w", name, err)
	}
	if info.Size() != s.reader.SegmentSize {
		return &Damage{Segment: name, LSN: walfile.Start(seg, s.reader.SegmentSize),
			Says: fmt.Sprintf("it has %d bytes instead of %d", info.Size(), s.reader.SegmentSize)}
	}
	return nil
}

// release gives a segment up; the last one removes it.
func (s *spool) release(seg uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.held[seg]
	if h == nil {
		return
	}
	if h.users--; h.users == 0 {
		delete(s.held, seg)
		_ = os.Remove(s.path(seg)) // what stays goes with the directory
	}
}

// chunkDir is a chunk's own directory, with links to its segments, all named as
// of one timeline: pg_waldump goes through a fork without noticing, and looks
// at whatever it finds in its directory.
type chunkDir struct {
	spool *spool
	dir   string
	segs  []uint64
}

func (s *spool) open() (*chunkDir, error) {
	dir, err := os.MkdirTemp(s.dir, "chunk-")
	if err != nil {
		return nil, fmt.Errorf("unpack the log: %w", err)
	}
	return &chunkDir{spool: s, dir: dir}, nil
}

// add makes a segment available.
func (c *chunkDir) add(ctx context.Context, seg uint64) error {
	c.segs = append(c.segs, seg)
	if err := c.spool.hold(ctx, seg); err != nil {
		return err
	}
	if err := os.Link(c.spool.path(seg), c.path(seg)); err != nil {
		return fmt.Errorf("unpack the log: %w", err)
	}
	return nil
}

func (c *chunkDir) path(seg uint64) string {
	r := c.spool.reader
	return filepath.Join(c.dir, walfile.SegmentName(r.newest(), seg, r.SegmentSize))
}

// close gives the segments up.
func (c *chunkDir) close() error {
	for _, seg := range c.segs {
		c.spool.release(seg)
	}
	if err := os.RemoveAll(c.dir); err != nil {
		return fmt.Errorf("remove the unpacked log: %w", err)
	}
	return nil
}

// newest is the line's last timeline.
func (r Reader) newest() uint32 { return r.Timelines[len(r.Timelines)-1].ID }
