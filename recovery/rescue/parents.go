package rescue

import (
	"context"
	"fmt"
	"hash/maphash"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"

	"comeback/recovery/postgres"
)

// sort puts tables that are referred to before those that refer to them. Where
// they refer to each other in a circle, it is cut where it is checked in the end.
func (p *Preview) sort() error {
	var sorted []TablePreview
	rest := p.Tables
	waits := func(t TablePreview, counts func(ForeignKey) bool) bool {
		return slices.ContainsFunc(t.references, func(f ForeignKey) bool {
			return f.Parent != t.Live.Name && counts(f) && slices.ContainsFunc(rest, func(other TablePreview) bool { return other.Live.Name == f.Parent })
		})
	}
	needed := func(t TablePreview) bool {
		return slices.ContainsFunc(rest, func(other TablePreview) bool {
			return slices.ContainsFunc(other.references, func(f ForeignKey) bool { return f.Parent == t.Live.Name && other.Live.Name != t.Live.Name })
		})
	}
	for len(rest) > 0 {
		i := slices.IndexFunc(rest, func(t TablePreview) bool { return !waits(t, func(ForeignKey) bool { return true }) })
		if i < 0 {
			i = slices.IndexFunc(rest, func(t TablePreview) bool {
				return needed(t) && !waits(t, func(f ForeignKey) bool { return !f.Deferrable })
			})
		}
		if i < 0 {
			i = max(0, slices.IndexFunc(rest, needed))
		}
		sorted = append(sorted, rest[i])
		rest = slices.Delete(slices.Clone(rest), i, i+1)
	}
	for i := range sorted {
		for j := range sorted[:i] {
			if sorted[i].Live.Name == sorted[j].Live.Name {
				return refusedf("bring one of them back under another name", "%s and %s would both be brought back into %s",
					sorted[j].Table, sorted[i].Table, sorted[i].Live.Name)
			}
		}
	}
	p.Tables = sorted
	return nil
}

// dropOrphans leaves out rows that refer to others which live does not have and
// which do not come back with them; and then those that refer to these.
func (p *Preview) dropOrphans(ctx context.Context, tx pgx.Tx, dir string, samples int) error {
	o := orphans{ctx: ctx, tx: tx, dir: dir, preview: p, seed: maphash.MakeSeed(), come: map[string]map[uint64]bool{}, samples: samples}
	again := true
	for round := 1; again; round++ {
		again = false
		for i := range p.Tables {
			t := &p.Tables[i]
			before := t.Orphans
			if err := postgres.Briefly(ctx, tx, func() error { return o.table(t, round) }); err != nil {
				return err
			}
			again = again || t.Orphans > before
		}
		o.come = map[string]map[uint64]bool{}
	}
	return nil
}

// orphans looks for parents.
type orphans struct {
	ctx     context.Context
	tx      pgx.Tx
	dir     string
	preview *Preview
	seed    maphash.Seed
	samples int
	// come are the values that come back with a rescue, for each table and its
	// columns that are referred to, by their hashes.
	come map[string]map[uint64]bool
}

// table takes the orphans out of one table's rows.
func (o *orphans) table(t *TablePreview, round int) error {
	if t.Problem != "" || t.Insert+t.Update == 0 || len(t.references) == 0 {
		return nil
	}
	lost := map[int64]string{} // by the rows' numbers
	for _, f := range t.references {
		if err := o.missing(t, f, lost); err != nil {
			return err
		}
	}
	if len(lost) == 0 {
		return nil
	}
	old := t.File
	w, err := createFile(o.dir, fmt.Sprintf("%s.%d", trimExt(old.Name), round))
	if err != nil {
		return err
	}
	n := len(t.Columns)
	err = old.each(o.dir, func(fields [][]byte) error {
		number, err := strconv.ParseInt(string(fields[0]), 10, 64)
		if err != nil {
			return fmt.Errorf("a row of %s has no number", t.Table)
		}
		why, orphan := lost[number]
		if !orphan {
			return w.row(string(fields[0]), fields[1:]...)
		}
		switch string(fields[1]) {
		case insert:
			t.Insert--
		case update:
			t.Update--
		}
		t.Orphans++
		if !slices.Contains(t.Missing, why) {
			t.Missing = append(t.Missing, why)
		}
		s := Sample{What: "without parent", Before: texts(fields[2 : 2+n])}
		if string(fields[1]) == update {
			s.Live = texts(fields[2+n:])
		}
		t.sample(o.samples, s)
		return nil
	})
	if t.File, err = w.finish(err); err != nil {
		return err
	}
	return os.Remove(filepath.Join(o.dir, old.Name))
}

func trimExt(name string) string { return name[:len(name)-len(filepath.Ext(name))] }

// missing finds the rows of a table whose parent is missing, with the reason.
func (o *orphans) missing(t *TablePreview, f ForeignKey, lost map[int64]string) error {
	at, types := t.places(f.Columns)
	if len(at) < len(f.Columns) {
		return nil // a column that the copy does not have stays null or gets its default
	}
	l := newLookup(types...)
	var numbers []int64
	flush := func() error {
		if len(numbers) == 0 {
			return nil
		}
		var gone []int
		there, _, err := readTable(o.ctx, o.tx, f.Parent)
		if err != nil {
			return err
		}
		if there.OID == 0 { // it comes with the rescue, or not at all
			for i := range numbers {
				gone = append(gone, i)
			}
		} else {
			sql := "select k.n from " + l.source() + " where not exists (select from " + there.from() + " where " + l.equals(f.Keys) + ")"
			if err := l.ask(o.ctx, o.tx, sql, func(n int, _ [][]byte) { gone = append(gone, n-1) }); err != nil {
				return failed("look at the live database, then try again", err, "look for what %s refers to in live", t.Live.Name)
			}
		}
		if len(gone) > 0 {
			come, err := o.coming(f)
			if err != nil {
				return err
			}
			for _, i := range gone {
				if !come[o.hash(l.value(i))] {
					lost[numbers[i]] = fmt.Sprintf("%s refers to %s", f.Constraint, f.Parent)
				}
			}
		}
		numbers = numbers[:0]
		l.reset()
		return nil
	}
	err := t.File.each(o.dir, func(fields [][]byte) error {
		if act := string(fields[1]); act == remove {
			return nil
		}
		number, err := strconv.ParseInt(string(fields[0]), 10, 64)
		if err != nil {
			return fmt.Errorf("a row of %s has no number", t.Table)
		}
		value := make([][]byte, len(at))
		for i, place := range at {
			v, ok := unescape(fields[2+place])
			if !ok {
				return nil // null refers to nothing
			}
			value[i] = slices.Clone(v)
		}
		l.add(value)
		numbers = append(numbers, number)
		if l.full() {
			return flush()
		}
		return nil
	})
	if err != nil {
		return err
	}
	return flush()
}

// places are where columns of live stand among the pairs, and their types.
func (t *TablePreview) places(columns []string) (at []int, types []string) {
	for _, name := range columns {
		i := slices.IndexFunc(t.Columns, func(p Pair) bool { return p.Name == name })
		if i >= 0 {
			at, types = append(at, i), append(types, t.Columns[i].Plain)
		}
	}
	return at, types
}

// value is one of the batch.
func (l *lookup) value(i int) [][]byte {
	var v [][]byte
	for _, column := range l.values {
		v = append(v, column[i])
	}
	return v
}

// coming are the values that a foreign key can refer to once everything is
// brought back.
func (o *orphans) coming(f ForeignKey) (map[uint64]bool, error) {
	id := fmt.Sprintf("%q %q", f.Parent, f.Keys)
	if known, ok := o.come[id]; ok {
		return known, nil
	}
	come := map[uint64]bool{}
	o.come[id] = come
	i := slices.IndexFunc(o.preview.Tables, func(t TablePreview) bool { return t.Live.Name == f.Parent && t.Problem == "" })
	if i < 0 {
		return come, nil
	}
	t := &o.preview.Tables[i]
	var keys []string
	for _, k := range f.Keys {
		keys = append(keys, k.Name)
	}
	at, _ := t.places(keys)
	if len(at) < len(keys) {
		return come, nil
	}
	return come, t.File.each(o.dir, func(fields [][]byte) error {
		if string(fields[1]) == remove {
			return nil
		}
		value := make([][]byte, len(at))
		for i, place := range at {
			value[i], _ = unescape(fields[2+place])
		}
		come[o.hash(value)] = true
		return nil
	})
}

func (o *orphans) hash(value [][]byte) uint64 { return hashOf(o.seed, value) }

func hashOf(seed maphash.Seed, value [][]byte) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	for _, v := range value {
		h.WriteString(strconv.Itoa(len(v)))
		h.WriteByte(':')
		h.Write(v)
	}
	return h.Sum64()
}
