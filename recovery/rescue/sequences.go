package rescue

import (
	"context"
	"fmt"
	"math"

	"github.com/jackc/pgx/v5"
)

// Advanced is a sequence that was behind keys which came back.
type Advanced struct {
	Sequence Name   `json:"sequence"`
	Column   string `json:"column"`
	// From and To are its last values, before and after.
	From int64 `json:"from,string"`
	To   int64 `json:"to,string"`
}

// sequence gives the keys of new rows.
type sequence struct {
	Name
	column        string
	increment     int64
	least, most   int64
	cache         int64
	last, highest int64 // its last value, and the highest key that comes back
	called        bool
}

// The sequences of a table's columns: those that belong to them, and those that are
// nothing but their default.
const sequenceQuery = `
select n.nspname::text, s.relname::text, a.attname::text, q.seqincrement, q.seqmin, q.seqmax, q.seqcache
from pg_catalog.pg_attribute a
cross join lateral (
	select d.objid from pg_catalog.pg_depend d
	where d.classid = 'pg_catalog.pg_class'::regclass and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = a.attrelid and d.refobjsubid = a.attnum and d.deptype in ('a', 'i')
	union
	select d.refobjid from pg_catalog.pg_attrdef f join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_attrdef'::regclass and d.objid = f.oid and d.refclassid = 'pg_catalog.pg_class'::regclass
	where f.adrelid = a.attrelid and f.adnum = a.attnum and pg_catalog.pg_get_expr(f.adbin, f.adrelid) ~ '^nextval\(''.*''::regclass\)$') o(oid)
join pg_catalog.pg_class s on s.oid = o.oid and s.relkind = 'S' join pg_catalog.pg_namespace n on n.oid = s.relnamespace join pg_catalog.pg_sequence q on q.seqrelid = s.oid
where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped order by 1, 2`

// advance moves the sequences of tables into which rows are inserted past their keys,
// because whoever inserted after that would get keys that are taken. It comes before the
// rows do, so that nobody gets one in between. No transaction takes it back, an undo
// neither: keys that were not used are no loss. What cannot be moved is told.
func (a *applying) advance() error {
	for _, w := range a.tables {
		w.advanced, w.behind = nil, nil
		if w.Insert == 0 || w.Create != "" {
			continue
		}
		rows, err := a.tx.Query(a.ctx, sequenceQuery, w.Live.OID)
		var all []sequence
		if err == nil {
			all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (s sequence, err error) {
				return s, row.Scan(&s.Schema, &s.Table, &s.column, &s.increment, &s.least, &s.most, &s.cache)
			})
		}
		if err != nil {
			return a.failed(w, err, "find the sequences of")
		}
		for _, s := range all {
			if err := a.past(w, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// past moves one sequence past the keys that come back.
func (a *applying) past(w *work, s sequence) error {
	c, ok := w.Live.column(s.column)
	at := w.place(s.column)
	if !ok || at < 0 || c.Order != "number" {
		return nil
	}
	// A row at the very end is no key that was given: nothing could be inserted after it.
	switch c.Plain {
	case "smallint":
		s.least, s.most = max(s.least, math.MinInt16), min(s.most, math.MaxInt16)
	case "integer":
		s.least, s.most = max(s.least, math.MinInt32), min(s.most, math.MaxInt32)
	}
	highest, beyond := "max", fmt.Sprintf("k operator(pg_catalog.>=) %d and k operator(pg_catalog.<) %d", s.least, s.most)
	if s.increment < 0 {
		highest, beyond = "min", fmt.Sprintf("k operator(pg_catalog.>) %d and k operator(pg_catalog.<=) %d", s.least, s.most)
	}
	var key *int64
	err := a.tx.QueryRow(a.ctx, fmt.Sprintf("select pg_catalog.%s(k) from (select b%d::pg_catalog.int8 from %s where act operator(pg_catalog.=) 'i') s(k) where %s", highest, at, w.staged(), beyond)).Scan(&key)
	if err != nil {
		return a.failed(w, err, "find the highest key of the rows of")
	}
	if key == nil {
		return nil
	}
	s.highest = *key
	if err := run(a.ctx, a.tx, "savepoint comeback_sequence"); err != nil {
		return fmt.Errorf("advance the sequence %s: %w", s.Name, err)
	}
	done, err := s.advance(a.ctx, a.tx)
	if err == nil {
		if done.To != done.From {
			w.advanced = append(w.advanced, done)
		}
		return run(a.ctx, a.tx, "release savepoint comeback_sequence")
	}
	if pgError(err) == nil {
		return fmt.Errorf("advance the sequence %s: %w", s.Name, err)
	}
	w.behind = append(w.behind, fmt.Sprintf("the sequence %s may give keys of %s that are taken, up to %d: %s; set it with a role that may: select setval(%s, %d)",
		s.Name, quote(s.column), s.highest, words(err), quoteText(s.sql()), s.highest))
	return run(a.ctx, a.tx, "rollback to savepoint comeback_sequence")
}

// near is how many values before a key a sequence is asked for one by one. Others go on
// asking it meanwhile: it is set only so far that they cannot be beyond that, or it
// would go back.
const near = 1000

// advance moves a sequence until it gives no key any more up to the highest.
func (s *sequence) advance(ctx context.Context, tx pgx.Tx) (Advanced, error) {
	done := Advanced{Sequence: s.Name, Column: s.column}
	for n := 0; ; n++ {
		if err := tx.QueryRow(ctx, "select last_value, is_called from "+s.sql()).Scan(&s.last, &s.called); err != nil {
			return done, err
		}
		if n == 0 {
			done.From = s.last
		}
		done.To = s.last
		if s.isPast() {
			return done, nil
		}
		steps, before := s.steps(), near*float64(min(s.cache, near))
		sql := fmt.Sprintf("select pg_catalog.count(pg_catalog.nextval(%s)) from pg_catalog.generate_series(1, %d)", quoteText(s.sql()), int64(min(max(math.Ceil(steps), 1), before)))
		if steps > 2*before {
			sql = fmt.Sprintf("select pg_catalog.setval(%s, %d)", quoteText(s.sql()), s.highest-s.increment*int64(before))
		}
		if err := run(ctx, tx, sql); err != nil {
			return done, err
		}
	}
}

func (s *sequence) isPast() bool {
	if s.last == s.highest {
		return s.called
	}
	return (s.last > s.highest) == (s.increment > 0)
}

// steps is how many values it is about to give up to the highest key.
func (s *sequence) steps() float64 {
	return (float64(s.highest) - float64(s.last)) / float64(s.increment)
}
