package rescue

import (
	"bytes"
	"hash/maphash"
	"slices"
	"strings"
)

// taken finds rows to insert, and to update, whose place in another unique index of live
// is taken by another row, which stays there: they are in conflict.
func (c *classifier) taken() error {
	type meeting struct {
		r   *difference
		row [][]byte
	}
	var all []meeting
	err := c.inTheWay(func(r *difference, row [][]byte) { all = append(all, meeting{r, row}) })
	if err != nil || len(all) == 0 {
		return err
	}
	if err := c.findGoing(); err != nil {
		return err
	}
	for _, m := range all {
		if !c.goes[c.hash(m.row)] {
			m.r.how, m.r.live = occupied, m.row
		}
	}
	return nil
}

// inTheWay tells of the rows of live that have a place in another unique index which a row of
// the batch is to get.
func (c *classifier) inTheWay(tell func(r *difference, row [][]byte)) error {
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
				if !slices.EqualFunc(c.keyOf(row), c.keyOf(r.before), bytes.Equal) {
					tell(r, row)
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

// leaves reports whether the rescue updates or removes a row of live, if the place that the row
// gets is free.
func (c *classifier) leaves(r *difference) bool {
	over := c.t.Choice.Overwrite
	switch {
	case r.live == nil, r.before != nil && same(r.live, r.before), r.apart && !over, r.how == added && !c.t.Choice.Remove:
		return false
	}
	return over || r.how != removed && same(r.live, r.after)
}

// findGoing collects the keys of rows that are updated or removed by the rescue. One that is
// to get the place of a row that stays where it is stays, too, and so does what was to get its
// own.
func (c *classifier) findGoing() error {
	if c.goes != nil {
		return nil
	}
	c.goes, c.seed = map[uint64]bool{}, maphash.MakeSeed()
	if choice := c.t.Choice; c.d.Changed == 0 && !(choice.Remove && c.d.Added > 0) && !choice.Overwrite {
		return nil
	}
	var moves [][2]uint64 // a row that goes, and the one whose place it is to get
	all := classifier{ctx: c.ctx, tx: c.tx, t: c.t, d: c.d, o: c.o}
	all.found = func() error {
		for i := range all.batch {
			if r := &all.batch[i]; all.leaves(r) {
				c.goes[c.hash(r.live)] = true
			}
		}
		return all.inTheWay(func(r *difference, row [][]byte) {
			if all.leaves(r) {
				moves = append(moves, [2]uint64{c.hash(r.live), c.hash(row)})
			}
		})
	}
	if err := all.all(); err != nil {
		return err
	}
	behind := map[uint64][]uint64{}
	var stay []uint64
	for _, m := range moves {
		behind[m[1]] = append(behind[m[1]], m[0])
		if !c.goes[m[1]] {
			stay = append(stay, m[0])
		}
	}
	for len(stay) > 0 {
		key := stay[len(stay)-1]
		stay = stay[:len(stay)-1]
		if c.goes[key] {
			delete(c.goes, key)
			stay = append(stay, behind[key]...)
		}
	}
	return nil
}

// hash is that of a row's key.
func (c *classifier) hash(row [][]byte) uint64 { return hashOf(c.seed, c.keyOf(row)) }

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
