package rescue

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// What is done with a row.
const (
	insert = "i"
	update = "u"
	remove = "d"
)

// How a table that live does not have is made.
const (
	// Defined is as the copy defines it, with all that belongs to it.
	Defined = "as the copy defines it"
	// Bare is with its columns and its key only, so that it stands apart.
	Bare = "columns and key only"
)

// PreviewOptions say what to look at.
type PreviewOptions struct {
	// Live is only read.
	Live       *pgx.Conn
	Difference Difference
	// Dir is the directory that [Diff] wrote into.
	Dir     string
	Choices []Choice
	// SameCluster says that the copies are physical copies of live's cluster,
	// in which a table has the same number.
	SameCluster bool
	// Samples is how many rows of each kind are shown.
	Samples  int
	Progress func(table Name, rows int64)
	// files is what its files are called, after the number of the table.
	files string
}

// Preview is what a rescue would do to live, row by row in files, and counted
// here. It holds values of rows in its samples alone.
type Preview struct {
	Tables   []TablePreview `json:"tables"` // those that are referred to come first
	Encoding string         `json:"encoding"`
	// Database is the one that was looked at.
	Database string `json:"database"`
	// SHA256 is over everything that would be done, to every row: what a
	// person confirms.
	SHA256 string `json:"sha256"`
}

// TablePreview is what would be done to one table.
type TablePreview struct {
	// Table is as the copy has it, Live as live does.
	Table  Name   `json:"table"`
	Live   Table  `json:"live"`
	Choice Choice `json:"choice,omitzero"`
	// Create says how the table is made where live does not have it.
	Create string `json:"create,omitempty"`
	// Columns are those that take part, Key those that find a row in live,
	// Touched those that an update sets.
	Columns []Pair      `json:"columns"`
	Key     []KeyColumn `json:"key"`
	Touched []string    `json:"touched,omitempty"`
	// Insert, Update and Remove are the rows that would be.
	Insert int64 `json:"insert,string"`
	Update int64 `json:"update,string"`
	Remove int64 `json:"remove,string"`
	// Already are those that live has as before, Left those that the
	// transaction added and nobody asked to remove.
	Already int64 `json:"already,string"`
	Left    int64 `json:"left,string"`
	// Conflict are rows that live has neither as before nor as after: they
	// were changed since, and are left alone.
	Conflict int64 `json:"conflict,string"`
	// Overwritten are those of them that were chosen; they count above.
	Overwritten int64 `json:"overwritten,string"`
	// Orphans are rows that refer to others which live does not have and which
	// do not come back with them: they are left out.
	Orphans int64 `json:"orphans,string"`
	// Missing says for Orphans which foreign key it is.
	Missing []string `json:"missing,omitempty"`
	// Triggers are those of the table that would fire, or that are not to.
	Triggers []Trigger `json:"triggers,omitempty"`
	// Locks say what is locked while it is done.
	Locks []string `json:"locks,omitempty"`
	Notes []string `json:"notes,omitempty"`
	// Problem says why nothing can be done with the table.
	Problem string `json:"problem,omitempty"`
	// File holds a line for each row: its number, what is done, the columns as
	// they will be, the columns as live has them.
	File    File     `json:"file,omitzero"`
	Samples []Sample `json:"-"`

	unique     [][]KeyColumn
	references []ForeignKey
}

// Rows is how many rows would be done something with.
func (t *TablePreview) Rows() int64 { return t.Insert + t.Update + t.Remove }

// Sample is a row for people's eyes; null is nil.
type Sample struct {
	// What is "insert", "update", "remove", "already as before", "left",
	// "in conflict" or "without parent".
	What   string
	Names  []string
	Before []*string // nil where it was not there
	After  []*string
	Live   []*string
}

// Make looks at every row that differs: what live has of it, and what would be
// done. It only reads, in batches, without holding a snapshot.
func Make(ctx context.Context, o PreviewOptions) (Preview, error) {
	p := Preview{Encoding: o.Difference.Encoding}
	tx, encoding, err := begin(ctx, o.Live, readOnly)
	if err != nil {
		return p, err
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) // it only read
	if encoding != p.Encoding {
		return p, refusedf("take a copy of this database", "live is another database: it is in %s, the copy in %s", encoding, p.Encoding)
	}
	if err := tx.QueryRow(ctx, "select current_database()::text").Scan(&p.Database); err != nil {
		return p, fmt.Errorf("name the live database: %w", err)
	}
	for i := range o.Difference.Tables {
		d := &o.Difference.Tables[i]
		t, err := o.table(ctx, tx, d, i+1)
		if err != nil {
			return p, err
		}
		p.Tables = append(p.Tables, t)
	}
	for _, c := range o.Choices {
		if !slices.ContainsFunc(p.Tables, func(t TablePreview) bool { return t.Table == c.Table }) {
			return p, refusedf("choose among the tables that the transaction changed", "nothing of %s is to be brought back", c.Table)
		}
	}
	if err := p.sort(); err != nil {
		return p, err
	}
	if err := p.dropOrphans(ctx, tx, o.Dir, o.Samples); err != nil {
		return p, err
	}
	return p, p.seal()
}

// table looks at the rows of one table.
func (o PreviewOptions) table(ctx context.Context, tx pgx.Tx, d *TableDifference, number int) (TablePreview, error) {
	var choice Choice
	if i := slices.IndexFunc(o.Choices, func(c Choice) bool { return c.Table == d.Name }); i >= 0 {
		choice = o.Choices[i]
	}
	t, err := match(ctx, tx, d, choice, o.SameCluster)
	if err != nil || t.Problem != "" {
		return t, err
	}
	if t.Create == Defined {
		t.references = d.References
	}
	if t.Create == "" {
		if t.references, err = foreignKeys(ctx, tx, t.Live.OID, false); err != nil {
			return t, fmt.Errorf("describe the foreign keys of %s: %w", t.Live.Name, err)
		}
		if o.Difference.Whole {
			if err := t.mustBeEmpty(ctx, tx); err != nil || t.Problem != "" {
				return t, err
			}
		}
	}
	w, err := createFile(o.Dir, fmt.Sprintf("%d.%s.0", number, cmp.Or(o.files, "rescue")))
	if err != nil {
		return t, err
	}
	c := classifier{ctx: ctx, tx: tx, t: &t, d: d, w: w, o: o}
	err = c.all()
	if err == nil && !d.Differs() {
		t.Notes = append(t.Notes, "the transaction changed none of its rows in the end")
	}
	if t.File, err = w.finish(err); err == nil {
		err = t.describe(ctx, tx)
	}
	return t, err
}

// mustBeEmpty refuses to bring a whole table back among rows of live's own.
func (t *TablePreview) mustBeEmpty(ctx context.Context, tx pgx.Tx) error {
	var rows bool
	if err := tx.QueryRow(ctx, "select exists (select from "+t.Live.from()+")").Scan(&rows); err != nil {
		return failed("", err, "look into %s", t.Live.Name)
	}
	if rows {
		t.Problem = "live has rows in it: name the transaction that did the harm, or bring the table back under another name"
	}
	return nil
}

// classifier goes through the rows that differ, a batch at a time.
type classifier struct {
	ctx context.Context
	tx  pgx.Tx
	t   *TablePreview
	d   *TableDifference
	w   *writer
	o   PreviewOptions

	batch []difference
	key   *lookup
	at    []int // the places of the key among the pairs
	done  int64
}

// difference is one row of a file of Diff, with what live has of it.
type difference struct {
	how           string
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
		r := difference{how: string(fields[0])}
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

// flush asks live for a batch and decides.
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
		if err := c.taken(); err != nil {
			return err
		}
		c.key.reset()
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
	c.batch = c.batch[:0]
	return nil
}

// taken finds rows to insert whose place in another unique index of live is
// taken by another row: they are in conflict.
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
		for i, r := range c.batch {
			if r.how != removed || r.live != nil {
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
				r.how, r.live = occupied, row
			})
		if err != nil {
			return failed("look at the live database, then try again", err, "look at the rows of %s in live", c.t.Live.Name)
		}
	}
	return nil
}

// occupied is a removed row whose place another row has taken.
const occupied = "occupied"

// decide says what is done with a row, and counts it.
func (c *classifier) decide(r *difference) error {
	t := c.t
	what, act, expected := "in conflict", "", r.live
	wanted := r.before
	switch {
	case r.how == occupied:
	case r.how == added && r.live == nil, r.before != nil && same(r.live, r.before):
		what = "already as before"
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
		t.Overwritten++
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

// seal computes the digest of what would be done.
func (p *Preview) seal() error {
	p.SHA256 = ""
	b, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode the preview: %w", err)
	}
	sum := sha256.Sum256(b)
	p.SHA256 = hex.EncodeToString(sum[:])
	return nil
}

// Sealed reports whether a preview that was kept is the one that was confirmed.
func (p Preview) Sealed() bool {
	was := p.SHA256
	err := p.seal()
	return err == nil && p.SHA256 == was
}
