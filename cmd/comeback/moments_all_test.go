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
	"comeback/recovery/files"
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
	var all []reachable
	of := map[string]int{}
	for line := range strings.Lines(got.out) {
		var m reachable
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
	if !slices.IsSortedFunc(all, func(a, b reachable) int { return a.begins().Compare(b.begins()) }) {
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
		late := len(m.Beyond) > 0 && m.begins().After(m.Until)
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

// Which moments another component's log does not reach is known where nothing else of that
// component goes on: a dump, a window that nothing follows, and an end that nobody has
// read leave every later moment as it is.
func TestEveryMoment_beyond(t *testing.T) {
	at := func(clock string) time.Time {
		when, err := time.Parse(time.DateTime, "2026-11-23 "+clock)
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	survey := func(component, copy string, windows []recovery.Window, alone ...string) recovery.Survey {
		s := recovery.Survey{Component: component, Copy: copy, Engine: "pitr"}
		for i, w := range windows {
			id := fmt.Sprint(component, "/", copy, i)
			w.Backup = id
			s.Windows = append(s.Windows, w)
			s.Backups = append(s.Backups, recovery.Backup{ID: id, Taken: recovery.Span{To: w.From.Time}})
		}
		for _, clock := range alone {
			s.Backups = append(s.Backups, recovery.Backup{ID: clock, Taken: recovery.Span{From: at(clock), To: at(clock)}})
		}
		return s
	}
	window := func(timeline uint32, from, to string, change func(*recovery.Window)) recovery.Window {
		w := recovery.Window{Timeline: timeline, From: recovery.Instant{Time: at(from), LSN: 1}}
		if to != "" {
			w.To = recovery.Instant{Time: at(to), LSN: 2}
		}
		if change != nil {
			change(&w)
		}
		return w
	}
	final := func(w *recovery.Window) { w.Final = true }
	seconds := func(w *recovery.Window) { w.From.LSN, w.To.LSN = 0, 0 }
	uploads := survey("uploads", "nearby", nil, "09:00:00", "12:00:00", "12:00:01")
	components := []recovery.Component{{Name: "database"}, {Name: "uploads"}}
	for name, test := range map[string]struct {
		database []recovery.Survey
		beyond   []string
	}{
		"log that ends":                 {[]recovery.Survey{survey("database", "nearby", []recovery.Window{window(1, "08:00:00", "12:00:00", nil)})}, []string{"12:00:01"}},
		"log to the second":             {[]recovery.Survey{survey("database", "nearby", []recovery.Window{window(0, "08:00:00", "11:00:00", seconds)})}, []string{"12:00:00", "12:00:01"}},
		"the newest timeline":           {[]recovery.Survey{survey("database", "nearby", []recovery.Window{window(2, "08:00:00", "10:00:00", nil), window(1, "07:00:00", "12:00:01", nil)})}, []string{"12:00:00", "12:00:01"}},
		"the copy that goes further":    {[]recovery.Survey{survey("database", "nearby", []recovery.Window{window(1, "08:00:00", "10:00:00", nil)}), survey("database", "offsite", []recovery.Window{window(1, "08:00:00", "12:00:00", nil)})}, []string{"12:00:01"}},
		"an end that nobody has read":   {[]recovery.Survey{survey("database", "nearby", []recovery.Window{window(1, "08:00:00", "", nil)})}, nil},
		"a window that nothing follows": {[]recovery.Survey{survey("database", "nearby", []recovery.Window{window(0, "08:00:00", "10:00:00", final)})}, nil},
		"a dump beside it":              {[]recovery.Survey{survey("database", "nearby", []recovery.Window{window(1, "08:00:00", "10:00:00", nil)}), survey("database", "offsite", nil, "08:30:00")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var beyond []string
			for _, m := range everyMoment(components, catalogue.Catalogue{Surveys: append(test.database, uploads)}) {
				if len(m.Beyond) == 0 {
					continue
				}
				if beyond = append(beyond, m.Backup); m.Component != "uploads" || !slices.Equal(m.Beyond, []string{"database"}) || m.Until.IsZero() || !m.begins().After(m.Until) {
					t.Errorf("%+v", m)
				}
			}
			if !slices.Equal(beyond, test.beyond) {
				t.Errorf("beyond the end are %q, want %q", beyond, test.beyond)
			}
		})
	}
	// A window of which only the end is beyond says how far it can be used.
	all := everyMoment([]recovery.Component{{Name: "a"}, {Name: "b"}}, catalogue.Catalogue{Surveys: []recovery.Survey{
		survey("a", "nearby", []recovery.Window{window(1, "08:00:00", "12:00:00", nil)}), survey("b", "nearby", []recovery.Window{window(1, "08:00:00", "10:00:00", nil)})}})
	if len(all) != 2 || !all[1].Until.Equal(at("10:00:00")) || !slices.Equal(all[1].Beyond, []string{"b"}) || len(all[0].Beyond) > 0 {
		t.Errorf("%+v", all)
	}
	if says, want := all[1].passes(zone{at: time.UTC}), "; the log of b goes on only until 2026-11-23 10:00:00Z"; says != want {
		t.Errorf("%q, want %q", says, want)
	}
	bucket := recovery.Survey{Component: "uploads", Copy: "nearby", Engine: files.Bucket, Backups: []recovery.Backup{{ID: "versions", Taken: recovery.Span{From: at("06:00:00"), To: at("13:00:00")}}}}
	database := survey("database", "nearby", []recovery.Window{window(1, "08:00:00", "12:00:00", nil)})
	for _, m := range everyMoment(components, catalogue.Catalogue{Surveys: []recovery.Survey{database, bucket}}) {
		switch m.Component {
		case "uploads": // until the database's end it can be gone to
			if !m.begins().Equal(at("06:00:00")) || !m.Until.Equal(at("12:00:00")) || m.begins().After(m.Until) {
				t.Errorf("a bucket's versions: %+v", m)
			}
		case "database":
			if len(m.Without) > 0 {
				t.Errorf("beside a bucket's versions: %+v", m)
			}
		}
	}
}
