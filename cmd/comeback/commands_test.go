package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/recovery/postgres"
	"comeback/shop/shoptest"

	"github.com/jackc/pgx/v5"
)

// commandsRunbook is of a database that a provider's program brings back: it makes a server
// elsewhere, or, asked for the backup "here", a data directory. Made is where it keeps the
// servers.
func commandsRunbook(t *testing.T) (path, made string) {
	t.Helper()
	owner, err := postgres.ServerUser()
	if err != nil {
		t.Fatal(err)
	}
	tools, err := postgres.FindTools(0)
	if err != nil {
		t.Fatal(err)
	}
	dir := shoptest.Dir(t)
	as := func(in, program string, args ...string) {
		t.Helper()
		enginetest.RunAs(t, owner, in, program, args...)
	}
	if owner.UID >= 0 {
		err = os.Chown(dir, owner.UID, owner.GID)
	}
	if err != nil {
		t.Fatal(err)
	}
	backup, made := filepath.Join(dir, "sunday"), filepath.Join(dir, "made")
	as("", tools.Program("initdb"), "--pgdata", backup, "--username", "postgres", "--auth", "trust", "--no-sync")
	as("create database shop;\n", tools.Program("postgres"), "--single", "-F", "-D", backup, "postgres")
	as("create table orders (n int);\n\ninsert into orders select generate_series(1, 4711);\n", tools.Program("postgres"), "--single", "-F", "-D", backup, "shop")
	as("", "mkdir", made)
	run := ""
	if owner.UID >= 0 {
		run = fmt.Sprintf("setpriv --reuid=%d --regid=%d --clear-groups ", owner.UID, owner.GID)
	}
	program := filepath.Join(dir, "provider")
	text := `#!/bin/sh
set -eu
[ "$COMEBACK_COPY $COMEBACK_COPY_URL $COMEBACK_COMPONENT" = "provider file://` + dir + ` database" ] || exit 3
pg_ctl=` + tools.Program("pg_ctl") + ` data="` + made + `/${COMEBACK_NAME-}"
cd /
case $1 in
list)
	echo '{"id": "here", "taken": "2026-11-21T01:00:00Z"}'
	echo '{"id": "sunday", "taken": "2026-11-22T01:00:00Z"}'
	;;
fetch)
	if [ "$COMEBACK_BACKUP" = here ]; then
		cp -a "` + backup + `" "$COMEBACK_DIR/data"
		echo '{"cluster": "data"}'
		exit
	fi
	` + run + `mkdir "$data"
	` + run + `cp -a "` + backup + `/." "$data"
	` + run + `chmod 700 "$data"
	` + run + `$pg_ctl -D "$data" -l "$data/log" -w -o "-k $data -h '' -c fsync=off" start >&2
	echo "{\"address\": \"postgres://postgres:\${APP_PASSWORD}@/shop?host=$data\"}"
	;;
remove)
	[ ! -d "$data" ] || ` + run + `$pg_ctl -D "$data" -m immediate -w stop >&2 || true
	rm -rf "$data"
	;;
esac
`
	book := `---
comeback: 1
system: shop
rpo: 1d
rto: 30m
needs: {APP_PASSWORD: "from the vault"}
copies:
  provider: {url: "file://` + dir + `"}
components:
  database:
    kind: postgres
    with: commands
    list: [` + program + `, list]
    fetch: [` + program + `, fetch]
    remove: [` + program + `, remove]
---

# Bring the shop back

## Restore

` + "```yaml\nrestore: database\n```" + `

` + "```sql\n-- check: orders are there\n-- on: database\n-- expect: = 4711\nselect count(*) from orders\n```" + `
`
	path = filepath.Join(dir, "shop.md")
	for name, b := range map[string]string{program: text, path: book} {
		if err := os.WriteFile(name, []byte(b), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return path, made
}

// countsOrders fails where the orders do not come from an address.
func countsOrders(t *testing.T, address string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if err := conn.QueryRow(t.Context(), "select count(*) from orders").Scan(&n); err != nil || n != 4711 {
		t.Errorf("%d orders at %s: %v", n, address, err)
	}
	return conn
}

// A server that a command has made elsewhere is left running there, also where the run was
// killed: it is not stopped and not moved. It is removed by the runbook's command, by name,
// when nobody is connected.
func TestRecover_commandsElsewhere(t *testing.T) {
	t.Parallel()
	path, made := commandsRunbook(t)
	r := newRig(t) // after it, as what runs files into its copy to the end
	r.environ["APP_PASSWORD"] = "geheim-4711"
	r.environ["COMEBACK_TEST_KILL"] = "after:step.finished/1 database.leave"
	got := r.run(t.Context(), "recover", path, "--plain", "--to", "sunday", "--outage", "1 minute ago")
	if got.code == recovery.CameBack {
		t.Fatalf("it was not killed\n%s\n%s", got.out, got.err)
	}
	delete(r.environ, "COMEBACK_TEST_KILL")
	id := filepath.Base(r.only(t))
	if got := r.run(t.Context(), "resume", id, "--plain"); got.code != recovery.CameBack {
		t.Fatalf("resume: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	state := r.stateOf(t, id)
	if len(state.HandedOver) != 1 || len(state.Held()) != 0 {
		t.Fatalf("handed over %+v, held %+v", state.HandedOver, state.Held())
	}
	h := state.HandedOver[0]
	if strings.Contains(h.Address, "geheim") || strings.Contains(h.Local, "geheim") || !strings.HasPrefix(h.Address, "postgres://postgres@/shop?host=") {
		t.Errorf("its address is %s, and %s", h.Address, h.Local)
	}
	conn := countsOrders(t, h.Address)
	if left, err := filepath.Glob(filepath.Join(made, "*", "PG_VERSION")); len(left) != 1 || filepath.Base(filepath.Dir(left[0])) != h.Place || err != nil {
		t.Errorf("made is %v, %v, want %s", left, err, h.Place)
	}
	for _, what := range [][]string{{"report", "show", id}, {"status", id}, {"expire"}} {
		if got := r.run(t.Context(), what...); !strings.Contains(got.out, h.Place) || strings.Contains(got.out+got.err, "geheim") {
			t.Errorf("%v does not tell of %s, or a secret\n%s\n%s", what, h.Place, got.out, got.err)
		}
	}
	if got := r.run(t.Context(), "expire", id, "--plain", "--confirm", h.Place); got.code == recovery.CameBack || !strings.Contains(got.out, "is in use: it has ") {
		t.Errorf("in use: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	// The server lists a session until its process ends.
	ended, err := afterProcess(int(conn.PgConn().PID()))
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Error(err)
	}
	select {
	case <-ended:
	case <-time.After(3 * time.Minute):
		t.Fatal("the session does not end")
	}
	if got := r.run(t.Context(), "expire", id, "--plain", "--confirm", h.Place); got.code != recovery.CameBack {
		t.Errorf("removed: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	if left, err := os.ReadDir(made); len(left) > 0 || err != nil {
		t.Errorf("made stays: %v, %v", left, err)
	}
	if got := r.run(t.Context(), "expire"); !strings.Contains(got.out, h.Place) || !strings.Contains(got.out, ": gone") {
		t.Errorf("afterwards: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
}

// What a command has made on this host is left running here, whether or not it could also
// make something elsewhere.
func TestRecover_commandsHere(t *testing.T) {
	t.Parallel()
	path, _ := commandsRunbook(t)
	r := newRig(t)
	r.environ["APP_PASSWORD"] = "geheim-4711"
	got := r.run(t.Context(), "recover", path, "--plain", "--to", "here", "--outage", "1 minute ago")
	if got.code != recovery.CameBack {
		t.Fatalf("exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	id := filepath.Base(r.only(t))
	state := r.stateOf(t, id)
	if len(state.HandedOver) != 1 || len(state.Held()) != 0 {
		t.Fatalf("handed over %+v, held %+v", state.HandedOver, state.Held())
	}
	h := state.HandedOver[0]
	t.Cleanup(func() {
		if err := (postgres.Cluster{Data: filepath.Join(h.Place, "data")}).Halt(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err := countsOrders(t, h.Local).Close(t.Context()); err != nil {
		t.Error(err)
	}
	if got := r.removes(t, id, h.Place); got.code != recovery.CameBack {
		t.Errorf("removed: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
}
