package rescue

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// Trigger is one of a table of live that concerns what would be done.
type Trigger struct {
	Name string `json:"name"`
	// Says is when it fires and what it calls: "after insert, for each row:
	// public.audit()".
	Says string `json:"says"`
	// Enable is the clause that puts it back as it was.
	Enable string `json:"enable"`
	// Disabled says that it is chosen not to fire.
	Disabled bool `json:"disabled,omitempty"`
	events   string
}

// A trigger for replicas only does not fire for us. Those of constraints are
// PostgreSQL's own, and stay on.
const triggerQuery = `
select t.tgname::text,
	case when t.tgtype & 2 <> 0 then 'before ' else 'after ' end
		|| array_to_string(array[case when t.tgtype & 4 <> 0 then 'insert' end, case when t.tgtype & 16 <> 0 then 'update' end, case when t.tgtype & 8 <> 0 then 'delete' end], ' or ')
		|| case when t.tgtype & 1 <> 0 then ', for each row: ' else ', for each statement: ' end || t.tgfoid::regproc::text || '()',
	case t.tgenabled when 'A' then 'enable always' else 'enable' end,
	case when t.tgtype & 4 <> 0 then 'i' else '' end || case when t.tgtype & 16 <> 0 then 'u' else '' end || case when t.tgtype & 8 <> 0 then 'd' else '' end
from pg_trigger t where t.tgrelid = $1 and not t.tgisinternal and t.tgenabled in ('O', 'A') and t.tgtype & 28 <> 0
order by 1`

// describe lists the triggers that would fire, and what is locked.
func (t *TablePreview) describe(ctx context.Context, tx pgx.Tx) error {
	if t.Create != "" {
		return nil
	}
	rows, err := tx.Query(ctx, triggerQuery, t.Live.OID)
	if err != nil {
		return fmt.Errorf("describe the triggers of %s: %w", t.Live.Name, err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (g Trigger, err error) {
		return g, row.Scan(&g.Name, &g.Says, &g.Enable, &g.events)
	})
	if err != nil {
		return fmt.Errorf("describe the triggers of %s: %w", t.Live.Name, err)
	}
	for _, name := range t.Choice.Disable {
		if !slices.ContainsFunc(all, func(g Trigger) bool { return g.Name == name }) {
			return refusedf("choose among those that the preview lists", "live's table %s has no trigger %s that fires", t.Live.Name, name)
		}
	}
	for _, g := range all {
		g.Disabled = slices.Contains(t.Choice.Disable, g.Name)
		does := false
		for _, e := range g.events {
			does = does || e == 'i' && t.Insert > 0 || e == 'u' && t.Update > 0 || e == 'd' && t.Remove > 0
		}
		if g.Disabled || does {
			t.Triggers = append(t.Triggers, g)
		}
	}
	if t.Rows() > 0 {
		t.Locks = append(t.Locks, fmt.Sprintf("%s: the rows that are brought back; others read and write on (ROW EXCLUSIVE)", t.Live.Name))
	}
	if n := t.Update + t.Remove; n > 0 {
		t.Locks = append(t.Locks, fmt.Sprintf("%s: %d rows that are updated or removed; whoever writes to one, or is about to refer to it, waits (FOR UPDATE)", t.Live.Name, n))
	}
	if len(t.Choice.Disable) > 0 {
		t.Locks = append(t.Locks, writesWait(t.Live.Name.String(), "the rescue"))
	}
	return nil
}

// writesWait is what disabling a trigger costs.
func writesWait(table, what string) string {
	return fmt.Sprintf("%s: nobody else writes to it until %s has ended, because a trigger is disabled (SHARE ROW EXCLUSIVE)", table, what)
}

// lockWaits says what becomes of a lock that somebody else holds.
const lockWaits = "no lock is waited for longer than 5 s: nothing is changed then"

// Locks are what others wait for while rows are brought back, before it is known which
// these are; a preview has them for each table.
func (a Args) Locks() []string {
	return a.locks("the rescue", "rows that are updated or removed: whoever writes to one, or is about to refer to it, waits (FOR UPDATE); others read and write on (ROW EXCLUSIVE)")
}

// UndoLocks are what others wait for while the rescue is taken back.
func (a Args) UndoLocks() []string {
	return a.locks("the undo", "rows that go again: whoever is about to refer to one waits, and finds it gone (FOR UPDATE); others read and write on (ROW EXCLUSIVE)")
}

func (a Args) locks(what, rows string) []string {
	all := []string{rows}
	for _, c := range a.Choices {
		if len(c.Disable) > 0 {
			all = append(all, writesWait(c.Table, what))
		}
	}
	return append(all, lockWaits)
}
