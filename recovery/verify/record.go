package verify

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/recovery/postgres"
	"comeback/storage"
)

// notCompared is why tables cannot be held against a record.
type notCompared string

func (why notCompared) Error() string { return string(why) }

// noRecord says that there is nothing to hold the tables against.
const noRecord notCompared = "no record of its tables was made with the backup"

// otherTables are those that are not as they were when the backup was made, or not as
// the log has made them since: missing, new, with more or fewer rows, or with a row
// that is another.
func (k SoundCheck) otherTables(ctx context.Context, env recovery.Env, tx pgx.Tx, args recovery.SoundCheckArgs) (wrong []string, looked int, err error) {
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
		return nil, 0, fmt.Errorf("%s: %w", args.Record.Backup, noRecord)
	}
	recorded := all[i]
	var since changes
	if args.After != nil {
		if since, err = k.changes(ctx, env, tx.Conn(), *args.After, recorded, store); err != nil {
			return nil, 0, err
		}
		env.Meter().Phase("count the rows of "+args.On, 0, recovery.NoUnit)
	}
	found, err := postgres.ReadTables(ctx, tx, func(table string, n, of int) { env.Meter().Note(table) })
	if err != nil {
		return nil, 0, err
	}
	return differences(recorded.Tables, found, since, recorded.TableDigest == postgres.TableDigest), len(recorded.Tables), nil
}

// changes are what transactions did to tables, by their names, since a record of them
// was made.
type changes map[string]*change

// change is what was done to one table.
type change struct {
	// rows is by how many rows it grew.
	rows int64
	// anew says that it was created, emptied, dropped or written anew, so that its
	// rows cannot be told from those of the record.
	anew bool
}

// changes reads the log between the record and the point. What the record's snapshot
// saw had been done before it.
func (k SoundCheck) changes(ctx context.Context, env recovery.Env, conn *pgx.Conn, after recovery.LogPoint, recorded recovery.Manifest, store storage.Store) (changes, error) {
	if recorded.Snapshot.IsZero() || k.Changers == nil {
		return nil, fmt.Errorf("%s: %w", recorded.ID, noRecord)
	}
	p := after.Point
	if p.Stop < recorded.SnapshotAt && (p.Lost.LSN == 0 || p.Lost.LSN < recorded.SnapshotAt) {
		return nil, fmt.Errorf("%s: %w", recorded.ID, notCompared("the moment lies before its tables were recorded"))
	}
	changer, ok := k.Changers(p.Engine)
	if !ok {
		return nil, fmt.Errorf("%s: %w", recorded.ID, notCompared("what was done since cannot be read through "+p.Engine))
	}
	names, err := k.Names(ctx, conn)
	if err != nil {
		return nil, fmt.Errorf("ask for the names of the restored relations: %w", err)
	}
	database, err := databaseOf(ctx, conn)
	if err != nil {
		return nil, err
	}
	env.Meter().Phase("read what was done since "+recorded.ID, 0, recovery.InBytes)
	all := changes{}
	options := recovery.ScanOptions{Component: after.Component, Store: store, Names: names,
		Progress: func(p recovery.ScanProgress) { env.Meter().Set(p.Done) }}
	for t, err := range changer.Changes(ctx, options, p) {
		switch {
		case err != nil:
			return nil, fmt.Errorf("read what was done since %s: %w", recorded.ID, err)
		case recorded.Snapshot.Sees(t.XID):
		case t.AtLeast:
			return nil, fmt.Errorf("%s: %w", recorded.ID, notCompared(fmt.Sprintf("transaction %d began before its log, which has only a part of what it did", t.XID)))
		default:
			all.add(t, database)
		}
	}
	return all, nil
}

// databaseOf is the OID of the database that a connection is to.
func databaseOf(ctx context.Context, conn *pgx.Conn) (oid uint32, err error) {
	if err := conn.QueryRow(ctx, "select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()").Scan(&oid); err != nil {
		return 0, fmt.Errorf("ask which database it is: %w", err)
	}
	return oid, nil
}

// add adds what a transaction did in a database. A table without a name has none any
// more at the moment, nor had one when names were saved: it is none of those that
// are compared.
func (c changes) add(t recovery.Transaction, database uint32) {
	for _, table := range t.Tables {
		if table.Database != database || table.Name == "" {
			continue
		}
		of := c[table.Name]
		if of == nil {
			of = &change{}
			c[table.Name] = of
		}
		of.rows += table.Grew()
		of.anew = of.anew || table.Created || table.Dropped || table.Truncated || table.Rewritten
	}
}

// differences compares what was recorded, and done since, with what was found. A
// table that nothing was done to has the same digest, where both were made in the same
// way and it has the same columns; of another the number of rows is known. A moment in
// the log knows tables by their OIDs, whatever they are called by now; a dump only by
// their names.
func differences(recorded, found []recovery.TableRecord, since changes, digests bool) (wrong []string) {
	same := func(a, b recovery.TableRecord) bool {
		if since != nil && a.OID != 0 && b.OID != 0 {
			return a.OID == b.OID
		}
		return a.Name == b.Name
	}
	for _, want := range recorded {
		i := slices.IndexFunc(found, func(t recovery.TableRecord) bool { return same(t, want) })
		got := want
		if i >= 0 {
			got = found[i]
		}
		done := since[got.Name]
		switch {
		case done != nil && done.anew:
		case i < 0:
			wrong = append(wrong, fmt.Sprintf("the table %s is missing: it had %s", want.Name, recovery.FormatCount(want.Rows, "row")))
		case done != nil && got.Rows != want.Rows+done.rows:
			wrong = append(wrong, fmt.Sprintf("the table %s has %s: it had %d when the backup was made, and %s since, by the log", got.Name, recovery.FormatCount(got.Rows, "row"), want.Rows, grew(done.rows)))
		case done != nil:
		case got.Rows != want.Rows:
			wrong = append(wrong, fmt.Sprintf("the table %s has %s, and had %d when the backup was made", got.Name, recovery.FormatCount(got.Rows, "row"), want.Rows))
		case digests && want.Digest != "" && got.Digest != want.Digest && (since == nil || got.Shape == want.Shape):
			wrong = append(wrong, fmt.Sprintf("the table %s has as many rows as when the backup was made, and not the same", got.Name))
		}
	}
	for _, t := range found {
		done := since[t.Name]
		if done != nil && done.anew || slices.ContainsFunc(recorded, func(r recovery.TableRecord) bool { return same(t, r) }) {
			continue
		}
		wrong = append(wrong, fmt.Sprintf("the table %s was not there when the backup was made", t.Name))
	}
	slices.SortFunc(wrong, strings.Compare)
	return wrong
}

// grew says by how many rows a table grew.
func grew(rows int64) string {
	if rows < 0 {
		return recovery.FormatCount(-rows, "row") + " fewer"
	}
	return recovery.FormatCount(rows, "row") + " more"
}
