package rescue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
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
	// error may leave both sessions closed.
	Before, After *pgx.Conn
	Tables        []Selected
	// Dir is a private directory, which gets the rows.
	Dir string
	// Progress, where it is not nil, is told now and then how many rows of
	// Before have been read.
	Progress func(table Name, rows int64)
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
	// Rows is how many the first copy has, of the partitions that were read.
	Rows int64 `json:"rows,string"`
	// Compared are the columns that were, Touched those of them that differ in
	// a changed row.
	Compared []string `json:"compared"`
	Touched  []string `json:"touched,omitempty"`
	// File holds the rows that differ: how, the columns as before, the columns
	// as after.
	File File `json:"file"`
	// Gone says that the second copy does not have the table.
	Gone bool `json:"gone,omitempty"`
	// References are the foreign keys that the first copy has.
	References []ForeignKey `json:"references,omitempty"`
	// Notes are what a person should know.
	Notes []string `json:"notes,omitempty"`
	// Problem says why its rows cannot be told apart; empty if they can.
	Problem string `json:"problem,omitempty"`
}

// Differs reports whether there is anything to bring back.
func (t *TableDifference) Differs() bool { return t.Removed+t.Changed+t.Added > 0 || t.Gone }

// Diff compares tables of two copies, row by row in the order of their keys. It
// reads one row of each at a time; what the servers sort lies on their disks.
func Diff(ctx context.Context, o DiffOptions) (Difference, error) {
	d := Difference{Whole: o.After == nil}
	before, encoding, err := begin(ctx, o.Before, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return d, err
	}
	defer before.Rollback(context.WithoutCancel(ctx)) // it only read
	d.Encoding = encoding
	var after pgx.Tx
	if o.After != nil {
		after, encoding, err = begin(ctx, o.After, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
		if err != nil {
			return d, err
		}
		defer after.Rollback(context.WithoutCancel(ctx)) // it only read
		if encoding != d.Encoding {
			return d, refusedf("take copies of one database", "the copies are of different databases: one is in %s, the other in %s", d.Encoding, encoding)
		}
	}
	for i, s := range o.Tables {
		t, err := o.table(ctx, before, after, s, i+1)
		if err != nil {
			return d, err
		}
		d.Tables = append(d.Tables, t)
	}
	return d, nil
}

// table compares one table.
func (o DiffOptions) table(ctx context.Context, before, after pgx.Tx, s Selected, number int) (d TableDifference, err error) {
	t, ok, err := readTable(ctx, before, s.Name)
	if err != nil {
		return d, err
	}
	if !ok {
		return d, refusedf("name a table that the copy from before has", "the copy has no table %s", s.Name)
	}
	t.Leaves = s.Leaves
	d.Table = t
	if d.References, err = foreignKeys(ctx, before, t.OID, false); err != nil {
		return d, fmt.Errorf("describe the foreign keys of %s: %w", t.Name, err)
	}
	for _, c := range t.Columns {
		if !c.Generated {
			d.Compared = append(d.Compared, c.Name)
		}
	}
	if t.Unlogged {
		d.Problem = "it is unlogged: a copy has none of its rows"
		return d, nil
	}
	var second *Table
	if after != nil {
		found, ok, err := readTable(ctx, after, s.Name)
		if err != nil {
			return d, err
		}
		if d.Gone = !ok; ok {
			second = &found
		}
	}
	if second != nil {
		if err := d.align(second); err != nil || d.Problem != "" {
			return d, err
		}
		if second.Leaves, err = leavesOf(ctx, after, t.Leaves); err != nil {
			return d, err
		}
	}
	w, err := createFile(o.Dir, fmt.Sprintf("%d.difference", number))
	if err != nil {
		return d, err
	}
	err = o.compare(ctx, &d, second, w)
	if d.File, err = w.finish(err); err != nil {
		return d, err
	}
	return d, nil
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

// leavesOf are those partitions that are still there.
func leavesOf(ctx context.Context, tx pgx.Tx, leaves []Name) ([]Name, error) {
	var there []Name
	for _, leaf := range leaves {
		_, ok, err := readTable(ctx, tx, leaf)
		if err != nil {
			return nil, err
		}
		if ok {
			there = append(there, leaf)
		}
	}
	if len(leaves) > 0 && len(there) == 0 {
		return nil, refusedf("bring the table back under another name", "none of the partitions that the transaction changed is left")
	}
	return there, nil
}

// compare goes through both copies side by side.
func (o DiffOptions) compare(ctx context.Context, d *TableDifference, second *Table, w *writer) (err error) {
	a := readInOrder(ctx, o.Before, &d.Table, d.Compared)
	defer func() { err = errors.Join(err, a.close()) }()
	b := &reading{end: true}
	if second != nil {
		b = readInOrder(ctx, o.After, second, d.Compared)
		defer func() { err = errors.Join(err, b.close()) }()
		if err := b.next(); err != nil {
			return err
		}
	}
	if err := a.next(); err != nil {
		return err
	}
	nulls := []byte(strings.TrimSuffix(strings.Repeat(null+"\t", len(d.Compared)), "\t"))
	touched := make([]bool, len(d.Compared))
	var left, right [][]byte
	for !a.end || !b.end {
		order := -1
		switch {
		case a.end:
			order = 1
		case !b.end:
			order = compareKeys(a.key, b.key)
		}
		switch {
		case order < 0:
			d.Removed++
			err = w.row(removed, a.values, nulls)
		case order > 0:
			d.Added++
			err = w.row(added, nulls, b.values)
		case string(a.values) != string(b.values):
			d.Changed++
			left, right = splitRow(a.values, left), splitRow(b.values, right)
			for i := range touched {
				touched[i] = touched[i] || string(left[i]) != string(right[i])
			}
			err = w.row(changed, a.values, b.values)
		}
		if err != nil {
			return err
		}
		if order <= 0 {
			if d.Rows++; o.Progress != nil && d.Rows%progressEvery == 0 {
				o.Progress(d.Name, d.Rows)
			}
			if err := a.next(); err != nil {
				return err
			}
		}
		if order >= 0 {
			if err := b.next(); err != nil {
				return err
			}
		}
	}
	for i, t := range touched {
		if t {
			d.Touched = append(d.Touched, d.Compared[i])
		}
	}
	return nil
}

// progressEvery is after how many rows progress is told.
const progressEvery = 4096
