package tui

import (
	"testing"
	"time"

	"comeback/recovery"
)

// The command that the check's screen names finds the same: it has the runbook's path, and
// tries no canary; where it has not the room, y copies it whole.
func TestCheck_SameAs(t *testing.T) {
	desk := shopDesk()
	desk.assessed = shopAssessed()
	d := drive(t, desk, Options{})
	atHome(d, desk)
	d.press("k")
	d.sees("exit 1 of the command that y copies")
	d.press("y")
	want := "comeback check " + shopMD + " --no-canary"
	if got := d.clipboard(); got != want {
		t.Errorf("copied %q", got)
	}
	d.press("down")
	d.size(120, 40)
	d.sees("same as: " + want + ", exit 1")
}

// What a digit is met by can be read in the console, also where nothing was found wrong.
func TestCheck_WhatWasSeen(t *testing.T) {
	desk := shopDesk()
	desk.assessed = shopAssessed()
	d := drive(t, desk, Options{})
	atHome(d, desk)
	d.press("k")
	d.sees("0 errors  met, 12 Oct (nearby only)")
	d.press("enter")
	d.sees("FOUND   NOT MET")
	d.sees("SEEN    0 errors  met         nearby was restored on 12 Oct without an error")
	desk.mu.Lock()
	desk.assessed.Findings, desk.assessed.Answer = nil, recovery.WouldSave
	desk.mu.Unlock()
	d.press("esc", "g")
	d.sees("YES.")
	d.press("enter")
	d.sees("SEEN    0 errors  met         nearby was restored on 12 Oct without an error")
}

// shopTrend is how its rehearsals went: slower each time, and once too slow.
func shopTrend() *recovery.Trend {
	t := &recovery.Trend{}
	const least = recovery.Duration(time.Minute)
	for i, run := range []string{"11aa", "22bb", "3c3c", "4f2a"} {
		took := recovery.Duration(i*i*i+3) * least
		t.Runs = append(t.Runs, recovery.TrendRun{Run: run, At: ten.AddDate(0, i-9, 0), Took: took, RTO: 30 * least, Bytes: int64(i+1) * 3_300_000_000})
	}
	t.Runs[3].Took = 31*least + recovery.Duration(12*time.Second)
	for i, name := range []string{"Restore the database", "Restore the uploads", "Check the copy"} {
		stage := recovery.TrendStage{Name: name}
		for j := range t.Runs {
			stage.Took = append(stage.Took, recovery.TrendTook{Known: j > 0 || i != 1, Took: recovery.Duration(j+3-i) * least, Percent: 50})
		}
		t.Stages = append(t.Stages, stage)
	}
	return t
}

// shopAssessed is the shop on a morning on which nothing burns, as far as is seen.
func shopAssessed() recovery.Assessment {
	proof := recovery.ProofStanding{At: ten.AddDate(0, 0, -42), Run: "4f2a"}
	changed := proof
	changed.Changed = []string{"the runbook"}
	in := func(says string) []recovery.CopyStanding {
		return []recovery.CopyStanding{{Copy: "nearby", Mark: recovery.Met, Says: says}, {Copy: "offsite", Mark: recovery.Met, Says: says}}
	}
	return recovery.Assessment{System: "shop", At: ten, Answer: recovery.WouldBut, RPO: recovery.Duration(5 * time.Minute), RTO: recovery.Duration(30 * time.Minute),
		Copies: []string{"nearby", "offsite"},
		Components: []recovery.ComponentStanding{
			{Component: "database", Newest: ten.Add(-38 * time.Second), RPO: recovery.Met, Copies: in("ok, no gap"), Proof: proof},
			{Component: "uploads", Newest: ten.Add(-14 * time.Minute), RPO: recovery.NotMet, Copies: in("ok"), Proof: proof},
			{Component: "config", Newest: ten.Add(-24 * time.Hour), RPO: recovery.Met, Unchanged: true, Copies: in("ok"), Proof: proof},
			{Component: "code", Newest: ten.Add(-48 * time.Hour), Named: "9c1e2d7", RPO: recovery.Met, Unchanged: true, Copies: in("ok"), Proof: changed},
		},
		Time: recovery.TimeStanding{Mark: recovery.Met, Measured: recovery.Duration(13*time.Minute + 12*time.Second), Measures: proof.At, Bytes: 13_100_000_000,
			Now: 14_200_000_000, About: recovery.Duration(14*time.Minute + 18*time.Second), Stages: 7, Talked: 1, StoodIn: 5},
		Digits: []recovery.Digit{{Name: "3 copies", Mark: recovery.Met}, {Name: "2 kinds", Mark: recovery.Met}, {Name: "1 elsewhere", Mark: recovery.Met},
			{Name: "1 locked", Mark: recovery.NotMet, Evidence: []string{"nearby: a directory: whoever may write to it may delete", "offsite: no object lock: user/prod deleted our canary"}},
			{Name: "0 errors", Mark: recovery.Met, Evidence: []string{"nearby was restored on 12 Oct without an error, report 4f2a"}, Seen: proof.At, Copies: []string{"nearby"}}},
		Findings: []recovery.Judgement{
			{ID: "3-2-1-1-0/1 locked", Mark: recovery.NotMet, Says: "1 locked: offsite: no object lock: user/prod deleted our canary", Do: "turn on compliance lock, 30 days", Owner: "platform on-call", Since: ten},
			{ID: "rpo/uploads", Mark: recovery.NotMet, Says: "uploads: its newest moment is 14m00 old, the RPO is 5m00", Do: "back it up each 5m00, or owe less by the runbook's `rpo:` and have that signed", Owner: "platform on-call", Since: ten.Add(-time.Hour)},
			{ID: "proof/copy/offsite", Mark: recovery.Unknown, Says: "offsite was never restored from: a hope", Do: "comeback rehearse shop.md --copy offsite", Owner: "platform on-call", Since: ten},
		},
		Rehearsal: recovery.RehearsalStanding{Last: proof.At, Due: ten.AddDate(0, 0, 48)},
	}
}
