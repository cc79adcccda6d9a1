package scan

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"comeback/recovery"
)

// Map names the relations and databases of a cluster as of one time. It is a
// recovery.Names, and knows relations by their OIDs too, which stay when a
// table is truncated or rewritten.
type Map struct {
	// System is the cluster's system identifier, where it is known; a map of
	// another cluster names nothing rightly.
	System    string        `json:"system,omitempty"`
	Databases []DatabaseMap `json:"databases"`

	names map[uint32]string
	files map[file]int // index into relations
	oids  map[file]int
	all   []entry
}

// DatabaseMap is a database with its relations.
type DatabaseMap struct {
	OID  uint32 `json:"oid"`
	Name string `json:"name"`
	// Relations are its tables, materialized views, TOAST tables, sequences
	// and indexes. Catalogs are among them where their files are not named
	// by their OIDs.
	Relations []MappedRelation `json:"relations,omitempty"`
}

// MappedRelation is a relation with its numbers.
type MappedRelation struct {
	OID      uint32 `json:"oid"`
	Filenode uint32 `json:"filenode"`
	recovery.Relation
}

type entry struct {
	relation recovery.Relation
	file     file
	oid      uint32
}

// file is what lies in a file of a database, by the numbers of the log.
type file struct{ database, node uint32 }

// firstNormalOID is the first OID that is not the server's own.
const firstNormalOID = 16384

// build makes the indexes of a map.
func (m *Map) build() *Map {
	m.names, m.files, m.oids, m.all = map[uint32]string{}, map[file]int{}, map[file]int{}, nil
	for _, d := range m.Databases {
		m.names[d.OID] = d.Name
		for _, r := range d.Relations {
			f := file{d.OID, r.Filenode}
			m.files[f], m.oids[file{d.OID, r.OID}] = len(m.all), len(m.all)
			m.all = append(m.all, entry{r.Relation, f, r.OID})
		}
	}
	return m
}

// Relation names what lies in a file of a database.
func (m *Map) Relation(database, filenode uint32) (recovery.Relation, bool) {
	if i, ok := m.files[file{database, filenode}]; ok {
		return m.all[i].relation, true
	}
	return recovery.Relation{Rows: -1}, false
}

// RelationByOID names a relation of a database by its OID.
func (m *Map) RelationByOID(database, oid uint32) (recovery.Relation, bool) {
	if i, ok := m.oids[file{database, oid}]; ok {
		return m.all[i].relation, true
	}
	return recovery.Relation{Rows: -1}, false
}

// Database names a database.
func (m *Map) Database(oid uint32) (string, bool) {
	name, ok := m.names[oid]
	return name, ok
}

// catalogs are the server's own relations whose files are not named by their
// OIDs.
func (m *Map) catalogs() map[file]uint32 {
	found := map[file]uint32{}
	for _, e := range m.all {
		if e.oid < firstNormalOID && e.file.node >= firstNormalOID {
			found[e.file] = e.oid
		}
	}
	return found
}

// EncodeNames writes a map as JSON, the same bytes for the same map.
func EncodeNames(w io.Writer, m *Map) error {
	sorted := Map{System: m.System, Databases: slices.Clone(m.Databases)}
	slices.SortFunc(sorted.Databases, func(a, b DatabaseMap) int { return cmp.Compare(a.OID, b.OID) })
	for i := range sorted.Databases {
		d := &sorted.Databases[i]
		d.Relations = slices.Clone(d.Relations)
		slices.SortFunc(d.Relations, func(a, b MappedRelation) int { return cmp.Compare(a.OID, b.OID) })
	}
	if err := json.NewEncoder(w).Encode(&sorted); err != nil {
		return fmt.Errorf("write the names of relations: %w", err)
	}
	return nil
}

// DecodeNames reads what EncodeNames wrote.
func DecodeNames(r io.Reader) (*Map, error) {
	var m Map
	if err := json.NewDecoder(r).Decode(&m); err != nil {
		return nil, fmt.Errorf("read the names of relations: %w", err)
	}
	return m.build(), nil
}

// merged asks several names in turn.
type merged []recovery.Names

// Merge asks several sources in turn; the first that knows answers. Nil sources
// are left out.
func Merge(sources ...recovery.Names) recovery.Names {
	var m merged
	for _, s := range sources {
		if s != nil && s != recovery.Names((*Map)(nil)) {
			m = append(m, s)
		}
	}
	return m
}

func (m merged) Relation(database, filenode uint32) (recovery.Relation, bool) {
	for _, s := range m {
		if r, ok := s.Relation(database, filenode); ok {
			return r, true
		}
	}
	return recovery.Relation{Rows: -1}, false
}

func (m merged) RelationByOID(database, oid uint32) (recovery.Relation, bool) {
	for _, s := range m {
		if by, is := s.(byOID); is {
			if r, ok := by.RelationByOID(database, oid); ok {
				return r, true
			}
		}
	}
	return recovery.Relation{Rows: -1}, false
}

func (m merged) Database(oid uint32) (string, bool) {
	for _, s := range m {
		if name, ok := s.Database(oid); ok {
			return name, true
		}
	}
	return "", false
}

func (m merged) catalogs() map[file]uint32 {
	all := map[file]uint32{}
	for i := len(m) - 1; i >= 0; i-- {
		for f, oid := range catalogsOf(m[i]) {
			all[f] = oid
		}
	}
	return all
}

// datedNames are a map whose numbers of rows are of another time than now.
type datedNames struct{ *Map }

// Dated are the names of a map of another time: they say so of its numbers of rows.
func Dated(m *Map) recovery.Names { return datedNames{m} }

func (m datedNames) Relation(database, filenode uint32) (recovery.Relation, bool) {
	r, ok := m.Map.Relation(database, filenode)
	r.Dated = ok
	return r, ok
}

func (m datedNames) RelationByOID(database, oid uint32) (recovery.Relation, bool) {
	r, ok := m.Map.RelationByOID(database, oid)
	r.Dated = ok
	return r, ok
}

// byOID is what names may know beyond recovery.Names.
type byOID interface {
	RelationByOID(database, oid uint32) (recovery.Relation, bool)
}

func catalogsOf(n recovery.Names) map[file]uint32 {
	if c, ok := n.(interface{ catalogs() map[file]uint32 }); ok {
		return c.catalogs()
	}
	return nil
}
