package pitrtest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// State is what the rows and tables of one writer are: by table, how many rows
// there are, and a digest of all of them.
type State map[string]string

// ReadState reads the state of a writer from a database.
func ReadState(ctx context.Context, conn *pgx.Conn, writer int) (State, error) {
	failed := func(err error) (State, error) {
		return nil, fmt.Errorf("read the state of writer %d: %w", writer, err)
	}
	rows, err := conn.Query(ctx, "select relname::text from pg_class where relkind = 'r' and relname like $1 order by 1", fmt.Sprintf("own\\_%d\\_%%", writer))
	if err != nil {
		return failed(err)
	}
	own, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return failed(err)
	}
	var asks []string
	ask := func(table, where string) {
		asks = append(asks, fmt.Sprintf("select '%s', count(*) || ' ' || coalesce(sum(hashtextextended(r::text, 0)), 0) from %s r%s", table, table, where))
	}
	for _, table := range []string{"items", "papers", "parted_1", "parted_2"} {
		ask(table, fmt.Sprintf(" where id between %d and %d", writer*rowsOfWriter, (writer+1)*rowsOfWriter-1))
	}
	for _, table := range own {
		ask(table, "")
	}
	if rows, err = conn.Query(ctx, strings.Join(asks, " union all ")); err != nil {
		return failed(err)
	}
	s := State{}
	var table, digest string
	_, err = pgx.ForEachRow(rows, []any{&table, &digest}, func() error { s[table] = digest; return nil })
	if err != nil {
		return failed(err)
	}
	return s, nil
}

// rowsOfWriter is how many ids of rows a writer has for itself.
const rowsOfWriter = 10_000_000

// Known is what the whole workload is known to have come to.
type Known struct {
	Truths []Truth
	// begin are the states of the writers before they wrote.
	begin []State
}

// Database is where a writer writes.
func Database(writer int) string { return []string{"one", "two"}[writer%2] }

// At is what the writers' states were when some transactions had committed, and
// no others: those that are listed, in the order of their commits.
func (k *Known) At(committed []Committed) []State {
	states := slices.Clone(k.begin)
	truths := map[Committed]Truth{}
	for _, t := range k.Truths {
		truths[Committed{t.XID, t.How}] = t
	}
	for _, c := range committed {
		if t, ok := truths[c]; ok && t.State != nil {
			states[t.writer] = t.State
		}
	}
	return states
}

// Differs says what of a state is not as it was; "" is nothing.
func (s State) Differs(was State) string {
	var lines []string
	for _, table := range slices.Sorted(maps.Keys(merged(s, was))) {
		if s[table] != was[table] {
			lines = append(lines, fmt.Sprintf("%s is %q and was %q", table, s[table], was[table]))
		}
	}
	return strings.Join(lines, "; ")
}

func merged(a, b State) State {
	m := maps.Clone(a)
	if m == nil {
		m = State{}
	}
	maps.Copy(m, b)
	return m
}
