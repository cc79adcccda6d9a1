package pitr

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"comeback/recovery"
)

var _ recovery.Loser = (*engine)(nil)

// Loss counts what was committed after a point, up to the end of the log that the
// archive holds now. Gaps in it are passed over and told, as Scan does.
func (e *engine) Loss(ctx context.Context, o recovery.ScanOptions, p recovery.Point) (recovery.Loss, error) {
	l := recovery.Loss{Component: p.Component, Copy: p.Copy}
	var f pointFacts
	if err := json.Unmarshal(p.Facts, &f); err != nil {
		return l, recovery.Errorf("choose the moment again with this version of comeback", "read the facts of the point of %s: %w", p.Component, err)
	}
	o.Span = recovery.Span{}
	c := lossCounter{tables: map[lossKey]*recovery.TableLoss{}, databases: map[string]*recovery.DatabaseLoss{}, loss: &l}
	a := newAround(e, o, func(t recovery.Transaction, _ error) bool { c.add(t); return true })
	c.names = a.names
	a.point, a.after = &f, p.Stop
	if p.Inclusive {
		a.after++ // what begins at Stop is kept
	}
	err := a.read(ctx)
	c.finish()
	l.End, l.Timeline, l.AtLeast = a.end, a.along.timeline(), err != nil
	if newest := o.Survey.Lineages()[0].System(); err == nil && f.Line.System != "" && newest != "" && newest != f.Line.System {
		l.AtLeast, err = true, recovery.Errorf("look what it holds with: comeback moments RUNBOOK", "the newest base backup is of another cluster, %s, and what was committed there is not counted", newest)
	}
	if err != nil {
		return l, fmt.Errorf("count what is lost after %s: %w", p.Stop, err)
	}
	return l, nil
}

// lossKey is a table by its name, or by its file where nothing names it.
type lossKey struct {
	database uint32
	name     string
	filenode uint32
}

// lossCounter adds up transactions, the newest first.
type lossCounter struct {
	names     func() recovery.Names
	tables    map[lossKey]*recovery.TableLoss
	databases map[string]*recovery.DatabaseLoss
	loss      *recovery.Loss
}

func (c *lossCounter) add(t recovery.Transaction) {
	if t.How != recovery.Committed && t.How != recovery.CommittedPrepared {
		return
	}
	c.loss.Commits++
	if c.loss.From = t.Commit; c.loss.Commits == 1 {
		c.loss.To = t.Commit
	}
	var touched []string
	for _, table := range t.Tables {
		database := c.database(table.Database)
		if database != "" && !slices.Contains(touched, database) {
			touched = append(touched, database)
			d := c.databases[database]
			if d == nil {
				d = &recovery.DatabaseLoss{Name: database, To: t.Commit}
				c.databases[database] = d
			}
			d.Commits++
			d.From = t.Commit
		}
		key := lossKey{database: table.Database, name: table.Name}
		if table.Name == "" {
			key.filenode = table.Filenode
		}
		l := c.tables[key]
		if l == nil {
			l = &recovery.TableLoss{Database: database, Table: cmp.Or(table.Name, fmt.Sprintf("table %d", table.Filenode))}
			c.tables[key] = l
		}
		l.Inserted += table.Inserted
		l.Updated += table.Updated
		l.Deleted += table.Deleted
	}
}

// database names a database; "" is none, where a relation is the cluster's own.
func (c *lossCounter) database(oid uint32) string {
	if oid == 0 {
		return ""
	}
	if name, ok := c.names().Database(oid); ok {
		return name
	}
	return fmt.Sprint(oid)
}

// finish puts what was counted in order.
func (c *lossCounter) finish() {
	for _, t := range c.tables {
		if t.Rows() > 0 {
			c.loss.Tables = append(c.loss.Tables, *t)
		}
	}
	slices.SortFunc(c.loss.Tables, func(a, b recovery.TableLoss) int {
		return cmp.Or(cmp.Compare(b.Rows(), a.Rows()), cmp.Compare(a.Database, b.Database), cmp.Compare(a.Table, b.Table))
	})
	for _, d := range c.databases {
		c.loss.Databases = append(c.loss.Databases, *d)
	}
	slices.SortFunc(c.loss.Databases, func(a, b recovery.DatabaseLoss) int {
		return cmp.Or(cmp.Compare(b.Commits, a.Commits), cmp.Compare(a.Name, b.Name))
	})
}
