package dump

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"comeback/pattern"
	"comeback/recovery"
	"comeback/recovery/dump/crew"
	"comeback/recovery/dump/script"
	"comeback/recovery/dump/tuples"
	"comeback/recovery/postgres"
)

// beside is what a script's session needs to have statements done on other
// sessions, beside each other.
//
// The session itself goes on in the script's order. What it does not know in
// every detail it executes alone, when everything before has ended: that is a
// plain restore. In between, rows, indexes, keys and foreign keys of relations that
// the catalogue vouches for go to a crew, which keeps the order where locks
// conflict.
type beside struct {
	crew    *crew.Crew
	workers []*session
	// shelf is where rows wait.
	shelf *shelf
	// known is what the catalogue said when it was asked last, nil when
	// something has happened since; asked counts.
	known *catalogue
	asked int
	// now are the session's settings, nil when they may have changed; configured what
	// the server's configuration alone says of how indexes are built.
	now, configured settings
	// referred says that foreign keys have come, which stand behind all indexes.
	referred bool
	// builds are indexes and keys, and later cheap statements about them: they wait for
	// the next statement that is neither, so that what takes longest begins first.
	builds, later []crew.Task
	// fed is about how much work the rows are that each table got, in bytes; on whose
	// indexes tables.
	fed map[script.Relation]int64
	on  map[script.Relation]script.Relation
	// analyzed are those whose statistics are gathered.
	analyzed map[script.Relation]bool
	// helps are what those may do who have nothing else to do when all rows have been
	// read: help with a copy that is still under way. They wait with the builds.
	helps []crew.Task
	foresight
}

// how says in how many statements a script came, and how many were done beside
// others.
func (s *scriptRun) how() string {
	if s.handed == 0 {
		return fmt.Sprintf("%d, one after the other", s.statements)
	}
	how := fmt.Sprintf("%d, of which %d by %s beside each other", s.statements, s.handed, recovery.FormatCount(s.jobs, "session"))
	if s.ahead > 0 {
		how += fmt.Sprintf("; %s while rows came", recovery.FormatCount(s.ahead, "index build"))
	}
	if n := s.translated.Load(); n > 0 {
		how += fmt.Sprintf("; %s in COPY's binary format", recovery.FormatCount(n, "row"))
	}
	if n := s.along.Load(); n > 0 {
		how += fmt.Sprintf("; %s along indexes", recovery.FormatCount(n, "foreign key"))
	}
	return how
}

// longest is how long the longest chain of statements took that waited for each other, of
// all databases so far.
func (s *scriptRun) longest() time.Duration {
	if s.beside == nil {
		return s.chain
	}
	return s.chain + s.crew.Longest()
}

// note puts into the step's facts how the script was executed.
func (s *scriptRun) note() {
	s.facts["statements"] = s.how()
	if s.handed > 0 {
		s.facts["longest chain of statements"] = fmt.Sprintf("%.1f s", s.longest().Seconds())
	}
}

// maxAsked is how often the catalogue is asked in one database. A script that makes
// it necessary more often is not one of pg_dump's, and goes on in its order.
const maxAsked = 30

// startCrew begins with a new database.
func (s *scriptRun) startCrew(ctx context.Context) {
	s.endCrew(ctx)
	if s.only != nil || s.jobs < 2 {
		return
	}
	s.beside = &beside{crew: crew.New(ctx, s.jobs, s.env.Now), workers: make([]*session, s.jobs), shelf: newShelf(postgres.Memory()),
		fed: map[script.Relation]int64{}, on: map[script.Relation]script.Relation{}, analyzed: map[script.Relation]bool{},
		foresight: foresight{outlook: s.foreseen, copied: map[script.Relation]*load{}, early: map[string]*early{}}}
}

// endCrew stops what is under way and closes its sessions.
func (s *scriptRun) endCrew(ctx context.Context) {
	if s.beside == nil {
		return
	}
	s.crew.Close()
	s.chain += s.crew.Longest()
	for _, w := range s.workers {
		if w != nil {
			w.close(ctx)
		}
	}
	s.beside = nil
}

// drain returns when everything that was given to the crew has ended, with the
// failure that stands first in the script.
func (s *scriptRun) drain() error {
	if s.beside == nil {
		return nil
	}
	s.flush()
	if f := s.crew.Wait(); f != nil {
		return f.Err
	}
	return nil
}

// first is the failure that stands first in the script: err, or one before it.
func (s *scriptRun) first(err error) error {
	if err != nil && s.beside != nil {
		s.crew.Withdraw(true)
	}
	if before := s.drain(); before != nil {
		return before
	}
	return err
}

// hand gives a statement to the crew, or makes ready for executing it here, which
// is then the caller's: when it must be alone, everything before it has ended.
func (s *scriptRun) hand(ctx context.Context, r *script.Reader, p script.Part) (handed bool, err error) {
	if s.beside == nil {
		return false, nil
	}
	e := script.Effect{}
	if s.conn.TxStatus() == 'I' {
		e = p.Effect()
	} else if a := p.Effect(); a.Act == script.Aside {
		return false, nil
	}
	switch e.Act {
	case script.Aside:
		return false, nil
	case script.Setting:
		if bytes.Contains(bytes.ToLower(p.Text), []byte("search_path")) {
			s.known = nil // it says how names are to be read
		}
		s.now = nil
		return false, nil
	case script.Unknown:
		err := s.alone(ctx)
		if settles.Match(p.Text) {
			// Sessions that begin later would not be like this one.
			s.endCrew(ctx)
		}
		return false, err
	}
	if e.Act == script.AboutIndex && len(s.fed) == 0 && len(s.on) == 0 {
		return false, s.alone(ctx) // of a table's definition: nothing is under way that it could wait for
	}
	if err := s.look(ctx); err != nil {
		return false, err
	}
	begun, err := s.cameTrue(ctx, p, e)
	if err != nil {
		return false, err
	}
	if !s.fit(e) {
		switch e.Act {
		case script.BuildIndex, script.AddKey:
			return false, s.aloneIndex(e)
		case script.LoadRows:
			if !s.builtEarly(e.Table) {
				return false, s.pause()
			}
		}
		return false, s.alone(ctx)
	}
	s.handed++
	if e.Act == script.LoadRows {
		return true, s.handRows(ctx, r, p, e)
	}
	s.outlook = nil // what it says comes now
	return true, s.handStatement(p, e, begun)
}

// settles are statements that give settings to sessions which begin after them.
var settles = pattern.New(`(?i)^alter\s+(database|role|user)\s`)

// alone makes ready for a statement that nothing may be beside, nor before it in the script
// what stands behind it.
func (s *scriptRun) alone(ctx context.Context) error {
	if s.beside == nil {
		return nil
	}
	if len(s.fed) > 0 { // else the definitions go on
		s.outlook = nil
	}
	if err := s.undoEarly(ctx); err != nil {
		return err
	}
	return s.pause()
}

// pause waits until everything before has ended.
func (s *scriptRun) pause() error {
	if s.referred {
		s.handStatistics()
	}
	s.known, s.now = nil, nil
	return s.drain()
}

// aloneIndex makes ready for an index or a key that nothing may be beside, as of one that calls
// a function of the dump's. What the catalogue said of all else stays true: there may be many
// of the kind.
func (s *scriptRun) aloneIndex(e script.Effect) error {
	known := s.known
	err := s.pause()
	if s.known = known; known == nil {
		return err
	}
	facts, there := known.relations[e.Table]
	if facts.loads = false; there {
		known.relations[e.Table] = facts
		s.on[e.Index] = e.Table
	}
	return err
}

// look asks for what decides about the next statement, where it may have changed.
func (s *scriptRun) look(ctx context.Context) (err error) {
	if s.known == nil && s.asked < maxAsked {
		if err := s.drain(); err != nil {
			return err
		}
		s.asked++
		if s.known, err = s.ask(ctx); err != nil {
			return err
		}
	}
	if s.now == nil {
		s.now, s.configured, err = s.session.settings(ctx)
	}
	return err
}

// fit reports whether a statement may be done beside others.
func (s *scriptRun) fit(e script.Effect) bool {
	if s.known == nil || !s.known.safe || e.Calls || e.Casts && !s.known.domains {
		return false
	}
	kind := func(r script.Relation, kinds string) bool {
		k := s.known.relations[r].kind
		return k != "" && strings.Contains(kinds, k)
	}
	switch e.Act {
	case script.LoadRows:
		facts := s.known.relations[e.Table]
		return facts.loads && facts.columns == len(e.Columns) && s.fed[e.Table] == 0
	case script.BuildIndex:
		return kind(e.Table, "rpm")
	case script.AddKey:
		return kind(e.Table, "rp")
	case script.AddReference:
		return kind(e.Table, "r") && kind(e.Other, "r")
	case script.AddTrigger:
		return kind(e.Table, "r")
	case script.AboutIndex:
		table, ok := e.Table, true
		if table.Name == "" {
			table, ok = s.on[e.Index]
		}
		if e.Attached.Name != "" {
			_, known := s.on[e.Attached]
			ok = ok && known
		}
		return ok && kind(table, "rpm")
	}
	return false
}

// handStatement gives the crew an index, a key, a foreign key or a trigger; begun says that
// its index is the crew's already.
func (s *scriptRun) handStatement(p script.Part, e script.Effect, begun bool) error {
	p.Text = bytes.Clone(p.Text)
	with := func(now settings, sql string, cost int64, locks ...crew.Lock) crew.Task {
		return crew.Task{Line: p.Line, Cost: cost, Locks: locks, Do: s.doWith(now, func(ctx context.Context, w *session) error {
			s.progress.begins(p)
			defer s.progress.ends()
			if err := w.run(ctx, sql, nil); err != nil {
				return w.failed(p, err)
			}
			return nil
		})}
	}
	task := func(sql string, cost int64, locks ...crew.Lock) crew.Task { return with(s.now, sql, cost, locks...) }
	size := s.fed[e.Table]
	lock := func(m crew.Mode) crew.Lock { return crew.Lock{Relation: lockName(e.Table), Mode: m} }
	index := func(sql string) {
		if !begun {
			s.build(with(s.building(e), sql, s.work(p, e), lock(crew.Build)))
		}
	}
	if e.Index.Name != "" && e.Table.Name != "" {
		s.on[e.Index] = e.Table
	}
	switch e.Act {
	case script.BuildIndex:
		index(string(p.Text))
	case script.AddKey:
		if e.First == "" || s.known.relations[e.Table].kind != "r" {
			s.build(task(string(p.Text), s.work(p, e), lock(crew.Alter)))
			break
		}
		index(e.First)
		s.later = append(s.later, task(e.Then, 0, lock(crew.Alter)))
	case script.AddReference:
		s.flush()
		s.referred = true
		look := (size + s.fed[e.Other]) / 2
		other := func(m crew.Mode) crew.Lock { return crew.Lock{Relation: lockName(e.Other), Mode: m} }
		if e.First == "" {
			s.crew.Add(task(string(p.Text), look, lock(crew.Refer), other(crew.Refer)))
			break
		}
		s.crew.Add(task(e.First, 0, lock(crew.Refer), other(crew.Refer)))
		s.tellPages(e.Table, e.Other)
		then := task(e.Then, look, lock(crew.Validate), other(crew.Read))
		then.Do = s.do(func(ctx context.Context, w *session) error {
			s.progress.begins(p)
			defer s.progress.ends()
			if err := w.validate(ctx, e); err != nil {
				return w.failed(p, err)
			}
			return nil
		})
		s.crew.Add(then)
	case script.AddTrigger:
		s.flush()
		s.crew.Add(task(string(p.Text), 0, lock(crew.Refer)))
		facts := s.known.relations[e.Table]
		facts.loads = false // more rows would set it off
		s.known.relations[e.Table] = facts
	case script.AboutIndex:
		if e.Table.Name == "" {
			e.Table = s.on[e.Index]
		}
		locks := []crew.Lock{lock(crew.Alter)}
		if e.Attached.Name != "" {
			locks = append(locks, crew.Lock{Relation: lockName(s.on[e.Attached]), Mode: crew.Alter})
		}
		s.later = append(s.later, task(string(p.Text), 0, locks...))
	}
	return nil
}

// lookedAt is from how many bytes on a table is worth that; a variable for tests.
var lookedAt int64 = 1 << 20

// tellPages lets the planner know of the pages of tables whose rows came frozen, where the
// builds of their indexes have not told it: with the statistics, which then come before the
// foreign keys. (A VACUUM would see nothing but the empty pages at the end of such a table,
// and tell that it has no rows.)
func (s *scriptRun) tellPages(tables ...script.Relation) {
	tools := s.server.Cluster().Tools
	if tools.BuildsTell() || !tools.MarksFrozen() {
		return
	}
	for _, t := range tables {
		if s.fed[t] >= lookedAt && !s.analyzed[t] {
			s.analyze(t, crew.Alter) // so that keys of other tables wait, too
		}
	}
}

// validate looks whether the rows keep to a foreign key: along the indexes, where both
// tables have one that tells of all rows without them. The planner, which knows next to
// nothing of tables that were just filled, would read both and hash the one, which takes
// three to five times as long; or take them for empty, because from 16 on a VACUUM of
// frozen rows sees nothing but the empty pages at their end, and compare each row with each.
// What is left to it is a merge.
func (s *session) validate(ctx context.Context, e script.Effect) error {
	args := [][]byte{[]byte(lockName(e.Table)), []byte(e.Index.Name)}
	result := s.conn.ExecParams(ctx, alongIndexes, args, nil, nil, nil).Read()
	if result.Err != nil {
		return lost(ctx, fmt.Errorf("look for the indexes of a foreign key: %w", result.Err))
	}
	if len(result.Rows) != 1 || string(result.Rows[0][0]) != "t" {
		return s.run(ctx, e.Then, nil)
	}
	s.along.Add(1)
	err := s.run(ctx, "begin; set local enable_hashjoin = off; set local enable_nestloop = off; set local jit = off; "+e.Then+"; commit", nil)
	if err != nil && s.conn.TxStatus() != 'I' && !s.conn.IsClosed() {
		_ = s.run(ctx, "rollback", nil) // the first failure is the one to tell
	}
	return err
}

// alongIndexes tells of a foreign key, by its table and its name, whether an index of the
// table begins with its columns, and nearly all pages of both tables are known to hold
// nothing but rows that everybody sees, so that an index alone tells of them. From 16 on
// some pages at the end of each are made in advance and empty.
const alongIndexes = `select exists (
	select from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid join pg_catalog.pg_am a on a.oid = c.relam
	where i.indrelid = k.conrelid and i.indisvalid and i.indpred is null and a.amname = 'btree'
	and (select pg_catalog.array_agg(i.indkey[n] order by n) from pg_catalog.generate_series(0, pg_catalog.cardinality(k.conkey) - 1) n) = k.conkey)
	and (select pg_catalog.sum(c.relallvisible) + 128 >= pg_catalog.sum(c.relpages) * 0.9 and pg_catalog.sum(c.relallvisible) > 0 from pg_catalog.pg_class c where c.oid in (k.conrelid, k.confrelid))
	from pg_catalog.pg_constraint k where k.conrelid = $1::pg_catalog.regclass and k.conname = $2`

// handStatistics gives the crew what the planner needs to know of the tables that it
// has filled, once nothing more of them comes: while the last foreign keys are looked
// at, some of the sessions have nothing else to do. settle gathers what is missing then.
func (s *scriptRun) handStatistics() {
	if s.beside == nil || s.known == nil {
		return
	}
	s.flush()
	s.referred = false
	for table := range s.fed {
		if s.known.relations[table].kind == "r" && !s.analyzed[table] {
			s.analyze(table, crew.Validate)
		}
	}
}

// analyze gives the crew the statistics of a table; mode keeps what is to come behind them.
func (s *scriptRun) analyze(table script.Relation, mode crew.Mode) {
	s.analyzed[table] = true
	before := s.now
	// As settle has them: those of any session, but that names are as the script wrote them.
	s.now = settings{"client_encoding": s.conn.ParameterStatus("client_encoding")}
	defer func() { s.now = before }()
	name := lockName(table)
	s.crew.Add(crew.Task{Line: math.MaxInt64, Cost: min(s.fed[table], sampled), Locks: []crew.Lock{{Relation: name, Mode: mode}}, Do: s.do(func(ctx context.Context, w *session) error {
		s.env.Meter().Note("statistics of " + name)
		err := w.run(ctx, "analyze "+name, nil)
		if says := postgres.WithoutStatistics(err); says != "" {
			s.env.Meter().Log("statistics of " + name + ": " + says) // settle tries again, and tells
			return nil
		}
		if err != nil {
			return fmt.Errorf("gather statistics of %s: %w", name, err)
		}
		return nil
	})})
}

// sampled is how many bytes of a table ANALYZE looks at, about: 30 000 rows.
const sampled = 10 << 20

func lockName(r script.Relation) string { return quoteName(r.Schema) + "." + quoteName(r.Name) }

// perRow is how many bytes are as much work as one row more, in an index or a foreign key:
// sorting and looking up cost more than reading (4.3 million rows of 21 bytes took twice
// as long as 2.1 million of 70).
const perRow = 100

// do makes a task of what a session is to do, with the settings that the script has
// here.
func (s *scriptRun) do(what func(context.Context, *session) error) func(context.Context, int) error {
	return s.doWith(s.now, what)
}

// doWith is do with other settings.
func (s *scriptRun) doWith(now settings, what func(context.Context, *session) error) func(context.Context, int) error {
	database, b := s.at, s.beside
	return func(ctx context.Context, worker int) error {
		w := b.workers[worker]
		if w == nil || w.conn == nil || w.conn.IsClosed() { // one that was stopped is closed
			w = &session{restore: s.restore}
			if err := w.connect(ctx, database); err != nil {
				return err
			}
			b.workers[worker] = w
		}
		if err := w.become(ctx, now); err != nil {
			return err
		}
		return what(ctx, w)
	}
}

// handRows gives the crew the rows of a COPY.
func (s *scriptRun) handRows(ctx context.Context, r *script.Reader, p script.Part, e script.Effect) error {
	p.Text = bytes.Clone(p.Text)
	if len(s.builds)+len(s.later) > 0 { // else whoever helps waits until all rows have been read
		s.flush()
	}
	s.progress.data()
	s.env.Meter().Note(strings.TrimSuffix(p.Summary(), " FROM stdin"))
	l := newLoad(ctx, s.shelf)
	task := crew.Task{Line: p.Line, Cost: 1 << 60, Locks: []crew.Lock{{Relation: lockName(e.Table), Mode: crew.Load}}} // the reader waits for it
	read := func() (bool, error) {
		s.buildEarly()
		next, err := s.shelf.readPiece(ctx, r, s.crew.Failed())
		if err != nil {
			return false, err
		}
		l.next <- next
		s.fed[e.Table] += int64(len(next.bytes)) + next.lines*perRow
		return true, nil
	}
	s.fed[e.Table] = 1
	more, err := read()
	if more {
		more, err = read()
	}
	large := more // for less than a piece a TRUNCATE would cost more than it saves
	row := s.translates(e)
	task.Do = s.do(func(ctx context.Context, w *session) error {
		defer close(l.over)
		return w.load(ctx, p, e, row, l, large)
	})
	s.crew.Add(orFails(task, l))
	shared, shares := false, s.crew.Size() >= leastSharing
	for more {
		if shares && !shared && l.lags(s.crew.Idle()) {
			l.share()
			shared = true
			task.Do = s.do(func(ctx context.Context, w *session) error { return w.share(ctx, p, e, row, l) })
			for range s.crew.Size() - 1 {
				s.crew.Add(task)
			}
		}
		more, err = read()
	}
	if large && shares && !shared {
		task.Cost = 0 // but for what waits behind the table's rows
		// What is copied behind the TRUNCATE is better off alone: it needs no log, and a
		// look at a foreign key may go along indexes.
		task.Yields = l.goesOn
		task.Do = s.do(func(ctx context.Context, w *session) error {
			if len(l.next) < worthSharing/pieceSoft || s.crew.Idle()+2 < leastSharing { // this one and who copies are not idle
				return nil
			}
			l.share()
			return w.share(ctx, p, e, row, l)
		})
		for range s.crew.Size() - 1 {
			s.helps = append(s.helps, task)
		}
	}
	switch {
	case errors.Is(err, io.EOF):
		err = nil
	case !errors.Is(err, errStopped) && ctx.Err() == nil:
		err = s.unreadable(err) // what came before is wrong first, if it is
	}
	l.end(err)
	s.copied[e.Table] = l
	return err
}

// leastSharing is how many sessions must share a table's rows to be faster than one behind
// the TRUNCATE, which writes no log: two copied 512 MB in 6.4 s, and one would have in 5.
const leastSharing = 4

// worthSharing is for how many bytes that wait it is worth while that another session
// helps, with the log of them.
const worthSharing = 8 << 20

// orFails is a task whose failure ends the load, also where it did not come to that: those
// that help would wait for ever.
func orFails(t crew.Task, l *load) crew.Task {
	do := t.Do
	t.Do = func(ctx context.Context, worker int) error {
		err := do(ctx, worker)
		if err != nil {
			l.fail()
		}
		return err
	}
	return t
}

// load copies a table's rows, those that others do not take.
func (s *session) load(ctx context.Context, p script.Part, e script.Effect, row tuples.Row, l *load, large bool) error {
	if !large {
		l.begin()
		return s.lane(ctx, p, &lane{load: l}, func(lane *lane) error { return s.copyLane(ctx, e.Copy, "", nil, lane) })
	}
	first := &lane{load: l, alone: true}
	err := s.lane(ctx, p, first, func(lane *lane) error { return s.copyAlone(ctx, e, row, lane) })
	if err != nil || !first.parted {
		return err
	}
	return s.share(ctx, p, e, row, l)
}

// share copies some of a table's rows.
func (s *session) share(ctx context.Context, p script.Part, e script.Effect, row tuples.Row, l *load) error {
	some := &lane{load: l}
	if row == nil && some.fill() != nil {
		return nil // nothing is left; whoever broke it tells
	}
	return s.lane(ctx, p, some, func(lane *lane) error { return s.copyLane(ctx, e.Copy, "", row, lane) })
}

// lane copies what a lane gets. Where that ends because of somebody else, who tells it,
// nothing is told, unless the server has refused rows that it had got before.
func (s *session) lane(ctx context.Context, p script.Part, l *lane, copy func(*lane) error) error {
	err := copy(l)
	if err == nil || l.ended != nil && (codeOf(err) == "" || codeOf(err) == copyFailed || errors.Is(err, errLost)) {
		return nil
	}
	l.fail()
	line, failure := s.failedCopy(p, err, l.lineOf)
	return &crew.Failure{Line: line, Err: failure}
}
