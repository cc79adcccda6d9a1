package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/pitr/backrest/backresttest"
	"comeback/recovery/pitr/pitrtest"
	"comeback/recovery/report"
)

// stanza is a cluster that pgBackRest backs up.
type stanza struct{ *backresttest.Source }

// The shipped runbook brings a stanza's cluster back to just before an incident: what
// happened is listed, a rehearsal restores, checks and cleans up, its report verifies, and
// a check judges the stanza like any copy.
func TestPgBackRest(t *testing.T) {
	made, err := backresttest.Make(false)
	s := stanza{made}
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
	s.recovers(t, r, path, runbook)
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

// recovers brings the whole cluster back for real: live's own archive_command brings the
// new timeline into the stanza, which is proven there; the next backup is pgBackRest's. Back
// again, the timeline that was left is marked, beside the stanza.
func (s stanza) recovers(t *testing.T, r *rig, path, runbook string) {
	t.Helper()
	after, err := s.Text(pitrtest.Everything)
	if err != nil {
		t.Fatal(err)
	}
	whole := strings.Replace(runbook, "    with: pgbackrest\n", "    with: pgbackrest\n    into: cluster\n", 1) + "\n## Switch\nBudget: 2m.\n\n```yaml\nswitch: database\n```\n"
	if err := os.WriteFile(path, []byte(whole), 0o600); err != nil {
		t.Fatal(err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	name := host + ":" + s.Path("data")
	same := func(want string) {
		t.Helper()
		conn, err := pgx.Connect(t.Context(), r.environ["DATABASE_URL"])
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(t.Context())
		var now string
		if err := conn.QueryRow(t.Context(), pitrtest.Everything).Scan(&now); err != nil || now != want {
			t.Errorf("live is %.60s, want %.60s: %v", now, want, err)
		}
	}
	got := r.run(t.Context(), "recover", path, "--plain", "--to", fmt.Sprintf("before-xid:%d", s.Incident), "--confirm", name, "--outage", "1 minute ago")
	if got.code != recovery.WithExceptions {
		t.Fatalf("recover: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	same(s.Before)
	state := r.lastState(t)
	prove := state.Step("database.protect")
	if prove == nil || prove.State != recovery.Done || prove.Outcome.Facts["history"] != "00000002.history" {
		t.Errorf("the new timeline is not proven: %+v", prove)
	}
	if want := []string{"take a new base backup of database"}; !slices.Equal(state.ToDos(), want) {
		t.Errorf("to do %q, want %q", state.ToDos(), want)
	}
	if found, err := filepath.Glob(s.Path("plain/archive/shop/*/00000002.history")); err != nil || len(found) != 1 {
		t.Errorf("the history in the stanza: %v, %v", found, err)
	}
	if got := r.run(t.Context(), "switch-back", state.Run, "--plain", "--confirm", name); got.code != recovery.CameBack {
		t.Fatalf("switch-back: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	same(after)
	if got := r.run(t.Context(), "moments", path); !strings.Contains(got.out+got.err, "timeline 2 was left with run") {
		t.Errorf("the moments do not say that timeline 2 is dead\n%s\n%s", got.out, got.err)
	}
	if found, err := filepath.Glob(s.Path("plain/timelines/*/00000002.comeback-*")); err != nil || len(found) != 1 {
		t.Errorf("the mark of the timeline: %v, %v", found, err)
	}
}
