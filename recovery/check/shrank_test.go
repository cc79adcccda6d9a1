package check_test

import (
	"slices"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/check"
)

// shrunk is a shop of whose uploads the two newest snapshots in offsite have nearly nothing in
// them.
func shrunk() *check.Evidence {
	e := healthy()
	edit(e, "offsite", "uploads", func(s *recovery.Survey) {
		for i := range s.Backups {
			s.Backups[i].Holds = recovery.Holds{Files: 31204, Bytes: 2_000_000_000, Series: "snapshot of /srv/uploads"}
			if i >= 4 {
				s.Backups[i].Holds.Files, s.Backups[i].Holds.Bytes = 12, 3_100_000
			}
		}
	})
	return e
}

// found are the findings whose ids begin so.
func found(e *check.Evidence, begins string) (all []recovery.Judgement) {
	for _, f := range check.Judge(*e).Findings {
		if strings.HasPrefix(f.ID, begins) {
			all = append(all, f)
		}
	}
	return all
}

// A backup that shrank is told, with the last before it, for as long as nobody has restored a
// smaller one by its name and signed that.
func TestJudge_shrank(t *testing.T) {
	e := shrunk()
	got := found(e, "shrank/")
	if len(got) != 1 || got[0].ID != "shrank/uploads/offsite/uploads" || got[0].Mark != recovery.NotMet || got[0].Fatal ||
		got[0].Says != "offsite: since 22 Nov 09:12 much less is in the backups of uploads: 12 files, 3.10 MB; the 4 before held at least 31204 files, 2.00 GB (deleted, moved away, or a file system that is not mounted there)" ||
		!strings.Contains(got[0].Do, "comeback rehearse shop.md --to uploads/20261123; else go back before uploads/20261121 is removed, too") {
		t.Errorf("found %+v", got)
	}
	proof := e.Proofs[0]
	proof.Run, proof.At = "9c2e", at("2026-11-22 12:00:00")
	proof.Chosen, proof.Points = "uploads", []recovery.Point{{Component: "uploads", Copy: "nearby", Backup: recovery.Backup{ID: "uploads/20261122", Component: "uploads"}}}
	for name, test := range map[string]struct {
		change func(*check.Proof)
		ends   bool
	}{
		"a smaller one was restored":   {func(*check.Proof) {}, true},
		"because it was the latest":    {func(p *check.Proof) { p.Chosen = "" }, false},
		"with another that was chosen": {func(p *check.Proof) { p.Chosen = "database" }, false},
		"and nothing was checked":      {func(p *check.Proof) { p.Unchecked = true }, true},
		"and nobody has signed":        {func(p *check.Proof) { p.Signed = false }, false},
		"one of before was restored":   {func(p *check.Proof) { p.Points[0].Backup.ID = "uploads/20261121" }, false},
		"something else of that name":  {func(p *check.Proof) { p.Points[0].Component, p.Points[0].Backup.Component = "config", "config" }, false},
		"it is of a time yet to come":  {func(p *check.Proof) { p.At = e.At.AddDate(1, 0, 0) }, false},
		"whose signer nobody here has": {func(p *check.Proof) { p.Stranger = &check.Stranger{Fingerprint: "SHA256:abc"} }, false},
	} {
		e, p := shrunk(), proof
		p.Points = slices.Clone(p.Points)
		test.change(&p)
		e.Proofs = append([]check.Proof{p}, e.Proofs...)
		if got := found(e, "shrank/"); len(got) == 0 != test.ends {
			t.Errorf("%s: found %+v", name, got)
		}
	}
}
