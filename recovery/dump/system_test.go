package dump_test

import (
	"testing"

	"comeback/recovery/dump"
)

// A role that may not ask for the server's identifier has its transaction, and with it the
// snapshot, all the same.
func TestSystemOf(t *testing.T) {
	ctx := t.Context()
	conn, err := source.Connect(ctx, "postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	tx, err := conn.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if id, err := dump.SystemOf(ctx, tx); len(id) < 10 || err != nil {
		t.Errorf("the identifier is %q, %v", id, err)
	}
	if _, err := tx.Exec(ctx, "revoke execute on function pg_control_system() from public; set local role reporting"); err != nil {
		t.Fatal(err)
	}
	if id, err := dump.SystemOf(ctx, tx); id != "" || err != nil {
		t.Errorf("the identifier is %q, %v", id, err)
	}
	var role string
	if err := tx.QueryRow(ctx, "select current_user::text").Scan(&role); role != "reporting" || err != nil {
		t.Errorf("the transaction goes on as %q, %v", role, err)
	}
}
