package rescue

import (
	"fmt"
	"slices"
	"strings"

	"comeback/recovery"
)

// counts are what would be done to a table and what is left alone, in words.
func (t *TablePreview) counts() string {
	var parts []string
	for _, c := range []struct {
		n    int64
		says string
	}{
		{t.Insert, "to insert"}, {t.Update, "to update"}, {t.Remove, "to remove"}, {t.Already, "already as before"}, {t.Conflict, "in conflict, left alone"},
		{t.Orphans, "without what they refer to, left out"}, {t.Left, "added since, left there"}, {t.Overwritten, "changed since and overwritten, as chosen"},
	} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.says))
		}
	}
	if len(parts) == 0 {
		return "nothing to do"
	}
	return strings.Join(parts, ", ")
}

// Lines are the preview for people, without a value of any row.
func (p *Preview) Lines() []string {
	var lines []string
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for i := range p.Tables {
		t := &p.Tables[i]
		name := t.Table.String()
		if t.Live.Name != t.Table {
			name += " into " + t.Live.Name.String()
		}
		switch {
		case t.Problem != "":
			say("%s: cannot be brought back: %s", name, t.Problem)
			continue
		case t.Create != "":
			say("%s: %s; the table is made, %s", name, t.counts(), t.Create)
		default:
			say("%s: %s", name, t.counts())
		}
		for _, m := range t.Missing {
			say("  missing: %s", m)
		}
		for _, g := range t.Triggers {
			does := "fires"
			if g.Disabled {
				does = "is disabled meanwhile"
			}
			say("  trigger %s %s: %s", g.Name, does, g.Says)
		}
		for _, l := range t.Locks {
			say("  lock: %s", l)
		}
		if t.Between > 0 {
			say("  %d of those in conflict were changed by somebody else between the chosen transactions", t.Between)
		}
		for _, n := range t.Notes {
			say("  %s", n)
		}
	}
	return lines
}

// Rows are how many rows would be done something with.
func (p *Preview) Rows() int64 {
	var n int64
	for i := range p.Tables {
		n += p.Tables[i].Rows()
	}
	return n
}

// Makes reports whether a table would be made.
func (p *Preview) Makes() bool {
	for i := range p.Tables {
		if p.Tables[i].Create != "" && p.Tables[i].Problem == "" {
			return true
		}
	}
	return false
}

// outcome is the preview in counts.
func (p *Preview) outcome() recovery.Outcome {
	o := recovery.Outcome{Facts: map[string]string{"preview": p.SHA256}}
	var says []string
	for i := range p.Tables {
		t := &p.Tables[i]
		name := t.Table.String()
		if t.Problem != "" {
			o.Exceptions = append(o.Exceptions, name+" cannot be brought back: "+t.Problem)
			continue
		}
		o.Facts["rescue of "+name] = t.counts()
		o.Facts["rows of "+name+", sha256"] = t.File.SHA256
		if t.Rows() > 0 || t.Create != "" {
			says = append(says, name+": "+t.counts())
		}
		if since := t.Conflict - t.Between; since > 0 {
			o.Exceptions = append(o.Exceptions, fmt.Sprintf("%s: %d rows were changed since and are left alone", name, since))
		}
		if t.Between > 0 {
			o.Exceptions = append(o.Exceptions, fmt.Sprintf("%s: %d rows were changed by somebody else between the chosen transactions, and are left alone", name, t.Between))
		}
		if t.Orphans > 0 {
			o.Exceptions = append(o.Exceptions, fmt.Sprintf("%s: %d rows refer to others that live does not have, and are left out: %s", name, t.Orphans, strings.Join(t.Missing, ", ")))
		}
		for _, note := range t.Notes {
			o.Remarks = append(o.Remarks, name+": "+note)
		}
		for _, g := range t.Triggers {
			does := "fires"
			if g.Disabled {
				does = "is disabled meanwhile"
			}
			o.Remarks = append(o.Remarks, fmt.Sprintf("%s: trigger %s %s: %s", name, g.Name, does, g.Says))
		}
	}
	o.Says = strings.Join(says, "; ")
	if len(says) == 0 {
		o.Says = "live has everything as before already"
	}
	return o
}

// outcome is what was done, in counts.
func (a *Applied) outcome(p *Preview) recovery.Outcome {
	o := recovery.Outcome{Facts: map[string]string{"preview": p.SHA256, "transaction": fmt.Sprint(a.XID)}}
	var says []string
	for _, t := range a.Tables {
		did := fmt.Sprintf("%d inserted, %d updated, %d removed", t.Inserted, t.Updated, t.Removed)
		if t.Created {
			did = "made, " + did
		}
		o.Facts["brought back into "+t.Table.String()] = did
		says = append(says, t.Table.String()+": "+did)
		if t.Skipped > 0 {
			o.Exceptions = append(o.Exceptions, fmt.Sprintf("%s: %d rows were changed since the preview and were left alone", t.Table, t.Skipped))
		}
		if t.AlteredRows > 0 {
			o.Exceptions = append(o.Exceptions, fmt.Sprintf("%s: %d rows are otherwise than before, because a trigger sets %s", t.Table, t.AlteredRows, strings.Join(t.Altered, ", ")))
		}
		for _, w := range slices.Concat(t.Without, t.Behind) {
			o.Exceptions = append(o.Exceptions, fmt.Sprintf("%s: %s", t.Table, w))
		}
		for _, s := range t.Advanced {
			o.Remarks = append(o.Remarks, fmt.Sprintf("%s: the sequence %s was at %d, before keys of %s that came back, and is at %d now; it stays there in an undo", t.Table, s.Sequence, s.From, quote(s.Column), s.To))
		}
	}
	o.Says = strings.Join(says, "; ")
	return o
}
