package rescue

import (
	"bytes"
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// classifier goes through the rows that differ, a batch at a time.
type classifier struct {
	ctx context.Context
	tx  pgx.Tx
	t   *TablePreview
	d   *TableDifference
	w   *writer
	o   PreviewOptions

	batch []difference
	found func() error // what is done with a batch, when live was asked for it
	key   *lookup
	at    []int // the places of the key among the pairs
	done  int64
	// goes are the keys of rows of live that the rescue itself may take out of
	// another's place, by their hashes; nil until they are needed.
	goes map[uint64]bool
	seed maphash.Seed
}

// difference is one row of a file of Diff, with what live has of it.
type difference struct {
	how           string
	apart         bool
	before, after [][]byte // escaped, in the order of the pairs; nil where it was not there
	live          [][]byte
}

func (c *classifier) all() error {
	var types []string
	for _, k := range c.t.Key {
		i := slices.IndexFunc(c.t.Columns, func(p Pair) bool { return p.Name == k.Name })
		c.at = append(c.at, i)
		types = append(types, c.t.Columns[i].Plain)
	}
	if len(types) > 0 {
		c.key = newLookup(types...)
	}
	n := len(c.d.Compared)
	err := c.d.File.each(c.o.Dir, func(fields [][]byte) error {
		if len(fields) != 1+2*n {
			return fmt.Errorf("a row of %s has %d fields", c.d.Name, len(fields))
		}
		var r difference
		r.how, r.apart = strings.CutPrefix(string(fields[0]), apart)
		if r.how != added {
			r.before = c.pick(fields[1 : 1+n])
		}
		if r.how != removed {
			r.after = c.pick(fields[1+n:])
		}
		c.batch = append(c.batch, r)
		if c.key == nil || c.t.Create != "" {
			if len(c.batch) < 500 {
				return nil
			}
			return c.flush()
		}
		key := make([][]byte, len(c.at))
		side := r.before
		if side == nil {
			side = r.after
		}
		for i, at := range c.at {
			key[i], _ = unescape(side[at])
		}
		c.key.add(key)
		if c.key.full() {
			return c.flush()
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.flush()
}

// pick keeps the columns that live has, too.
func (c *classifier) pick(fields [][]byte) [][]byte {
	row := make([][]byte, len(c.t.Columns))
	for i, p := range c.t.Columns {
		row[i] = bytes.Clone(fields[p.at])
	}
	return row
}

// flush asks live for a batch, and does with it what is to be done.
func (c *classifier) flush() error {
	if len(c.batch) == 0 {
		return nil
	}
	if c.t.Create == "" {
		var list []string
		for _, p := range c.t.Columns {
			list = append(list, "t."+quote(p.Name))
		}
		sql := "select k.n, " + strings.Join(list, ", ") + " from " + c.key.source() + " join " + c.t.Live.from() + " on " + c.key.equals(c.t.Key)
		err := c.key.ask(c.ctx, c.tx, sql, func(n int, columns [][]byte) {
			row := make([][]byte, len(columns))
			for i, v := range columns {
				row[i] = escape(nil, v)
			}
			c.batch[n-1].live = row
		})
		if err != nil {
			return failed("look at the live database, then try again", err, "look at the rows of %s in live", c.t.Live.Name)
		}
		c.key.reset()
	}
	err := c.found()
	c.batch = c.batch[:0]
	return err
}

// decideAll decides about a batch.
func (c *classifier) decideAll() error {
	if c.t.Create == "" {
		if err := c.taken(); err != nil {
			return err
		}
	}
	for i := range c.batch {
		if err := c.decide(&c.batch[i]); err != nil {
			return err
		}
	}
	c.done += int64(len(c.batch))
	if c.o.Progress != nil {
		c.o.Progress(c.t.Table, c.done)
	}
	return nil
}

// decide says what is done with a row, and counts it.
func (c *classifier) decide(r *difference) error {
	t := c.t
	what, act, expected := "in conflict", "", r.live
	wanted, overwritten := r.before, false
	switch {
	case r.how == occupied:
	case r.how == added && r.live == nil, r.before != nil && same(r.live, r.before):
		what = "already as before"
	case r.apart && !t.Choice.Overwrite:
		t.Between++
	case r.how == removed && r.live == nil:
		what, act = "insert", insert
	case r.how == changed && same(r.live, r.after):
		what, act = "update", update
	case r.how == added && same(r.live, r.after):
		what, act, wanted = "remove", remove, r.after
	case t.Choice.Overwrite:
		what, act = "update", update
		switch {
		case r.live == nil:
			what, act = "insert", insert
		case r.how == added:
			what, act, wanted = "remove", remove, r.live
		}
		overwritten = true
		if act == update {
			t.touch(r)
		}
	}
	if act == remove && !t.Choice.Remove {
		what, act = "left", ""
	}
	if act == update && !t.changes(r) {
		what, act = "already as before", ""
	}
	if r.apart && act != "" || overwritten {
		t.Overwritten++
	}
	switch what {
	case "insert":
		t.Insert++
	case "update":
		t.Update++
	case "remove":
		t.Remove++
	case "left":
		t.Left++
	case "already as before":
		t.Already++
	default:
		t.Conflict++
	}
	c.sample(what, r)
	if act == "" {
		return nil
	}
	if expected == nil {
		expected = make([][]byte, len(t.Columns))
		for i := range expected {
			expected[i] = nullField
		}
	}
	return c.w.row(fmt.Sprint(c.w.f.Rows+1), slices.Concat([][]byte{[]byte(act)}, wanted, expected)...)
}

// touch adds the columns that overwriting a row sets.
func (t *TablePreview) touch(r *difference) {
	for i, p := range t.Columns {
		if string(r.before[i]) != string(r.live[i]) && !slices.Contains(t.Touched, p.Name) {
			t.Touched = append(t.Touched, p.Name)
		}
	}
}

// changes reports whether an update would change anything.
func (t *TablePreview) changes(r *difference) bool { return !same(r.before, r.live) }

func same(a, b [][]byte) bool {
	return a != nil && b != nil && slices.EqualFunc(a, b, bytes.Equal)
}

// sample keeps a row for people's eyes.
func (c *classifier) sample(what string, r *difference) {
	c.t.sample(c.o.Samples, Sample{What: what, Before: texts(r.before), After: texts(r.after), Live: texts(r.live)})
}

func (t *TablePreview) sample(most int, s Sample) {
	n := 0
	for _, other := range t.Samples {
		if other.What == s.What {
			n++
		}
	}
	if n >= most {
		return
	}
	for _, p := range t.Columns {
		s.Names = append(s.Names, p.Name)
	}
	t.Samples = append(t.Samples, s)
}

// texts are the values of fields.
func texts(fields [][]byte) []*string {
	if fields == nil {
		return nil
	}
	values := make([]*string, len(fields))
	for i, f := range fields {
		if v, ok := unescape(f); ok {
			text := strings.ToValidUTF8(string(v), "�")
			values[i] = &text
		}
	}
	return values
}
