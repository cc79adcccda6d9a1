package scan

import (
	"cmp"
	"slices"

	"comeback/recovery"
)

// namer turns finished transactions into what people read. It is asked from the
// newest on: a table that was truncated or rewritten had another file before,
// and is known by its newer one.
type namer struct {
	names recovery.Names
	// former are the relations of files that are not in use any more.
	former   map[file]recovery.Relation
	timeline func(recovery.LSN) uint32
}

func newNamer(names recovery.Names, timeline func(recovery.LSN) uint32) *namer {
	if names == nil {
		names = Merge()
	}
	return &namer{names: names, former: map[file]recovery.Relation{}, timeline: timeline}
}

var unknown = recovery.Relation{Rows: -1}

// of names a file.
func (n *namer) of(f file) (recovery.Relation, bool) {
	if r, ok := n.names.Relation(f.database, f.node); ok {
		return r, true
	}
	if r, ok := n.former[f]; ok {
		return r, true
	}
	return unknown, false
}

// relation names a relation by its files or its OID, and learns the former file.
func (n *namer) relation(r *relation) (recovery.Relation, bool) {
	var found recovery.Relation
	var ok bool
	for _, f := range []file{r.new.file, r.old.file} {
		if f.node != 0 && !ok {
			found, ok = n.of(f)
		}
	}
	if by, is := n.names.(byOID); is && !ok && r.oid != 0 {
		found, ok = by.RelationByOID(cmp.Or(r.old.database, r.new.database), r.oid)
	}
	if !ok {
		return unknown, false
	}
	for _, f := range []file{r.new.file, r.old.file} {
		if f.node != 0 {
			n.former[f] = found
		}
	}
	return found, true
}

// transaction makes a transaction of what is known of its end.
func (n *namer) transaction(f *finished, atLeast bool) recovery.Transaction {
	t := recovery.Transaction{
		Commit:   recovery.Commit{XID: recovery.XID(f.info.xid), Time: f.info.time, LSN: f.lsn, End: f.end},
		Timeline: n.timeline(f.lsn), How: f.info.how, First: f.first, Stop: f.lsn,
		GID: f.gid, Bytes: f.bytes, RestorePoint: f.name,
	}
	if t.How == recovery.NamedPoint {
		t.Time = f.before.time // the record has none
		return t
	}
	if atLeast {
		t.AtLeast, t.First = true, 0
	}
	if f.acts != 0 {
		// Its first act cannot be taken back: stop before that.
		t.Stop, t.Inclusive = f.before.lsn, true
		if t.Stop == 0 {
			t.Stop, t.Inclusive = f.acts, false
		}
	}
	for _, o := range f.objects {
		n.object(&t, o)
	}
	t.Tables = n.tables(f)
	return t
}

func (n *namer) object(t *recovery.Transaction, o object) {
	change := recovery.ObjectChange{OID: o.oid, Created: !o.dropped, Dropped: o.dropped}
	list := &t.Tablespaces
	if !o.tablespace {
		list = &t.Databases
		change.Name, _ = n.names.Database(o.oid)
	}
	if !slices.Contains(*list, change) {
		*list = append(*list, change)
	}
}

// tables lists what was done to each table.
func (n *namer) tables(f *finished) []recovery.TableChange {
	if len(f.rows) == 0 && len(f.deeds) == 0 && len(f.info.files) == 0 {
		return nil
	}
	l := tableList{namer: n}
	if len(f.deeds) == 0 && len(f.info.files) == 0 && len(f.rows) <= fewTables {
		l.list = make([]recovery.TableChange, 0, len(f.rows))
		for _, c := range f.rows {
			l.count(c.file, c)
		}
		return sorted(l.list)
	}
	l.at, l.named = map[file]int{}, map[nameKey]int{}
	rows := map[file]rowCount{}
	for _, c := range f.rows {
		rows[c.file] = c
	}
	byOrder(f.deeds)
	traced := trace(f.deeds)
	if f.info.how != recovery.Aborted && f.info.how != recovery.AbortedPrepared {
		// What an abort removes are the files that had been made.
		traced.align(f.info.files, f.info.dropped)
	}
	for _, m := range traced.removals {
		// A file that the transaction made and gave up again.
		given, ok := rows[m.known.file]
		if !ok || m.known == m.relation.new && !m.relation.dropped {
			continue
		}
		delete(rows, m.known.file)
		if m.relation.rewritten && m.drop {
			// Its rows are in the new one.
			kept := rows[m.relation.new.file]
			kept.file = m.relation.new.file
			kept.add(given)
			rows[kept.file] = kept
		}
	}
	for _, r := range traced.relations {
		l.relation(r, f, rows)
	}
	for _, c := range f.rows {
		if c, ok := rows[c.file]; ok {
			l.count(c.file, c)
		}
	}
	return sorted(l.list)
}

// sorted puts those first that changed the most rows, and leaves out those to
// which nothing was done in the end.
func sorted(list []recovery.TableChange) []recovery.TableChange {
	list = slices.DeleteFunc(list, func(c recovery.TableChange) bool {
		return rowsOf(c) == 0 && c.Arrived == 0 && !c.Created && !c.Dropped && !c.Truncated && !c.Rewritten
	})
	slices.SortFunc(list, func(a, b recovery.TableChange) int {
		return cmp.Or(cmp.Compare(rowsOf(b), rowsOf(a)), cmp.Compare(a.Database, b.Database),
			cmp.Compare(a.Name, b.Name), cmp.Compare(a.Filenode, b.Filenode))
	})
	return list
}

func rowsOf(c recovery.TableChange) int64 { return c.Inserted + c.Updated + c.Deleted }

// fewTables is up to how many tables a list is searched without an index.
const fewTables = 16

// tableList gathers the changes of tables.
type tableList struct {
	*namer
	list []recovery.TableChange
	// at and named find entries; they are nil in a short list.
	at    map[file]int
	named map[nameKey]int
}

// nameKey is a table's name in a database.
type nameKey struct {
	database uint32
	name     string
}

// entry is a table's entry; nil where it is none of a table.
func (l *tableList) entry(f file, rel recovery.Relation) *recovery.TableChange {
	switch rel.Of {
	case "toast", "index", "sequence", "other":
		return nil
	}
	i, ok := l.find(f, rel.Name)
	if !ok {
		i = len(l.list)
		l.list = append(l.list, recovery.TableChange{Database: f.database, Filenode: f.node, Relation: rel})
	}
	if l.at != nil {
		l.at[f] = i
		if rel.Name != "" {
			l.named[nameKey{f.database, rel.Name}] = i
		}
	}
	return &l.list[i]
}

// find finds an entry by its file or its name.
func (l *tableList) find(f file, name string) (int, bool) {
	if l.at == nil {
		i := slices.IndexFunc(l.list, func(c recovery.TableChange) bool {
			return c.Database == f.database && (c.Filenode == f.node || name != "" && c.Name == name)
		})
		return i, i >= 0
	}
	if i, ok := l.at[f]; ok {
		return i, true
	}
	i, ok := l.named[nameKey{f.database, name}]
	return i, ok && name != ""
}

// relation adds what became of a relation, and takes the rows in its files.
func (l *tableList) relation(r *relation, f *finished, rows map[file]rowCount) {
	made := r.born || r.truncated || r.rewritten
	switch {
	case r.gone:
		if r.swap == nil {
			delete(rows, r.new.file) // made and dropped again
		}
		return
	case !made && !r.dropped, made && r.new.node == 0, r.dropped && r.old.node == 0 && r.new.node == 0:
		return // only its row was changed, or it has no file
	}
	was := r.old
	if was.node == 0 {
		was = r.new
	}
	if was.node < firstNormalOID {
		return // a catalog
	}
	// A table that went to another tablespace kept its rows.
	r.copied = r.copied || r.truncated && r.old.node != 0 && r.old.space != r.new.space
	rel, known := l.namer.relation(r)
	if !known && r.kind == "" && r.copied && r.truncated {
		return // a REINDEX, or a table that was moved as it is
	}
	if !known && r.kind != "" {
		rel.Of = r.kind
		if r.kind != "table" && r.old.node != 0 {
			l.former[r.old.file] = rel // no table, whatever it was called
		}
	}
	if !known && r.born && r.copied {
		rel.Of = "index"
	}
	c := l.entry(was.file, rel)
	if c == nil {
		delete(rows, r.new.file)
		delete(rows, r.old.file)
		return
	}
	c.Created = c.Created || r.born
	c.Dropped = c.Dropped || r.dropped
	c.Truncated = c.Truncated || r.truncated && !r.copied && !r.rewritten
	c.Rewritten = c.Rewritten || r.rewritten || r.truncated && r.copied
	if r.rewritten && !emptied(f.deeds, r.new.file) {
		delete(rows, r.new.file) // the rows that it had before
	}
	for _, file := range []file{r.old.file, r.new.file} {
		if count, ok := rows[file]; ok {
			add(c, count)
			delete(rows, file)
		}
	}
}

func emptied(deeds []deed, f file) bool {
	return slices.ContainsFunc(deeds, func(d deed) bool { return d.kind == fileEmptied && d.file == f })
}

// count adds rows in a file.
func (l *tableList) count(f file, count rowCount) {
	rel, _ := l.of(f)
	if c := l.entry(f, rel); c != nil {
		add(c, count)
	}
}

func add(c *recovery.TableChange, n rowCount) {
	c.Inserted += max(n.inserted, 0)
	c.Updated += n.updated
	c.Deleted += n.deleted
	c.Left += n.left
	c.Arrived += n.arrived
}
