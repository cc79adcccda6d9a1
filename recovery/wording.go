package recovery

import (
	"fmt"
	"slices"
	"strings"
)

// Wording says what transactions did, in the same words everywhere. What databases call
// things is harmless in them.
type Wording struct {
	// Table names a table; nil takes its name, or the number that the log has.
	Table func(TableChange) string
}

// deedWords are what can be done to a table, in the order in which it is told.
var deedWords = []struct {
	name string
	did  func(TableChange) bool
	rows func(TableChange) int64
}{
	{"drop table", func(c TableChange) bool { return c.Dropped && !c.Created }, nil},
	{"truncate", func(c TableChange) bool { return c.Truncated && !c.Created && !c.Dropped }, nil},
	{"delete", func(c TableChange) bool { return c.Deleted > 0 }, func(c TableChange) int64 { return c.Deleted }},
	{"update", func(c TableChange) bool { return c.Updated > 0 }, func(c TableChange) int64 { return c.Updated }},
	{"create table", func(c TableChange) bool { return c.Created && !c.Dropped }, nil},
	{"rewrite", func(c TableChange) bool { return c.Rewritten && !c.Truncated && !c.Dropped && !c.Created }, nil},
	{"insert", func(c TableChange) bool { return c.Inserted > 0 }, func(c TableChange) int64 { return c.Inserted }},
	{"make and drop", func(c TableChange) bool { return c.Created && c.Dropped }, nil},
}

// Line is all that a transaction did and how it ended, harm first. What is usual is
// told as that.
func (w Wording) Line(t Transaction, u Usual) string {
	if t.How == NamedPoint {
		return "RESTORE POINT  " + Harmless(t.RestorePoint)
	}
	text := ""
	if harms := w.Harms(t); harms == "" {
		text = w.did(t, nil)
	} else {
		text = "HARM  " + harms
		if u.Holds() {
			text = "USUAL, " + u.String() + "  " + harms
		}
		if also := w.did(t, harmsAlone(t)); also != "" {
			text += "; also " + also
		}
	}
	if text == "" {
		text = "no rows of tables"
	}
	if t.AtLeast {
		text += " (at least)"
	}
	switch t.How {
	case Aborted, AbortedPrepared:
		text = "ROLLED BACK  " + text
	case Prepared:
		text = fmt.Sprintf("PREPARED %q, not decided here  %s", Harmless(t.GID), text)
	case CommittedPrepared:
		if t.GID != "" {
			text += "; was prepared as " + Harmless(t.GID)
		}
	}
	return text
}

// Harms are the reasons why a transaction stands out, in a few words; "" where it
// does not.
func (w Wording) Harms(t Transaction) string {
	var says []string
	for _, h := range t.Harms() {
		says = append(says, Harmless(h.Says))
	}
	return strings.Join(says, ", ")
}

// harmsAlone reports whether a change of a transaction's is harm by itself.
func harmsAlone(t Transaction) func(TableChange) bool {
	return func(c TableChange) bool {
		t.Tables, t.Databases, t.Tablespaces = []TableChange{c}, nil, nil
		return len(t.Harms()) > 0
	}
}

// did is what a transaction did, except to the tables that are left out.
func (w Wording) did(t Transaction, except func(TableChange) bool) string {
	var parts []string
	for _, d := range deedWords {
		var tables []string
		for _, c := range t.Tables {
			if except != nil && except(c) || !d.did(c) {
				continue
			}
			text := w.TableName(c)
			if d.rows != nil {
				text += " " + groups(d.rows(c))
			}
			tables = append(tables, text)
		}
		if len(tables) > 0 {
			parts = append(parts, d.name+" "+strings.Join(tables, ", "))
		}
	}
	parts = append(parts, w.objects("database", t.Databases, except != nil)...)
	return strings.Join(append(parts, w.objects("tablespace", t.Tablespaces, except != nil)...), ", ")
}

// objects are databases or tablespaces that came or went; those that went are harm,
// which is told elsewhere where harms are left out.
func (w Wording) objects(kind string, all []ObjectChange, harmsOut bool) []string {
	var parts []string
	for _, o := range all {
		switch name := Harmless(orNumber(o.Name, "", o.OID)); {
		case o.Dropped && !harmsOut:
			parts = append(parts, "drop "+kind+" "+name)
		case o.Created && !o.Dropped:
			parts = append(parts, "create "+kind+" "+name)
		}
	}
	return slices.Clip(parts)
}

// TableName is a table's name, or the number that the log has.
func (w Wording) TableName(c TableChange) string {
	if w.Table != nil {
		return w.Table(c)
	}
	return Harmless(orNumber(c.Name, "table ", c.Filenode))
}
