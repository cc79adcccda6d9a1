package verify_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/postgres"
	"comeback/shop"
	"comeback/shop/shoptest"
)

// place is an environment in which a server can be started.
type place struct{ bound }

func (place) Claim(context.Context, recovery.Resource) error { return nil }
func (place) Now() time.Time                                 { return time.Now() }
func (place) Meter() recovery.Meter                          { return silent{} }

type silent struct{ recovery.Meter }

func (silent) Log(string)  {}
func (silent) Note(string) {}

// pausedCopy is the shop as it was just before a transaction, replayed from its
// base backup and paused there.
func pausedCopy(t *testing.T, s *shop.Shop, key string, before recovery.XID) *postgres.Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	tools, err := postgres.FindTools(0)
	if err != nil {
		t.Fatal(err)
	}
	owner, err := postgres.ServerUser()
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(shoptest.Dir(t), "data")
	if out, err := exec.CommandContext(ctx, "cp", "-a", filepath.Join(s.Copy(), filepath.FromSlash(key)), data).CombinedOutput(); err != nil {
		t.Fatalf("copy the backup: %v: %s", err, out)
	}
	if owner.UID >= 0 {
		if out, err := exec.CommandContext(ctx, "chown", "-R", fmt.Sprint(owner.UID), data).CombinedOutput(); err != nil {
			t.Fatalf("give the backup to %s: %v: %s", owner.Name, err, out)
		}
	}
	c := postgres.Cluster{Data: data, Owner: owner, Tools: tools}
	if err := c.Configure(map[string]string{
		"restore_command":           fmt.Sprintf("cp '%s'/%%f %%p", s.Archive()),
		"recovery_target_xid":       fmt.Sprint(uint32(before)),
		"recovery_target_inclusive": "off",
		"recovery_target_action":    "pause",
	}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "recovery.signal"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := (postgres.ReleaseCluster{}).Release(context.Background(), c.Resource()); err != nil {
			t.Errorf("release the copy: %v", err)
		}
	})
	paused := make(chan struct{})
	server, err := postgres.Start(ctx, place{}, c, postgres.StartOptions{WaitReady: true, Log: func(line string) {
		if strings.Contains(line, "pausing at the end of recovery") {
			close(paused)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-paused:
	case <-server.Exited():
		t.Fatalf("the copy ended: %v", server.Err())
	case <-ctx.Done():
		t.Fatal("the copy did not pause")
	}
	return server
}

// TestSQLCheck_paused asks a copy that is paused just before a commit which
// dropped a table: everything else can be asked, and that table is locked.
func TestSQLCheck_paused(t *testing.T) {
	s := shoptest.Open(t, shop.Options{Scale: 20})
	key, err := s.Backup(t.Context(), shop.BackupOptions{Plain: true})
	if err != nil {
		t.Fatal(err)
	}
	incident, err := s.Incident(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Archived(t.Context()); err != nil {
		t.Fatal(err)
	}
	url := pausedCopy(t, s, key, incident.Drop.XID).URL("shop")
	// An operator's environment that asks for a primary is about other servers.
	t.Setenv("PGTARGETSESSIONATTRS", "read-write")
	t.Setenv("PGOPTIONS", "-c transaction_read_only=off")

	o, err := check(t.Context(), url, "select pg_is_in_recovery()", "= true", 0)
	if err != nil || !o.Check.Held {
		t.Errorf("%+v, %v", o.Check, err)
	}
	o, err = check(t.Context(), url, "select count(*) from orders", "= 0", 0)
	if err != nil || !o.Check.Held {
		t.Errorf("%+v, %v", o.Check, err)
	}
	_, err = check(t.Context(), url, "select count(*) from carts", ">= 1", 0)
	if err == nil || !strings.Contains(err.Error(), "lock timeout") || !strings.Contains(recovery.HintOf(err), "holds this table") {
		t.Errorf("a table whose drop is about to commit: %v (hint %q)", err, recovery.HintOf(err))
	}
	_, err = check(t.Context(), url, "create table x ()", "no rows", 0)
	if err == nil || !strings.Contains(err.Error(), "read-only transaction") {
		t.Errorf("a write: %v", err)
	}
	lookAtPaused(t, url)
}
