package verify_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/postgres"
	"comeback/recovery/verify"
	"comeback/shop"
	"comeback/shop/shoptest"
	"comeback/storage"
)

// recorded is a bound whose copy is a directory.
type recorded struct {
	bound
	store storage.Store
}

func (recorded) Meter() recovery.Meter { return unheard{} }

type unheard struct{ quiet }

func (unheard) Note(string) {}

func (r recorded) Store(context.Context, string) (storage.Store, error) { return r.store, nil }

// Every table is as it was recorded, and the check goes red when any is off by one
// row, by one value of one row, by one table.
func TestSoundCheck_record(t *testing.T) {
	s := shoptest.Open(t, shop.Options{Scale: 50})
	url := s.Layout.URL("postgres", "shop")
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	tx, err := conn.Begin(t.Context())
	must(err)
	tables, err := postgres.ReadTables(t.Context(), tx, nil)
	must(err)
	must(tx.Rollback(t.Context()))
	store, err := storage.OpenDir(t.TempDir())
	must(err)
	b, err := recovery.Manifest{ID: "database/shop.dump", Component: "database", Tables: tables, TableDigest: postgres.TableDigest}.Encode()
	must(err)
	_, err = store.Put(t.Context(), "comeback/backups/database/20261123T024105Z-dump.json", strings.NewReader(string(b)), storage.PutOptions{Size: int64(len(b))})
	must(err)
	look := func(backup string) (recovery.Outcome, error) {
		return verify.SoundCheck{}.Do(t.Context(), recorded{bound{url: url}, store}, recovery.NewStep("1", recovery.KindSoundCheck, "check",
			recovery.SoundCheckArgs{Name: "x", On: "database", Sound: []string{recovery.SoundRecord}, Record: &recovery.BackupRef{Copy: "nearby", Backup: backup}}))
	}
	if o, err := look("database/shop.dump"); err != nil || !o.Check.Held || !strings.HasSuffix(o.Facts["record"], " looked at, 0 wrong") {
		t.Fatalf("%+v, %v", o, err)
	}
	if o, err := look("database/other.dump"); err != nil || o.Check != nil || len(o.Exceptions) != 1 || !strings.Contains(o.Exceptions[0], "no record of its tables") {
		t.Errorf("without a record: %+v, %v", o, err)
	}
	for _, c := range []struct{ harm, undo, says string }{
		{"create temp table kept as select * from sessions limit 1; delete from sessions where token = (select token from kept)", "insert into sessions select * from kept; drop table kept", "the table sessions has"},
		{"update products set name = name || '.' where id = (select min(id) from products)", "update products set name = left(name, -1) where id = (select min(id) from products)", "the table products has as many rows as when the backup was made, and not the same"},
		{"create table more as select 1", "drop table more", "the table more was not there"},
		{"alter table carts rename to trolleys", "alter table trolleys rename to carts", "the table carts is missing"},
	} {
		_, err := conn.PgConn().Exec(t.Context(), c.harm).ReadAll()
		must(err)
		o, err := look("database/shop.dump")
		if err == nil || o.Check == nil || o.Check.Held || !strings.Contains(o.Check.Found, c.says) {
			t.Errorf("%s: %+v, %v", c.harm, o.Check, err)
		}
		_, err = conn.PgConn().Exec(t.Context(), c.undo).ReadAll()
		must(err)
	}
	if o, err := look("database/shop.dump"); err != nil || !o.Check.Held {
		t.Errorf("when all was undone: %+v, %v", o.Check, err)
	}
}
