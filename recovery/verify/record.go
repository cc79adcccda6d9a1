package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/recovery/postgres"
)

// errNoRecord says that there is nothing to hold the tables against.
var errNoRecord = errors.New("no record of its tables was made with the backup")

// otherTables are those that are not as they were when the backup was made: missing,
// new, with more or fewer rows, or with a row that is another.
func otherTables(ctx context.Context, env recovery.Env, tx pgx.Tx, args recovery.SoundCheckArgs) (wrong []string, looked int, err error) {
	store, err := env.Store(ctx, args.Record.Copy)
	if err != nil {
		return nil, 0, err
	}
	all, err := backup.Manifests(ctx, store, args.On)
	if err != nil {
		return nil, 0, err
	}
	i := slices.IndexFunc(all, func(m recovery.Manifest) bool { return m.ID == args.Record.Backup })
	if i < 0 || len(all[i].Tables) == 0 {
		return nil, 0, fmt.Errorf("%s: %w", args.Record.Backup, errNoRecord)
	}
	recorded := all[i]
	found, err := postgres.ReadTables(ctx, tx, func(table string, n, of int) { env.Meter().Note(table) })
	if err != nil {
		return nil, 0, err
	}
	return differences(recorded.Tables, found, recorded.TableDigest == postgres.TableDigest), len(recorded.Tables), nil
}

// differences compares what was recorded with what was found; digests only where
// both were made in the same way.
func differences(recorded, found []recovery.TableRecord, digests bool) (wrong []string) {
	byName := map[string]recovery.TableRecord{}
	for _, t := range found {
		byName[t.Name] = t
	}
	for _, want := range recorded {
		got, ok := byName[want.Name]
		delete(byName, want.Name)
		switch {
		case !ok:
			wrong = append(wrong, fmt.Sprintf("the table %s is missing: it had %s", want.Name, counted(want.Rows, "row")))
		case got.Rows != want.Rows:
			wrong = append(wrong, fmt.Sprintf("the table %s has %s, and had %d when the backup was made", want.Name, counted(got.Rows, "row"), want.Rows))
		case digests && want.Digest != "" && got.Digest != want.Digest:
			wrong = append(wrong, fmt.Sprintf("the table %s has as many rows as when the backup was made, and not the same", want.Name))
		}
	}
	for name := range byName {
		wrong = append(wrong, fmt.Sprintf("the table %s was not there when the backup was made", name))
	}
	slices.SortFunc(wrong, strings.Compare)
	return wrong
}
