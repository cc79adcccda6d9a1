package scan

import (
	"bytes"
)

// parseObjects reads which databases or tablespaces came or went: "DROP dir
// 1663/16384 16400/16384", "CREATE_WAL_LOG create dir 1663/16468",
// "CREATE_FILE_COPY copy dir 1663/1 to 1663/16469", before 15 "CREATE copy dir
// 1663/1 to 1663/16469"; of tablespaces "CREATE 16400 "/path"" and "DROP 16400".
func parseObjects(r *record) []object {
	verb, rest, _ := bytes.Cut(r.desc, []byte(" "))
	o := object{tablespace: r.op == opTablespace, dropped: bytes.HasPrefix(verb, []byte("DROP"))}
	if !o.dropped && !bytes.HasPrefix(verb, []byte("CREATE")) {
		return nil
	}
	if o.tablespace {
		s := scanner{b: rest}
		o.oid = uint32(s.number())
		if s.bad {
			return nil
		}
		return []object{o}
	}
	// The last pair names the database; where it is dropped all do.
	fields := bytes.Fields(rest)
	if len(fields) == 0 {
		return nil
	}
	_, oid, ok := bytes.Cut(fields[len(fields)-1], []byte("/"))
	s := scanner{b: oid}
	o.oid = uint32(s.number())
	if !ok || s.bad {
		return nil
	}
	return []object{o}
}
