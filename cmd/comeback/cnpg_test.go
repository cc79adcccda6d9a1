package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/enginetest/hosted"
	"comeback/recovery"
	"comeback/recovery/cnpg/cnpgtest"
	"comeback/recovery/report"
)

// cnpgRunbook is the shipped runbook for a server, without items that people tick.
func cnpgRunbook(t *testing.T, s *cnpgtest.Server) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "examples", "cnpg", "shop.md"))
	if err != nil {
		t.Fatal(err)
	}
	runbook := strings.NewReplacer("s3://shop-recovery/records\", region: eu-central-1", "file://"+t.TempDir()+"\"",
		"    cluster: shop-db\n", fmt.Sprintf("    cluster: shop-db\n    kubeconfig: %s\n    environment: [\"HOME=%s\"] # where kubectl keeps its cache\n    every: 1ms\n", s.Kubeconfig, s.Path("made")),
		"- [ ] ", "", "-- expect: > 0\nselect count(*) from orders", "-- expect: = '"+s.Before+"'\n"+hosted.Everything).Replace(string(text))
	path := filepath.Join(t.TempDir(), "shop.md")
	if err := os.WriteFile(path, []byte(runbook), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The shipped runbook brings a cluster of Kubernetes back to before an incident: its moments are
// listed, a rehearsal makes a new cluster, checks it and deletes it, and its report verifies. A
// recovery that is killed twice goes on with the same cluster, leaves it running and tells where;
// it is deleted by name where nobody is connected.
func TestCNPG(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	s, err := cnpgtest.Start(ctx)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t)
	path, to := cnpgRunbook(t, s), s.At.Format(time.RFC3339)
	if got := r.run(t.Context(), "runbook", "lint", path); got.code != recovery.CameBack || got.err != "" {
		t.Errorf("lint: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	got := r.run(t.Context(), "moments", path)
	for _, want := range []string{"base backup of CloudNativePG, with its log", cnpgtest.Backup, "store is full"} {
		if got.code != recovery.CameBack || !strings.Contains(got.out, want) {
			t.Errorf("moments: exit %d, want %q in\n%s\n%s", got.code, want, got.out, got.err)
		}
	}
	rehearsesCNPG(t, r, s, path, to)
	rehearsesLatestCNPG(t, r, s, path)
	handsOverCNPG(t, r, s, path, to)
}

func rehearsesCNPG(t *testing.T, r *rig, s *cnpgtest.Server, path, to string) {
	key := filepath.Join(r.environ["HOME"], "key")
	if _, err := report.CreateKey(key, "ops1"); err != nil {
		t.Fatal(err)
	}
	got := r.run(t.Context(), "rehearse", path, "--plain", "--to", to, "--key", key)
	for _, want := range []string{"costs 0.12 EUR an hour", "orders are there: ", "gone: Kubernetes cluster of PostgreSQL comeback-", "REHEARSED"} {
		if got.code != recovery.CameBack || !strings.Contains(got.out, want) {
			t.Errorf("rehearse: exit %d, want %q in\n%s\n%s", got.code, want, got.out, got.err)
		}
	}
	if left := s.Left(); len(left) > 0 {
		t.Errorf("left in Kubernetes: %v", left)
	}
	run := r.only(t)
	if got := r.run(t.Context(), "report", "verify", filepath.Base(run)); got.code != recovery.WithExceptions || !strings.Contains(got.out, "signer unknown") {
		t.Errorf("report verify: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	err := filepath.WalkDir(run, func(path string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if strings.Contains(string(b), hosted.Password) || strings.Contains(string(b), cnpgtest.Token) {
			t.Errorf("%s holds a secret", path)
		}
		return err
	})
	if err == nil {
		err = os.RemoveAll(run)
	}
	if err != nil {
		t.Error(err)
	}
	s.Calls()
}

// rehearsesLatestCNPG goes to the end of the archive, of which nobody knows more than that it is
// not before some time: what is newer than that has not come from after the moment.
func rehearsesLatestCNPG(t *testing.T, r *rig, s *cnpgtest.Server, path string) {
	book := copyBook(t, path, "-- expect: = '"+s.Before+"'\n"+hosted.Everything, "-- expect: within 10m\nselect now()")
	got := r.run(t.Context(), "rehearse", book, "--plain", "--to", "latest")
	if got.code != recovery.CameBack || !strings.Contains(got.out, "after what is known of the moment, which is later") {
		t.Errorf("rehearse: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	if err := os.RemoveAll(r.only(t)); err != nil {
		t.Error(err)
	}
	s.Calls()
}

func handsOverCNPG(t *testing.T, r *rig, s *cnpgtest.Server, path, to string) {
	r.environ["COMEBACK_TEST_KILL"] = "before:step.finished/1 database.restore"
	if got := r.run(t.Context(), "recover", path, "--plain", "--to", to, "--outage", "1 minute ago"); got.code == recovery.CameBack {
		t.Fatalf("it was not killed\n%s\n%s", got.out, got.err)
	}
	// It is killed again when checks have a way in, which the next runner makes anew.
	r.environ["COMEBACK_TEST_KILL"] = "after:step.finished/1 database.serve"
	id := filepath.Base(r.only(t))
	if got := r.run(t.Context(), "resume", id, "--plain"); got.code == recovery.CameBack {
		t.Fatalf("it was not killed\n%s\n%s", got.out, got.err)
	}
	delete(r.environ, "COMEBACK_TEST_KILL")
	if got := r.run(t.Context(), "resume", id, "--plain"); got.code != recovery.CameBack {
		t.Fatalf("resume: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	state := r.stateOf(t, id)
	if len(state.HandedOver) != 1 || len(state.Held()) != 0 {
		t.Fatalf("handed over %+v, held %+v", state.HandedOver, state.Held())
	}
	h := state.HandedOver[0]
	if calls, want := s.Calls(), []string{"create " + h.Place}; !slices.Equal(calls, want) {
		t.Errorf("called %q, want %q", calls, want)
	}
	if want := "postgres://" + h.Place + "-rw.shop.svc:5432/shop"; h.Address != want {
		t.Errorf("its address is %s, want %s", h.Address, want)
	}
	got := r.run(t.Context(), "expire")
	for _, want := range []string{h.Place, "give the application the new address", "until then nothing of it is archived", "copy the secret shop-db-app before you delete the cluster shop-db", "env PASSWORD", "pg_net"} {
		if !strings.Contains(got.out, want) {
			t.Errorf("%q is not listed\n%s\n%s", want, got.out, got.err)
		}
	}
	// It is production by now: somebody is connected.
	goHome, err := s.Connect(t.Context(), h.Place)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.run(t.Context(), "expire", id, "--plain", "--confirm", h.Place); got.code == recovery.CameBack || !strings.Contains(got.out, "is in use: it has ") {
		t.Errorf("in use: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	if err := goHome(); err != nil {
		t.Fatal(err)
	}
	if got := r.run(t.Context(), "expire", id, "--plain", "--confirm", h.Place); got.code != recovery.CameBack {
		t.Errorf("removed: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	if left := s.Left(); len(left) > 0 {
		t.Errorf("left in Kubernetes: %v", left)
	}
}
