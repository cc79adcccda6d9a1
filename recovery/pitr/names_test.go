package pitr

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/pitr/pitrtest"
	"comeback/recovery/postgres"
	"comeback/storage"
)

// named is a cluster that made, emptied and dropped tables of which no live server
// knows any more, with maps of names beside its backup and its log.
func named(t *testing.T) (*live, *copyOf) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "cbn-")
	if err != nil {
		t.Fatal(err)
	}
	m := &maker{ctx: ctx, live: &live{dir: dir, archive: filepath.Join(dir, "archive"), spaces: filepath.Join(dir, "spaces"), special: map[string]recovery.XID{}}}
	t.Cleanup(func() {
		err := postgres.ReleaseCluster{}.Release(context.Background(), m.cluster.Resource())
		if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
			t.Error(err)
		}
	})
	names, err := storage.OpenDir(mkdir(t, filepath.Join(dir, "names")))
	if err != nil {
		t.Fatal(err)
	}
	save := func() {
		if m.err != nil {
			return
		}
		_, err := SaveNames(ctx, NamesOptions{Component: inWAL, Store: names, Conn: m.conn})
		m.fail(err)
	}
	m.create()
	m.exec("create database shop")
	m.use("shop")
	m.exec("create table orders (id int primary key, note text)")
	m.exec("create table early (id int)")
	m.exec("insert into early select generate_series(1, 50)")
	m.exec("analyze early")
	m.backup("base", "-Ft")
	save() // beside the backup
	m.order(1)
	m.special["early goes"] = m.commit("early goes", "delete from early where id <= 30", "drop table early")
	m.special["late comes"] = m.commit("late comes", "create table late (id int)", "insert into late values (1), (2)")
	m.switchSegment()
	save() // now and then, by whoever archives
	m.special["late is emptied"] = m.commit("late is emptied", "truncate late")
	m.special["late goes"] = m.commit("late goes", "drop table late")
	m.special["never named"] = m.commit("never named", "create table brief (id int)", "insert into brief values (1)")
	m.commit("brief goes", "drop table brief")
	m.switchSegment()
	save()
	m.archived()
	m.conn.Close(ctx)
	m.fail(m.server.Stop(ctx))
	if m.err != nil {
		t.Fatal(m.err)
	}
	c := m.copy(t, "base")
	c.add(t, filepath.Join(dir, "names", "wal"), "wal")
	return m.live, c
}

var inWAL = recovery.Component{Name: "database", Kind: recovery.Postgres, Settings: recovery.Settings{"database": {"shop"}, "wal": {"wal"}}}

func mkdir(t testing.TB, dir string) string {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Tables that were dropped have the names that the maps in the copy give them, up
// to how many rows they had, although no server is asked. What no map has seen is a
// number.
func TestNames_Saved(t *testing.T) {
	l, c := named(t)
	got := scanNamed(t, c, inWAL, nil)
	what := func(name string) string {
		i := slices.IndexFunc(got, func(tx recovery.Transaction) bool { return tx.XID == l.special[name] })
		if i < 0 {
			t.Fatalf("%s is not listed", name)
		}
		var lines []string
		for _, table := range got[i].Tables {
			lines = append(lines, fmt.Sprintf("%s +%d -%d %v %v, rows known %v", table.Name, table.Inserted, table.Deleted, table.Truncated, table.Dropped, table.Rows >= 50))
		}
		return strings.Join(lines, "; ")
	}
	// Its files are others since it was emptied, and no map has seen them.
	late := ""
	if pitrtest.TellsDropped(l.cluster.Tools) {
		late = "late"
	}
	for name, want := range map[string]string{
		"early goes":      "early +0 -30 false true, rows known true",
		"late comes":      "late +2 -0 false false, rows known false",
		"late is emptied": "late +0 -0 true false, rows known false",
		"late goes":       late + " +0 -0 false true, rows known false",
		"never named":     " +1 -0 false false, rows known false",
	} {
		if said := what(name); said != want {
			t.Errorf("%s: %q, want %q", name, said, want)
		}
	}
	loss, err := lossOfComponent(t, c, inWAL, fmt.Sprintf("before-xid:%d", l.special["late comes"]))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(loss.Tables, recovery.TableLoss{Database: "shop", Table: "late", Inserted: 2}) || len(loss.Databases) != 1 || loss.Databases[0].Name != "shop" {
		t.Errorf("%+v", loss)
	}
	// A component that does not say where its log lies finds the maps that are saved with it,
	// and those that are where they used to be.
	for _, at := range []string{"wal/names", "names"} {
		if at == "names" {
			if err := os.Rename(c.path("wal/names"), c.path(at)); err != nil {
				t.Fatal(err)
			}
		}
		got = scanNamed(t, c, database, nil)
		if said, want := what("early goes"), "early +0 -30 false true, rows known true"; said != want {
			t.Errorf("in %s: %q, want %q", at, said, want)
		}
	}
	if err := os.Rename(c.path("names"), c.path("wal/names")); err != nil {
		t.Fatal(err)
	}
	if s := survey(t, c.store, inWAL); len(s.Findings) > 0 || len(s.Windows) != 1 {
		t.Errorf("the maps disturb the survey: %+v", s)
	}
}

// A map that is damaged, or of another cluster, names nothing and hinders nothing.
func TestNames_Damaged(t *testing.T) {
	_, c := named(t)
	maps, err := filepath.Glob(c.path("wal/names/*/*.json"))
	if err != nil || len(maps) != 3 {
		t.Fatalf("maps: %v, %v", maps, err)
	}
	for i, path := range maps {
		text := []byte("{")
		if i == 1 {
			text = []byte(`{"system": "42", "databases": [{"oid": 1, "name": "other"}]}`)
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tx := range scanNamed(t, c, inWAL, nil) {
		for _, table := range tx.Tables {
			if table.Name != "" {
				t.Errorf("%d: %q", tx.XID, table.Name)
			}
		}
	}
}

// A map that is young enough is not saved again.
func TestSaveNames_Every(t *testing.T) {
	l := source.get(t)
	conn := serve(t, l)
	store, err := storage.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	save := func(every time.Duration) string {
		key, err := SaveNames(t.Context(), NamesOptions{Component: database, Store: store, Conn: conn, System: systemOf(t, conn), Every: every, Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	first := save(time.Hour)
	if !strings.HasPrefix(first, "wal/names/"+systemOf(t, conn)+"/00000001-") {
		t.Errorf("saved as %q", first)
	}
	if again := save(time.Hour); again != "" {
		t.Errorf("saved again as %q", again)
	}
	now = now.Add(2 * time.Hour)
	if later := save(time.Hour); later < first {
		t.Errorf("saved as %q after two hours, behind %q", later, first)
	}
	// Reading may write: where pages have checksums, also what a row's hints say.
	for range 20 {
		var before, after string
		if err := conn.QueryRow(t.Context(), "select pg_current_wal_lsn()::text").Scan(&before); err != nil {
			t.Fatal(err)
		}
		one, other := save(0), save(0)
		if err := conn.QueryRow(t.Context(), "select pg_current_wal_lsn()::text").Scan(&after); err != nil {
			t.Fatal(err)
		}
		if before != after {
			continue
		}
		if one != other || one < first {
			t.Errorf("saved as %q and %q where nothing was written between them", one, other)
		}
		return
	}
	t.Error("the server never rests")
}

// serve starts a copy of the source for the time of the test.
func serve(t *testing.T, l *live) *pgx.Conn {
	t.Helper()
	m := &maker{live: &live{cluster: l.cluster}, ctx: t.Context()}
	dir, err := os.MkdirTemp("", "cbn-")
	if err != nil {
		t.Fatal(err)
	}
	m.cluster.Data, m.cluster.Socket, m.archive = filepath.Join(dir, "data"), "", "/nowhere"
	t.Cleanup(func() {
		err := postgres.ReleaseCluster{}.Release(context.Background(), m.cluster.Resource())
		if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
			t.Error(err)
		}
	})
	m.fail(errors.Join(os.Chmod(dir, 0o711), ownFile(dir, l.cluster.Owner)))
	m.run("/bin/cp", "-a", l.cluster.Data, m.cluster.Data)
	m.start("60")
	if m.err != nil {
		t.Fatal(m.err)
	}
	t.Cleanup(func() { m.conn.Close(context.Background()) })
	return m.conn
}

func systemOf(t *testing.T, conn *pgx.Conn) (system string) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), "select system_identifier::text from pg_control_system()").Scan(&system); err != nil {
		t.Fatal(err)
	}
	return system
}
