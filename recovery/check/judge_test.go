package check_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/recovery/check"
	"comeback/recovery/dump"
	"comeback/recovery/postgres"
	"comeback/storage"
)

// engine is one by its schema alone.
type engine struct{ schema recovery.Schema }

func (e engine) Schema() recovery.Schema { return e.schema }
func (engine) Survey(context.Context, recovery.Component, recovery.Copy, storage.Store) (recovery.Survey, error) {
	return recovery.Survey{}, nil
}
func (engine) Resolve(context.Context, recovery.Survey, recovery.Want, storage.Store) (recovery.Point, error) {
	return recovery.Point{}, nil
}
func (engine) Plan(recovery.Component, recovery.Point, recovery.Target) ([]recovery.Step, error) {
	return nil, nil
}
func (engine) Kinds() []recovery.Kind { return nil }

var now = at("2026-11-23 09:13:40")

func at(text string) time.Time {
	t, err := time.ParseInLocation("2006-01-02 15:04:05", text, time.FixedZone("", 3600))
	if err != nil {
		panic(err)
	}
	return t
}

// survey is a daily habit of backups up to a last one.
func survey(copy, component, engine string, last time.Time, size int64) recovery.Survey {
	s := recovery.Survey{Component: component, Copy: copy, Engine: engine}
	for day := 5; day >= 0; day-- {
		taken := last.AddDate(0, 0, -day)
		s.Backups = append(s.Backups, recovery.Backup{ID: fmt.Sprintf("%s/%s", component, taken.Format("20060102")), Component: component, Copy: copy, Engine: engine,
			Objects: []storage.Object{{Key: "x", Size: size}}, Taken: recovery.Span{From: taken, To: taken}})
	}
	return s
}

// healthy is the evidence of a shop in which nothing is wrong. The tests change it.
func healthy() *check.Evidence {
	e := &check.Evidence{System: "shop", Runbook: "r1", Path: "shop.md", At: now, RPO: 5 * time.Minute, RTO: 30 * time.Minute, Rehearse: 90 * 24 * time.Hour, Owner: "platform on-call",
		Components: []recovery.Component{{Name: "database", Kind: recovery.Postgres}, {Name: "uploads", Kind: recovery.Files}, {Name: "config", Kind: recovery.Config}, {Name: "code", Kind: recovery.Code}},
		Sources:    map[string]check.Source{}, Servers: map[string]check.Server{}, Identities: map[string]error{}, Majors: []int{17, 15}}
	for _, c := range e.Components {
		e.Jobs = append(e.Jobs, check.Job{Name: "backup-" + c.Name, Unit: "comeback-shop-backup-" + c.Name + ".timer", Component: c.Name, Told: true})
	}
	e.Jobs = append(e.Jobs, check.Job{Name: "check", Unit: "comeback-shop-check.timer", Told: true})
	for _, s := range []recovery.Schema{{Engine: "pitr", Kind: recovery.Postgres}, {Engine: "files", Kind: recovery.Files}, {Engine: "config", Kind: recovery.Config}, {Engine: "code", Kind: recovery.Code}} {
		e.Engines = append(e.Engines, engine{s})
	}
	p := check.Proof{Run: "4f2a", Mode: recovery.Rehearsal, At: at("2026-10-12 10:00:00"), Passed: true, Signed: true, Runbook: "r1", Took: 13*time.Minute + 12*time.Second,
		Stages: []check.Stage{{Name: "Stop the writes"}, {Name: "Restore"}, {Name: "Check"}}}
	older := p
	older.Run, older.At, older.Points = "3b1c", at("2026-10-05 10:00:00"), nil
	for _, name := range []string{"nearby", "offsite"} {
		db := survey(name, "database", "pitr", at("2026-11-23 01:00:41"), 13_100_000_000)
		for _, b := range db.Backups {
			db.Windows = append(db.Windows, recovery.Window{Component: "database", Copy: name, Engine: "pitr", Backup: b.ID, To: recovery.Instant{Time: at("2026-11-23 09:13:02")}})
		}
		e.Catalogue.Surveys = append(e.Catalogue.Surveys, db)
		c := check.Copy{Copy: recovery.Copy{Name: name}, Medium: "a directory", Domain: "disk 8:1 of backup1"}
		if name == "offsite" {
			c.Medium, c.Provider, c.Domain, c.Region, c.Copy.Account = "a bucket", "AWS", "AWS, account 210987654321", "eu-central-1", "210987654321"
			c.Locking = &storage.Locking{Able: true, On: true, Mode: "COMPLIANCE", For: 30 * 24 * time.Hour}
			c.Canary = check.Tried{Refused: true, By: "user/backup-writer", Mode: "COMPLIANCE", Until: at("2026-12-20 00:00:00")}
		}
		for _, component := range e.Components[1:] {
			s := survey(name, component.Name, component.Name, at("2026-11-23 09:12:00"), 10_000_000)
			e.Catalogue.Surveys = append(e.Catalogue.Surveys, s)
		}
		e.Copies = append(e.Copies, c)
		for _, component := range e.Components {
			pt := recovery.Point{Component: component.Name, Copy: name, Backup: recovery.Backup{Objects: []storage.Object{{Size: 13_000_000_000}}}}
			if name == "nearby" {
				p.Points = append(p.Points, pt)
			} else {
				older.Points = append(older.Points, pt)
			}
		}
	}
	e.Proofs = []check.Proof{p, older}
	e.Servers["database"] = check.Server{Free: 40_000_000_000, Archiver: postgres.Archiver{Version: "15.18", Mode: "on", Now: now, ArchivedAt: at("2026-11-23 09:13:10"),
		Archived: "00000001000000030000007A", SegmentSize: 16 << 20, LSN: 0x37A21F0C8, Commit: at("2026-11-23 09:13:30")},
		Keeping: postgres.Keeping{ArchiveTimeout: time.Minute, MaxSlotKeep: -1}, ArchivedLSN: 0x37A000000}
	return e
}

// restored says how large the database was that was last restored.
func restored(e *check.Evidence, size int64) {
	for i := range e.Proofs {
		for k := range e.Proofs[i].Points {
			if pt := &e.Proofs[i].Points[k]; pt.Component == "database" {
				pt.Backup.Objects = []storage.Object{{Size: size}}
			}
		}
	}
}

// snapshots says how much was in the uploads that were last restored, and is now. The objects
// that surveys list tell nothing of that.
func snapshots(e *check.Evidence, then, now int64) {
	for i := range e.Proofs {
		for k := range e.Proofs[i].Points {
			if pt := &e.Proofs[i].Points[k]; pt.Component == "uploads" {
				pt.Backup.Holds.Bytes, pt.Backup.Objects = then, []storage.Object{{Size: 2_000_000_000}}
			}
		}
	}
	edit(e, "", "uploads", func(s *recovery.Survey) {
		for i := range s.Backups {
			s.Backups[i].Holds.Bytes, s.Backups[i].Objects = now, []storage.Object{{Key: "x", Size: 400}}
		}
	})
}

// A judgement is in one zone, whichever the times came in.
func TestJudge_zone(t *testing.T) {
	says := func(in *time.Location) []string {
		e := healthy()
		told := func(t time.Time) time.Time { return t.In(in) }
		e.Copies[0].Unfinished = []check.Unfinished{{Component: "database", Mark: "comeback/unfinished/database/x.json", Prefix: "base/20261121T091200Z/", Last: told(now.Add(-49 * time.Hour))}}
		e.Copies[0].Lacking = check.Lacking{Files: 3, Since: told(now.Add(-33 * time.Hour))}
		e.Copies[0].OtherRunbook, e.Copies[0].OtherSince = "another", told(at("2025-11-23 00:13:40"))
		edit(e, "nearby", "uploads", func(s *recovery.Survey) {
			wrong := told(at("2027-01-01 00:30:00"))
			s.Backups = append(s.Backups, recovery.Backup{ID: "uploads/wrong", Component: "uploads", Copy: "nearby", Engine: "files", Taken: recovery.Span{From: wrong, To: wrong}})
		})
		edit(e, "nearby", "database", func(s *recovery.Survey) { s.Windows[len(s.Windows)-1].To.Time = told(at("2027-01-01 00:30:00")) })
		s := e.Servers["database"]
		s.ArchivedAt, s.FailedAt, s.Failed, s.Failures = told(at("2026-11-23 00:13:40")), told(now), "00000001000000030000007B", 60
		e.Servers["database"] = s
		var all []string
		for _, f := range check.Judge(*e).Findings {
			all = append(all, f.Says)
		}
		return all
	}
	ours := says(now.Location())
	for _, want := range []string{"is of 21 Nov 08:13", "first since 22 Nov 00:13", "of 23 Nov 2025 00:13", "of 1 Jan 2027 00:30, which is still", "a commit of 1 Jan 2027 00:30", "since 23 Nov 00:13"} {
		if !slices.ContainsFunc(ours, func(says string) bool { return strings.Contains(says, want) }) {
			t.Errorf("nothing says %q: %q", want, ours)
		}
	}
	if got := says(time.FixedZone("", -8*3600)); !slices.Equal(got, ours) {
		t.Errorf("of times in another zone: %q\nwant %q", got, ours)
	}
}

// stranger lets nobody know who has signed a run.
func stranger(e *check.Evidence, i int) {
	e.Signers = "/etc/shop/signers"
	e.Proofs[i].Signed, e.Proofs[i].Stranger = false, &check.Stranger{Fingerprint: "SHA256:abc", Why: "there is no list of signers", Line: "ci@ci7 ssh-ed25519 AAAA"}
}

// edit changes the surveys of a component in a copy ("" is all).
func edit(e *check.Evidence, copy, component string, change func(*recovery.Survey)) {
	for i := range e.Catalogue.Surveys {
		if s := &e.Catalogue.Surveys[i]; (copy == "" || s.Copy == copy) && s.Component == component {
			change(s)
		}
	}
}

// ofCluster lets a survey's backups be those of a cluster.
func ofCluster(s *recovery.Survey, system string) {
	for i := range s.Backups {
		s.Backups[i].Details = map[string]string{recovery.SystemIdentifier: system}
	}
}

// quiet lets the log in the copies end with a commit of yesterday, and a person write
// this second.
func quiet(e *check.Evidence) check.Server {
	edit(e, "", "database", func(s *recovery.Survey) {
		for i := range s.Windows {
			s.Windows[i].To.Time = e.At.Add(-20 * time.Hour)
		}
		for i := range s.Backups {
			s.Backups[i].Taken = recovery.Span{From: e.At.Add(-21 * time.Hour), To: e.At.Add(-21 * time.Hour)}
		}
	})
	s := e.Servers["database"]
	s.ArchivedAt, s.Commit, s.Held = e.At.Add(-20*time.Hour), e.At.Add(-time.Second), s.ArchivedLSN+16<<20
	s.LSN = s.Held + 1<<20
	e.Servers["database"] = s
	return s
}

func TestJudge_healthy(t *testing.T) {
	a := check.Judge(*healthy())
	if a.Answer != recovery.WouldSave || len(a.Findings) != 0 || a.Exit() != recovery.CheckOK {
		t.Errorf("%s: %+v", a.Answer, a.Findings)
	}
	for _, d := range a.Digits {
		if d.Mark != recovery.Met {
			t.Errorf("%s is %s: %v", d.Name, d.Mark, d.Evidence)
		}
	}
}

// Each thing that goes wrong is found as that, and nothing else is.
func TestJudge(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*check.Evidence)
		// ids are those of the findings, answer what they come to, says what one of
		// them says, does what one of them says to do.
		ids        []string
		answer     recovery.Answer
		says, does string
	}{
		{"uploads are too old", func(e *check.Evidence) {
			edit(e, "", "uploads", func(s *recovery.Survey) { *s = survey(s.Copy, "uploads", "files", at("2026-11-23 09:00:00"), 1) })
		}, []string{"rpo/uploads"}, recovery.WouldBut, "uploads: its newest moment is 13m40 old, the RPO is 5m00", "back it up each 2m30, not each 24h00m"},
		{"uploads are old and unchanged", func(e *check.Evidence) {
			edit(e, "", "uploads", func(s *recovery.Survey) { *s = survey(s.Copy, "uploads", "files", at("2026-11-22 12:00:00"), 1) })
			e.Sources["uploads"] = check.Source{Fingerprint: "f"}
			e.Copies[0].Manifests = []recovery.Manifest{{ID: "uploads/20261122", Component: "uploads", Fingerprint: "f"}}
		}, nil, recovery.WouldSave, "", ""},
		{"uploads have changed, and their job has stopped", func(e *check.Evidence) {
			edit(e, "", "uploads", func(s *recovery.Survey) { *s = survey(s.Copy, "uploads", "files", at("2026-11-21 09:12:00"), 1) })
			e.Sources["uploads"] = check.Source{Fingerprint: "g"}
			e.Copies[0].Manifests = []recovery.Manifest{{ID: "uploads/20261121", Component: "uploads", Fingerprint: "f"}}
		}, []string{"rpo/uploads", "stopped/uploads/nearby/files", "stopped/uploads/offsite/files"}, recovery.WouldBut, "uploads: its newest moment is 2d", "systemctl list-timers"},
		{"a backup of a wrong clock hides nothing", func(e *check.Evidence) {
			edit(e, "", "uploads", func(s *recovery.Survey) {
				*s = survey(s.Copy, "uploads", "files", at("2026-11-21 09:12:00"), 1)
				next := e.At.AddDate(1, 0, 0)
				s.Backups = append(s.Backups, recovery.Backup{ID: "uploads/wrong", Component: "uploads", Copy: s.Copy, Engine: "files", Taken: recovery.Span{From: next, To: next}})
			})
			e.Copies[0].Manifests = []recovery.Manifest{{ID: "uploads/wrong", Component: "uploads", Moment: recovery.Span{From: e.At.AddDate(1, 0, 0), To: e.At.AddDate(1, 0, 0)}}}
		}, []string{"future/uploads/nearby", "future/uploads/offsite", "rpo/uploads", "stopped/uploads/nearby/files", "stopped/uploads/offsite/files"}, recovery.WouldBut,
			"nearby: uploads/wrong of uploads says that it is of 23 Nov 2027 09:13, which is still to come", "recover by the id"},
		{"a snapshot that contradicts the clock of its store", func(e *check.Evidence) {
			edit(e, "nearby", "uploads", func(s *recovery.Survey) {
				b := &s.Backups[len(s.Backups)-1]
				b.Contradicts = b.Taken.To.Add(-time.Hour)
			})
		}, []string{"clock/uploads/nearby"}, recovery.WouldBut, "one of the clocks was wrong", "compare the clocks"},
		{"what was stored two days ago is no newer by its manifest", func(e *check.Evidence) {
			edit(e, "", "uploads", func(s *recovery.Survey) { *s = survey(s.Copy, "uploads", "files", at("2026-11-21 09:12:00"), 1) })
			for i := range e.Copies {
				e.Copies[i].Manifests = []recovery.Manifest{{ID: "uploads/20261121", Component: "uploads", Kind: recovery.Files, Moment: recovery.Span{From: e.At.Add(-time.Minute), To: e.At.Add(-time.Minute)}}}
			}
		}, []string{"rpo/uploads", "stopped/uploads/nearby/files", "stopped/uploads/offsite/files"}, recovery.WouldBut, "uploads: its newest moment is 2d", ""},
		{"a log of a server whose clock is wrong", func(e *check.Evidence) {
			edit(e, "", "database", func(s *recovery.Survey) {
				for i := range s.Windows {
					s.Windows[i].To.Time = e.At.Add(time.Hour)
				}
			})
		}, []string{"future/database/nearby", "future/database/offsite", "rpo/database"}, recovery.WouldBut, "nearby: the log of database ends with a commit of 23 Nov 2026 10:13, which is still to come", "chronyc tracking"},
		{"a runbook that is silent about files and code", func(e *check.Evidence) {
			e.Components = []recovery.Component{e.Components[0], e.Components[2]}
		}, []string{"kinds"}, recovery.WouldBut, "the runbook says nothing of uploaded files and code", "without: [files, code]"},
		{"a runbook that says what there is not", func(e *check.Evidence) {
			e.Components, e.Without = e.Components[:2], []recovery.ComponentKind{recovery.Code, recovery.Config}
		}, nil, recovery.WouldSave, "", ""},
		{"nothing on this host makes backups, but they come", func(e *check.Evidence) {
			for i := range e.Jobs {
				e.Jobs[i].Told = false
			}
		}, nil, recovery.WouldSave, "", ""},
		{"nothing makes backups, and there are few", func(e *check.Evidence) {
			for i := range e.Jobs {
				e.Jobs[i].Told = e.Jobs[i].Component == "uploads"
			}
			for _, name := range []string{"uploads", "config", "code"} {
				edit(e, "", name, func(s *recovery.Survey) { s.Backups = s.Backups[3:] })
			}
		}, []string{"schedule"}, recovery.WouldBut, "nothing is seen that backs up config and code by itself", "comeback schedule shop.md --install"},
		{"backups that were made one after the other are no habit", func(e *check.Evidence) {
			e.Jobs[3].Told = false
			edit(e, "", "code", func(s *recovery.Survey) {
				for i := range s.Backups {
					at := now.Add(-time.Minute).Add(time.Duration(i) * time.Second)
					s.Backups[i].Taken = recovery.Span{From: at, To: at}
				}
			})
		}, []string{"schedule"}, recovery.WouldBut, "backs up code by itself", ""},
		{"a timer that nobody has started", func(e *check.Evidence) {
			e.Jobs[4].Told, e.Jobs[4].Idle = false, true
		}, []string{"schedule/check"}, recovery.WouldBut, "check is written on this host as comeback-shop-check.timer, which is not enabled", "systemctl enable --now comeback-shop-check.timer"},
		{"no copy holds the configuration", func(e *check.Evidence) {
			edit(e, "", "config", func(s *recovery.Survey) { s.Backups = nil })
		}, []string{"none/config", "3-2-1-1-0/3 copies", "3-2-1-1-0/2 kinds", "3-2-1-1-0/1 elsewhere", "3-2-1-1-0/1 locked"}, recovery.WouldNot, "config: no copy holds a backup", "comeback backup shop.md config"},
		{"a commit of now after a quiet night", func(e *check.Evidence) {
			quiet(e)
		}, nil, recovery.WouldSave, "", ""},
		{"a commit of now after a quiet night, and the label of a base backup was archived last", func(e *check.Evidence) {
			s := quiet(e)
			s.Archived, s.ArchivedLSN = s.Archived+".00000028.backup", 0
			e.Servers["database"] = s
		}, nil, recovery.WouldSave, "", ""},
		{"a commit of now after a quiet night, and closed segments wait", func(e *check.Evidence) {
			s := quiet(e)
			s.LSN += 16 << 20
			e.Servers["database"] = s
		}, []string{"rpo/database"}, recovery.WouldBut, "the RPO is 5m", ""},
		{"a commit of now after a quiet night, and no copy has what was archived", func(e *check.Evidence) {
			s := quiet(e)
			s.Held -= 16 << 20
			e.Servers["database"] = s
		}, []string{"rpo/database"}, recovery.WouldBut, "the RPO is 5m", ""},
		{"a dump is shorter than what was stored", func(e *check.Evidence) {
			edit(e, "nearby", "code", func(s *recovery.Survey) {
				b := s.Backups[len(s.Backups)-1]
				e.Copies[0].Manifests = []recovery.Manifest{{ID: b.ID, Component: "code", Kind: recovery.Code, Engine: "code", Objects: []recovery.StoredObject{{Key: "x", Size: 10_000_001}}}}
			})
		}, []string{"broken/code/nearby/code"}, recovery.WouldBut, "x has 10000000 bytes, and 10000001 were stored", ""},
		{"this host cannot keep what was found", func(e *check.Evidence) {
			e.State, e.Unkept = "/var/lib/comeback", []error{errors.New("no space left on device")}
		}, []string{"state"}, recovery.WouldBut, "cannot keep what it knows in /var/lib/comeback: no space left on device", "df -h /var/lib/comeback"},
		{"some of what a copy knows could not be read", func(e *check.Evidence) {
			e.Copies[0].Unread, e.Copies[0].UnreadErr = 1200, context.DeadlineExceeded
		}, []string{"records/nearby"}, recovery.WouldBut, "nearby: of 1200 backups it could not be read what was stored (context deadline exceeded)", "check again"},
		{"a file of a dump and its roles are gone", func(e *check.Evidence) {
			e.Engines = append(e.Engines, dump.New(dump.Options{}))
			for i, name := range []string{"nearby", "offsite"} {
				s := survey(name, "database", "dump", at("2026-11-23 01:00:00"), 1)
				objects := []recovery.StoredObject{{Key: s.Backups[5].ID + ".globals.sql"}, {Key: s.Backups[5].ID + "/toc.dat", Size: 1}, {Key: s.Backups[5].ID + "/3001.dat.gz", Size: 1}}
				s.Backups[5].Objects = []storage.Object{{Key: objects[1].Key, Size: 1}, {Key: objects[2].Key, Size: 1}}
				s.Backups[5].Details = map[string]string{"roles": objects[0].Key}
				if i == 0 {
					s.Backups[5].Objects, s.Backups[5].Details = s.Backups[5].Objects[:1], nil
				}
				e.Copies[i].Manifests = append(e.Copies[i].Manifests, recovery.Manifest{ID: s.Backups[5].ID, Component: "database", Engine: "dump", Objects: objects})
				e.Catalogue.Surveys = append(e.Catalogue.Surveys, s)
			}
		}, []string{"broken/database/nearby/dump", "roles/database/nearby"}, recovery.WouldBut, "database/20261123/3001.dat.gz is gone, which was stored", ""},
		{"a copy gets base backups each night, and no log for two days", func(e *check.Evidence) {
			edit(e, "offsite", "database", func(s *recovery.Survey) {
				for i := range s.Windows {
					s.Windows[i].To.Time = e.At.Add(-48 * time.Hour)
				}
			})
		}, []string{"behind/database/offsite"}, recovery.WouldBut, "offsite: database is 8h12m behind the other copies", ""},
		{"a copy gets base backups each night, and never any log", func(e *check.Evidence) {
			edit(e, "offsite", "database", func(s *recovery.Survey) { s.Windows = nil })
		}, []string{"log/database/offsite"}, recovery.WouldBut, "offsite: no log of database is in it", "comeback wal push"},
		{"a dump ended behind the survey", func(e *check.Evidence) {
			e.Engines = append(e.Engines, dump.New(dump.Options{}))
			s := survey("nearby", "database", "dump", at("2026-11-23 01:00:00"), 1)
			s.At = at("2026-11-23 01:00:00")
			e.Copies[0].Manifests = []recovery.Manifest{{ID: s.Backups[5].ID, Component: "database", Engine: "dump", Ended: s.At, Objects: []recovery.StoredObject{{Key: s.Backups[5].ID + "/3001.dat.gz", Size: 1}, {Key: s.Backups[5].ID + ".globals.sql"}}}}
			e.Catalogue.Surveys = append(e.Catalogue.Surveys, s)
		}, nil, recovery.WouldSave, "", ""},
		{"an older canary is locked, the newest backup is not", func(e *check.Evidence) {
			e.Copies[1].Newest = &storage.Retention{}
		}, []string{"3-2-1-1-0/1 locked"}, recovery.WouldBut, "objects can be locked, and the newest backup is not", ""},
		{"the lock of the canary ends and it goes", func(e *check.Evidence) {
			e.Copies[1].Canary = check.Tried{Deleted: true, Mode: "COMPLIANCE", Until: e.At.Add(-time.Hour)}
			e.Copies[1].Newest = &storage.Retention{Mode: "COMPLIANCE", Until: e.At.AddDate(0, 0, 20)}
		}, nil, recovery.WouldSave, "", ""},
		{"checks were weakened", func(e *check.Evidence) {
			e.Runbook = "weaker"
			for i := range e.Proofs {
				e.Proofs[i].Checks = map[string]string{"orders": "> 0", "rows": "= 5", "same": "1"}
			}
			e.Checks = map[string]string{"orders": ">= 0", "same": "1"}
		}, []string{"changed/database", "changed/uploads", "changed/config", "changed/code"}, recovery.WouldBut, `changed since: the check "orders" asks for something else, the check "rows" is gone`, ""},
		{"what was restored is a dump, and there are base backups, too", func(e *check.Evidence) {
			for i := range e.Proofs {
				for k := range e.Proofs[i].Points {
					if pt := &e.Proofs[i].Points[k]; pt.Component == "database" {
						pt.Backup.Engine, pt.Backup.Objects = "dump", []storage.Object{{Size: 1_000_000_000}}
					}
				}
			}
			for _, name := range []string{"nearby", "offsite"} {
				e.Catalogue.Surveys = append(e.Catalogue.Surveys, survey(name, "database", "dump", at("2026-11-23 01:00:00"), 1_100_000_000))
			}
		}, nil, recovery.WouldSave, "", ""},
		{"another comeback than that of the proof", func(e *check.Evidence) {
			e.Program, e.Proofs[0].Program, e.Proofs[1].Program = "v0.3.0", "v0.2.0", "v0.3.0"
		}, []string{"changed/database", "changed/uploads", "changed/config", "changed/code"}, recovery.WouldBut, "changed since: comeback: v0.2.0 then, v0.3.0 now", ""},
		{"another PostgreSQL than that of the proof", func(e *check.Evidence) {
			e.Programs = map[int]string{15: "15.18", 17: "17.6"}
			for i := range e.Proofs {
				e.Proofs[i].Programs = map[string]string{"database": "15.17 (Debian 15.17-1)"}
			}
		}, []string{"changed/database"}, recovery.WouldBut, "changed since: the programs of PostgreSQL: 15.17 then, 15.18 now", ""},
		{"a PostgreSQL of another packer, and one that only tells its major", func(e *check.Evidence) {
			e.Programs = map[int]string{15: "15.18", 17: "17.6"}
			e.Proofs[0].Programs, e.Proofs[1].Programs = map[string]string{"database": "15.18 (Debian 15.18-1)"}, map[string]string{"database": "17"}
		}, nil, recovery.WouldSave, "", ""},
		{"the server is of another major than the base backup that was restored", func(e *check.Evidence) {
			for i := range e.Proofs {
				for k := range e.Proofs[i].Points {
					e.Proofs[i].Points[k].Backup.Details = map[string]string{"server": "PostgreSQL 14"}
				}
			}
		}, []string{"changed/database"}, recovery.WouldBut, "the server: PostgreSQL 14 then, 15 now", ""},
		{"it has grown since it was restored", func(e *check.Evidence) { restored(e, 4_000_000_000) }, []string{"changed/database"}, recovery.WouldBut, "its size: 4.00 GB then, 13.1 GB now", "comeback rehearse shop.md"},
		{"a snapshot has grown since it was restored", func(e *check.Evidence) { snapshots(e, 4_000_000_000, 13_100_000_000) }, []string{"changed/uploads"}, recovery.WouldBut, "its size: 4.00 GB then, 13.1 GB now", "comeback rehearse shop.md"},
		{"a snapshot is as large as when it was restored, and a survey lists little of it", func(e *check.Evidence) { snapshots(e, 13_000_000_000, 13_100_000_000) }, nil, recovery.WouldSave, "", ""},
		{"an earlier version has restored a snapshot", func(e *check.Evidence) { snapshots(e, 0, 13_100_000_000) }, nil, recovery.WouldSave, "", ""},
		{"it has grown by little", func(e *check.Evidence) {
			restored(e, 1_000_000)
			edit(e, "", "database", func(s *recovery.Survey) {
				for i := range s.Backups {
					s.Backups[i].Objects[0].Size = 2_000_000
				}
			})
		}, nil, recovery.WouldSave, "", ""},
		{"a filed run was changed", func(e *check.Evidence) {
			e.Altered = []string{"4f2a in offsite"}
		}, []string{"filed/altered"}, recovery.WouldBut, "4f2a in offsite", ""},
		{"one copy lacks the code", func(e *check.Evidence) {
			edit(e, "offsite", "code", func(s *recovery.Survey) { s.Backups = nil })
		}, []string{"absent/code/offsite", "3-2-1-1-0/3 copies", "3-2-1-1-0/2 kinds", "3-2-1-1-0/1 elsewhere", "3-2-1-1-0/1 locked"}, recovery.WouldBut, "offsite does not hold every component", ""},
		{"a copy refuses", func(e *check.Evidence) {
			e.Copies[1].Err = errors.New("list s3://b: access denied")
			edit(e, "offsite", "database", func(s *recovery.Survey) { *s = recovery.Survey{} })
			edit(e, "offsite", "uploads", func(s *recovery.Survey) { *s = recovery.Survey{} })
			edit(e, "offsite", "config", func(s *recovery.Survey) { *s = recovery.Survey{} })
			edit(e, "offsite", "code", func(s *recovery.Survey) { *s = recovery.Survey{} })
		}, []string{"refused/offsite", "3-2-1-1-0/3 copies", "3-2-1-1-0/2 kinds", "3-2-1-1-0/1 elsewhere", "3-2-1-1-0/1 locked"}, recovery.WouldBut, "offsite could not be judged: list s3://b: access denied", ""},
		{"the log has a gap", func(e *check.Evidence) {
			edit(e, "nearby", "database", func(s *recovery.Survey) {
				s.Windows[len(s.Windows)-1].Gaps = []recovery.Gap{{Object: "wal/0000000100000003000000AA", Why: "missing"}}
			})
		}, []string{"gap/database/nearby"}, recovery.WouldBut, "the log of database has a gap: wal/0000000100000003000000AA is missing", "look for it in the other copies"},
		{"the newest backup is broken", func(e *check.Evidence) {
			edit(e, "nearby", "code", func(s *recovery.Survey) { s.Backups[5].Problem = "it ends in its head" })
		}, []string{"broken/code/nearby/code"}, recovery.WouldBut, "the newest backup of code, code/20261123, cannot be restored: it ends in its head", ""},
		{"one that is being made is no finding", func(e *check.Evidence) {
			edit(e, "nearby", "database", func(s *recovery.Survey) {
				s.Backups = append(s.Backups, recovery.Backup{ID: "base/20261123T091200Z", Problem: "base.tar is missing"})
			})
			e.Copies[0].Unfinished = []check.Unfinished{{Component: "database", Prefix: "base/20261123T091200Z/", Last: now.Add(-time.Hour)}}
		}, nil, recovery.WouldSave, "", ""},
		{"one that was cut off days ago is one", func(e *check.Evidence) {
			edit(e, "nearby", "database", func(s *recovery.Survey) {
				s.Backups = append(s.Backups, recovery.Backup{ID: "base/20261123T091200Z", Problem: "base.tar is missing"})
			})
			e.Copies[0].Unfinished = []check.Unfinished{{Component: "database", Mark: "comeback/unfinished/database/x.json", Prefix: "base/20261123T091200Z/", Last: now.Add(-25 * time.Hour)}}
		}, []string{"broken/database/nearby/pitr", "unfinished/nearby/database/x.json"}, recovery.WouldBut, "was cut off and takes room", "the next backup clears it away"},
		{"one of a component that is gone", func(e *check.Evidence) {
			e.Copies[0].Unfinished = []check.Unfinished{{Component: "db", Mark: "comeback/unfinished/db/x.json", Prefix: "db/20261123T091200Z", Last: now.Add(-25 * time.Hour)}}
		}, []string{"unfinished/nearby/db/x.json"}, recovery.WouldBut, "was cut off and takes room", "remove comeback/unfinished/db/x.json and what begins with db/20261123T091200Z by hand"},
		{"a job has stopped", func(e *check.Evidence) {
			edit(e, "nearby", "database", func(s *recovery.Survey) {
				windows := s.Windows
				*s = survey("nearby", "database", "pitr", at("2026-11-20 01:00:00"), 13_100_000_000)
				s.Windows = windows
				for i := range s.Windows {
					s.Windows[i].Backup = s.Backups[i].ID
				}
			})
		}, []string{"stopped/database/nearby/pitr"}, recovery.WouldBut, "backups of database (pitr) came each 24h00m; the last is 3d 8h old", "systemctl list-timers"},
		{"the archive_command fails", func(e *check.Evidence) {
			s := e.Servers["database"]
			s.ArchivedAt, s.FailedAt, s.Failed, s.Failures = at("2026-11-23 08:13:40"), now, "00000001000000030000007B", 60
			s.LSN, s.ArchivedLSN, s.Free, s.WALBytes = 0x3BA000000, 0x37A000000, 4<<30, 1<<30
			e.Servers["database"] = s
		}, []string{"archive/database"}, recovery.WouldBut, "the archive_command fails, last at 23 Nov 09:13 for 00000001000000030000007B; nothing was archived since 23 Nov 08:13, and it failed 60 times in all; 1.07 GB lie in pg_wal, 4.29 GB are free: full in about 4h00m", "the server's log"},
		{"the archive_command never did anything else", func(e *check.Evidence) {
			s := e.Servers["database"]
			s.Archived, s.ArchivedAt, s.FailedAt, s.Failed, s.Failures = "", time.Time{}, now, "00000001000000030000007B", 60
			e.Servers["database"] = s
		}, []string{"archive/database"}, recovery.WouldBut, "the archive_command fails, last at 23 Nov 09:13 for 00000001000000030000007B; nothing was ever archived, and it failed 60 times in all", "the server's log"},
		{"the archive_command fails on a quiet server", func(e *check.Evidence) {
			s := e.Servers["database"]
			s.ArchivedAt, s.FailedAt, s.Failed, s.Failures = now.Add(-8*24*time.Hour), now, "00000001000000030000007B", 60
			s.LSN, s.ArchivedLSN, s.Free, s.WALBytes = 0x37C000000, 0x37A000000, 2<<40, 1<<30
			e.Servers["database"] = s
		}, []string{"archive/database"}, recovery.WouldBut, "2.20 TB are free: full in about 3650d 0h", "the server's log"},
		{"archive_timeout is too long", func(e *check.Evidence) {
			s := e.Servers["database"]
			s.ArchiveTimeout = time.Hour
			e.Servers["database"] = s
		}, []string{"timeout/database"}, recovery.WouldBut, "archive_timeout is 1h00m", "alter system set archive_timeout = '150s'"},
		{"a slot has gone wild", func(e *check.Evidence) {
			s := e.Servers["database"]
			s.Slots = []postgres.Slot{{Name: "fine", Active: true, Bytes: 30 << 30}, {Name: "search_cdc", Bytes: 20 << 30, Status: "extended"}}
			e.Servers["database"] = s
		}, []string{"slot/database/search_cdc"}, recovery.WouldBut, "the slot search_cdc holds 21.5 GB of log, and nothing reads it; no max_slot_wal_keep_size limits it; 40.0 GB are free", "pg_drop_replication_slot('search_cdc')"},
		{"the server is newer than the tools", func(e *check.Evidence) { e.Majors = []int{14} }, []string{"tools/database"}, recovery.WouldBut, "the server is PostgreSQL 15, and the newest that is installed here is 14", "apt-get install postgresql-15"},
		{"a server that was built anew", func(e *check.Evidence) {
			s := e.Servers["database"]
			s.SystemIdentifier, s.BackedUp = "2", "1"
			e.Servers["database"] = s
		}, []string{"cluster/database"}, recovery.WouldBut, "the live server is the cluster 2, and the newest base backup is of the cluster 1", "comeback backup"},
		{"a copy that holds the server from before alone, whose log goes on", func(e *check.Evidence) {
			edit(e, "nearby", "database", func(s *recovery.Survey) {
				ofCluster(s, "2")
				for i := range s.Windows {
					s.Windows[i].To.Time = e.At.Add(-time.Hour)
				}
			})
			edit(e, "offsite", "database", func(s *recovery.Survey) {
				*s = survey("offsite", "database", "pitr", at("2026-11-23 00:30:41"), 13_100_000_000)
				ofCluster(s, "1")
				s.Windows = []recovery.Window{{Component: "database", Copy: "offsite", Engine: "pitr", Backup: s.Backups[5].ID, To: recovery.Instant{Time: e.At.Add(-time.Second)}}}
			})
		}, []string{"cluster/database/offsite", "rpo/database"}, recovery.WouldBut, "its newest moment is 1h00m old", "--copy offsite"},
		{"the first base backup of another server is being made", func(e *check.Evidence) {
			edit(e, "", "database", func(s *recovery.Survey) { ofCluster(s, "1") })
			edit(e, "nearby", "database", func(s *recovery.Survey) {
				s.Backups = append(s.Backups, recovery.Backup{ID: "base/20261123T091200Z", Problem: "base.tar is missing", Details: map[string]string{recovery.SystemIdentifier: "2"}})
			})
			e.Copies[0].Unfinished = []check.Unfinished{{Component: "database", Prefix: "base/20261123T091200Z/", Last: now.Add(-time.Hour)}}
		}, nil, recovery.WouldSave, "", ""},
		{"a server of which a base backup is there", func(e *check.Evidence) {
			s := e.Servers["database"]
			s.SystemIdentifier, s.BackedUp = "2", "2"
			e.Servers["database"] = s
		}, nil, recovery.WouldSave, "", ""},
		{"the server does not answer", func(e *check.Evidence) { e.Servers["database"] = check.Server{Err: errors.New("connection refused")} }, []string{"server/database"}, recovery.WouldBut, "could not be asked: connection refused", ""},
		{"the clocks differ", func(e *check.Evidence) { skew := -3 * time.Minute; e.Copies[1].Skew = &skew }, []string{"clock/offsite"}, recovery.WouldBut, "differ by 3m00", "chronyc"},
		{"a copy lacks log", func(e *check.Evidence) {
			e.Copies[1].Lacking = check.Lacking{Files: 12, Bytes: 40 << 20, Since: at("2026-11-23 08:00:00")}
		}, []string{"lacks/offsite"}, recovery.WouldBut, "offsite lacks 12 files of the log", "--catch-up"},
		{"nobody receives the log", func(e *check.Evidence) {
			i := slices.IndexFunc(e.Components, func(c recovery.Component) bool { return c.Name == "database" })
			e.Components = slices.Clone(e.Components)
			e.Components[i].Settings = maps.Clone(e.Components[i].Settings)
			if e.Components[i].Settings == nil {
				e.Components[i].Settings = recovery.Settings{}
			}
			e.Components[i].Settings["receiver"] = []string{"comeback"}
			s := e.Servers["database"]
			s.Slots = []postgres.Slot{{Name: "comeback", Bytes: 1 << 20, Status: "reserved"}, {Name: "other", Bytes: 1 << 20, Status: "reserved"}}
			e.Servers["database"] = s
		}, []string{"slot/database/comeback"}, recovery.WouldBut, "nothing receives the log through the slot comeback, which holds 1.05 MB of it", "comeback wal receive shop.md"},
		{"the spool fills its disk", func(e *check.Evidence) {
			free := int64(80 << 20)
			e.Copies[1].Lacking = check.Lacking{Files: 12, Bytes: 40 << 20, Since: e.At.Add(-3 * time.Hour), Free: &free}
		}, []string{"lacks/offsite"}, recovery.WouldBut, "spool alone, where 83.9 MB are free: full in about 6h00m, and nothing is archived from then on", "--catch-up"},
		{"the spool has filled its disk", func(e *check.Evidence) {
			e.Copies[1].Lacking = check.Lacking{Files: 12, Bytes: 40 << 20, Since: e.At.Add(-3 * time.Hour), Free: new(int64)}
		}, []string{"lacks/offsite"}, recovery.WouldBut, "where 0 B are free: full now", "--catch-up"},
		{"a spool cannot be read", func(e *check.Evidence) {
			e.Spools = []check.Spool{{Component: "database", Dir: "/var/lib/x", Err: errors.New("read the spool: permission denied")}}
		}, []string{"spool/database"}, recovery.WouldBut, "could not be told: read the spool: permission denied", "may read /var/lib/x"},
		{"log waits for a copy of another name", func(e *check.Evidence) {
			e.Spools = []check.Spool{{Component: "database", Copy: "remote", Lacking: check.Lacking{Files: 3, Bytes: 40 << 20}}}
		}, []string{"spool/database/remote"}, recovery.WouldBut, "3 files of the log of database (41.9 MB) wait on this host for the copy remote", "--forget remote"},
		{"log of one of two databases waits for a copy of another name", func(e *check.Evidence) {
			e.Components = append(slices.Clone(e.Components), recovery.Component{Name: "ledger", Kind: recovery.Postgres})
			for _, name := range []string{"nearby", "offsite"} {
				s := survey(name, "ledger", "pitr", e.At.Add(-time.Minute), 1)
				e.Catalogue.Surveys = append(e.Catalogue.Surveys, s)
			}
			for i := range e.Proofs {
				e.Proofs[i].Points = append(e.Proofs[i].Points, recovery.Point{Component: "ledger", Copy: []string{"nearby", "offsite"}[i]})
			}
			e.Spools = []check.Spool{{Component: "ledger", Copy: "remote", Lacking: check.Lacking{Files: 3, Bytes: 40 << 20}}}
		}, []string{"spool/ledger/remote"}, recovery.WouldBut, "3 files of the log of ledger (41.9 MB) wait on this host for the copy remote", "--catch-up --component ledger --forget remote"},
		{"what was received is not pushed", func(e *check.Evidence) {
			e.Received = []check.Received{{Component: "database", Dir: "/var/lib/x-received", Lacking: check.Lacking{Files: 2, Bytes: 32 << 20, Since: at("2026-11-23 08:00:00")}, Partial: "7.partial"}}
		}, []string{"received/database"}, recovery.WouldBut, "not in the copies: 2 finished segments (33.6 MB), the first of 23 Nov 08:00 in /var/lib/x-received", "comeback wal receive shop.md"},
		{"what was received is being pushed", func(e *check.Evidence) {
			e.Received = []check.Received{{Component: "database", Dir: "/var/lib/x-received", Lacking: check.Lacking{Files: 1, Since: e.At.Add(-time.Minute)}, Partial: "7.partial"}}
		}, nil, recovery.WouldSave, "", ""},
		{"what was received is all that there is of the newest log", func(e *check.Evidence) {
			server := e.Servers["database"]
			server.Err = errors.New("connection refused")
			e.Servers["database"] = server
			e.Received = []check.Received{{Component: "database", Dir: "/var/lib/x-received", Partial: "7.partial", Until: at("2026-11-23 08:00:00")}}
		}, []string{"received/database", "server/database"}, recovery.WouldBut, "in no copy: 7.partial, last written to 23 Nov 08:00:00 in /var/lib/x-received", "comeback wal save shop.md --from /var/lib/x-received database"},
		{"what was received cannot be read", func(e *check.Evidence) {
			e.Received = []check.Received{{Component: "database", Dir: "/var/lib/x-received", Err: errors.New("permission denied")}}
		}, []string{"received/database"}, recovery.WouldBut, "could not be told: permission denied", "may read /var/lib/x-received"},
		{"a bucket keeps no versions", func(e *check.Evidence) { e.Copies[0].Versioning = &storage.Versioning{} }, []string{"versioning/nearby"}, recovery.WouldBut,
			"nearby keeps no versions: whoever can write there can overwrite every backup for good", "put-bucket-versioning"},
		{"a bucket keeps versions for a day", func(e *check.Evidence) {
			e.Copies[0].Versioning = &storage.Versioning{On: true, Expires: 24 * time.Hour}
		}, []string{"versioning/nearby"}, recovery.WouldBut, "nearby keeps overwritten versions for 24h00m only", "noncurrent"},
		{"a bucket that locks everything keeps versions", func(e *check.Evidence) { e.Copies[1].Versioning = &storage.Versioning{} }, nil, recovery.WouldSave, "", ""},
		{"a signed report is on this host only", func(e *check.Evidence) { e.Unfiled = []string{"7c31"} }, []string{"filed"}, recovery.WouldBut,
			"signed reports are on this host only, and would be lost with it: 7c31", "comeback report file 7c31"},
		{"a run has vanished", func(e *check.Evidence) { e.Vanished = []string{"7c31"} }, []string{"journals/gone"}, recovery.WouldBut, "their journals are gone: 7c31", "fetched from a copy"},
		{"a run was written anew", func(e *check.Evidence) { e.Rewritten = []string{"7c31"} }, []string{"journals/changed"}, recovery.WouldBut, "not those that ended, as a copy knows them: 7c31", "filed in a copy"},
		{"the canary was deleted", func(e *check.Evidence) { e.Copies[1].Canary = check.Tried{Deleted: true, By: "user/prod"} }, []string{"3-2-1-1-0/1 locked"}, recovery.WouldBut,
			"offsite: no object lock: user/prod deleted our canary", "object-lock"},
		{"a lock has expired", func(e *check.Evidence) {
			e.Copies[1].Canary = check.Tried{}
			e.Copies[1].Newest = &storage.Retention{Mode: "COMPLIANCE", Until: at("2026-11-22 00:00:00")}
		}, []string{"3-2-1-1-0/1 locked"}, recovery.WouldBut, "the lock of the newest backup ended on 22 Nov 2026", ""},
		{"a file was written to whenever it was read", func(e *check.Evidence) {
			for _, s := range e.Catalogue.Surveys {
				if s.Copy == "offsite" && s.Component == "uploads" {
					e.Copies[1].Manifests = []recovery.Manifest{{ID: s.Backups[4].ID, Component: "uploads", Exceptions: []string{"older"}}, {ID: s.Newest().ID, Component: "uploads", Exceptions: []string{`"film.mp4" is missing`}}}
				}
			}
		}, []string{"excepted/uploads/offsite"}, recovery.WouldBut, `offsite: in the newest backup of uploads "film.mp4" is missing`, "comeback backup shop.md uploads"},
		{"the lock of a pack of old has expired", func(e *check.Evidence) {
			e.Copies[1].Newest = &storage.Retention{Mode: "COMPLIANCE", Until: at("2026-11-22 00:00:00")}
			e.Copies[1].Locks = check.Locks{First: "uploads/packs/1", Looked: 3000, Of: 3000}
		}, []string{"3-2-1-1-0/1 locked"}, recovery.WouldBut, "the lock of uploads/packs/1, which the newest backups need, ended on 22 Nov 2026", "s3:PutObjectRetention"},
		{"a pack of old is not locked", func(e *check.Evidence) {
			e.Copies[1].Newest, e.Copies[1].Locks = &storage.Retention{}, check.Locks{First: "uploads/packs/1", Looked: 3000, Of: 3000}
		}, []string{"3-2-1-1-0/1 locked"}, recovery.WouldBut, "objects can be locked, and uploads/packs/1, which the newest backups need, is not", ""},
		{"not all locks were looked at", func(e *check.Evidence) {
			e.Copies[1].Newest = &storage.Retention{Mode: "COMPLIANCE", Until: at("2026-12-22 00:00:00")}
			e.Copies[1].Locks = check.Locks{First: "uploads/packs/1", Looked: 2000, Of: 3000, Err: errors.New("slow down")}
		}, []string{"3-2-1-1-0/1 locked"}, recovery.WouldBut, "of 3000 objects that the newest backups need, the locks of 2000 could be looked at: slow down", ""},
		{"all that the newest backups need is locked", func(e *check.Evidence) {
			e.Copies[1].Newest = &storage.Retention{Mode: "COMPLIANCE", Until: at("2026-12-22 00:00:00")}
			e.Copies[1].Locks = check.Locks{First: "uploads/packs/1", Looked: 3000, Of: 3000}
		}, nil, recovery.WouldSave, "", ""},
		{"a lock was not tried", func(e *check.Evidence) { e.Copies[1].Canary = check.Tried{} }, []string{"3-2-1-1-0/1 locked"}, recovery.WouldBut, "a lock is configured, and was not tried", ""},
		{"refused and no lock shows", func(e *check.Evidence) {
			e.Copies[1].Canary = check.Tried{Refused: true, By: "user/ro"}
		}, []string{"3-2-1-1-0/1 locked"}, recovery.WouldBut, "it may lack the right alone", ""},
		{"refused without a lock", func(e *check.Evidence) {
			e.Copies[1].Canary, e.Copies[1].Locking = check.Tried{Refused: true, By: "user/ro"}, &storage.Locking{}
		}, []string{"3-2-1-1-0/1 locked"}, recovery.WouldBut, "no object lock: user/ro could not delete our canary, and another key may", ""},
		{"only the canary of old is locked", func(e *check.Evidence) { e.Copies[1].Newest = &storage.Retention{} }, []string{"3-2-1-1-0/1 locked"}, recovery.WouldBut,
			"objects can be locked, and the newest backup is not", ""},
		{"the lock was taken off", func(e *check.Evidence) { e.Copies[1].Locking = &storage.Locking{Able: true} }, []string{"3-2-1-1-0/1 locked"}, recovery.WouldBut,
			"our canary is locked, and what is stored now is not", ""},
		{"a directory that lets its canary go", func(e *check.Evidence) {
			e.Copies[0].Canary, e.Copies[1].Canary = check.Tried{Deleted: true, By: "user ops1"}, check.Tried{Deleted: true}
		}, []string{"3-2-1-1-0/1 locked"}, recovery.WouldBut, "nearby: a directory: user ops1 deleted our canary", ""},
		{"a directory that keeps its canary", func(e *check.Evidence) {
			e.Copies[0].Canary, e.Copies[1].Canary = check.Tried{Refused: true, By: "user ops1"}, check.Tried{Deleted: true}
		}, []string{"3-2-1-1-0/1 locked"}, recovery.WouldBut, "nearby: a directory: user ops1 could not delete our canary, and another user may", ""},
		{"a directory that takes no canary", func(e *check.Evidence) {
			e.Copies[0].Canary, e.Copies[1].Canary = check.Tried{Unplaced: true, By: "user ops1"}, check.Tried{Deleted: true}
		}, []string{"3-2-1-1-0/1 locked"}, recovery.WouldBut, "nearby: a directory: user ops1 may not store a canary in it", ""},
		{"both copies fail together", func(e *check.Evidence) {
			e.Copies[0].Domain, e.Copies[0].Medium, e.Copies[0].Provider, e.Copies[0].Region = e.Copies[1].Domain, "a bucket", "AWS", "eu-central-1"
		}, []string{"3-2-1-1-0/3 copies"}, recovery.WouldBut, "offsite fails together with nearby (AWS, account 210987654321)", ""},
		{"a copy is on production's disk", func(e *check.Evidence) { e.Copies[0].Beside = true }, []string{"3-2-1-1-0/3 copies"}, recovery.WouldBut, "nearby is on the same disk as production", ""},
		{"the bucket is on this host", func(e *check.Evidence) { e.Copies[1].Here, e.Copies[0].Here = true, true }, []string{"3-2-1-1-0/3 copies", "3-2-1-1-0/1 elsewhere"}, recovery.WouldBut, "offsite is on this host", ""},
		{"copies share a disk of several", func(e *check.Evidence) {
			for i := range e.Copies {
				cp := &e.Copies[i]
				cp.Medium, cp.Provider, cp.Region, cp.Here, cp.Disks, cp.Domain = "a directory", "", "", true, []string{"sda", "sdb"}[:i+1], "disks of db1 by "+cp.Name
			}
		}, []string{"3-2-1-1-0/3 copies", "3-2-1-1-0/2 kinds", "3-2-1-1-0/1 elsewhere", "3-2-1-1-0/1 locked"}, recovery.WouldBut, "offsite fails together with nearby (disks of db1 by offsite)", ""},
		{"of a copy it is not known whether it is on production's disk", func(e *check.Evidence) { e.Copies[0].Here, e.Copies[0].Unsure = true, true }, []string{"3-2-1-1-0/3 copies"}, recovery.WouldBut, "nearby is on disk 8:1 of backup1: whether that is the disk of production", ""},
		{"on which disk a directory lies is not known", func(e *check.Evidence) {
			cp := &e.Copies[1]
			e.Copies[0].Here, e.Copies[0].Disks = true, []string{"sda"}
			cp.Medium, cp.Provider, cp.Region, cp.Here, cp.Domain = "a directory", "", "", true, "disk 0:43 of db1"
		}, []string{"3-2-1-1-0/3 copies", "3-2-1-1-0/2 kinds", "3-2-1-1-0/1 elsewhere", "3-2-1-1-0/1 locked"}, recovery.WouldBut, "offsite is on disk 0:43 of db1: whether that is the disk", ""},
		{"the only bucket's owner is not known", func(e *check.Evidence) { e.Copies[1].Domain, e.Copies[1].Copy.Account = "", "" }, nil, recovery.WouldSave, "", ""},
		{"two buckets, whose owners are not known", func(e *check.Evidence) {
			e.Copies[0].Medium, e.Copies[0].Region = "a bucket", "eu-central-1"
			for i := range e.Copies {
				e.Copies[i].Provider, e.Copies[i].Domain, e.Copies[i].Copy.Account = "AWS", "", ""
			}
		}, []string{"3-2-1-1-0/3 copies"}, recovery.WouldBut, "3 copies: production is one; nearby is at AWS, in an account that nothing proves", ""},
		{"a bucket is where its service is", func(e *check.Evidence) { e.Copies[1].Provider, e.Copies[1].Domain = "minio.local:9000", "" }, []string{"3-2-1-1-0/1 elsewhere"}, recovery.WouldBut, "offsite is where its service is, which nothing tells", ""},
		{"the database is in the bucket's region", func(e *check.Evidence) {
			e.Components[0].Settings = recovery.Settings{"region": {"eu-central-1"}}
		}, []string{"3-2-1-1-0/1 elsewhere"}, recovery.WouldBut, "offsite is in eu-central-1, as database is", ""},
		{"the bucket is of the account that this host is of", func(e *check.Evidence) {
			e.Copies[0].Here, e.Copies[1].Account = true, "210987654321"
		}, []string{"account"}, recovery.WouldBut, "no copy is outside of production's account: offsite is in 210987654321", "in another account"},
		{"the bucket is of another account than this host", func(e *check.Evidence) {
			e.Copies[0].Here, e.Copies[1].Account = true, "111122223333"
		}, nil, recovery.WouldSave, "", ""},
		{"whose the bucket is nothing tells", func(e *check.Evidence) {
			e.Copies[0].Here, e.Copies[1].Account, e.Copies[1].Copy.Account = true, "111122223333", ""
		}, []string{"account"}, recovery.WouldBut, "nothing tells whose offsite is", "`account:`"},
		{"the credentials are those of the copy's account", func(e *check.Evidence) {
			e.Copies[0].Here, e.Copies[1].Account, e.Copies[1].Profile = true, "210987654321", "backups"
		}, nil, recovery.WouldSave, "", ""},
		{"nothing was ever restored", func(e *check.Evidence) { e.Proofs = nil }, []string{"rto", "proof"}, recovery.WouldBut, "these backups are a hope", "comeback rehearse shop.md"},
		{"an unsigned report proves nothing", func(e *check.Evidence) {
			for i := range e.Proofs {
				e.Proofs[i].Signed = false
			}
		}, []string{"rto", "proof"}, recovery.WouldBut, "never measured", "comeback report sign 4f2a"},
		{"nobody here knows who signed", func(e *check.Evidence) {
			for i := range e.Proofs {
				stranger(e, i)
			}
		}, []string{"rto", "proof", "signer/SHA256:abc"}, recovery.WouldBut, "restored on 12 Oct 2026 by 4f2a, signer unknown, so that it proves nothing here: there is no list of signers",
			"add this line to /etc/shop/signers:\nci@ci7 ssh-ed25519 AAAA"},
		{"nobody here knows who signed the only restore from a copy", func(e *check.Evidence) { stranger(e, 1) },
			[]string{"proof/copy/offsite", "signer/SHA256:abc"}, recovery.WouldBut, "restored on 5 Oct 2026 by 3b1c, signer unknown", ""},
		{"a stranger's run hides no errors, and has none", func(e *check.Evidence) {
			failed, strange := e.Proofs[0], e.Proofs[0]
			failed.Run, failed.Passed, failed.At = "5d0e", false, at("2026-11-20 10:00:00")
			strange.Run, strange.At = "6e0f", at("2026-11-21 10:00:00")
			e.Proofs = append([]check.Proof{strange, strange, failed}, e.Proofs...)
			stranger(e, 0)
			stranger(e, 1)
			e.Proofs[1].Passed = false
		}, []string{"errors/nearby", "signer/SHA256:abc"}, recovery.WouldBut, "the newest restore from nearby had errors", ""},
		{"a stranger's stage was exercised", func(e *check.Evidence) {
			other := e.Proofs[1]
			stranger(e, 1)
			other.At, other.Run = e.Proofs[0].At.Add(-time.Hour), "1a2b"
			e.Proofs = []check.Proof{e.Proofs[0], other, e.Proofs[1]}
			for i := range 2 {
				e.Proofs[i].Stages = []check.Stage{{Name: "Stop the writes", Talked: true}, {Name: "Restore"}}
			}
		}, []string{"stages"}, recovery.WouldBut, `left out: "Stop the writes"`, ""},
		{"nothing was checked", func(e *check.Evidence) {
			for i := range e.Proofs {
				e.Proofs[i].Unchecked = true
			}
		}, []string{"unchecked/database", "unchecked/uploads", "unchecked/config", "unchecked/code"}, recovery.WouldBut,
			"database was restored on 12 Oct 2026 by 4f2a, and nothing was checked there: that it comes back right is not proven", "write a check into the runbook"},
		{"the newest restore checked nothing, an older did", func(e *check.Evidence) {
			unchecked := e.Proofs[0]
			unchecked.Run, unchecked.Unchecked, unchecked.At = "b8ae", true, at("2026-11-20 10:00:00")
			e.Proofs = append([]check.Proof{unchecked}, e.Proofs...)
		}, nil, recovery.WouldSave, "", ""},
		{"a rehearsal is overdue, whatever was proven by a clock that was ahead", func(e *check.Evidence) {
			ahead := e.Proofs[0]
			ahead.Run, ahead.At = "b8ae", e.At.AddDate(1, 0, 0)
			e.Proofs = append([]check.Proof{ahead}, e.Proofs...)
			e.Rehearse = 30 * 24 * time.Hour
		}, []string{"future/proof", "rehearsal"}, recovery.WouldBut, "run b8ae says that it ended on 23 Nov 2027, which is still to come", "chronyc tracking"},
		{"a clock that was ahead, and the only proof", func(e *check.Evidence) {
			e.Proofs = e.Proofs[:1]
			e.Proofs[0].At = e.At.Add(time.Hour)
		}, []string{"future/proof", "rto", "proof"}, recovery.WouldBut, "nothing was ever restored with a signed report", "chronyc tracking"},
		{"a clock that was ahead, and proofs of time", func(e *check.Evidence) {
			ahead := e.Proofs[0]
			ahead.Run, ahead.At = "b8ae", e.At.AddDate(1, 0, 0)
			e.Proofs = append([]check.Proof{ahead}, e.Proofs...)
		}, nil, recovery.WouldSave, "", ""},
		{"a failed restore of a clock that was ahead", func(e *check.Evidence) {
			failed := e.Proofs[0]
			failed.Run, failed.Passed, failed.At = "5d0e", false, e.At.AddDate(1, 0, 0)
			e.Proofs = append([]check.Proof{failed}, e.Proofs...)
		}, []string{"errors/nearby"}, recovery.WouldBut, "the newest restore from nearby had errors", ""},
		{"a rehearsal is overdue, whatever was restored since without checks", func(e *check.Evidence) {
			unchecked := e.Proofs[0]
			unchecked.Run, unchecked.Unchecked, unchecked.At = "b8ae", true, at("2026-11-20 10:00:00")
			e.Proofs = append([]check.Proof{unchecked}, e.Proofs...)
			e.Rehearse = 30 * 24 * time.Hour
		}, []string{"rehearsal"}, recovery.WouldBut, "a rehearsal is due since 11 Nov 2026: the last that proved anything was on 12 Oct 2026", ""},
		{"a copy was restored from, and nothing was checked", func(e *check.Evidence) { e.Proofs[1].Unchecked = true }, []string{"unchecked/copy/offsite"}, recovery.WouldBut,
			"what was restored from offsite on 5 Oct 2026 by 3b1c was not checked: a hope", "--copy offsite"},
		{"no checks mend no error", func(e *check.Evidence) {
			failed, unchecked := e.Proofs[0], e.Proofs[0]
			failed.Run, failed.Passed, failed.At = "5d0e", false, at("2026-11-20 10:00:00")
			unchecked.Run, unchecked.Unchecked, unchecked.At = "b8ae", true, at("2026-11-21 10:00:00")
			e.Proofs = append([]check.Proof{unchecked, failed}, e.Proofs...)
		}, []string{"errors/nearby"}, recovery.WouldBut, "the restore from nearby on 20 Nov did not pass, run 5d0e, and nothing that was restored from it since is proven", "write a check into the runbook"},
		{"one component came in a run that nobody has signed", func(e *check.Evidence) {
			unsigned := e.Proofs[0]
			unsigned.Run, unsigned.Signed, unsigned.At, unsigned.Points = "b8ae", false, at("2026-11-20 10:00:00"), e.Proofs[0].Points[:1]
			for i := range e.Proofs {
				e.Proofs[i].Points = e.Proofs[i].Points[1:]
			}
			e.Proofs = append([]check.Proof{unsigned}, e.Proofs...)
		}, []string{"proof/database"}, recovery.WouldBut, "database was restored on 20 Nov 2026 by run b8ae, which nobody has signed: a hope", "comeback report sign b8ae"},
		{"a recovery whose time is not known", func(e *check.Evidence) {
			for i := range e.Proofs {
				e.Proofs[i].Mode, e.Proofs[i].Untimed = recovery.Recovery, true
			}
		}, []string{"rto"}, recovery.WouldBut, "how long it takes to come back was never measured; the RTO is 30m00", ""},
		{"a copy was never restored from", func(e *check.Evidence) { e.Proofs = e.Proofs[:1] }, []string{"proof/copy/offsite"}, recovery.WouldBut, "offsite was never restored from: a hope", "--copy offsite"},
		{"the newest restore failed", func(e *check.Evidence) {
			failed := e.Proofs[0]
			failed.Run, failed.Passed, failed.At = "5d0e", false, at("2026-11-20 10:00:00")
			e.Proofs = append([]check.Proof{failed}, e.Proofs...)
		}, []string{"errors/nearby"}, recovery.WouldBut, "the newest restore from nearby had errors", ""},
		{"the runbook was changed", func(e *check.Evidence) { e.Runbook = "r2" }, []string{"changed/database", "changed/uploads", "changed/config", "changed/code"}, recovery.WouldBut, "changed since: the runbook", ""},
		{"a rehearsal is overdue", func(e *check.Evidence) { e.Rehearse = 30 * 24 * time.Hour }, []string{"rehearsal"}, recovery.WouldBut, "a rehearsal is due since 11 Nov 2026", ""},
		{"a stage was only talked through", func(e *check.Evidence) {
			for i := range e.Proofs {
				e.Proofs[i].Stages = []check.Stage{{Name: "Stop the writes", Talked: true}, {Name: "Restore"}}
			}
		}, []string{"stages"}, recovery.WouldBut, `left out: "Stop the writes"`, ""},
		{"it takes too long", func(e *check.Evidence) { e.Proofs[0].Took = time.Hour }, []string{"rto"}, recovery.WouldBut, "to come back takes about 1h00m, the RTO is 30m00", ""},
		{"there is no room", func(e *check.Evidence) { e.Room = &check.Room{Place: "/var/tmp", Needs: 31e9, Free: 8e9} }, []string{"room"}, recovery.WouldBut, "needs about 31.0 GB in /var/tmp, and 8.00 GB are free", "--scratch"},
		{"the identity is missing", func(e *check.Evidence) { e.Identities["config"] = errors.New("CONFIG_IDENTITY is not set") }, []string{"identity/config"}, recovery.WouldBut, "CONFIG_IDENTITY is not set", ""},
		{"what is live cannot be switched", func(e *check.Evidence) {
			e.Switches = map[string]error{"uploads": recovery.Errorf("leave it out of the `switch:`", "exchange: /srv/uploads is a mount point")}
		}, []string{"switch/uploads"}, recovery.WouldBut, "uploads: a recovery could not put what it restores in live's place: exchange: /srv/uploads is a mount point", "leave it out of the `switch:`"},
		{"nobody says what would do", func(e *check.Evidence) {
			e.Switches = map[string]error{"uploads": errors.New("look at /srv/uploads: input/output error")}
		}, []string{"switch/uploads"}, recovery.WouldBut, "input/output error", "comeback recover shop.md --dry-run"},
		{"no engine knows it", func(e *check.Evidence) {
			edit(e, "", "code", func(s *recovery.Survey) { *s = recovery.Survey{} })
			e.Engines = e.Engines[:3]
			e.Components = e.Components[:3]
			e.Components = append(e.Components, recovery.Component{Name: "other", Kind: "oracle"})
		}, []string{"engine/other", "kinds", "proof/other", "3-2-1-1-0/3 copies", "3-2-1-1-0/2 kinds", "3-2-1-1-0/1 elsewhere", "3-2-1-1-0/1 locked"}, recovery.NotKnown, "no engine of this version looks for oracle", ""},
		{"only the nightly pipe of a small team", func(e *check.Evidence) {
			e.Components = e.Components[:1]
			e.Catalogue = catalogue.Catalogue{Surveys: []recovery.Survey{survey("offsite", "database", "dump", at("2026-11-23 01:00:00"), 1_000_000)}}
			e.Copies = e.Copies[1:]
			e.Copies[0].Canary, e.Copies[0].Locking = check.Tried{Deleted: true, By: "user/prod"}, &storage.Locking{}
			e.Proofs = nil
			s := e.Servers["database"]
			s.Mode = "off"
			e.Servers["database"] = s
		}, []string{"rpo/database", "archive/database", "kinds", "rto", "proof", "3-2-1-1-0/3 copies", "3-2-1-1-0/1 locked"}, recovery.WouldBut, "only whole backups can be restored, nothing between them", "archive_command = 'comeback wal push shop.md %p'"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := healthy()
			test.change(e)
			a := check.Judge(*e)
			var ids []string
			says, does := test.says == "", test.does == ""
			for _, f := range a.Findings {
				ids = append(ids, f.ID)
				says, does = says || strings.Contains(f.Says, test.says), does || strings.Contains(f.Do, test.does)
				if f.Do == "" || f.Owner == "" {
					t.Errorf("%s has nothing to do, or nobody to do it", f.ID)
				}
			}
			want := slices.Clone(test.ids)
			slices.Sort(want)
			slices.Sort(ids)
			if !slices.Equal(ids, want) {
				t.Errorf("found %q, want %q\n%s", ids, want, strings.Join(a.Lines(100, now.Location()), "\n"))
			}
			if a.Answer != test.answer || !says || !does {
				t.Errorf("the answer is %s, want %s; says %v, does %v\n%s", a.Answer, test.answer, says, does, strings.Join(a.Lines(100, now.Location()), "\n"))
			}
		})
	}
}

// The newest restore from a copy that did not pass is told, whoever has signed it; what
// a stranger signs moves no mark further than to open.
func TestJudge_strangersFailure(t *testing.T) {
	zero := func(change func(*check.Evidence)) (recovery.Digit, []recovery.Judgement) {
		e := healthy()
		change(e)
		a := check.Judge(*e)
		return a.Digits[len(a.Digits)-1], slices.DeleteFunc(a.Findings, func(f recovery.Judgement) bool { return !strings.HasPrefix(f.ID, "errors/") })
	}
	ci := func(e *check.Evidence, key string, passed bool, on time.Time) {
		p := e.Proofs[0]
		p.Run, p.At, p.Passed, p.Signed, p.Stranger = "5d0e", on, passed, false, &check.Stranger{Fingerprint: key, Why: "there is no list of signers"}
		e.Proofs = append(e.Proofs, p)
		slices.SortStableFunc(e.Proofs, func(x, y check.Proof) int { return y.At.Compare(x.At) })
	}
	d, found := zero(func(e *check.Evidence) {
		ci(e, "SHA256:other", true, at("2026-11-21 10:00:00"))
		ci(e, "SHA256:ci", false, at("2026-11-20 10:00:00"))
	})
	if d.Mark != recovery.Unknown || !strings.Contains(strings.Join(d.Evidence, "\n"), "the restore from nearby on 20 Nov did not pass, as run 5d0e says, whose signer is not known here") {
		t.Errorf("%+v", d)
	}
	if len(found) != 1 || found[0].ID != "errors/nearby/SHA256:ci" || found[0].Mark != recovery.Unknown || found[0].Do != "look at it: comeback report show 5d0e" {
		t.Errorf("%+v", found)
	}
	for name, change := range map[string]func(*check.Evidence){
		"older than the proof": func(e *check.Evidence) { ci(e, "SHA256:ci", false, at("2026-10-01 10:00:00")) },
		"older than one that passed": func(e *check.Evidence) {
			ci(e, "SHA256:ci", true, at("2026-11-21 10:00:00"))
			ci(e, "SHA256:ci", false, at("2026-11-20 10:00:00"))
		},
		"none, and one that has none": func(e *check.Evidence) { ci(e, "SHA256:ci", true, at("2026-11-20 10:00:00")) },
	} {
		if d, found := zero(change); d.Mark != recovery.Met || len(found) > 0 {
			t.Errorf("%s: %+v, %+v", name, d, found)
		}
	}
}

// Owners, due dates and first sights stay with a finding.
func TestJudge_assigned(t *testing.T) {
	e := healthy()
	e.Rehearse = 30 * 24 * time.Hour
	e.Assigned = map[string]check.Assigned{"rehearsal": {Owner: "dba", Due: at("2026-12-01 00:00:00")}}
	e.First = map[string]time.Time{"rehearsal": at("2026-11-12 02:00:00")}
	a := check.Judge(*e)
	if f := a.Findings[0]; f.Owner != "dba" || !f.Due.Equal(at("2026-12-01 00:00:00")) || !f.Since.Equal(at("2026-11-12 02:00:00")) {
		t.Errorf("%+v", f)
	}
	if text := strings.Join(a.Lines(80, now.Location()), "\n"); !strings.Contains(text, "dba, by 1 Dec 2026.") {
		t.Error(text)
	}
}

// A git remote can give the code back, and is no copy of it.
func TestJudge_elsewhere(t *testing.T) {
	e := healthy()
	edit(e, "offsite", "code", func(s *recovery.Survey) {
		s.Backups = s.Backups[:1]
		s.Backups[0].Elsewhere, s.Backups[0].Objects = true, nil
	})
	a := check.Judge(*e)
	i := slices.IndexFunc(a.Components, func(c recovery.ComponentStanding) bool { return c.Component == "code" })
	if in := a.Components[i].Copies[1]; in.Mark != recovery.NotMet || in.Says != "NONE" {
		t.Errorf("code in offsite: %+v", in)
	}
}

// What the service of a database keeps would bring it back, and is no copy; an unattended
// rehearsal proves it where there is nothing else.
func TestJudge_onlyElsewhere(t *testing.T) {
	e := healthy()
	for i := range e.Catalogue.Surveys {
		if s := &e.Catalogue.Surveys[i]; s.Component == "database" {
			for k := range s.Backups {
				s.Backups[k].Elsewhere = true
			}
		}
	}
	a := check.Judge(*e)
	i := slices.IndexFunc(a.Findings, func(f recovery.Judgement) bool { return f.ID == "none/database" })
	if i < 0 || a.Findings[i].Fatal || a.Answer != recovery.WouldBut || a.Components[0].Newest.IsZero() || a.Components[0].RPO != recovery.Met {
		t.Errorf("%s: %+v\n%+v", a.Answer, a.Components[0], a.Findings)
	}
	if _, ok := check.MostNeeds(e.Catalogue, nil, "database", a.Copies, now, 0, func(int) int { return 0 }); !ok {
		t.Error("nothing is rehearsed")
	}
}

// Where there is no backup, what the surveys say without a next step may be why; where
// there are some, nobody is told.
func TestJudge_remarks(t *testing.T) {
	e := healthy()
	remark := recovery.Finding{Object: "walg/", Says: "is WAL-G's"}
	for i := range e.Catalogue.Surveys {
		e.Catalogue.Surveys[i].Findings = []recovery.Finding{remark}
	}
	if a := check.Judge(*e); len(a.Findings) != 0 {
		t.Errorf("%+v", a.Findings)
	}
	for i := range e.Catalogue.Surveys {
		if s := &e.Catalogue.Surveys[i]; s.Component == "database" {
			s.Backups, s.Windows = nil, nil
		}
	}
	a := check.Judge(*e)
	i := slices.IndexFunc(a.Findings, func(f recovery.Judgement) bool { return f.ID == "none/database" })
	if i < 0 || !strings.HasSuffix(a.Findings[i].Says, "; offsite: walg/ is WAL-G's") || !strings.Contains(a.Findings[i].Says, "; nearby: walg/ is WAL-G's;") {
		t.Errorf("%+v", a.Findings)
	}
}

// What was restored of a copy proves that backup, and not those beside it; a stage is
// proven by the newest run that has done it for real.
func TestOfBackup(t *testing.T) {
	e := healthy()
	for i := range e.Proofs {
		for k := range e.Proofs[i].Points {
			pt := &e.Proofs[i].Points[k]
			pt.Backup.ID = "database/20261122"
		}
	}
	e.Proofs[1].Runbook = "r0"
	of := func(copy, id string) recovery.ProofStanding {
		return check.OfBackup(*e, recovery.Backup{Component: "database", Copy: copy, ID: id})
	}
	if p := of("nearby", "database/20261122"); p.Run != "4f2a" || p.Took != recovery.Duration(13*time.Minute+12*time.Second) || len(p.Changed) > 0 {
		t.Errorf("proven: %+v", p)
	}
	if p := of("offsite", "database/20261122"); p.Run != "3b1c" || !slices.Equal(p.Changed, []string{"the runbook"}) {
		t.Errorf("proven by another runbook: %+v", p)
	}
	if p := of("nearby", "database/20261123"); p.Run != "" {
		t.Errorf("never restored: %+v", p)
	}
	e.Proofs[0].Stages = []check.Stage{{Name: "Stop the writes", Talked: true}, {Name: "Restore", Took: time.Minute}}
	e.Proofs[1].Stages[0].Took = time.Hour
	stages := check.Judge(*e).Stages
	if len(stages) != 2 || stages[0].Proof.Run != "3b1c" || stages[0].Proof.Took != recovery.Duration(time.Hour) || len(stages[0].Proof.Changed) == 0 ||
		stages[1].Proof.Run != "4f2a" || stages[1].Proof.Took != recovery.Duration(time.Minute) {
		t.Errorf("stages: %+v", stages)
	}
}

// How far the log in the copies is behind a server is told in bytes and in time, and not
// where it cannot be known.
func TestJudge_lag(t *testing.T) {
	e := healthy()
	if l := check.Judge(*e).Components[0].Lag; l != nil {
		t.Errorf("of an archive whose end is not known: %+v", l)
	}
	s := quiet(e)
	s.LSN = s.Held + 40<<20
	e.Servers["database"] = s
	a := check.Judge(*e)
	if l := a.Components[0].Lag; l == nil || l.Bytes != 40<<20 || l.Time != recovery.Duration(20*time.Hour-time.Second) {
		t.Errorf("%+v", l)
	}
	if i := slices.IndexFunc(a.Findings, func(f recovery.Judgement) bool { return f.ID == "rpo/database" }); i < 0 || !strings.HasSuffix(a.Findings[i].Says, "; 41.9 MB of its log are in no copy") {
		t.Errorf("%+v", a.Findings)
	}
	s.LSN, s.Commit = s.Held, at("2026-11-01 00:00:00")
	e.Servers["database"] = s
	if l := check.Judge(*e).Components[0].Lag; l == nil || *l != (recovery.LogLag{}) {
		t.Errorf("of one that has it all: %+v", l)
	}
	s.InRecovery = true
	e.Servers["database"] = s
	if l := check.Judge(*e).Components[0].Lag; l != nil {
		t.Errorf("of a standby: %+v", l)
	}
}

// The digit of errors is met by what was checked alone.
func TestJudge_errors(t *testing.T) {
	digit := func(e *check.Evidence) recovery.Digit {
		for _, d := range check.Judge(*e).Digits {
			if d.Name == "0 errors" {
				return d
			}
		}
		t.Fatal("there is no such digit")
		return recovery.Digit{}
	}
	e := healthy()
	if d := digit(e); d.Mark != recovery.Met {
		t.Errorf("of two proofs: %+v", d)
	}
	for i := range e.Proofs {
		e.Proofs[i].Unchecked = true
	}
	if d := digit(e); d.Mark != recovery.Unknown || !slices.Contains(d.Evidence, "nearby was restored on 12 Oct by run 4f2a, with no checks") {
		t.Errorf("without checks: %+v", d)
	}
}

// A backup says of the newest run that restored it what that lacks, and never that it was never
// restored.
func TestOfBackup_lacks(t *testing.T) {
	b := recovery.Backup{ID: "database/20261122", Component: "database", Copy: "nearby"}
	for name, c := range map[string]struct {
		change func(*check.Proof)
		want   string
	}{
		"proven":   {func(*check.Proof) {}, "proven by 4f2a on 12 Oct 2026 in 13m12"},
		"unsigned": {func(p *check.Proof) { p.Signed = false }, "not proven: restored on 12 Oct 2026 by run 4f2a, which nobody has signed"},
		"unsigned, and without checks": {func(p *check.Proof) { p.Signed, p.Unchecked = false, true },
			"not proven: restored on 12 Oct 2026 by run 4f2a, which nobody has signed"},
		"altered":              {func(p *check.Proof) { p.Signed, p.Altered = false, true }, "not proven: restored on 12 Oct 2026 by run 4f2a, whose report is not as it was signed"},
		"unchecked":            {func(p *check.Proof) { p.Unchecked = true }, "not proven: restored on 12 Oct 2026 by run 4f2a, with no checks"},
		"restored, and failed": {func(p *check.Proof) { p.Passed, p.Came = false, []string{"database"} }, "not proven: restored on 12 Oct 2026 by run 4f2a, which did not pass"},
		"failed before":        {func(p *check.Proof) { p.Passed = false }, "never restored"},
		"of a time to come": {func(p *check.Proof) { p.At = now.AddDate(1, 0, 0) },
			"not proven: restored on 23 Nov 2027 by run 4f2a, which says that it is of a time still to come"},
		"of a time to come, and without checks": {func(p *check.Proof) { p.At, p.Unchecked = now.AddDate(1, 0, 0), true },
			"not proven: restored on 23 Nov 2027 by run 4f2a, which says that it is of a time still to come"},
	} {
		e := healthy()
		e.Proofs = slices.Clone(e.Proofs[:1])
		for i := range e.Proofs[0].Points {
			e.Proofs[0].Points[i].Backup = b
		}
		c.change(&e.Proofs[0])
		if got := check.OfBackup(*e, b).Tells(now.Location()); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// What a runbook no longer checks is what the newest proof did, whatever was restored since
// without checks; where nothing is proven, what the newest signed run did.
func TestWeakened(t *testing.T) {
	proof, unchecked, unsigned := healthy().Proofs[0], healthy().Proofs[0], healthy().Proofs[0]
	proof.Checks, unchecked.Checks, unsigned.Checks = map[string]string{"orders": "1"}, map[string]string{"pages": "1"}, map[string]string{"carts": "1"}
	unchecked.Run, unchecked.Unchecked, unsigned.Run, unsigned.Signed = "b8ae", true, "5d0e", false
	for _, c := range []struct {
		proofs []check.Proof
		want   []string
	}{
		{[]check.Proof{unsigned, unchecked, proof}, []string{`since the last proof, run 4f2a of 12 Oct 2026, the check "orders" is gone`}},
		{[]check.Proof{unsigned, unchecked}, []string{`since run b8ae of 12 Oct 2026, the check "pages" is gone`}},
		{[]check.Proof{unsigned}, nil},
	} {
		if got := check.Weakened(c.proofs, map[string]string{}); !slices.Equal(got, c.want) {
			t.Errorf("of %d runs: %q", len(c.proofs), got)
		}
	}
}
