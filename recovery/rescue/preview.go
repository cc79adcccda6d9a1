package rescue

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"comeback/recovery/postgres"
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
	// checking says that what was to be done was done: a whole table has its rows, and of
	// one without a key they are counted.
	checking bool
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
	// Between are those of them to which somebody else did something between two
	// transactions that were chosen.
	Between int64 `json:"between,string,omitempty"`
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
	// counted is how many rows live has of a table without a key; nil where they were not
	// counted.
	counted *int64
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
// done. It only reads, in batches, without holding a snapshot, or a lock on a table that
// it is done with.
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
		var t TablePreview
		err := postgres.Briefly(ctx, tx, func() (err error) {
			t, err = o.table(ctx, tx, d, i+1)
			return err
		})
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
	if err == nil && o.checking && len(d.Key) == 0 && t.Create == "" {
		err = t.count(ctx, tx)
	}
	if err != nil || t.Problem != "" {
		return t, err
	}
	if d.Removed > 0 {
		if t.Problem, err = t.homeless(ctx, tx, d.Partitions); err != nil || t.Problem != "" {
			return t, err
		}
	}
	if t.Create == Defined {
		t.references = d.References
	}
	if t.Create == "" {
		if t.references, err = foreignKeys(ctx, tx, t.Live.OID, false); err != nil {
			return t, fmt.Errorf("describe the foreign keys of %s: %w", t.Live.Name, err)
		}
		if o.Difference.Whole && !o.checking {
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
	c.found = c.decideAll
	err = c.all()
	if err == nil && !d.Differs() {
		t.Notes = append(t.Notes, "the copies do not differ in it")
	}
	if t.File, err = w.finish(err); err != nil {
		return t, err
	}
	if spreads, err := t.spreads(ctx, tx); spreads != "" || err != nil {
		return TablePreview{Table: t.Table, Live: t.Live, Choice: t.Choice, Notes: t.Notes, Problem: spreads}, err
	}
	return t, t.describe(ctx, tx)
}

// spreads says why an update of the table would change rows of others, which nobody
// has chosen and no undo gives back; empty where it would not.
func (t *TablePreview) spreads(ctx context.Context, tx pgx.Tx) (string, error) {
	if t.Update == 0 || t.Create != "" {
		return "", nil
	}
	referring, err := foreignKeys(ctx, tx, t.Live.OID, true)
	if err != nil {
		return "", fmt.Errorf("describe what refers to %s: %w", t.Live.Name, err)
	}
	for _, f := range referring {
		for _, k := range f.Keys {
			if f.OnUpdate != "" && slices.Contains(t.Touched, k.Name) {
				return fmt.Sprintf("its column %s would change, and with it rows of %s, which nobody has chosen and no undo gives back (%s, on update %s): bring it back under another name",
					k.Name, f.Table, f.Constraint, f.OnUpdate), nil
			}
		}
	}
	return "", nil
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

// count counts the rows of live.
func (t *TablePreview) count(ctx context.Context, tx pgx.Tx) error {
	t.counted = new(int64)
	if err := tx.QueryRow(ctx, "select count(*) from "+t.Live.from()).Scan(t.counted); err != nil {
		return failed("", err, "count the rows of %s", t.Live.Name)
	}
	return nil
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
