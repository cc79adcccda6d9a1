package scan

import "bytes"

// parsePath reads base/5/16391, global/1262 and
// pg_tblspc/16400/PG_15_202209061/5/16391, each with the name of a fork or without.
func parsePath(path []byte) (f located, fork string, ok bool) {
	i := bytes.LastIndexByte(path, '/')
	if i < 0 {
		return located{}, "", false
	}
	s := scanner{b: path, at: i + 1}
	node := s.number()
	if s.at < len(path) {
		if !s.skip("_") {
			return located{}, "", false
		}
		fork = "other"
		if string(path[s.at:]) == "init" {
			fork = "init"
		}
	}
	f.node = uint32(node)
	rest := path[:i]
	if string(rest) != "global" {
		d := scanner{b: rest, at: bytes.LastIndexByte(rest, '/') + 1}
		database := d.number()
		f.database = uint32(database)
		if d.bad || d.at != len(rest) || database > 1<<32-1 {
			return located{}, "", false
		}
	}
	if after, is := bytes.CutPrefix(rest, []byte("pg_tblspc/")); is {
		d := scanner{b: after}
		space := d.number()
		f.space = uint32(space)
		s.bad = s.bad || d.bad || space > 1<<32-1
	}
	return f, fork, !s.bad && node <= 1<<32-1
}

// located is a file with the tablespace that it lies in; 0 is the default one.
type located struct {
	file
	space uint32
}
