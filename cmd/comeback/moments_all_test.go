package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/recovery/cnpg"
	"comeback/recovery/cnpg/cnpgtest"
	"comeback/recovery/commands"
	"comeback/recovery/dump"
	"comeback/recovery/pitr/backrest"
	"comeback/recovery/pitr/backrest/backresttest"
	"comeback/recovery/pitr/pitrtest"
	"comeback/recovery/pitr/walg"
	"comeback/recovery/pitr/walg/walgtest"
)

// keptByAll is one cluster that is dumped, backed up and archived by PostgreSQL's own programs,
// by pgBackRest and by WAL-G: each makes a first backup, and then each a second. The
// operator of Kubernetes makes its own between these, of a cluster that it has.
type keptByAll struct {
	*pitrtest.Kept
	backrest backresttest.Source
	walg     walgtest.Source
	operated *cnpgtest.Server
}

// Prepare makes the places of all of them.
func (s *keptByAll) Prepare(k *pitrtest.Kept) (archive string, err error) {
	s.Kept, s.walg.Beside = k, "walg-"
	if err := s.Mkdir("nearby", "nearby/db", "nearby/base", "nearby/wal"); err != nil {
		return "", err
	}
	byBackrest, err := s.backrest.Prepare(k)
	if err != nil {
		return "", err
	}
	byWALG, err := s.walg.Prepare(k)
	return fmt.Sprintf("%s && %s && cp %%p %s/%%f", byBackrest, byWALG, s.Path("nearby/wal")), err
}

func (s *keptByAll) Begin() error { return errors.Join(s.backrest.Begin(), s.walg.Begin()) }

func (s *keptByAll) Backup(first bool) (err error) {
	name := "first"
	if !first {
		name = "second"
		if s.operated, err = cnpgtest.Start(context.Background()); err != nil {
			return err
		}
	}
	return errors.Join(
		s.Run(nil, s.Tools.Program("pg_dump"), "-h", s.Path("socket"), "-U", "postgres", "-Fc", "-f", s.Path("nearby/db/"+name+".dump"), "shop"),
		s.Run(nil, s.Tools.Program("pg_basebackup"), "-h", s.Path("socket"), "-U", "postgres", "-c", "fast", "-N", "-X", "none", "-Ft", "-D", s.Path("nearby/base/"+name)),
		s.backrest.Backup(first), s.walg.Backup(first))
}

// runbook brings the cluster back in as many ways, and with a provider's commands, whose
// backups are one from when the incident was, and one that is later than all the log.
func (s *keptByAll) runbook(t *testing.T, r *rig) string {
	t.Helper()
	list := filepath.Join(t.TempDir(), "list")
	text := fmt.Sprintf("#!/bin/sh\n"+`printf '%%s\n' '{"id": "old", "taken": "2001-02-03T04:05:06Z"}' '{"id": "new", "taken": "%s"}' '{"id": "late", "taken": "%s"}'`+"\n",
		s.IncidentAt.UTC().Format(time.RFC3339Nano), time.Now().UTC().Format(time.RFC3339Nano))
	if err := os.WriteFile(list, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	r.environ["CIPHER"] = backresttest.Key
	t.Setenv("CIPHER", backresttest.Key)
	path := filepath.Join(t.TempDir(), "shop.md")
	text = fmt.Sprintf(`---
comeback: 1
system: shop
rpo: 5m
rto: 30m
needs: {CIPHER: "from the vault"}
copies:
  nearby: {url: "file://%[1]s/nearby"}
  backrest: {url: "file://%[1]s/plain"}
  walg: {url: "file://%[1]s/walg-plain"}
  elsewhere: {url: "file://%[2]s"}
components:
  native: {kind: postgres, database: shop}
  backrest: {kind: postgres, with: pgbackrest, stanza: shop, config: %[1]s/pgbackrest.conf, repo: [backrest=1], environment: ["PGBACKREST_REPO2_CIPHER_PASS=${CIPHER}"]}
  walg: {kind: postgres, with: wal-g, config: [walg=%[1]s/plain.json]}
  commands: {kind: postgres, with: commands, copy: elsewhere, list: [%[3]s], fetch: [%[3]s]}
  operated: {kind: postgres, with: cnpg, copy: elsewhere, context: production, namespace: shop, cluster: shop-db, kubeconfig: %[4]s, environment: ["HOME=%[5]s"]}
---

# Bring the shop back

## Restore

`+"```yaml\nrestore: [native, backrest, walg, commands, operated]\n```\n", s.Dir, t.TempDir(), list, s.operated.Kubeconfig, s.operated.Path("made"))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// What a system's backups are made by does not matter to whoever looks for a moment: those of a
// dump, of base backups with log, of pgBackRest, of WAL-G, of a provider's commands and of
// CloudNativePG are in one list in the order of time, with who made each, for people and as
// JSON. Each is a moment for --to: that backup comes back, and the rest as it was then; where
// a part of the system has nothing that early, or log that ends before, the list says so.
func TestMoments_acrossEngines(t *testing.T) {
	if plainly(t) {
		return
	}
	s := &keptByAll{}
	var err error
	s.Kept, err = pitrtest.Make(s, false)
	remove(t, s.Kept)
	t.Cleanup(func() {
		if s.operated != nil {
			if err := s.operated.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if s.walg.StandIn {
		t.Setenv("PATH", filepath.Dir(s.walg.Program)+":"+os.Getenv("PATH"))
	}
	s.walg.Log(t.Log)
	r := newRig(t)
	path := s.runbook(t, r)

	got := r.run(t.Context(), "moments", path, "--json", "--utc")
	got.has(t, recovery.CameBack)
	var all []catalogue.Reachable
	of := map[string]int{}
	for line := range strings.Lines(got.out) {
		var m catalogue.Reachable
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all = append(all, m)
		of[m.Engine]++
	}
	want := map[string]int{dump.Name: 2, "pitr": 2, backrest.Name: 2, walg.Name: 2, commands.Name: 3, cnpg.Name: 1}
	if !maps.Equal(of, want) {
		t.Errorf("the moments are of %v, want %v", of, want)
	}
	if !slices.IsSortedFunc(all, func(a, b catalogue.Reachable) int { return a.Begins().Compare(b.Begins()) }) {
		t.Errorf("the moments are not in the order of time:\n%s", got.out)
	}

	got = r.run(t.Context(), "moments", path, "--utc")
	got.has(t, recovery.CameBack)
	_, one, _ := strings.Cut(got.out, "all of them, in the order of time")
	lines := regexp.MustCompile(`(?m)^  (?:any commit|any second|the backup)  .* (\S+): (\S+), .* by (\S+) in (\S+?)(?:;.*)?$`).FindAllStringSubmatch(one, -1)
	if len(lines) != len(all) {
		t.Fatalf("%d moments are listed as JSON, and %d in\n%s", len(all), len(lines), got.out)
	}
	usable := map[string]bool{}
	for i, m := range all {
		if want := []string{m.Component, m.Backup, m.Engine, m.Copy}; !slices.Equal(lines[i][1:], want) {
			t.Errorf("the line %q is not of %q", lines[i][0], want)
		}
		if strings.Contains(lines[i][0], "there is nothing") != (len(m.Without) > 0) {
			t.Errorf("the line %q, and without %q", lines[i][0], m.Without)
		}
		late := len(m.Beyond) > 0 && m.Begins().After(m.Until)
		if strings.Contains(lines[i][0], "ends before it, at ") != late || strings.Contains(lines[i][0], "goes on only until ") != (len(m.Beyond) > 0 && !late) {
			t.Errorf("the line %q, and beyond %q, until %s", lines[i][0], m.Beyond, m.Until)
		}
		if m.Backup == "late" != late || late && (!slices.Contains(m.Beyond, "backrest") || !slices.Contains(m.Beyond, "walg") || slices.Contains(m.Beyond, "native")) {
			t.Errorf("%s is beyond %q, until %s", m.Backup, m.Beyond, m.Until)
		}
		got := r.run(t.Context(), "rehearse", path, "--to", m.Backup, "--dry-run")
		if late {
			got.has(t, recovery.Refused, "next: ", "after the end of the archive")
			continue
		}
		if len(m.Without) > 0 {
			// Unless nothing changed until the rest was there, too.
			if got.code != recovery.CameBack || m.Exactness == recovery.ToBackup {
				got.has(t, recovery.Refused, "next: ")
			}
			continue
		}
		got.has(t, recovery.CameBack)
		var p recovery.Plan
		if err := json.Unmarshal([]byte(got.out), &p); err != nil {
			t.Fatalf("%q: %v", got.out, err)
		}
		point, _ := p.Moment.Point(m.Component)
		if p.Moment.Anchor != m.Component || point.Backup.ID != m.Backup || point.Engine != m.Engine || point.Copy != m.Copy || len(p.Moment.Points) != 5 {
			t.Errorf("--to %s goes to %+v", m.Backup, p.Moment)
		}
		usable[m.Engine] = true
	}
	if len(usable) != 6 {
		t.Errorf("there is a moment for the whole system of %v only, in\n%s", usable, one)
	}
}

// A window of which only the end is beyond says how far it can be used.
func TestPasses(t *testing.T) {
	at := func(hour int) time.Time { return time.Date(2026, 11, 23, hour, 0, 0, 0, time.UTC) }
	window := catalogue.Reachable{Exactness: recovery.ToCommit, From: at(8), To: at(12)}
	for name, test := range map[string]struct {
		beyond []string
		until  int
		want   string
	}{
		"all of it": {},
		"its end":   {[]string{"b"}, 10, "; the log of b goes on only until 2026-11-23 10:00:00Z"},
		"none":      {[]string{"b"}, 7, "; the log of b ends before it, at 2026-11-23 07:00:00Z"},
	} {
		m := window
		if m.Beyond = test.beyond; test.beyond != nil {
			m.Until, m.First = at(test.until), test.beyond[0]
		}
		if says := passes(m, zone{at: time.UTC}); says != test.want {
			t.Errorf("%s: %q, want %q", name, says, test.want)
		}
	}
}
