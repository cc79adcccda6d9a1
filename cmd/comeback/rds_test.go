package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/enginetest/hosted"
	"comeback/recovery"
	"comeback/recovery/rds/rdstest"
	"comeback/recovery/report"
)

// startRDS starts a service whose credentials are the environment's.
func startRDS(t *testing.T) *rdstest.Service {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	s, err := rdstest.Start(ctx)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range rdstest.Environ() {
		t.Setenv(name, v)
	}
	return s
}

func TestRDS(t *testing.T) {
	s := startRDS(t)
	for name, test := range map[string]func(*testing.T, *rdstest.Service){"rehearsal": rehearsesRDS, "hand-over": handsOverRDS, "rename": renamesRDS, "cluster": renamesAurora, "cluster handed over": handsOverAurora, "beside others": listsBesideOthers} {
		t.Run(name, func(t *testing.T) {
			test(t, s)
			for _, left := range s.Left() {
				if err := s.Discard(left); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// rdsRunbook is the shipped runbook for a service, without items that people tick.
func (r *rig) rdsRunbook(t *testing.T, s *rdstest.Service) string {
	t.Helper()
	r.environ["DATABASE_PASSWORD"] = hosted.Encoded
	t.Setenv("DATABASE_PASSWORD", hosted.Encoded)
	text, err := os.ReadFile(filepath.Join("..", "..", "examples", "rds", "shop.md"))
	if err != nil {
		t.Fatal(err)
	}
	runbook := strings.NewReplacer("s3://shop-recovery/records\", region: eu-central-1", "file://"+t.TempDir()+"\"",
		"/etc/ssl/rds-ca.pem", s.Certificates,
		"    instance: shop-prod\n", fmt.Sprintf("    instance: shop-prod\n    endpoint: %s\n    every: 1ms\n", s.URL),
		"- [ ] ", "", "-- expect: > 0\nselect count(*) from orders", "-- expect: = '"+s.Before+"'\n"+hosted.Everything).Replace(string(text))
	path := filepath.Join(t.TempDir(), "shop.md")
	if err := os.WriteFile(path, []byte(runbook), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The shipped runbook brings an instance of RDS back to the second before an incident: its
// moments are listed, a rehearsal makes a new instance, checks it, deletes it, and its
// report verifies; what is denied is told, with the action that it needs.
func rehearsesRDS(t *testing.T, s *rdstest.Service) {
	r := newRig(t)
	key := filepath.Join(r.environ["HOME"], "key")
	if _, err := report.CreateKey(key, "ops1"); err != nil {
		t.Fatal(err)
	}
	path := r.rdsRunbook(t, s)
	if got := r.run(t.Context(), "runbook", "lint", path); got.code != recovery.CameBack || got.err != "" {
		t.Errorf("lint: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	got := r.run(t.Context(), "moments", path)
	for _, want := range []string{"automated backups of RDS, to the second", "manual snapshot of RDS", rdstest.Snapshot, "it is creating"} {
		if got.code != recovery.CameBack || !strings.Contains(got.out, want) {
			t.Errorf("moments: exit %d, want %q in\n%s\n%s", got.code, want, got.out, got.err)
		}
	}
	to := s.At.Format(time.RFC3339)
	got = r.run(t.Context(), "rehearse", path, "--plain", "--to", to, "--key", key)
	for _, want := range []string{"costs 0.29 USD an hour", "orders are there: ", "gone: RDS instance comeback-", "REHEARSED"} {
		if got.code != recovery.CameBack || !strings.Contains(got.out, want) {
			t.Errorf("rehearse: exit %d, want %q in\n%s\n%s", got.code, want, got.out, got.err)
		}
	}
	if left := s.Left(); len(left) > 0 {
		t.Errorf("left in RDS: %v", left)
	}
	run := r.only(t)
	if got := r.run(t.Context(), "report", "verify", filepath.Base(run)); got.code != recovery.WithExceptions || !strings.Contains(got.out, "signer unknown") {
		t.Errorf("report verify: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	// How long it takes is known from the run before.
	var next recovery.Plan
	got = r.run(t.Context(), "rehearse", path, "--dry-run", "--to", to)
	if err := json.Unmarshal([]byte(got.out), &next); err != nil {
		t.Errorf("the next plan: exit %d, %v\n%s", got.code, err, got.err)
	}
	if step, ok := next.Step("database.available"); !ok || step.Expected == 0 {
		t.Errorf("the next wait is expected to take %v", step.Expected)
	}
	if page, err := os.ReadFile(filepath.Join(run, "report.md")); err != nil || !strings.Contains(string(page), "exact to the second") {
		t.Errorf("the report does not say how exact it is: %v\n%s", err, page)
	}
	if got := r.run(t.Context(), "check", path); !strings.Contains(got.out, "only where it lives") || !strings.Contains(got.out, "YES, BUT") || strings.Contains(got.out, "cost_per_hour") {
		t.Errorf("check: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	free := filepath.Join(t.TempDir(), "shop.md")
	if err := os.WriteFile(free, regexp.MustCompile(`(?m)^ *cost_per_hour: .*\n`).ReplaceAll(text, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := r.run(t.Context(), "check", free); !strings.Contains(got.out, "cost_per_hour of database is not set") {
		t.Errorf("check without a price: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	err = filepath.WalkDir(run, func(path string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if strings.Contains(string(b), hosted.Encoded) || strings.Contains(string(b), rdstest.Secret) {
			t.Errorf("%s holds a secret", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A recovery leaves the new instance running, with its address in the report and its cost
// told; a run that was killed before that goes on with the same instance. It is deleted by
// name, unless it has become another one.
func handsOverRDS(t *testing.T, s *rdstest.Service) {
	s.Calls()
	r := newRig(t)
	path := r.rdsRunbook(t, s)
	to := s.At.Format(time.RFC3339)
	if got := r.run(t.Context(), "recover", path, "--plain", "--to", s.Latest.Add(time.Hour).Format(time.RFC3339)); got.code != recovery.Refused || !strings.Contains(got.err, "cannot be restored yet") {
		t.Errorf("what is not stored yet: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	before := s.Kept() // by others
	kept := func() []string {
		return slices.DeleteFunc(s.Kept(), func(k string) bool { return slices.Contains(before, k) })
	}
	r.environ["COMEBACK_TEST_KILL"] = "before:step.finished/1 database.restore"
	got := r.run(t.Context(), "recover", path, "--plain", "--to", to, "--outage", "1 minute ago")
	if got.code == recovery.CameBack {
		t.Fatalf("it was not killed\n%s\n%s", got.out, got.err)
	}
	// It is killed again when what came back is the run's no more.
	r.environ["COMEBACK_TEST_KILL"] = "after:step.finished/1 database.hand-over"
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
	if calls, want := s.Calls(), []string{"RestoreDBInstanceToPointInTime " + h.Place}; !slices.Equal(calls, want) {
		t.Errorf("called %q, want %q", calls, want)
	}
	for _, told := range [][]string{{"costs 0.29 USD an hour", "report", "show", id}, {"comeback expire " + id, "status", id}} {
		if got := r.run(t.Context(), told[1:]...); !strings.Contains(got.out, h.Address) || !strings.Contains(got.out, told[0]) {
			t.Errorf("%v does not tell of %s, or not: %s\n%s", told[1:], h.Address, told[0], got.out)
		}
	}
	config, err := pgx.ParseConfig(strings.Replace(h.Address, "//", "//"+hosted.Role+":"+hosted.Encoded+"@", 1) + "?sslmode=require")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var now string
	if err := conn.QueryRow(t.Context(), hosted.Everything).Scan(&now); err != nil || now != s.Before {
		t.Errorf("handed over is %q, want %q: %v", now, s.Before, err)
	}
	if got := r.run(t.Context(), "expire"); !strings.Contains(got.out, h.Place) || !strings.Contains(got.out, "give the application the new address") {
		t.Errorf("it is not listed\n%s\n%s", got.out, got.err)
	}
	// It is production by now: somebody is connected. Where that cannot be asked it stays, too.
	s.Calls()
	if got := r.run(t.Context(), "expire", id, "--plain", "--confirm", h.Place); got.code == recovery.CameBack || !strings.Contains(got.out, "is in use: it has ") {
		t.Errorf("in use: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	conn.Close(t.Context())
	quiet := func() {
		t.Helper()
		if err := s.Quiet(t.Context(), int(config.Port)); err != nil {
			t.Fatal(err)
		}
	}
	quiet()
	r.environ["DATABASE_PASSWORD"] = "another"
	if got := r.run(t.Context(), "expire", id, "--plain", "--confirm", h.Place); got.code == recovery.CameBack || !strings.Contains(got.out, "it cannot be asked who uses the RDS instance") {
		t.Errorf("not asked: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	r.environ["DATABASE_PASSWORD"] = hosted.Encoded
	if calls := s.Calls(); len(calls) > 0 || len(kept()) > 0 {
		t.Errorf("called %q", calls)
	}
	s.Fail("DeleteDBInstance", 1, rdstest.Fault{Status: 403, Code: "AccessDenied", Message: "not authorized to perform: rds:DeleteDBInstance"})
	if got := r.run(t.Context(), "expire", id, "--plain", "--confirm", h.Place); got.code != recovery.Failed || !strings.Contains(got.out, "let whoever asks do rds:DeleteDBInstance") {
		t.Errorf("a denied call: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	quiet()
	if got := r.run(t.Context(), "expire", id, "--plain", "--confirm", h.Place); got.code != recovery.CameBack {
		t.Errorf("removed: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	if left := s.Left(); len(left) > 0 {
		t.Errorf("left in RDS: %v", left)
	}
	if got, want := kept(), []string{h.Place + "-last of " + h.Place + ", automated backups deleted: false"}; !slices.Equal(got, want) {
		t.Errorf("kept is %q, want %q", got, want)
	}
}

// A recovery by renaming: what came back takes the live one's name, what was live stays
// aside and is switched back to. A run that is killed between the two names goes on; one
// that cannot go on gives the name back, and what was live for a while is not deleted.
func renamesRDS(t *testing.T, s *rdstest.Service) {
	r := newRig(t)
	path := r.rdsRunbook(t, s)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// A check after the switch asks whoever has the name.
	renamed := strings.Replace(string(text), "into: hand-over", "into: rename", 1) + "\n## Look at live\n\n```sql\n-- check: live is what was\n-- on: database\n-- expect: = '" + s.Before + "'\n" + hosted.Everything + ";\n```\n"
	if err := os.WriteFile(path, []byte(renamed), 0o600); err != nil {
		t.Fatal(err)
	}
	live := func(want string) {
		t.Helper()
		if got := s.Resource("instance " + rdstest.SourceInstance); !strings.HasPrefix(got, want) {
			t.Errorf("live is %s, want %s", got, want)
		}
	}
	recover := []string{"recover", path, "--plain", "--to", s.At.Format(time.RFC3339), "--outage", "1 minute ago", "--confirm", rdstest.SourceInstance}

	// The second name is denied: the first is given back, and what never was live goes.
	s.FailAfter("ModifyDBInstance", 1, rdstest.Fault{Status: 403, Code: "AccessDenied", Message: "not authorized to perform: rds:ModifyDBInstance"})
	got := r.run(t.Context(), recover...)
	if got.code == recovery.CameBack || !strings.Contains(got.out, "let whoever asks do rds:ModifyDBInstance") || len(s.Left()) > 0 {
		t.Errorf("denied: exit %d, left %v\n%s\n%s", got.code, s.Left(), got.out, got.err)
	}
	live("db-SHOPPROD")

	// The name goes on leading to the old server: no check looks at that.
	s.Stale(1000)
	if got := r.run(t.Context(), recover...); got.code == recovery.CameBack || !strings.Contains(got.out, "leads to another server than the one that came back") {
		t.Errorf("it leads elsewhere: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	live("db-SHOPPROD")
	// It was live for a moment, and people may have written to it.
	if left := s.Left(); len(left) != 1 || !strings.HasPrefix(left[0], "instance comeback-") {
		t.Errorf("left is %v", left)
	}
	for _, left := range s.Left() {
		if err := s.Discard(left); err != nil {
			t.Error(err)
		}
	}
	s.Stale(8)

	r.environ["COMEBACK_TEST_KILL"] = "before:step.finished/1 database.rename"
	if got := r.run(t.Context(), recover...); got.code == recovery.CameBack {
		t.Fatalf("it was not killed\n%s\n%s", got.out, got.err)
	}
	delete(r.environ, "COMEBACK_TEST_KILL")
	id := r.lastState(t).Run
	if got := r.run(t.Context(), "resume", id, "--plain"); got.code != recovery.CameBack {
		t.Fatalf("resume: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	live("db-MADE")
	state := r.stateOf(t, id)
	if len(state.Old) != 1 || len(state.Held()) != 0 || s.Resource("instance "+state.Old[0].Place) != "db-SHOPPROD" {
		t.Fatalf("put aside %+v, held %+v", state.Old, state.Held())
	}
	if got := r.run(t.Context(), "expire"); !strings.Contains(got.out, state.Old[0].Place+", the RDS instance that was live, which costs as before: kept until") {
		t.Errorf("what was live is not listed\n%s\n%s", got.out, got.err)
	}
	if got := r.run(t.Context(), "switch-back", id, "--plain", "--confirm", rdstest.SourceInstance); got.code != recovery.CameBack {
		t.Errorf("switch-back: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	live("db-SHOPPROD")
	if left := s.Left(); len(left) != 1 || !strings.HasPrefix(left[0], "instance shop-prod-old-") {
		t.Errorf("after the switch back there is %q", left)
	}
}

// A cluster of Aurora comes back in the same ways: its new one is renamed with the instance
// that belongs to it.
func renamesAurora(t *testing.T, s *rdstest.Service) {
	r := newRig(t)
	path := r.rdsRunbook(t, s)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text = []byte(strings.NewReplacer("instance: "+rdstest.SourceInstance, "cluster: "+rdstest.SourceCluster, "into: hand-over", "into: rename").Replace(string(text)))
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	s.Calls()
	s.Follow("cluster "+rdstest.SourceCluster, "shop-worldwide", "arn:aws:rds:us-east-1:210987654321:cluster:shop-us")
	defer s.Follow("cluster "+rdstest.SourceCluster, "")
	got := r.run(t.Context(), "recover", path, "--plain", "--to", s.At.Format(time.RFC3339), "--outage", "1 minute ago", "--confirm", rdstest.SourceCluster)
	if got.code != recovery.CameBack || !strings.Contains(got.out, "the readers "+rdstest.SourceReader+", which stay with what was live") ||
		!strings.Contains(got.out, "the global database shop-worldwide, whose other clusters go on following what was live") || !strings.Contains(got.out, "cluster:shop-us, which go on following what was live") {
		t.Fatalf("exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	state := r.lastState(t)
	if got := r.run(t.Context(), "expire"); !strings.Contains(got.out, "make readers of the cluster "+rdstest.SourceCluster+" anew: the source had "+rdstest.SourceReader) {
		t.Errorf("the readers are not told of\n%s\n%s", got.out, got.err)
	}
	if got := s.Resource("cluster " + rdstest.SourceCluster); !strings.HasPrefix(got, "cluster-MADE") || len(state.Held()) != 0 {
		t.Errorf("live is %s, held %+v, called %q", got, state.Held(), s.Calls())
	}
	if got := r.run(t.Context(), "switch-back", state.Run, "--plain", "--confirm", rdstest.SourceCluster); got.code != recovery.CameBack {
		t.Errorf("switch-back: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	if got := s.Resource("cluster " + rdstest.SourceCluster); got != "cluster-SHOPAURORA" {
		t.Errorf("after the switch back live is %s", got)
	}
}

// A cluster of Aurora is left running, and deleted by name with its instance; a call that is
// denied is told, and what is protected from deletion keeps its instance.
func handsOverAurora(t *testing.T, s *rdstest.Service) {
	r := newRig(t)
	path := r.rdsRunbook(t, s)
	text, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, []byte(strings.Replace(string(text), "instance: "+rdstest.SourceInstance, "cluster: "+rdstest.SourceCluster, 1)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	recover := []string{"recover", path, "--plain", "--to", s.At.Format(time.RFC3339), "--outage", "1 minute ago"}
	s.Fail("CreateDBInstance", 1, rdstest.Fault{Status: 403, Code: "AccessDenied", Message: "not authorized to perform: rds:CreateDBInstance"})
	if got := r.run(t.Context(), recover...); got.code == recovery.CameBack || !strings.Contains(got.out, "let whoever asks do rds:CreateDBInstance") || len(s.Left()) > 0 {
		t.Errorf("denied: exit %d, left %v\n%s\n%s", got.code, s.Left(), got.out, got.err)
	}
	if got := r.run(t.Context(), recover...); got.code != recovery.CameBack {
		t.Fatalf("exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	state := r.lastState(t)
	if len(state.HandedOver) != 1 || len(state.Held()) != 0 {
		t.Fatalf("handed over %+v, held %+v", state.HandedOver, state.Held())
	}
	h := state.HandedOver[0]
	if got := r.run(t.Context(), "expire"); !strings.Contains(got.out, "make readers of the cluster "+h.Place+" anew: the source had "+rdstest.SourceReader) {
		t.Errorf("the readers are not told of\n%s\n%s", got.out, got.err)
	}
	s.Calls()
	expire := []string{"expire", state.Run, "--plain", "--confirm", h.Place}
	s.Protect("cluster "+h.Place, true)
	if got := r.run(t.Context(), expire...); got.code == recovery.CameBack || !strings.Contains(got.out, h.Place+" is protected from deletion") || len(s.Calls()) > 0 {
		t.Errorf("protected: exit %d, there is %v\n%s\n%s", got.code, s.Left(), got.out, got.err)
	}
	s.Protect("cluster "+h.Place, false)
	s.Fail("DeleteDBCluster", 1, rdstest.Fault{Status: 403, Code: "AccessDenied", Message: "not authorized to perform: rds:DeleteDBCluster"})
	if got := r.run(t.Context(), expire...); got.code == recovery.CameBack || !strings.Contains(got.out, "let whoever asks do rds:DeleteDBCluster") {
		t.Errorf("denied: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	if got := r.run(t.Context(), expire...); got.code != recovery.CameBack || len(s.Left()) > 0 {
		t.Errorf("removed: exit %d, left %v\n%s\n%s", got.code, s.Left(), got.out, got.err)
	}
	kept := s.Kept()
	if want := h.Place + "-last of " + h.Place + ", automated backups deleted: false"; len(kept) == 0 || kept[len(kept)-1] != want {
		t.Errorf("kept is %q, want %q last", kept, want)
	}
}

// A runbook whose components come back by RDS, by dumps, by base backups with log and by
// commands has all their moments in one list, in the order of time, each with how exact it is.
func listsBesideOthers(t *testing.T, s *rdstest.Service) {
	l, r := theShop(t), newRig(t)
	path := r.rdsRunbook(t, s)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(list, []byte("#!/bin/sh\n"+`printf '%s\n' '{"id": "old", "taken": "2001-02-03T04:05:06Z", "form": "volume snapshot"}' '{"window": "automated", "from": "2001-02-04T00:00:00Z", "to": "2001-02-05T00:00:00Z"}'`+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	whole := strings.NewReplacer("copies:\n", fmt.Sprintf("copies:\n  nearby: {url: %q}\n", l.CopyURL()),
		"components:\n", fmt.Sprintf("components:\n  orders: {kind: postgres, url: \"${DATABASE_URL}\"}\n  uploads: {kind: files, with: commands, list: [%s], fetch: [%s], path: %s}\n", list, list, t.TempDir()),
		"restore: database\n", "restore: [database, orders, uploads]\n", "needs: {", "needs: {DATABASE_URL: \"from the vault\", ").Replace(string(text))
	if err := os.WriteFile(path, []byte(whole), 0o600); err != nil {
		t.Fatal(err)
	}
	r.environ["DATABASE_URL"] = l.URL()
	got := r.run(t.Context(), "moments", path, "--utc")
	got.has(t, recovery.CameBack, "window: any second from 2001-02-04 00:00:00Z to 2001-02-05 00:00:00Z")
	_, one, ok := strings.Cut(got.out, "all of them, in the order of time")
	if !ok {
		t.Fatalf("there is no list of all moments in\n%s", got.out)
	}
	// A dump tells no parts of a second, so that one in whose second the base backup ended
	// has no place before or after it.
	later := []string{"  orders: " + l.dump, "  orders: " + l.base}
	second := regexp.MustCompile(`(?m)^  (?:the backup  of|any commit ) (\S+ \S+).*  orders: `).FindAllStringSubmatch(one, -1)
	if len(second) != 2 {
		t.Fatalf("of orders there are %d in\n%s", len(second), one)
	}
	if second[0][1] == second[1][1] && strings.Index(one, later[0]) > strings.Index(one, later[1]) {
		slices.Reverse(later)
	}
	at := -1
	for _, want := range append([]string{"the backup  of 2001-02-03 04:05:06Z  uploads: old, volume snapshot by commands", "any second  2001-02-04 00:00:00Z .. 2001-02-05 00:00:00Z  uploads: automated"}, later...) {
		next := strings.Index(one, want)
		if next <= at {
			t.Errorf("%q is not where it belongs in\n%s", want, one)
		}
		at = next
	}
	// The shop's backups are of later than what RDS has, unless other tests made it before.
	const late = `(?:; the log of database .*)?$`
	for _, want := range []string{`(?m)^  the backup  of \S+ \S+  orders: .* by dump in nearby` + late, `(?m)^  any commit  .* orders: .* by pitr in nearby` + late,
		`(?m)^  any second  .* database: .*automated backups of RDS, to the second by rds in`, `(?m)^  the backup  .* database: ` + rdstest.Snapshot + `, manual snapshot of RDS by rds in`} {
		if !regexp.MustCompile(want).MatchString(one) {
			t.Errorf("%s is not in\n%s", want, one)
		}
	}
}
