package tui

import (
	"fmt"
	"strings"

	"comeback/recovery"
)

// tableName is a table's name, or the number that the log has.
func tableName(t recovery.TableChange) string {
	if t.Name != "" {
		return clean(t.Name)
	}
	return fmt.Sprintf("table %d", t.Filenode)
}

// deeds are what can be done to a table, in the order in which they are told.
var deeds = []struct {
	name string
	rows func(recovery.TableChange) int64
	did  func(recovery.TableChange) bool
}{
	{"drop table", nil, func(t recovery.TableChange) bool { return t.Dropped && !t.Created }},
	{"truncate", nil, func(t recovery.TableChange) bool { return t.Truncated && !t.Created && !t.Dropped }},
	{"delete", func(t recovery.TableChange) int64 { return t.Deleted }, nil},
	{"update", func(t recovery.TableChange) int64 { return t.Updated }, nil},
	{"create table", nil, func(t recovery.TableChange) bool { return t.Created && !t.Dropped }},
	{"rewrite", nil, func(t recovery.TableChange) bool { return t.Rewritten && !t.Truncated && !t.Dropped && !t.Created }},
	{"insert", func(t recovery.TableChange) int64 { return t.Inserted }, nil},
}

// did is what it did to tables, except to those that are left out, and to
// databases and tablespaces.
func (h *happened) did(except func(recovery.TableChange) bool) string {
	var parts []string
	for _, d := range deeds {
		var tables []string
		for _, t := range h.Tables {
			switch {
			case except != nil && except(t):
			case d.rows == nil && d.did(t):
				tables = append(tables, tableName(t))
			case d.rows != nil && d.rows(t) > 0:
				tables = append(tables, tableName(t)+" "+grouped(d.rows(t)))
			}
		}
		if len(tables) > 0 {
			parts = append(parts, d.name+" "+strings.Join(tables, ", "))
		}
	}
	objects := func(kind string, all []recovery.ObjectChange) {
		for _, o := range all {
			name := clean(o.Name)
			if name == "" {
				name = fmt.Sprint(o.OID)
			}
			switch {
			case o.Dropped && except == nil:
				parts = append(parts, "drop "+kind+" "+name)
			case o.Created:
				parts = append(parts, "create "+kind+" "+name)
			}
		}
	}
	objects("database", h.Databases)
	objects("tablespace", h.Tablespaces)
	if h.more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more tables", h.more))
	}
	return strings.Join(parts, ", ")
}

// harm is why it stands out.
func (h *happened) harm() string {
	says := make([]string, len(h.harms))
	for i, harm := range h.harms {
		says[i] = clean(harm.Says)
	}
	return strings.Join(says, ", ")
}

// words are what it did.
func (h *happened) words() string {
	if h.How == recovery.NamedPoint {
		return "RESTORE POINT  " + h.RestorePoint
	}
	text := h.did(nil)
	if len(h.harms) > 0 {
		text = "HARM  " + h.harm()
		if h.usual.Holds() {
			text = fmt.Sprintf("usual (%s)  %s", h.usual, h.harm())
		}
		harmed := func(t recovery.TableChange) bool {
			alone := recovery.Transaction{How: recovery.Committed, Tables: []recovery.TableChange{t}}
			return len(alone.Harms()) > 0
		}
		if also := h.did(harmed); also != "" {
			text += "; also " + also
		}
	}
	if text == "" {
		text = "no rows of tables"
	}
	if h.AtLeast {
		text = "at least " + text
	}
	switch h.How {
	case recovery.Aborted, recovery.AbortedPrepared:
		text = "ROLLED BACK  " + text
	case recovery.Prepared:
		text = fmt.Sprintf("PREPARED %q, decided later  %s", h.GID, text)
	case recovery.CommittedPrepared:
		text += fmt.Sprintf("; was prepared as %q", h.GID)
	}
	return text
}
