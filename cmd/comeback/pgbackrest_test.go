package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/pitr/backrest/backresttest"
	"comeback/recovery/report"
)

// The shipped runbook brings a stanza's cluster back to just before an incident: what
// happened is listed, a rehearsal restores, checks and cleans up, its report verifies, and
// a check judges the stanza like any copy.
func TestPgBackRest(t *testing.T) {
	s, err := backresttest.Make()
	t.Cleanup(func() {
		if err := s.Remove(); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join("..", "..", "examples", "pgbackrest", "shop.md"))
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t)
	r.environ["DATABASE_URL"], r.environ["CIPHER"] = fmt.Sprintf("postgres://postgres@/shop?host=%s", s.Path("socket")), backresttest.Key
	t.Setenv("CIPHER", backresttest.Key)
	key := filepath.Join(r.environ["HOME"], "key")
	if _, err := report.CreateKey(key, "ops1"); err != nil {
		t.Fatal(err)
	}
	runbook := strings.NewReplacer("/var/lib/pgbackrest\"", s.Path("plain")+"\"",
		"    stanza: shop\n", fmt.Sprintf("    stanza: shop\n    config: %s\n    environment: [\"PGBACKREST_REPO2_CIPHER_PASS=${CIPHER}\"]\n", s.Path("pgbackrest.conf")),
		"path shop/db\"}", "path shop/db\", CIPHER: \"from the vault\"}").Replace(string(text))
	path := filepath.Join(t.TempDir(), "shop.md")
	if err := os.WriteFile(path, []byte(runbook), 0o600); err != nil {
		t.Fatal(err)
	}

	got := r.run(t.Context(), "moments", path)
	if got.code != recovery.CameBack || !strings.Contains(got.out, "incremental backup of pgBackRest") || !strings.Contains(got.out, "full backup of pgBackRest") {
		t.Errorf("moments: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	got = r.run(t.Context(), "moments", path, "--around", s.IncidentAt.Format(time.RFC3339))
	if got.code != recovery.CameBack || !strings.Contains(got.out, fmt.Sprintf("before-xid:%d", s.Incident)) || !strings.Contains(got.out, "orders") {
		t.Errorf("moments --around: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	got = r.run(t.Context(), "rehearse", path, "--plain", "--to", fmt.Sprintf("before-xid:%d", s.Incident), "--key", key)
	if got.code != recovery.CameBack {
		t.Fatalf("rehearse: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	run := r.only(t)
	if got := r.run(t.Context(), "report", "verify", filepath.Base(run)); got.code != recovery.WithExceptions || !strings.Contains(got.out, "signer unknown") {
		t.Errorf("report verify: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	// The last proof is this rehearsal's.
	if got = r.run(t.Context(), "check", path); !strings.Contains(got.out, "ok, no gap") || strings.Contains(got.out, "a hope") {
		t.Errorf("check: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	// Nothing that was recorded or printed tells the key.
	err = filepath.WalkDir(run, func(path string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if strings.Contains(string(b), backresttest.Key) {
			t.Errorf("%s holds the key of the repository", path)
		}
		return err
	})
	if err != nil || strings.Contains(got.out+got.err, backresttest.Key) {
		t.Errorf("the key was printed, or %v", err)
	}
}
