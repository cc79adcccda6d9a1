package check_test

import (
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/check"
)

// The copy that was never proven comes first, then the one with the oldest proof, then
// chance; what cannot be restored is no proof's need, and an unsigned run is no proof.
func TestMostNeeds(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*check.Evidence)
		need   check.Need
	}{
		"never":                   {func(e *check.Evidence) { e.Proofs = e.Proofs[:1] }, check.Need{Copy: "offsite", Why: "offsite was never proven"}},
		"unsigned":                {func(e *check.Evidence) { e.Proofs[1].Signed = false }, check.Need{Copy: "offsite", Why: "never proven"}},
		"of a time still to come": {func(e *check.Evidence) { e.Proofs[1].At = e.At.AddDate(1, 0, 0) }, check.Need{Copy: "offsite", Why: "offsite was never proven"}},
		"stranger":                {func(e *check.Evidence) { stranger(e, 1) }, check.Need{Copy: "offsite", Why: "never proven"}},
		"without checks":          {func(e *check.Evidence) { e.Proofs[1].Unchecked = true }, check.Need{Copy: "offsite", Why: "offsite was never proven: it was restored by run 3b1c, with no checks"}},
		"no checks anywhere": {func(e *check.Evidence) { // what was restored longest ago comes first
			for i := range e.Proofs {
				e.Proofs[i].Unchecked = true
			}
		}, check.Need{Copy: "offsite", Why: "offsite was never proven"}},
		"an older proof, and since then no checks": {func(e *check.Evidence) {
			since := e.Proofs[1]
			since.Run, since.At, since.Unchecked = "9e01", at("2026-11-22 10:00:00"), true
			e.Proofs = append([]check.Proof{since}, e.Proofs...)
			e.Rehearse = 45 * 24 * time.Hour
		}, check.Need{Copy: "offsite", Engine: "pitr", Why: "offsite was last proven"}},
		"oldest":                {func(e *check.Evidence) { e.Rehearse = 24 * time.Hour }, check.Need{Copy: "offsite", Engine: "pitr", Why: "offsite was last proven"}},
		"chance":                {nil, check.Need{Copy: "nearby", Engine: "pitr", Backup: "database/20261119", Why: "by chance database/20261119"}},
		"a dump beside the log": {func(e *check.Evidence) { dumps(e, "") }, check.Need{Copy: "nearby", Engine: "dump", Why: "dump of nearby was never proven"}},
		"the oldest of dumps and log": {func(e *check.Evidence) {
			dumps(e, "dump")
			e.Rehearse = 24 * time.Hour
		}, check.Need{Copy: "nearby", Engine: "dump", Why: "dump of nearby was last proven"}},
		"broken": {func(e *check.Evidence) {
			e.Proofs = e.Proofs[:1]
			edit(e, "offsite", "database", func(s *recovery.Survey) {
				for i := range s.Backups {
					s.Backups[i].Problem = "cut off"
				}
			})
		}, check.Need{Copy: "nearby", Engine: "pitr", Backup: "database/20261119", Why: "by chance"}},
	} {
		e := healthy()
		if c.change != nil {
			c.change(e)
		}
		need, ok := check.MostNeeds(e.Catalogue, e.Proofs, "database", []string{"nearby", "offsite"}, e.At, e.Rehearse, func(int) int { return 1 })
		got := need
		if got.Why = c.need.Why; !ok || got != c.need || !strings.Contains(need.Why, c.need.Why) {
			t.Errorf("%s: %+v, %v", name, need, ok)
		}
	}
	// One that shrank is chosen by nobody but a person: whether it is to be so is not known.
	e := healthy()
	edit(e, "nearby", "database", func(s *recovery.Survey) {
		for i := range s.Backups {
			s.Backups[i].Holds = recovery.Holds{Bytes: 13_100_000_000, Series: "files of 1"}
		}
		s.Backups[5].Holds.Bytes = 31_000_000
	})
	among := 0
	if need, ok := check.MostNeeds(e.Catalogue, e.Proofs, "database", []string{"nearby", "offsite"}, e.At, e.Rehearse, func(n int) int { among = n; return 5 }); !ok || among != 11 || need.Copy != "offsite" {
		t.Errorf("among %d it chooses %+v, %v", among, need, ok)
	}
	e = healthy()
	e.Catalogue.Surveys = nil
	if need, ok := check.MostNeeds(e.Catalogue, e.Proofs, "database", []string{"nearby"}, e.At, e.Rehearse, nil); ok {
		t.Errorf("without a backup: %+v", need)
	}
}

// dumps lets a copy hold dumps of the database, too. What was restored came by its log,
// and by an engine before.
func dumps(e *check.Evidence, before string) {
	e.Catalogue.Surveys = append(e.Catalogue.Surveys, survey("nearby", "database", "dump", at("2026-11-23 01:00:00"), 1))
	for i := range e.Proofs {
		for k := range e.Proofs[i].Points {
			if pt := &e.Proofs[i].Points[k]; pt.Component == "database" {
				pt.Engine = "pitr"
			}
		}
	}
	if before != "" {
		p := e.Proofs[0]
		p.At = at("2026-09-01 10:00:00")
		p.Points = []recovery.Point{{Component: "database", Copy: "nearby", Engine: before}}
		e.Proofs = append(e.Proofs, p)
	}
}
