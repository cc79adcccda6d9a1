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
	"comeback/recovery/pitr/walg/walgtest"
	"comeback/recovery/report"
)

// kept is a cluster that a program archives and backs up, and the shipped runbook for it.
type kept struct {
	*pitrtest.Kept
	// example is the runbook's directory, and fit what is put in place of what stands there.
	example string
	fit     []string
	// with is the name of its engine, forms what its backups are called.
	with  string
	forms []string
	// secret opens its repository, and canary is a part of it that stands in one line.
	secret, canary string
	// history and mark are where the new timeline and what is noted of it lie.
	history, mark string
}

func TestPgBackRest(t *testing.T) {
	if plainly(t) {
		return
	}
	s, err := backresttest.Make(false)
	remove(t, s.Kept)
	if err != nil {
		t.Fatal(err)
	}
	kept{Kept: s.Kept, example: "pgbackrest", with: "pgbackrest", secret: backresttest.Key, canary: backresttest.Key,
		forms: []string{"full backup of pgBackRest", "incremental backup of pgBackRest"},
		fit: []string{"/var/lib/pgbackrest\"", s.Path("plain") + "\"",
			"    stanza: shop\n", fmt.Sprintf("    stanza: shop\n    config: %s\n    environment: [\"PGBACKREST_REPO2_CIPHER_PASS=${CIPHER}\"]\n", s.Path("pgbackrest.conf")),
			"path shop/db\"}", "path shop/db\", CIPHER: \"from the vault\"}"},
		history: "plain/archive/shop/*/00000002.history", mark: "plain/timelines/*/00000002.comeback-*"}.comesBack(t)
}

// The storage is encrypted.
func TestWALG(t *testing.T) {
	if plainly(t) {
		return
	}
	s, err := walgtest.Make(false)
	remove(t, s.Kept)
	if err != nil {
		t.Fatal(err)
	}
	s.Log(t.Log)
	if s.StandIn {
		t.Setenv("PATH", filepath.Dir(s.Program)+":"+os.Getenv("PATH"))
	}
	kept{Kept: s.Kept, example: "wal-g", with: "wal-g", secret: walgtest.Key, canary: strings.Split(walgtest.Key, "\n")[10],
		forms:   []string{"full backup of WAL-G"},
		fit:     []string{"/var/lib/wal-g\"", s.Path("sealed") + "\"", "/etc/wal-g/shop.json", s.Path("sealed.json")},
		history: "sealed/wal_005/00000002.history.lz4", mark: "sealed/timelines/*/00000002.comeback-*"}.comesBack(t)
}

func remove(t *testing.T, s *pitrtest.Kept) {
	t.Cleanup(func() {
		if err := s.Remove(); err != nil {
			t.Error(err)
		}
	})
}

// comesBack is what every program's test shows: the shipped runbook brings the cluster back
// to just before an incident. What happened is listed, a rehearsal restores, checks and cleans
// up, its report verifies, a check judges the repository like any copy, and a recovery goes
// there and back.
func (s kept) comesBack(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "examples", s.example, "shop.md"))
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t)
	r.environ["DATABASE_URL"], r.environ["CIPHER"] = fmt.Sprintf("postgres://postgres@/shop?host=%s", s.Path("socket")), s.secret
	t.Setenv("CIPHER", s.secret)
	key := filepath.Join(r.environ["HOME"], "key")
	if _, err := report.CreateKey(key, "ops1"); err != nil {
		t.Fatal(err)
	}
	runbook := strings.NewReplacer(s.fit...).Replace(string(text))
	path := filepath.Join(t.TempDir(), "shop.md")
	if err := os.WriteFile(path, []byte(runbook), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := r.run(t.Context(), "runbook", "lint", path); got.code != recovery.CameBack || got.err != "" {
		t.Errorf("lint: exit %d\n%s\n%s", got.code, got.out, got.err)
	}

	got := r.run(t.Context(), "moments", path)
	for _, form := range s.forms {
		if got.code != recovery.CameBack || !strings.Contains(got.out, form) {
			t.Errorf("moments: exit %d, want %q in\n%s\n%s", got.code, form, got.out, got.err)
		}
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
		if strings.Contains(string(b), s.canary) {
			t.Errorf("%s holds the key of the repository", path)
		}
		return err
	})
	if err != nil || strings.Contains(got.out+got.err, s.canary) {
		t.Errorf("the key was printed, or %v", err)
	}
}

// recovers brings the whole cluster back for real: live's own archive_command brings the
// new timeline into the repository, which is proven there; the next backup is the program's.
// Back again, the timeline that was left is marked, beside the repository.
func (s kept) recovers(t *testing.T, r *rig, path, runbook string) {
	t.Helper()
	after, err := s.Text(pitrtest.Everything)
	if err != nil {
		t.Fatal(err)
	}
	whole := strings.Replace(runbook, "    with: "+s.with+"\n", "    with: "+s.with+"\n    into: cluster\n", 1) + "\n## Switch\nBudget: 2m.\n\n```yaml\nswitch: database\n```\n"
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
	if found, err := filepath.Glob(s.Path(s.history)); err != nil || len(found) != 1 {
		t.Errorf("the history in the repository: %v, %v", found, err)
	}
	if got := r.run(t.Context(), "switch-back", state.Run, "--plain", "--confirm", name); got.code != recovery.CameBack {
		t.Fatalf("switch-back: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	same(after)
	if got := r.run(t.Context(), "moments", path); !strings.Contains(got.out+got.err, "timeline 2 was left with run") {
		t.Errorf("the moments do not say that timeline 2 is dead\n%s\n%s", got.out, got.err)
	}
	if found, err := filepath.Glob(s.Path(s.mark)); err != nil || len(found) != 1 {
		t.Errorf("the mark of the timeline: %v, %v", found, err)
	}
}
