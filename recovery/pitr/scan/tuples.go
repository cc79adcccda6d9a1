package scan

import "bytes"

// tuples reads the offsets of an opInsert, opUpdate or opDelete within their
// blocks: the old tuple's block and offset, and the new one's offset.
func (r *record) tuples() (oldBlock uint32, old, new uint16, ok bool) {
	if r.native {
		return r.oldBlock, r.oldOffset, r.newOffset, true
	}
	oldBlock = r.block
	if i := bytes.Index(r.desc, []byte("blkref #1: rel ")); i >= 0 && r.op == opUpdate {
		again := record{desc: append([]byte(firstBlock), r.desc[i+len("blkref #1: rel "):]...)}
		if !again.firstFile() {
			return 0, 0, 0, false
		}
		oldBlock = again.block
	}
	number := func(labels ...string) (uint16, bool) {
		for _, label := range labels {
			i := bytes.Index(r.desc, []byte(label))
			if i < 0 {
				continue
			}
			s := scanner{b: r.desc, at: i + len(label)}
			s.skip(":")
			s.skip(" ")
			n := s.number()
			return uint16(n), !s.bad && n < 1<<16
		}
		return 0, false
	}
	switch r.op {
	case opInsert:
		new, ok = number(" off")
	case opDelete:
		old, ok = number(" off")
	case opUpdate:
		var okNew bool
		old, ok = number(" old_off", " off")
		new, okNew = number(" new_off", " new off")
		ok = ok && okNew
	}
	return oldBlock, old, new, ok
}
