package rescue

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// side is a table in one copy; without a table the copy does not have it.
type side struct {
	conn  *pgx.Conn
	table *Table
}

// sides are a table in the copies around one transaction, or around several with
// nobody else's between them.
type sides struct{ before, after side }

// version is a row as a copy has it.
type version struct {
	there  bool
	values []byte
}

func (v version) same(o version) bool {
	return v.there == o.there && string(v.values) == string(o.values)
}

// change is what became of a row from the first transaction that did something to
// it to the last.
type change struct {
	was, is version
	differs bool
	// apart says that somebody else did something to it in between.
	apart bool
}

// add takes in what the next transaction did.
func (c *change) add(before, after version) {
	if c.differs && !before.same(c.is) {
		c.apart = true
	}
	if before.same(after) {
		return
	}
	if !c.differs {
		c.was, c.differs = before, true
	}
	c.is = after
}

// compare goes through all copies side by side.
func (o DiffOptions) compare(ctx context.Context, d *TableDifference, around []sides, w *writer) (err error) {
	var all []*reading
	for _, s := range around {
		for _, one := range []side{s.before, s.after} {
			r := &reading{end: true}
			if one.table != nil {
				r = readInOrder(ctx, one.conn, one.table, d.Compared)
				defer func() { err = errors.Join(err, r.close()) }()
			}
			all = append(all, r)
		}
	}
	for _, r := range all {
		if r.end {
			continue
		}
		if err := r.next(); err != nil {
			return err
		}
	}
	f := finder{d: d, w: w, touched: make([]bool, len(d.Compared)),
		nulls: []byte(strings.TrimSuffix(strings.Repeat(null+"\t", len(d.Compared)), "\t"))}
	var here []*reading // those that have the row
	as := func(r *reading) (v version) {
		if v.there = slices.Contains(here, r); v.there {
			v.values = r.values
		}
		return v
	}
	for {
		here = here[:0]
		for _, r := range all {
			if r.end {
				continue
			}
			order := -1
			if len(here) > 0 {
				order = compareKeys(r.key, here[0].key)
			}
			switch {
			case order < 0:
				here = append(here[:0], r)
			case order == 0:
				here = append(here, r)
			}
		}
		if len(here) == 0 {
			break
		}
		var c change
		for i := 0; i < len(all); i += 2 {
			c.add(as(all[i]), as(all[i+1]))
		}
		if err := f.found(c); err != nil {
			return err
		}
		if here[0] == all[0] {
			if d.Rows++; o.Progress != nil && d.Rows%progressEvery == 0 {
				o.Progress(d.Name, d.Rows)
			}
		}
		for _, r := range here {
			if err := r.next(); err != nil {
				return err
			}
		}
	}
	for i, t := range f.touched {
		if t {
			d.Touched = append(d.Touched, d.Compared[i])
		}
	}
	return nil
}

// finder writes down the rows that differ.
type finder struct {
	d           *TableDifference
	w           *writer
	touched     []bool
	nulls       []byte
	left, right [][]byte
}

// found counts and keeps what became of a row.
func (f *finder) found(c change) error {
	switch {
	case !c.differs:
		return nil
	case c.was.same(c.is):
		f.d.PutBack++
		return nil
	}
	how, before, after := changed, c.was.values, c.is.values
	switch {
	case !c.is.there:
		f.d.Removed++
		how, after = removed, f.nulls
	case !c.was.there:
		f.d.Added++
		how, before = added, f.nulls
	default:
		f.d.Changed++
		f.left, f.right = splitRow(before, f.left), splitRow(after, f.right)
		for i := range f.touched {
			f.touched[i] = f.touched[i] || string(f.left[i]) != string(f.right[i])
		}
	}
	if c.apart {
		f.d.Apart++
		how = apart + how
	}
	return f.w.row(how, before, after)
}

// apart stands before the way in which a row differs to which somebody else did
// something in between.
const apart = "apart "

// progressEvery is after how many rows progress is told.
const progressEvery = 4096
