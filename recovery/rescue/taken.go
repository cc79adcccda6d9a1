package rescue

import (
	"bytes"
	"hash/maphash"
	"slices"
	"strings"
)

// taken finds rows to insert, and to update, whose place in another unique index of live
// is taken by another row: they are in conflict.
func (c *classifier) taken() error {
	for _, unique := range c.t.unique {
		var at []int
		var types []string
		for _, k := range unique {
			i := slices.IndexFunc(c.t.Columns, func(p Pair) bool { return p.Name == k.Name })
			if i >= 0 {
				at, types = append(at, i), append(types, c.t.Columns[i].Plain)
			}
		}
		if len(at) < len(unique) {
			continue
		}
		l := newLookup(types...)
		var rows []int
		for i := range c.batch {
			r := &c.batch[i]
			if !c.places(r, at) {
				continue
			}
			value := make([][]byte, len(at))
			for j, place := range at {
				value[j], _ = unescape(r.before[place])
			}
			if !slices.ContainsFunc(value, func(v []byte) bool { return v == nil }) {
				l.add(value)
				rows = append(rows, i)
			}
		}
		if len(rows) == 0 {
			continue
		}
		if err := c.findGoing(); err != nil {
			return err
		}
		var list []string
		for _, p := range c.t.Columns {
			list = append(list, "t."+quote(p.Name))
		}
		err := l.ask(c.ctx, c.tx, "select k.n, "+strings.Join(list, ", ")+" from "+l.source()+" join "+c.t.Live.from()+" on "+l.equals(unique),
			func(n int, columns [][]byte) {
				row := make([][]byte, len(columns))
				for i, v := range columns {
					row[i] = escape(nil, v)
				}
				r := &c.batch[rows[n-1]]
				own := slices.EqualFunc(c.keyOf(row), c.keyOf(r.before), bytes.Equal)
				if !own && !c.goes[hashOf(c.seed, c.keyOf(row))] {
					r.how, r.live = occupied, row
				}
			})
		if err != nil {
			return failed("look at the live database, then try again", err, "look at the rows of %s in live", c.t.Live.Name)
		}
	}
	return nil
}

// places reports whether a row is to get values of some columns that live does not have in it.
func (c *classifier) places(r *difference, at []int) bool {
	switch {
	case r.before == nil || r.how == occupied:
		return false
	case r.live == nil:
		return r.how == removed || c.t.Choice.Overwrite
	case !c.t.Choice.Overwrite && (r.apart || !same(r.live, r.after)):
		return false
	}
	return slices.ContainsFunc(at, func(i int) bool { return !bytes.Equal(r.before[i], r.live[i]) })
}

// findGoing collects the keys of rows that are updated or removed by the rescue.
func (c *classifier) findGoing() error {
	if c.goes != nil {
		return nil
	}
	c.goes, c.seed = map[uint64]bool{}, maphash.MakeSeed()
	if c.d.Changed == 0 && !(c.t.Choice.Remove && c.d.Added > 0) {
		return nil
	}
	n := len(c.d.Compared)
	return c.d.File.each(c.o.Dir, func(fields [][]byte) error {
		if how, others := strings.CutPrefix(string(fields[0]), apart); others && !c.t.Choice.Overwrite {
			return nil // it stays as it is
		} else if how == changed || how == added && c.t.Choice.Remove {
			c.goes[hashOf(c.seed, c.keyOf(c.pick(fields[1+n:])))] = true
		}
		return nil
	})
}

// keyOf is the key of a row of the pairs.
func (c *classifier) keyOf(row [][]byte) [][]byte {
	var key [][]byte
	for _, at := range c.at {
		key = append(key, row[at])
	}
	return key
}

// occupied is a removed or changed row whose place another row has taken.
const occupied = "occupied"
