package scan

import (
	"slices"
	"time"

	"comeback/recovery"
	"comeback/recovery/pitr/xlog"
)

// finished is the end of a transaction, or a restore point, with what is known of
// what led to it.
type finished struct {
	lsn, end recovery.LSN
	info     end
	work
	// objects are databases and tablespaces that came or went.
	objects []object
	// acts is where the first of its records lies that act before its
	// end; before is the last commit before that, or before a restore
	// point. pending says that the latter is in an older chunk, if anywhere.
	acts    recovery.LSN
	before  commit
	pending bool
	// name is a restore point's.
	name string
	// waiting: it may have begun in an older chunk.
	waiting bool
}

// xids are all that belong to it.
func (f *finished) xids() []uint32 { return append(slices.Clone(f.info.subs), f.info.xid) }

// object is a database or tablespace that came or went.
type object struct {
	tablespace bool
	oid        uint32
	dropped    bool
}

// chunk is what one chunk of the log says.
type chunk struct {
	// ended are the ends in it, in the order of the log.
	ended []*finished
	// open is what was done by xids that did not end in it, and by
	// prepared ones, which may end twice.
	open map[uint32]*work
	// objects are those of open.
	objects map[uint32][]dated
	// newer is an xid that began in this chunk for certain, and so did all
	// after it. It is not known where known is false.
	newer uint32
	known bool
	// orphans are files at its end whose maker is in the newer chunk.
	orphans orphans
	// last is the last commit in it; zero where there is none.
	last commit
	// broken is where it cannot be read.
	broken *Damage
}

// commit is where a commit lies and when it was.
type commit struct {
	lsn  recovery.LSN
	time time.Time
}

// dated is an object with where its record lies.
type dated struct {
	object
	lsn    recovery.LSN
	before commit
}

// gatherer turns the records of a chunk into what transactions did.
type gatherer struct {
	chunk
	size, page int64
	start      recovery.LSN // of the first record
	catalogs   map[file]uint32
	toast      func(file) bool
	// free are used works, for others.
	free []*work
	// arena is where counters of ended transactions lie.
	arena []rowCount
	// latest is the greatest xid so far; rising counts how often it rose.
	latest uint32
	rising int
	xid    uint32
	cached *work
	// whole is a transaction that ends, put together.
	whole work
	works []*work
}

// backends is more than a server has sessions. An xid that is greater than all
// before it is new, or that of a session which was idle since before the
// chunk; a session can be that only once, because later xids of its own are
// new, and an older one is not greater. So after as many rises one was new.
const backends = 2000

// precedes compares transaction ids as PostgreSQL does, in a circle.
func precedes(a, b uint32) bool { return int32(a-b) < 0 }

func newGatherer(size, page int64, catalogs map[file]uint32, toast func(file) bool) *gatherer {
	return &gatherer{size: size, page: page, catalogs: catalogs, toast: toast,
		chunk: chunk{open: map[uint32]*work{}, objects: map[uint32][]dated{}}}
}

// add takes the next record.
func (g *gatherer) add(r *record) error {
	if r.xid != 0 && (g.latest == 0 || precedes(g.latest, r.xid)) {
		g.latest = r.xid
		if g.rising++; g.rising == backends+1 {
			g.began(r.xid)
		}
	}
	switch r.op {
	case opTransaction:
		return g.transaction(r)
	case opRunning:
		if r.next != 0 {
			g.began(r.next)
		}
		return nil
	case opRestorePoint:
		g.ended = append(g.ended, &finished{lsn: r.lsn, end: g.endOf(r), name: string(r.desc),
			info: end{how: recovery.NamedPoint}, before: g.last, pending: g.last.lsn == 0})
		return nil
	}
	if g.start == 0 {
		g.start = r.lsn
	}
	if r.xid == 0 {
		if r.op == opCreateFile && !r.init {
			g.orphans.add(orphan{located{r.file, r.space}, r.lsn})
		}
		return nil
	}
	w := g.of(r.xid)
	if w.first == 0 {
		w.first = r.lsn
	}
	if len(w.deeds) == 0 && len(w.rows) == 0 {
		switch {
		case r.op == opLock:
			g.adopt(w, r, r.node)
		case r.op == opUpdate && g.catalog(r) == catalogClass:
			g.adopt(w, r, 0)
		}
	}
	w.bytes += int64(r.total)
	switch r.op {
	case opInsert, opMultiInsert, opUpdate, opDelete:
		if r.node >= firstNormalOID && (len(g.catalogs) == 0 || g.catalogs[r.file] == 0) {
			g.row(w, r)
		} else {
			return w.catalog(r, g.catalog(r))
		}
	case opLock:
		w.deeds = append(w.deeds, deed{lsn: r.lsn, kind: locked, file: r.file})
	case opCreateFile:
		w.deeds = append(w.deeds, deed{lsn: r.lsn, kind: fileMade, file: r.file, space: r.space, init: r.init})
	case opCutFile:
		w.forget(r.file)
		w.deeds = append(w.deeds, deed{lsn: r.lsn, kind: fileEmptied, file: r.file})
	case opImage:
		if r.block == 0 && len(w.deeds) > 0 && w.made(r.file) {
			w.deeds = append(w.deeds, deed{lsn: r.lsn, kind: imageWritten, file: r.file, init: r.init})
		}
	case opDatabase, opTablespace:
		g.object(r)
	}
	return nil
}

// catalog is the catalog whose file a record changes; anything but a catalog's
// OID where it is none.
func (g *gatherer) catalog(r *record) uint32 {
	if r.node >= firstNormalOID {
		return g.catalogs[r.file]
	}
	return r.node
}

// row counts rows of a table.
func (g *gatherer) row(w *work, r *record) {
	switch r.op {
	case opInsert, opMultiInsert:
		n := max(r.rows, 1)
		if r.op == opMultiInsert {
			n = r.rows
		}
		if w.moves > 0 && g.toast(r.file) {
			w.count(r.file).inserted += n
			return
		}
		w.insert(r.file, n, r.lsn)
	case opUpdate:
		w.count(r.file).updated++
	case opDelete:
		w.delete(r.file, r.flags)
	}
}

// of is the work of an xid.
func (g *gatherer) of(xid uint32) *work {
	if g.cached != nil && g.xid == xid {
		return g.cached
	}
	w := g.open[xid]
	if w == nil {
		if n := len(g.free); n > 0 {
			w, g.free = g.free[n-1], g.free[:n-1]
		} else {
			w = &work{}
		}
		g.open[xid] = w
	}
	g.xid, g.cached = xid, w
	return w
}

// began notes that xids from this one on began in the chunk.
func (g *gatherer) began(xid uint32) {
	if !g.known || precedes(xid, g.newer) {
		g.newer, g.known = xid, true
	}
}

// object notes a database or tablespace that came or went.
func (g *gatherer) object(r *record) {
	for _, o := range parseObjects(r) {
		g.objects[r.xid] = append(g.objects[r.xid], dated{object: o, lsn: r.lsn, before: g.last})
	}
}

// transaction takes the end of a transaction.
func (g *gatherer) transaction(r *record) error {
	e, ok, err := parseEnd(r)
	if err != nil || !ok {
		if w := g.open[r.xid]; w != nil && err == nil {
			w.bytes += int64(r.total)
		}
		return err
	}
	f := &finished{lsn: r.lsn, end: g.endOf(r), info: e}
	g.whole = work{rows: g.whole.rows[:0], deeds: g.whole.deeds[:0]}
	works := g.works[:0]
	works = g.take(f, works, e.xid)
	for _, sub := range e.subs {
		works = g.take(f, works, sub)
	}
	g.whole.joinAll(works)
	for _, w := range works {
		*w = work{rows: w.rows[:0], deeds: w.deeds[:0]}
	}
	g.free, g.works = append(g.free, works...), works
	f.work = g.whole
	f.rows, f.deeds = g.keep(g.whole.rows), slices.Clone(g.whole.deeds)
	if e.how == recovery.Prepared {
		// It ends once more.
		f.gid = e.gid
		again := f.work
		again.rows, again.deeds = slices.Clone(f.rows), slices.Clone(f.deeds)
		g.open[e.xid] = &again
		for _, o := range f.objects {
			g.objects[e.xid] = append(g.objects[e.xid], dated{o, f.acts, f.before})
		}
	}
	f.work.bytes += int64(r.total)
	g.ended = append(g.ended, f)
	if e.how == recovery.Committed || e.how == recovery.CommittedPrepared {
		g.last = commit{r.lsn, e.time}
	}
	return nil
}

// take takes what an xid did out of what is open.
func (g *gatherer) take(f *finished, works []*work, xid uint32) []*work {
	if objects := g.objects[xid]; objects != nil {
		for _, o := range objects {
			f.add(o)
		}
		delete(g.objects, xid)
	}
	w := g.open[xid]
	if w == nil {
		return works
	}
	delete(g.open, xid)
	if g.cached == w {
		g.cached = nil
	}
	return append(works, w)
}

// add adds an object that came or went; the first decides where to stop.
func (f *finished) add(o dated) {
	f.objects = append(f.objects, o.object)
	if f.acts == 0 || o.lsn < f.acts {
		f.acts, f.before, f.pending = o.lsn, o.before, o.before.lsn == 0
	}
}

// keep copies counters to where they lie close together.
func (g *gatherer) keep(rows []rowCount) []rowCount {
	if len(rows) == 0 {
		return nil
	}
	if cap(g.arena)-len(g.arena) < len(rows) {
		g.arena = make([]rowCount, 0, max(1024, len(rows)))
	}
	start := len(g.arena)
	g.arena = append(g.arena, rows...)
	return g.arena[start:len(g.arena):len(g.arena)]
}

func (g *gatherer) endOf(r *record) recovery.LSN {
	return xlog.RecordEnd(r.lsn, r.total, g.size, g.page)
}
