package recovery_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"comeback/recovery"
)

// assessed is the shop on a morning on which nothing burns.
func assessed() recovery.Assessment {
	zone := time.FixedZone("", 3600)
	at := time.Date(2026, 11, 23, 9, 13, 40, 0, zone)
	proof := recovery.ProofStanding{At: time.Date(2026, 10, 12, 10, 0, 0, 0, zone), Run: "4f2a"}
	changed := proof
	changed.Changed = []string{"the runbook"}
	in := func(says string) []recovery.CopyStanding {
		return []recovery.CopyStanding{{Copy: "nearby", Mark: recovery.Met, Says: says}, {Copy: "offsite", Mark: recovery.Met, Says: says}}
	}
	return recovery.Assessment{System: "shop", At: at, Answer: recovery.WouldBut, RPO: recovery.Duration(5 * time.Minute), RTO: recovery.Duration(30 * time.Minute),
		Copies: []string{"nearby", "offsite"},
		Components: []recovery.ComponentStanding{
			{Component: "database", Newest: at.Add(-38 * time.Second), RPO: recovery.Met, Copies: in("ok, no gap"), Proof: proof},
			{Component: "uploads", Newest: at.Add(-820 * time.Second), RPO: recovery.NotMet, Copies: in("ok"), Proof: proof},
			{Component: "config", Newest: at.Add(-24 * time.Hour), RPO: recovery.Met, Unchanged: true, Copies: in("ok"), Proof: proof},
			{Component: "code", Newest: at.Add(-48 * time.Hour), Named: "9c1e2d7", RPO: recovery.Met, Unchanged: true, Copies: in("ok"), Proof: changed},
		},
		Time: recovery.TimeStanding{Mark: recovery.Met, Measured: recovery.Duration(13*time.Minute + 12*time.Second), Measures: proof.At, Bytes: 13_100_000_000,
			Now: 14_200_000_000, About: recovery.Duration(14*time.Minute + 18*time.Second), Stages: 7, Talked: 1, StoodIn: 5},
		Digits: []recovery.Digit{{Name: "3 copies", Mark: recovery.Met}, {Name: "2 kinds", Mark: recovery.Met}, {Name: "1 elsewhere", Mark: recovery.Met},
			{Name: "1 locked", Mark: recovery.NotMet}, {Name: "0 errors", Mark: recovery.Met, Seen: proof.At, Copies: []string{"nearby"}}},
		Findings: []recovery.Judgement{
			{ID: "3-2-1-1-0/1 locked", Mark: recovery.NotMet, Says: "offsite: no object lock: user/prod deleted our canary", Do: "Turn on compliance lock, 30 days", Owner: "lead", Due: time.Date(2026, 12, 1, 0, 0, 0, 0, zone)},
			{ID: "rpo/uploads", Mark: recovery.NotMet, Says: "uploads: its newest moment is 13m40 old, the RPO is 5m00", Do: "back it up each 5m00, not each 0m30, or set an RPO for it and have it signed"},
			{ID: "proof/copy/offsite", Mark: recovery.Unknown, Says: "offsite was never restored from: a hope", Do: "comeback rehearse shop.md --copy offsite"},
		},
		Rehearsal: recovery.RehearsalStanding{Last: proof.At, Due: time.Date(2027, 1, 10, 10, 0, 0, 0, zone)},
	}
}

const page = `YES, BUT: 2 findings, 1 unknown.  Back in about 14m.            checked 09:13:40

COMPONENT   NEWEST     RPO 5m   NEARBY        OFFSITE       LAST PROOF
database    09:13:02   met      ok, no gap    ok, no gap    12 Oct, 4f2a
uploads     09:00:00   NOT MET  ok            ok            12 Oct, 4f2a
config      22 Nov     met (1)  ok            ok            12 Oct, 4f2a
code        9c1e2d7    met (1)  ok            ok            12 Oct, changed
            (1) nothing changed at the source since that backup
TIME    RTO 30m: met, 13m12 on 12 Oct with 13.1 GB; now 14.2 GB, about 14m
        of it 1 was talked through, 5 done on a stand-in: real time unknown
3-2-1-1-0   3 copies  met        2 kinds  met         1 elsewhere  met
            1 locked  NOT MET    0 errors  met, 12 Oct (nearby only)

  1 NOT MET  offsite: no object lock: user/prod deleted our canary.
             Turn on compliance lock, 30 days.
             lead, by 1 Dec 2026.
  2 NOT MET  uploads: its newest moment is 13m40 old, the RPO is 5m00.
             back it up each 5m00, not each 0m30, or set an RPO for it and have
             it signed.
  3 unknown  offsite was never restored from: a hope.
             comeback rehearse shop.md --copy offsite.
NEXT    rehearsal due 10 Jan 2027, in 48 days`

func TestAssessment_Lines(t *testing.T) {
	a := assessed()
	if diff := cmp.Diff(page, strings.Join(a.Lines(80, a.At.Location()), "\n")); diff != "" {
		t.Error(diff)
	}
	if a.Exit() != recovery.CheckWarning {
		t.Errorf("exit %d", a.Exit())
	}
	// Of what is met in all copies only the day is told, and of many copies how many they are.
	for _, c := range []struct {
		copies []string
		width  int
		want   string
	}{{a.Copies, 80, "met, 12 Oct"}, {[]string{"nearby"}, 46, "met, 12 Oct (1 of 2 copies)"}} {
		a.Digits[4].Copies = c.copies
		if lines := a.DigitLines(c.width, a.At.Location()); !strings.HasSuffix(lines[len(lines)-1], c.want) {
			t.Errorf("%q: %q", c.copies, lines)
		}
	}
	// What is no proof says in the table what it lacks.
	for _, lacks := range []recovery.Lack{recovery.LacksChecks, recovery.LacksSignature, recovery.LacksBytes, recovery.LacksSuccess} {
		a.Components[0].Proof.Lacks = lacks
		if row := a.Table(80, a.At.Location())[1]; !strings.HasSuffix(row, " "+string(lacks)) {
			t.Errorf("%s: %s", lacks, row)
		}
	}
	// However many copies there are, the table stays on the page.
	for range 6 {
		a.Copies = append(a.Copies, "another-copy")
		for i := range a.Components {
			a.Components[i].Copies = append(a.Components[i].Copies, recovery.CopyStanding{Copy: "another-copy", Mark: recovery.Unknown, Says: "REFUSED"})
		}
		for _, line := range a.Table(80, a.At.Location()) {
			if n := utf8.RuneCountInString(line); n > 80 {
				t.Errorf("%d copies: %d cells: %s", len(a.Copies), n, line)
			}
		}
	}
}

// Every copy of a component and every stage says by what it is proven, or that it is not.
func TestAssessment_ProofLines(t *testing.T) {
	at := time.Date(2026, 10, 12, 10, 0, 0, 0, time.UTC)
	proven := recovery.ProofStanding{Run: "4f2a", At: at, Took: recovery.Duration(13*time.Minute + 12*time.Second)}
	changed, strange, unchecked, unsigned := proven, recovery.ProofStanding{SignerUnknown: "9e01"}, proven, proven
	unchecked.Lacks, unsigned.Lacks = recovery.LacksChecks, recovery.LacksSignature
	changed.Changed, changed.SignerUnknown = []string{"the runbook", "comeback: v0.2.0 then, v0.3.0 now"}, "9e01"
	a := recovery.Assessment{Components: []recovery.ComponentStanding{
		{Component: "database", Copies: []recovery.CopyStanding{{Copy: "nearby", Proof: proven}, {Copy: "offsite", Proof: changed}}},
		{Component: "uploads-of-many-customers", Copies: []recovery.CopyStanding{{Copy: "nearby", Proof: strange}, {Copy: "offsite"}}},
		{Component: "code", Copies: []recovery.CopyStanding{{Copy: "nearby", Proof: unchecked}, {Copy: "offsite", Proof: unsigned}}},
	}, Stages: []recovery.StageStanding{{Stage: "Stop the writes"}, {Stage: "Restore", Proof: proven}, {Stage: "Open", Proof: unchecked}}}
	want := `PROOF   database, nearby        proven by 4f2a on 12 Oct 2026 in 13m12
        database, offsite       proven by 4f2a on 12 Oct 2026 in 13m12; changed
                                since: the runbook, comeback: v0.2.0 then,
                                v0.3.0 now; restored by 9e01, signer unknown
        uploads-of-many-custo~  never restored; restored by 9e01, signer unknown
        uploads-of-many-custo~  never restored
        code, nearby            not proven: restored on 12 Oct 2026 by run 4f2a,
                                with no checks
        code, offsite           not proven: restored on 12 Oct 2026 by run 4f2a,
                                which nobody has signed
STAGES  Stop the writes         never exercised
        Restore                 proven by 4f2a on 12 Oct 2026 in 13m12
        Open                    not proven: exercised on 12 Oct 2026 by run
                                4f2a, with no checks`
	if diff := cmp.Diff(want, strings.Join(a.ProofLines(80, time.UTC), "\n")); diff != "" {
		t.Error(diff)
	}
}
