package rescue

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"comeback/recovery/postgres"
)

// The ways in which a row differs between two copies.
const (
	removed = "removed" // in the first only
	changed = "changed" // in both, with other values
	added   = "added"   // in the second only
)

// DiffOptions say what to compare.
type DiffOptions struct {
	// Before and After are sessions with two copies of one database. Without
	// After every row of Before counts as removed: whole tables come back. An
	// error may leave all sessions closed.
	Before, After *pgx.Conn
	Tables        []Selected
	// Further are copies around later transactions that were chosen, too, in the
	// order of their commits. A row differs as from before the first that did
	// anything to it to after the last.
	Further []Copies
	// Dir is a private directory, which gets the rows.
	Dir string
	// Progress, where it is not nil, is told now and then how many rows of
	// Before have been read.
	Progress func(table Name, rows int64)
}

// Copies are two copies of one database, and the tables to compare in them.
type Copies struct {
	Before, After *pgx.Conn
	Tables        []Selected
}

// Difference is what differs between two copies.
type Difference struct {
	Tables []TableDifference `json:"tables"`
	// Encoding is that of the rows in files.
	Encoding string `json:"encoding"`
	// Whole says that there was no second copy.
	Whole bool `json:"whole,omitempty"`
}

// TableDifference is what differs in one table.
type TableDifference struct {
	// Table is as the first copy has it.
	Table
	Removed int64 `json:"removed,string"`
	Changed int64 `json:"changed,string"`
	Added   int64 `json:"added,string"`
	// Apart are those of them to which somebody else did something between two
	// transactions that were chosen. PutBack are further rows, which one of these
	// changed and another made what they were before.
	Apart   int64 `json:"apart,string,omitempty"`
	PutBack int64 `json:"put_back,string,omitempty"`
	// Rows is how many the first copy has, of the partitions that were read.
	Rows int64 `json:"rows,string"`
	// Compared are the columns that were, Touched those of them that differ in
	// a changed row.
	Compared []string `json:"compared"`
	Touched  []string `json:"touched,omitempty"`
	// File holds the rows that differ: how, the columns as before, the columns
	// as after.
	File File `json:"file"`
	// Gone says that the second copy, or the last that was looked into, does not
	// have the table.
	Gone bool `json:"gone,omitempty"`
	// Partitions are those of the first copy that the second, or the last that was looked
	// into, does not have.
	Partitions []Partition `json:"partitions,omitempty"`
	// References are the foreign keys that the first copy has.
	References []ForeignKey `json:"references,omitempty"`
	// Notes are what a person should know.
	Notes []string `json:"notes,omitempty"`
	// Problem says why its rows cannot be told apart; empty if they can.
	Problem string `json:"problem,omitempty"`

	// in is which copies have it first: 0 are Before and After. leaves are all of its
	// partitions there.
	in     int
	leaves []Partition
}

// Differs reports whether there is anything to bring back.
func (t *TableDifference) Differs() bool { return t.Removed+t.Changed+t.Added > 0 || t.Gone }

// Diff compares tables of copies, row by row in the order of their keys. It reads
// one row of each at a time; what the servers sort lies on their disks.
func Diff(ctx context.Context, o DiffOptions) (Difference, error) {
	d := Difference{Whole: o.After == nil}
	var all []opened
	for i, c := range append([]Copies{{o.Before, o.After, o.Tables}}, o.Further...) {
		one := opened{Copies: c}
		for j, conn := range []*pgx.Conn{c.Before, c.After} {
			if conn == nil {
				continue
			}
			tx, encoding, err := beginCopy(ctx, conn, pgx.RepeatableRead)
			if err != nil {
				return d, err
			}
			defer tx.Rollback(context.WithoutCancel(ctx)) // it only read
			if one.tx[j] = tx; i+j == 0 {
				d.Encoding = encoding
			}
			if encoding != d.Encoding {
				return d, refusedf("take copies of one database", "the copies are of different databases: one is in %s, the other in %s", d.Encoding, encoding)
			}
		}
		all = append(all, one)
	}
	var sessions []pgx.Tx
	for _, one := range all {
		for _, tx := range one.tx {
			if tx != nil {
				sessions = append(sessions, tx)
			}
		}
	}
	for i, s := range selected(all) {
		var t TableDifference
		err := briefly(ctx, sessions, func() (err error) {
			t, err = o.table(ctx, all, s, i+1)
			return err
		})
		if err != nil {
			return d, err
		}
		d.Tables = append(d.Tables, t)
	}
	return d, nil
}

// briefly is postgres.Briefly in several sessions.
func briefly(ctx context.Context, sessions []pgx.Tx, do func() error) error {
	if len(sessions) == 0 {
		return do()
	}
	return postgres.Briefly(ctx, sessions[0], func() error { return briefly(ctx, sessions[1:], do) })
}

// opened are copies with a snapshot of each: before and after.
type opened struct {
	Copies
	tx [2]pgx.Tx
}

// selected are the tables to compare in any of the copies. Every copy is read with all
// partitions that are read in any, because a row would seem to be gone in one that
// is read without its partition.
func selected(all []opened) []Selected {
	var tables []Selected
	for _, one := range all {
		for _, s := range one.Tables {
			i := slices.IndexFunc(tables, func(t Selected) bool { return t.Name == s.Name })
			switch {
			case i < 0:
				tables = append(tables, Selected{s.Name, slices.Clone(s.Leaves)})
			case len(s.Leaves) == 0:
				tables[i].Leaves = nil
			case len(tables[i].Leaves) > 0:
				for _, leaf := range s.Leaves {
					if !slices.Contains(tables[i].Leaves, leaf) {
						tables[i].Leaves = append(tables[i].Leaves, leaf)
					}
				}
			}
		}
	}
	return tables
}

// table compares one table.
func (o DiffOptions) table(ctx context.Context, all []opened, selected Selected, number int) (d TableDifference, err error) {
	name := selected.Name
	var around []sides
	for i, one := range all {
		if !slices.ContainsFunc(one.Tables, func(s Selected) bool { return s.Name == name }) {
			continue
		}
		first := len(around) == 0
		t, ok, err := readTable(ctx, one.tx[0], name)
		switch {
		case err != nil:
			return d, err
		case !ok && first:
			return d, refusedf("name a table that the copy from before has", "the copy has no table %s", name)
		case !ok:
			continue // it had gone before this transaction
		}
		none := false
		if t.Leaves, none, err = leavesOf(ctx, one.tx[0], selected.Leaves); err != nil {
			return d, err
		}
		if first {
			if err := d.begin(ctx, one.tx[0], t); err != nil || d.Problem != "" {
				return d, err
			}
			d.in, d.Leaves = i, selected.Leaves
		} else if err := d.align(&t); err != nil || d.Problem != "" {
			return d, err
		}
		s := sides{before: side{one.Before, &t}}
		if none {
			s.before = side{}
		}
		if one.After != nil {
			if s.after, err = d.second(ctx, one.tx[1], one.After, selected.Leaves); err != nil || d.Problem != "" {
				return d, err
			}
		}
		around = append(around, s)
	}
	w, err := createFile(o.Dir, fmt.Sprintf("%d.difference", number))
	if err != nil {
		return d, err
	}
	err = o.compare(ctx, &d, around, w)
	if d.File, err = w.finish(err); err != nil {
		return d, err
	}
	if d.PutBack > 0 {
		d.Notes = append(d.Notes, fmt.Sprintf("%d rows that one of the transactions changed were put back by another", d.PutBack))
	}
	return d, nil
}

// begin describes a table as the first copy has it.
func (d *TableDifference) begin(ctx context.Context, tx pgx.Tx, t Table) (err error) {
	d.Table = t
	if d.References, err = foreignKeys(ctx, tx, t.OID, false); err != nil {
		return fmt.Errorf("describe the foreign keys of %s: %w", t.Name, err)
	}
	if d.leaves, err = partitions(ctx, tx, t); err != nil {
		return err
	}
	for _, c := range t.Columns {
		if !c.Generated {
			d.Compared = append(d.Compared, c.Name)
		}
	}
	if t.Unlogged {
		d.Problem = "it is unlogged: a copy has none of its rows"
	}
	return nil
}

// second is the table in the copy from after a transaction, without one where that
// does not have it.
func (d *TableDifference) second(ctx context.Context, tx pgx.Tx, conn *pgx.Conn, leaves []Name) (side, error) {
	t, ok, err := readTable(ctx, tx, d.Name)
	if err != nil {
		return side{}, err
	}
	if d.Gone = !ok; !ok {
		return side{}, nil
	}
	if err := d.align(&t); err != nil || d.Problem != "" {
		return side{}, err
	}
	there, err := partitions(ctx, tx, t)
	if err != nil {
		return side{}, err
	}
	d.Partitions = without(d.leaves, there)
	none := false
	if t.Leaves, none, err = leavesOf(ctx, tx, leaves); none {
		return side{}, err // with them went all rows that were read
	}
	return side{conn, &t}, err
}

// align finds the columns that both copies have, and a key over them.
func (d *TableDifference) align(second *Table) error {
	if len(d.Key) == 0 {
		d.Problem = "it has no primary key, nor a unique index over columns that are never null: its rows cannot be told apart"
		return nil
	}
	var both, missing []string
	for _, name := range d.Compared {
		first, _ := d.column(name)
		c, ok := second.column(name)
		if !ok || c.Type != first.Type || c.Generated {
			missing = append(missing, name)
			continue
		}
		both = append(both, name)
	}
	d.Compared = both
	if len(missing) > 0 {
		d.Notes = append(d.Notes, fmt.Sprintf("the transaction changed the table itself: %s is not compared", strings.Join(missing, ", ")))
	}
	for _, k := range d.Key {
		if !slices.Contains(both, k.Name) {
			d.Problem = fmt.Sprintf("the transaction changed the column %s of its key", k.Name)
		}
	}
	second.Key = d.Key
	return nil
}

// leavesOf are those partitions that are there. None says that some are to be read, and
// that none of these is.
func leavesOf(ctx context.Context, tx pgx.Tx, leaves []Name) (there []Name, none bool, err error) {
	for _, leaf := range leaves {
		_, ok, err := readTable(ctx, tx, leaf)
		if err != nil {
			return nil, false, err
		}
		if ok {
			there = append(there, leaf)
		}
	}
	return there, len(leaves) > 0 && len(there) == 0, nil
}
