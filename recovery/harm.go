package recovery

import (
	"fmt"
	"strconv"
	"strings"
)

// Harms lists why a transaction stands out: what it dropped and truncated, and
// the tables of which it deleted or updated many rows or a large part. Only a
// transaction that committed does harm. What is usual in a system is not known
// here.
func (t Transaction) Harms() []Harm {
	if t.How != Committed && t.How != CommittedPrepared {
		return nil
	}
	var harms []Harm
	for _, d := range t.Databases {
		if d.Dropped {
			harms = append(harms, Harm{Says: "drop database " + orNumber(d.Name, "", d.OID), Kind: "drop database", Share: 1})
		}
	}
	for _, s := range t.Tablespaces {
		if s.Dropped {
			harms = append(harms, Harm{Says: "drop tablespace " + orNumber(s.Name, "", s.OID), Kind: "drop", Share: 1})
		}
	}
	for _, c := range t.Tables {
		harms = append(harms, c.harms()...)
	}
	return harms
}

// harms are those of one table. Rows of a table that is gone do not count again.
func (c TableChange) harms() []Harm {
	name := orNumber(c.Name, "table ", c.Filenode)
	switch {
	case c.Created && !c.Truncated:
		return nil
	case c.Dropped:
		return []Harm{{Says: "drop " + name + c.had(), Kind: "drop", Share: 1}}
	case c.Truncated:
		says := "truncate " + name + c.had()
		if c.Inserted > 0 { // a table that is loaded anew, like those of a restore
			says += ", " + groups(c.Inserted) + " put in"
		}
		return []Harm{{Says: says, Kind: "truncate", Share: 1}}
	}
	var harms []Harm
	least := int64(2) // one row is no mass, be the table as small as it may
	if c.Inserted >= c.Deleted {
		least = handful // replaced
	}
	for _, m := range []struct {
		kind        string
		rows, least int64
	}{{"delete", c.Deleted, least}, {"update", c.Updated, handful}} {
		share := c.share(m.rows)
		if m.rows < MassRows && (share < MassShare || m.rows < m.least) {
			continue
		}
		says := fmt.Sprintf("%s %s %s", m.kind, name, groups(m.rows))
		if share >= 0 {
			about := ""
			if c.Dated {
				about = "about "
			}
			says += fmt.Sprintf(" (%s%s)", about, percent(share))
		}
		harms = append(harms, Harm{Says: says, Kind: m.kind, Share: share})
	}
	return harms
}

// share is about the part of the table's rows that some are; -1 where the
// number of its rows is not known. They were counted when the name was read,
// which was after the transaction where fewer are left than it deleted.
func (c TableChange) share(rows int64) float64 {
	all := c.Rows
	switch {
	case all < 0 || c.Name == "" || rows == 0:
		return -1
	case all < rows && rows == c.Deleted:
		all += rows
	}
	return min(1, float64(rows)/float64(max(all, 1)))
}

func (c TableChange) had() string {
	if c.Name == "" || c.Rows <= 0 {
		return ""
	}
	return fmt.Sprintf(", about %s rows", groups(c.Rows))
}

func percent(share float64) string {
	switch p := share * 100; {
	case share >= 1:
		return "100 %"
	case p < 1:
		return "< 1 %"
	case p > 99:
		return "> 99 %"
	default:
		return fmt.Sprintf("%.0f %%", p)
	}
}

func orNumber(name, before string, oid uint32) string {
	if name != "" {
		return name
	}
	return fmt.Sprintf("%s%d", before, oid)
}

// groups writes a number in groups of three digits, "48 211".
func groups(n int64) string {
	s := strconv.FormatInt(n, 10)
	var b strings.Builder
	for i, c := range s {
		if i > 0 && s[i-1] != '-' && (len(s)-i)%3 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(c)
	}
	return b.String()
}
