package verify_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/verify"
	"comeback/shop"
	"comeback/shop/shoptest"
)

// A server has room for the locks of one question at a time, however many there are.
func TestSoundCheck_manyTables(t *testing.T) {
	s := shoptest.Open(t, shop.Options{Scale: 1, Settings: map[string]string{"max_locks_per_transaction": "10", "max_connections": "8", "max_wal_senders": "0",
		"max_worker_processes": "0", "max_parallel_workers": "0", "autovacuum": "off", "autovacuum_max_workers": "1", "wal_level": "minimal", "archive_mode": "off"}})
	url := s.Layout.URL("postgres", "shop")
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if _, err := conn.Exec(t.Context(), `do $$ begin for i in 1..150 loop
		execute format('create table t%1$s (id bigint generated always as identity primary key, up bigint references t%1$s)', i); commit; end loop; end $$`); err != nil {
		t.Fatal(err)
	}
	for _, sound := range []string{"foreign keys", "sequences", "checksums", "amcheck"} {
		o, err := verify.SoundCheck{}.Do(t.Context(), bound{url: url}, recovery.NewStep("1", recovery.KindSoundCheck, "check",
			recovery.SoundCheckArgs{Name: "x", On: "database", Sound: []string{sound}}))
		if err != nil || !o.Check.Held {
			t.Errorf("%s: %+v, %v", sound, o.Check, err)
		}
	}
}
