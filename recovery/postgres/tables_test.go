package postgres_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"comeback/recovery/postgres"
)

// fewLocks are the settings of a server with room for some hundred locks.
var fewLocks = map[string]string{"fsync": "off", "max_locks_per_transaction": "10", "max_connections": "8", "max_wal_senders": "0",
	"max_worker_processes": "0", "max_parallel_workers": "0", "autovacuum": "off", "autovacuum_max_workers": "1"}

// However many tables there are, one at a time is locked: what was read can be altered, and the
// server has room for the locks of others.
func TestReadTables_locks(t *testing.T) {
	ctx := within(t)
	_, s := running(t, fewLocks)
	var sessions [2]*pgx.Conn
	for i := range sessions {
		conn, err := s.Connect(ctx, "postgres")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(context.WithoutCancel(ctx))
		sessions[i] = conn
	}
	reader, other := sessions[0], sessions[1]
	exec := func(sql string) {
		t.Helper()
		if _, err := other.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
	const many = 150
	exec(fmt.Sprintf(`do $$ begin for i in 1..%d loop
		execute format('create table t%%s as select 7 a, 8 b, 9 c', to_char(i, 'FM0000'));
		execute format('create index on t%%1$s (a); create index on t%%1$s (b); create index on t%%1$s (c)', to_char(i, 'FM0000'));
		commit; end loop; end $$`, many))
	exec("set lock_timeout = '1s'")
	tx, err := reader.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) // it only reads
	all, err := postgres.ReadTables(ctx, tx, func(_ string, n, of int) {
		switch n {
		case 3:
			exec("alter table t0001 add column d int")
			exec("delete from t0150") // the snapshot stays: it is read as it was
		case of - 1:
			exec("create table mine (id int primary key); select from mine, t0001, t0002")
		}
	})
	if err != nil || len(all) != many {
		t.Fatalf("%d tables, %v", len(all), err)
	}
	for _, r := range all {
		if r.Rows != 1 || r.Digest != all[0].Digest {
			t.Errorf("%s: %d rows, %s", r.Name, r.Rows, r.Digest)
		}
	}
}
