package dump

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"comeback/recovery/dump/crew"
	"comeback/recovery/dump/script"
	"comeback/storage"
)

// outlook is what a script says behind its rows and may be done before it says so, while
// rows of other tables come: indexes, and keys that are built as such, by their tables.
type outlook struct {
	builds map[script.Relation][]forecast
	// long are the tables that have an index which takes long.
	long []script.Relation
}

// forecast is a statement whose place in the script has not come.
type forecast struct {
	part   script.Part
	effect script.Effect
}

// maxForeseen bounds what is held of a script.
const maxForeseen = 10_000

// readOutlook reads on to the first statement that may have to do with what stands behind
// it, or to an error: what came before is foreseen all the same. In begun definitions are over.
func readOutlook(r *script.Reader, begun bool) *outlook {
	o := &outlook{builds: map[script.Relation][]forecast{}}
	settled := false // the settings are
	for n := 0; n < maxForeseen; {
		p, err := r.Next()
		if err != nil || p.Kind == script.Command && !script.IsRestrict(string(p.Text)) {
			return o
		}
		if p.Kind != script.Statement {
			continue
		}
		e := p.Effect()
		switch e.Act {
		case script.LoadRows:
			begun, settled = true, true
		case script.Aside, script.AboutIndex:
		case script.BuildIndex, script.AddKey:
			begun, settled = true, true
			if n++; e.Act == script.BuildIndex || e.First != "" {
				o.add(p, e)
			}
		case script.Setting:
			if settled || escapes(p) {
				return o
			}
		default:
			if begun {
				return o
			}
		}
	}
	return o
}

// escapes reports whether a setting may let a backslash escape in strings.
func escapes(p script.Part) bool {
	is := func(word string) bool {
		return slices.ContainsFunc(p.Tokens(), func(t script.Token) bool { return t.Is(word) })
	}
	return is("standard_conforming_strings") && !is("on")
}

func (o *outlook) add(p script.Part, e script.Effect) {
	p.Text = bytes.Clone(p.Text)
	o.builds[e.Table] = append(o.builds[e.Table], forecast{p, e})
	if takesLong(e) && !slices.Contains(o.long, e.Table) {
		o.long = append(o.long, e.Table)
	}
}

// takesLong reports whether an index takes so long that other work should wait for it rather
// than it for that.
func takesLong(e script.Effect) bool { return weight(e.Method, false) >= 10 }

// foreseeArchive reads what an archive says behind its rows, nil where nothing is to be done
// before it says so: statistics of a table would come behind its indexes. Where it cannot be
// read, whoever executes it tells.
func (r *restore) foreseeArchive(ctx context.Context, path string, c contents) (o *outlook) {
	if c.statistics {
		return nil
	}
	_, _ = r.scanArchive(ctx, path, func(in *script.Reader) error {
		o = readOutlook(in, true)
		for { // pg_restore would complain
			if _, err := in.Next(); err != nil {
				return nil
			}
		}
	}, append(c.withoutLabels(), "--section=post-data", "--no-tablespaces")...)
	return o
}

// endBytes is how much of a script's end is read for what stands behind its rows.
const endBytes = 4 << 20

// foreseeScript reads what a script says behind its rows from its end, nil where that cannot be
// told without reading all of it: it is packed. Whoever executes it tells of errors.
func (r *restore) foreseeScript(ctx context.Context, o storage.Object) *outlook {
	h := r.args.Head
	if h.Form != plainScript || h.Packing != unpacked || h.Creates || h.Encoding != "" && !strings.EqualFold(h.Encoding, "UTF8") {
		return nil
	}
	store, err := r.env.Store(ctx, r.args.Copy)
	if err != nil {
		return nil
	}
	in := storage.NewReader(ctx, store, o, storage.ReadOptions{Attempts: 1, From: max(0, o.Size-endBytes)})
	defer in.Close()
	end, err := readFull(in, min(endBytes, o.Size))
	if err != nil {
		return nil
	}
	last := bytes.LastIndex(end, []byte(rowsEnd))
	if last < 0 {
		return nil
	}
	return readOutlook(script.NewReader(bytes.NewReader(end[last+len(rowsEnd):])), true)
}

// rowsEnd is the end of a COPY's data.
const rowsEnd = "\n\\.\n"

// foresight is what is made of an outlook.
type foresight struct {
	outlook *outlook
	// copied are the loads whose tables' indexes are not the crew's yet.
	copied map[script.Relation]*load
	// early are the crew's by their texts, until their places in the script come.
	early map[string]*early
	// longIn says that the rows of all tables have come that have an index which takes long.
	longIn atomic.Bool
}

// early is an index that is built before its place in the script has come. Until then its
// failure is nobody's: it is built again in its place, and the failure told there, if it is
// the first one of the script.
type early struct {
	crew.Early
	table, index script.Relation
	now          settings // the script's, with which it is built

	mu           sync.Mutex
	at           *script.Part // its place
	begun, ended bool
	err          error
}

// earlyFrom is from how many bytes of a table's rows on its indexes are worth that, a
// variable for tests; maxEarly is how many may be under way.
var earlyFrom int64 = 1 << 20

const maxEarly = 1_000

// buildEarly gives the crew the indexes of tables whose rows have been copied.
func (s *scriptRun) buildEarly() {
	if s.outlook == nil || s.known == nil || s.now == nil || s.conn.ParameterStatus("standard_conforming_strings") == "off" {
		return
	}
	missing := func(t script.Relation) bool { return s.fed[t] == 0 && s.known.relations[t].loads }
	s.longIn.Store(!slices.ContainsFunc(s.outlook.long, missing))
	var tasks []crew.Task
	for table, l := range s.copied {
		if l.goesOn() { // others may have to help with the rows
			continue
		}
		delete(s.copied, table)
		if s.fed[table] < earlyFrom {
			continue
		}
		for _, f := range s.outlook.builds[table] {
			if s.fit(f.effect) && s.known.relations[table].kind == "r" && s.early[string(f.part.Text)] == nil && len(s.early) < maxEarly {
				tasks = append(tasks, s.earlyTask(f.part, f.effect))
			}
		}
	}
	s.crew.Add(tasks...)
}

// earlyTask makes a task of an index whose place has not come.
func (s *scriptRun) earlyTask(p script.Part, e script.Effect) crew.Task {
	b, in := &early{table: e.Table, index: e.Index, now: s.now}, s.beside
	b.Leads = func() bool { return takesLong(e) && in.longIn.Load() }
	s.early[string(p.Text)] = b
	sql := e.First
	if e.Act == script.BuildIndex {
		sql = string(p.Text)
	}
	do := s.doWith(s.building(e), func(ctx context.Context, w *session) error {
		if b.begins() {
			s.progress.begins(p)
		} else {
			s.env.Meter().Note(p.Summary())
		}
		return w.run(ctx, sql, nil)
	})
	return crew.Task{Early: &b.Early, Cost: s.work(p, e), Locks: []crew.Lock{{Relation: lockName(e.Table), Mode: crew.Build}}, Do: func(ctx context.Context, worker int) error {
		at, err := b.ends(do(ctx, worker))
		if at == nil {
			return nil
		}
		s.progress.ends()
		if err != nil {
			return s.failed(*at, err)
		}
		return nil
	}}
}

// begins and ends note that and give whether, or where, its place has come.
func (b *early) begins() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.begun = true
	return b.at != nil
}

func (b *early) ends(err error) (*script.Part, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended, b.err = true, err
	return b.at, err
}

// cameTrue reports whether the index of a statement, whose place has come, is the crew's or
// is there. What was built with other settings than the script has here is built again.
func (s *scriptRun) cameTrue(ctx context.Context, p script.Part, e script.Effect) (begun bool, err error) {
	b := s.early[string(p.Text)]
	if b == nil {
		return false, nil
	}
	if !s.fit(e) || !maps.Equal(b.now, s.now) {
		if err := s.alone(ctx); err != nil {
			return false, err
		}
		return false, s.look(ctx)
	}
	delete(s.early, string(p.Text))
	p.Text = bytes.Clone(p.Text)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended && b.err != nil {
		return false, nil
	}
	if b.begun {
		s.ahead++
	}
	if !b.ended {
		b.at = &p
		if b.begun {
			s.progress.begins(p)
		}
		s.crew.Place(&b.Early, p.Line)
	}
	return true, nil
}

// builtEarly reports whether an index of a table is the crew's before its place has come.
func (s *scriptRun) builtEarly(table script.Relation) bool {
	for _, b := range s.early {
		if b.table == table {
			return true
		}
	}
	return false
}

// undoEarly drops the indexes whose places have not come, behind all that the crew does.
func (s *scriptRun) undoEarly(ctx context.Context) error {
	if s.beside == nil || len(s.early) == 0 {
		return nil
	}
	s.crew.Withdraw(false)
	if err := s.drain(); err != nil {
		return err
	}
	for _, b := range s.early {
		if !b.ended || b.err != nil {
			continue
		}
		drop := s.do(func(ctx context.Context, w *session) error {
			return w.run(ctx, "drop index "+lockName(b.index), nil)
		})
		if err := drop(ctx, 0); err != nil {
			return fmt.Errorf("drop what was built before the script said so: %w", err)
		}
	}
	clear(s.early)
	return nil
}
