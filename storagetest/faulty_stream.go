package storagetest

import (
	"context"
	"io"

	"comeback/storage"
)

// faultyStream breaks at offsets.
type faultyStream struct {
	ctx    context.Context
	store  *Faulty
	body   io.ReadCloser
	offset int64
	faults []*Fault // not struck yet, by offset
	cut    bool
}

// Checksum is that of the stream itself.
func (s *faultyStream) Checksum() string {
	if c, ok := s.body.(storage.Checksummer); ok {
		return c.Checksum()
	}
	return ""
}

// Read reads up to the next fault, and strikes when it has come there.
func (s *faultyStream) Read(p []byte) (int, error) {
	flip := false
	for len(s.faults) > 0 && s.faults[0].At == s.offset && !s.cut {
		fault := s.faults[0]
		s.faults = s.faults[1:]
		if !s.store.strikes(fault) {
			continue
		}
		if err := fault.act(s.ctx); err != nil {
			return 0, err
		}
		flip = flip || fault.Flip
		s.cut = s.cut || fault.Cut
	}
	if s.cut {
		return 0, io.EOF
	}
	if len(s.faults) > 0 {
		p = p[:min(int64(len(p)), s.faults[0].At-s.offset)]
	}
	n, err := s.body.Read(p)
	if flip && n > 0 {
		p[0] ^= 1
	}
	s.offset += int64(n)
	if err == io.EOF && len(s.faults) > 0 && s.faults[0].At == s.offset {
		err = nil // the fault first
	}
	return n, err
}

func (s *faultyStream) Close() error { return s.body.Close() }
