package check_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/check"
	"comeback/recovery/postgres"
	"comeback/storage"
)

// shift moves everything that was seen, but for what was proven, to another day.
func shift(e *check.Evidence, days int) {
	move := func(t *time.Time) {
		if !t.IsZero() {
			*t = t.AddDate(0, 0, days)
		}
	}
	move(&e.At)
	for i := range e.Catalogue.Surveys {
		s := &e.Catalogue.Surveys[i]
		for k := range s.Backups {
			move(&s.Backups[k].Taken.From)
			move(&s.Backups[k].Taken.To)
		}
		for k := range s.Windows {
			move(&s.Windows[k].To.Time)
		}
	}
	for i := range e.Copies {
		move(&e.Copies[i].Canary.Until)
	}
	for name, s := range e.Servers {
		for _, t := range []*time.Time{&s.Now, &s.ArchivedAt, &s.Commit} {
			move(t)
		}
		e.Servers[name] = s
	}
}

// fault is something that goes wrong for some days.
type fault struct {
	name string
	days int
	// apply does it to the evidence of its nth day, from 0 on.
	apply func(e *check.Evidence, nth int)
	ids   []string
}

// unseen are the digits that nobody can vouch for while a copy is not seen whole.
var unseen = []string{"3-2-1-1-0/3 copies", "3-2-1-1-0/2 kinds", "3-2-1-1-0/1 elsewhere", "3-2-1-1-0/1 locked"}

// faults are those that the years of others were full of.
var faults = []fault{
	{"a job stops", 3, func(e *check.Evidence, nth int) {
		edit(e, "nearby", "database", func(s *recovery.Survey) {
			for i := range s.Backups { // the newest is that of the night before it stopped
				s.Backups[i].Taken.From = s.Backups[i].Taken.From.AddDate(0, 0, -1-nth)
				s.Backups[i].Taken.To = s.Backups[i].Taken.From
			}
		})
	}, []string{"stopped/database/nearby/pitr"}},
	{"a copy is denied", 2, func(e *check.Evidence, _ int) {
		e.Copies[1].Err = errors.New("access denied")
		for _, c := range e.Components {
			edit(e, "offsite", c.Name, func(s *recovery.Survey) { *s = recovery.Survey{} })
		}
	}, append([]string{"refused/offsite"}, unseen...)},
	{"a backup is corrupt", 1, func(e *check.Evidence, _ int) {
		edit(e, "nearby", "code", func(s *recovery.Survey) { s.Backups[len(s.Backups)-1].Problem = "it ends too early" })
	}, []string{"broken/code/nearby/code"}},
	{"a tree is missing", 1, func(e *check.Evidence, _ int) {
		edit(e, "offsite", "uploads", func(s *recovery.Survey) { s.Backups = nil })
	}, append([]string{"absent/uploads/offsite"}, unseen...)},
	{"a lock expires", 2, func(e *check.Evidence, _ int) {
		e.Copies[1].Canary = check.Tried{}
		e.Copies[1].Newest = &storage.Retention{Mode: "COMPLIANCE", Until: e.At.Add(-time.Hour)}
	}, []string{"3-2-1-1-0/1 locked"}},
	{"credentials can delete", 2, func(e *check.Evidence, _ int) { e.Copies[1].Canary = check.Tried{Deleted: true, By: "user/prod"} }, []string{"3-2-1-1-0/1 locked"}},
	{"a segment is lost", 1, func(e *check.Evidence, _ int) {
		edit(e, "offsite", "database", func(s *recovery.Survey) {
			s.Windows[len(s.Windows)-1].Gaps = []recovery.Gap{{Object: "wal/0000000100000003000000AA", Why: "missing"}}
		})
	}, []string{"gap/database/offsite"}},
	{"a slot goes wild", 2, func(e *check.Evidence, nth int) {
		s := e.Servers["database"]
		s.Slots = []postgres.Slot{{Name: "search_cdc", Bytes: int64(2+nth) << 30}}
		e.Servers["database"] = s
	}, []string{"slot/database/search_cdc"}},
	{"a check is weakened", 1, func(e *check.Evidence, _ int) { e.Runbook = "weaker" }, []string{"changed/database", "changed/uploads", "changed/config", "changed/code"}},
	{"the archive_command fails", 1, func(e *check.Evidence, _ int) {
		s := e.Servers["database"]
		s.FailedAt, s.Failed, s.Failures = e.At, "00000001000000030000007B", 3
		e.Servers["database"] = s
	}, []string{"archive/database"}},
}

// A month on a moved clock: what goes wrong is found on its day, and nothing else
// is ever reported.
func TestJudge_month(t *testing.T) {
	days := 30
	if os.Getenv("COMEBACK_SOAK") != "" {
		days = 365
	}
	random := rand.New(rand.NewPCG(2026, 11))
	var happening *fault
	nth, queue, found := 0, []int{}, map[string]bool{}
	for day := range days {
		e := healthy()
		shift(e, day)
		// The quarterly rehearsal is held.
		for i := range e.Proofs {
			e.Proofs[i].At = e.Proofs[i].At.AddDate(0, 0, day/40*40)
		}
		if happening != nil {
			if nth++; nth == happening.days {
				happening = nil
			}
		} else if random.IntN(4) > 0 {
			if len(queue) == 0 {
				queue = random.Perm(len(faults))
			}
			happening, nth, queue = &faults[queue[0]], 0, queue[1:]
		}
		var want, got []string
		if happening != nil {
			happening.apply(e, nth)
			want = slices.Clone(happening.ids)
			found[happening.name] = true
		}
		a := check.Judge(*e)
		for _, f := range a.Findings {
			got = append(got, f.ID)
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			name := "a quiet day"
			if happening != nil {
				name = happening.name
			}
			t.Errorf("day %d, %s: found %q, want %q\n%s", day, name, got, want, strings.Join(a.Lines(100, now.Location()), "\n"))
		}
		if quiet := happening == nil; quiet != (a.Answer == recovery.WouldSave) {
			t.Errorf("day %d: the answer is %s", day, a.Answer)
		}
	}
	if len(found) < len(faults)-1 && days >= 30 {
		t.Errorf("only %d of %d faults happened", len(found), len(faults))
	}
}
