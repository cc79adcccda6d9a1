package verify_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/verify"
	"comeback/shop"
	"comeback/shop/shoptest"
)

// A sound database passes, each harm is named, and nothing of the looking stays.
func TestSoundCheck(t *testing.T) {
	s := shoptest.Open(t, shop.Options{Scale: 50})
	url := s.Layout.URL("postgres", "shop")
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	exec := func(sql string) {
		t.Helper()
		if _, err := conn.PgConn().Exec(t.Context(), sql).ReadAll(); err != nil {
			t.Fatal(err)
		}
	}
	look := func(sound ...string) (recovery.Outcome, error) {
		return verify.SoundCheck{}.Do(t.Context(), bound{url: url}, recovery.NewStep("1", recovery.KindSoundCheck, "check",
			recovery.SoundCheckArgs{Name: "x", On: "database", Sound: sound}))
	}
	all := verify.Sounds()
	o, err := look(all...)
	if err != nil || !o.Check.Held || len(o.Facts) != len(all) {
		t.Fatalf("%+v, %v", o, err)
	}
	var left int
	if err := conn.QueryRow(t.Context(), "select count(*) from pg_extension e full join pg_namespace n on false where e.extname in ('amcheck', 'pg_prewarm') or n.nspname like 'comeback\\_%'").Scan(&left); err != nil || left != 0 {
		t.Errorf("%d things are left, %v", left, err)
	}
	t.Run("checksums", func(t *testing.T) {
		// An index is written past the server's memory, so that its pages are read
		// from disk when somebody looks.
		exec("create table damaged as select generate_series(1, 2000) i; create index damaged_i on damaged (i); checkpoint")
		if o, err := look("checksums"); err != nil || !o.Check.Held {
			t.Fatalf("%+v, %v", o.Check, err)
		}
		exec("drop index damaged_i; create index damaged_i on damaged (i); checkpoint")
		var path string
		if err := conn.QueryRow(t.Context(), "select pg_relation_filepath('damaged_i')").Scan(&path); err != nil {
			t.Fatal(err)
		}
		file, err := os.OpenFile(filepath.Join(s.Layout.Cluster(), path), os.O_WRONLY, 0)
		if err == nil {
			_, err = file.WriteAt([]byte("one bit is enough"), 2*8192+4000)
			err = errors.Join(err, file.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		o, err := look("checksums")
		if err == nil || o.Check.Held || !strings.Contains(o.Check.Found, "damaged_i cannot be read: invalid page in block 2") || recovery.HintOf(err) == "" {
			t.Errorf("%+v, %v", o.Check, err)
		}
		exec("drop table damaged")
	})
	for _, c := range []struct{ sound, harm, says string }{
		{"foreign keys", "set session_replication_role = replica; delete from customers where id = (select customer_id from orders limit 1); reset session_replication_role", "does not hold"},
		{"sequences", "select setval(pg_get_serial_sequence('orders', 'id'), 3)", "sequence orders_id_seq is "},
		{"indexes", "update pg_index set indisvalid = false where indexrelid = 'orders_pkey'::regclass", "index orders_pkey is invalid"},
		{"amcheck", "create function f(i bigint) returns bigint immutable language sql as 'select i'; create table t as select i::bigint from generate_series(1, 50) i; create index t_f on t (f(i)); create or replace function f(i bigint) returns bigint immutable language sql as 'select i + 1000'", "t_f is damaged"},
		{"extensions", "update pg_extension set extversion = '0.0' where extname = 'plpgsql'", "version 0.0 in the database"},
		{"collations", "update pg_collation set collversion = '0.0' where oid = (select min(oid) from pg_collation where pg_collation_actual_version(oid) is not null)", "has the version"},
	} {
		t.Run(c.sound, func(t *testing.T) {
			exec(c.harm)
			o, err := look(c.sound)
			if err == nil || o.Check.Held || !strings.Contains(o.Check.Found, c.says) || recovery.HintOf(err) == "" {
				t.Errorf("%+v, %v", o.Check, err)
			}
		})
	}
}
