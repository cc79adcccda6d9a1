package main

import (
	"fmt"
	"slices"
	"strconv"

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

// line is what stands behind a transaction's number in the list.
func (n namer) line(t recovery.Transaction, u recovery.Usual) string {
	for _, c := range t.Tables {
		n.table(c) // notes what has no name, harm too
	}
	return n.wording().Line(t, u)
}

// harms are the reasons why a transaction stands out, in a few words.
func (n namer) harms(t recovery.Transaction) string { return n.wording().Harms(t) }

func (n namer) wording() recovery.Wording { return recovery.Wording{Table: n.table} }

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
