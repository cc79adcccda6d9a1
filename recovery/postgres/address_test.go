package postgres_test

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/postgres"
)

// Whatever the operator's shell says about other servers, the session is with
// this one.
func TestServer_Connect_heedsNoEnvironment(t *testing.T) {
	_, s := running(t, nil)
	for name, value := range map[string]string{
		"PGSERVICE": "production", "PGSERVICEFILE": filepath.Join(t.TempDir(), "missing"), "PGOPTIONS": "-c work_mem=64kB", "PGTZ": "Asia/Tokyo",
		"PGHOST": "db1", "PGPORT": "1", "PGDATABASE": "nobody", "PGUSER": "nobody", "PGPASSWORD": "secret", "PGSSLMODE": "verify-full",
		"PGSSLROOTCERT": "/missing", "PGTARGETSESSIONATTRS": "standby",
	} {
		t.Setenv(name, value)
	}
	conn, err := s.Connect(within(t), "postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(within(t))
	var zone, memory string
	if err := conn.QueryRow(within(t), "select current_setting('timezone'), current_setting('work_mem')").Scan(&zone, &memory); err != nil {
		t.Fatal(err)
	}
	if zone != "UTC" || memory != "4MB" {
		t.Errorf("the session has the time zone %s and work_mem %s", zone, memory)
	}
}

func TestRoomSettings(t *testing.T) {
	settings, err := postgres.RoomSettings(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	limit, err := strconv.ParseInt(strings.TrimSuffix(settings["temp_file_limit"], "kB"), 10, 64)
	if err != nil || limit < 1<<20 {
		t.Errorf("the settings are %v", settings)
	}
	// The server accepts them.
	_, s := running(t, settings)
	conn, err := s.Connect(within(t), "postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(within(t))
	var kB int64
	if err := conn.QueryRow(within(t), "select setting::int8 from pg_settings where name = 'temp_file_limit'").Scan(&kB); err != nil || kB != limit {
		t.Errorf("it is limited to %d kB, want %d, %v", kB, limit, err)
	}
	if _, err := postgres.RoomSettings(filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Error("a directory that is not there has room")
	}
}

// A password is the address's own, never one of the environment.
func TestParseAddress_password(t *testing.T) {
	t.Setenv("PGPASSWORD", "another server's")
	for address, want := range map[string]string{"postgres://app:corr%2Fect@h/shop?sslmode=require": "corr/ect", "postgres://app@h/shop?sslmode=require": ""} {
		if config, err := postgres.ParseAddress(address); err != nil || config.Password != want {
			t.Errorf("of %s the password is %q, want %q: %v", address, config.Password, want, err)
		}
	}
}

// An address that cannot be read is not told with its password, nor with a part of it.
func TestParseAddress_tellsNoPassword(t *testing.T) {
	for _, address := range []string{"postgres://shop:hunter2#secret@db1/shop", "postgres://shop:hunter2%zz@db1/shop", "postgres://shop:hunter2/secret@db1/shop",
		"postgres://shop:hunter2@db1/shop?sslmode=sometimes", "postgres://shop@db1/shop?password=hunter2&sslmode=sometimes"} {
		_, err := postgres.ParseAddress(address)
		if err == nil || strings.Contains(err.Error(), "hunter2") || strings.Contains(recovery.HintOf(err), "hunter2") {
			t.Errorf("of %s it says %v", address, err)
		}
	}
}
