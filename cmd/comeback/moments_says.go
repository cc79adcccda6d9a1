package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"comeback/recovery"
)

// namer writes what transactions did, in words.
type namer struct {
	names recovery.Names
	// home is the database whose tables need no prefix.
	home string
	// unnamed collects the numbers that nothing names.
	unnamed map[uint32]bool
}

// table is a table's name, or its number.
func (n namer) table(c recovery.TableChange) string {
	name := clean(c.Name)
	if name == "" {
		name = fmt.Sprintf("table %d", c.Filenode)
		n.unnamed[c.Filenode] = true
	}
	if n.names == nil {
		return name
	}
	if database, ok := n.names.Database(c.Database); ok && n.home != "" && database != n.home {
		return clean(database) + ":" + name
	}
	return name
}

// verbs are what can be done to a table, in the order in which it is told.
var verbs = []struct {
	name string
	did  func(recovery.TableChange) bool
	rows func(recovery.TableChange) int64
}{
	{"drop table", func(c recovery.TableChange) bool { return c.Dropped && !c.Created }, nil},
	{"truncate", func(c recovery.TableChange) bool { return c.Truncated && !c.Created && !c.Dropped }, nil},
	{"delete", func(c recovery.TableChange) bool { return c.Deleted > 0 }, func(c recovery.TableChange) int64 { return c.Deleted }},
	{"update", func(c recovery.TableChange) bool { return c.Updated > 0 }, func(c recovery.TableChange) int64 { return c.Updated }},
	{"create table", func(c recovery.TableChange) bool { return c.Created && !c.Dropped }, nil},
	{"rewrite", func(c recovery.TableChange) bool { return c.Rewritten && !c.Truncated && !c.Dropped && !c.Created }, nil},
	{"insert", func(c recovery.TableChange) bool { return c.Inserted > 0 }, func(c recovery.TableChange) int64 { return c.Inserted }},
	{"make and drop", func(c recovery.TableChange) bool { return c.Created && c.Dropped }, nil},
}

// does is what a transaction did, except to the tables that are left out.
func (n namer) does(t recovery.Transaction, except func(recovery.TableChange) bool) string {
	var parts []string
	for _, v := range verbs {
		var tables []string
		for _, c := range t.Tables {
			if except != nil && except(c) || !v.did(c) {
				continue
			}
			text := n.table(c)
			if v.rows != nil {
				text += " " + thousands(v.rows(c))
			}
			tables = append(tables, text)
		}
		if len(tables) > 0 {
			parts = append(parts, v.name+" "+strings.Join(tables, ", "))
		}
	}
	if except == nil {
		parts = append(parts, n.objects("database", t.Databases)...)
		parts = append(parts, n.objects("tablespace", t.Tablespaces)...)
	}
	return strings.Join(parts, ", ")
}

func (n namer) objects(kind string, all []recovery.ObjectChange) []string {
	var parts []string
	for _, o := range all {
		name := clean(o.Name)
		if name == "" {
			name = fmt.Sprint(o.OID)
		}
		if o.Dropped {
			parts = append(parts, "drop "+kind+" "+name)
		} else if o.Created {
			parts = append(parts, "create "+kind+" "+name)
		}
	}
	return parts
}

// line is what stands behind a transaction's number in the list.
func (n namer) line(t recovery.Transaction) string {
	if t.How == recovery.NamedPoint {
		return "RESTORE POINT  " + clean(t.RestorePoint)
	}
	text := n.does(t, nil)
	if harms := t.Harms(); len(harms) > 0 {
		text = "HARM  " + n.harms(t)
		harmed := func(c recovery.TableChange) bool {
			alone := t
			alone.Tables, alone.Databases, alone.Tablespaces = []recovery.TableChange{c}, nil, nil
			return len(alone.Harms()) > 0
		}
		text += prefixed("; also ", n.does(t, harmed))
	}
	if text == "" {
		text = "no rows of tables"
	}
	if t.AtLeast {
		text += " (at least)"
	}
	switch t.How {
	case recovery.Aborted, recovery.AbortedPrepared:
		text = "ROLLED BACK  " + text
	case recovery.Prepared:
		text = fmt.Sprintf("PREPARED %q, not decided here  %s", clean(t.GID), text)
	case recovery.CommittedPrepared:
		text += prefixed("; was prepared as ", clean(t.GID))
	}
	return text
}

// harms are the reasons why a transaction stands out, in a few words.
func (n namer) harms(t recovery.Transaction) string {
	for _, c := range t.Tables {
		n.table(c) // notes what has no name
	}
	var says []string
	for _, h := range t.Harms() {
		says = append(says, clean(h.Says))
	}
	return strings.Join(says, ", ")
}

// touches reports whether a transaction changed a table of that name or number,
// or lost one whose name nobody knows any more: it may be that one.
func touches(t recovery.Transaction, table string) bool {
	_, notNumber := strconv.ParseUint(table, 10, 32)
	return slices.ContainsFunc(t.Tables, func(c recovery.TableChange) bool {
		return c.Name == "" && c.Dropped && notNumber != nil || c.Name != "" && (c.Name == table || "public."+c.Name == table) || fmt.Sprint(c.Filenode) == table
	})
}

// rows counts what a transaction did to rows.
type rows struct{ inserted, updated, deleted int64 }

func (r *rows) add(t recovery.Transaction) {
	for _, c := range t.Tables {
		r.inserted += c.Inserted
		r.updated += c.Updated
		r.deleted += c.Deleted
	}
}

func (r rows) String() string {
	return fmt.Sprintf("%s inserted, %s updated, %s deleted", thousands(r.inserted), thousands(r.updated), thousands(r.deleted))
}
