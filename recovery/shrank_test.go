package recovery_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"comeback/recovery"
	"comeback/storage"
)

// nights are backups of a tree, one a night, that hold so many files of 100 kB each.
func nights(files ...int64) recovery.Survey {
	var s recovery.Survey
	for i, n := range files {
		at := time.Date(2026, 11, 1+i, 1, 0, 0, 0, time.UTC)
		s.Backups = append(s.Backups, recovery.Backup{ID: fmt.Sprint(i + 1), Taken: recovery.Span{From: at, To: at},
			Holds: recovery.Holds{Files: n, Bytes: n * 100_000, Series: "snapshot of /srv/uploads"}})
	}
	return s
}

func TestSurvey_Shrank(t *testing.T) {
	none := func(*recovery.Survey) {}
	for name, test := range map[string]struct {
		survey recovery.Survey
		change func(*recovery.Survey)
		meant  string
		want   string // the low ones, and what is said of the newest
	}{
		"nothing happens":          {nights(1000, 1001, 1002, 1003, 1004), none, "", ""},
		"the first night":          {nights(1000, 1010, 1020, 12), none, "", "4: 12 files, 1.20 MB; the 3 before held at least 1000 files, 100 MB"},
		"a third night":            {nights(1000, 1010, 1020, 1030, 1040, 1050, 12, 14, 900, 15), none, "", "10: 15 files, 1.50 MB; the 5 before held at least 900 files, 90.0 MB"},
		"it is still low":          {nights(1000, 1010, 1020, 1030, 1040, 1050, 12, 14, 500), none, "", "7 8 9: 500 files, 50.0 MB; the 5 before held at least 1010 files, 101 MB"},
		"it is as before":          {nights(1000, 1010, 1020, 12, 620), none, "", ""},
		"it swings by habit":       {nights(1000, 12, 1010, 11, 1020, 13, 1030, 12, 1000, 11), none, "", ""},
		"two nights tell nothing":  {nights(1000, 1010, 12), none, "", ""},
		"nothing is left":          {nights(3, 0), none, "", "2: 0 files, 0 B; the one before held 3 files, 300 kB"},
		"nothing ever was":         {nights(0, 0, 0, 0), none, "", ""},
		"few of little":            {nights(90, 91, 92, 20), none, "", ""},
		"nearly all of little":     {nights(90, 91, 92, 8), none, "", "4: 8 files, 800 kB; the 3 before held at least 90 files, 9.00 MB"},
		"the bytes alone":          {nights(1000, 1010, 1020, 1030), func(s *recovery.Survey) { s.Backups[3].Holds.Bytes = 50 << 20 }, "", "4: 1030 files, 52.4 MB; the 3 before held at least 1000 files, 100 MB"},
		"another directory":        {nights(1000, 1010, 1020, 12), func(s *recovery.Survey) { s.Backups[3].Holds.Series = "snapshot of /srv/logos" }, "", ""},
		"one cannot be restored":   {nights(1000, 1010, 1020, 12), func(s *recovery.Survey) { s.Backups[3].Problem = "a pack is missing" }, "", ""},
		"a clock was wrong":        {nights(1000, 1010, 1020, 12), func(s *recovery.Survey) { s.Backups[3].Contradicts = s.Backups[0].Taken.To }, "", ""},
		"it is not in the copy":    {nights(1000, 1010, 1020, 12), func(s *recovery.Survey) { s.Backups[3].Elsewhere = true }, "", ""},
		"it is meant so":           {nights(1000, 1010, 1020, 12, 13, 14), none, "5", ""},
		"one of before is":         {nights(1000, 1010, 1020, 12, 13, 14), none, "3", "4 5 6: 14 files, 1.40 MB; the 3 before held at least 1000 files, 100 MB"},
		"what is meant so is gone": {nights(1000, 1010, 1020, 12, 13, 14), func(s *recovery.Survey) { s.Backups = slices.Delete(s.Backups, 4, 5) }, "5", ""},
		"what was meant then is over": {nights(1000, 1010, 1020, 12, 13, 1030, 14), func(s *recovery.Survey) { s.Backups = slices.Delete(s.Backups, 4, 5) }, "5",
			"7: 14 files, 1.40 MB; the 4 before held at least 1000 files, 100 MB"},
		"what is meant is another": {nights(1000, 1010, 1020, 12, 1040, 14), func(s *recovery.Survey) { s.Backups = slices.Delete(s.Backups, 4, 5) }, "5",
			"4 6: 14 files, 1.40 MB; the 3 before held at least 1000 files, 100 MB"},
		"it shrinks again":           {nights(1000, 1010, 1020, 200, 201, 202, 12), none, "6", "7: 12 files, 1.20 MB; the 5 before held at least 200 files, 20.0 MB"},
		"full ones and what changed": {nights(1000, 1010, 1020, 12), func(s *recovery.Survey) { s.Backups[3].Holds = recovery.Holds{} }, "", ""},
		"of another order": {nights(1000, 1010, 1020, 12), func(s *recovery.Survey) { slices.Reverse(s.Backups) }, "",
			"4: 12 files, 1.20 MB; the 3 before held at least 1000 files, 100 MB"},
		"how much is stored alone": {nights(1000, 1010, 1020, 12), func(s *recovery.Survey) {
			for i := range s.Backups {
				s.Backups[i].Holds.Files = 0
			}
		}, "", "4: 1.20 MB; the 3 before held at least 100 MB"},
		"a series that has ended": {nights(1000, 1010, 1020, 12, 500, 510, 520), func(s *recovery.Survey) {
			for i := range s.Backups[4:] {
				s.Backups[4+i].Holds.Series = "snapshot of /srv/logos"
			}
		}, "", ""},
		"two series, in turns": {nights(1000, 500, 1010, 500, 1020, 500, 12, 500), func(s *recovery.Survey) {
			for i := 1; i < 8; i += 2 {
				s.Backups[i].Holds.Series = "snapshot of /srv/logos"
			}
		}, "", "7: 12 files, 1.20 MB; the 3 before held at least 1000 files, 100 MB"},
	} {
		t.Run(name, func(t *testing.T) {
			var meant []recovery.Backup
			if b, ok := test.survey.Named(test.meant); ok {
				meant = append(meant, b)
			}
			test.change(&test.survey)
			all := test.survey.Shrank(meant)
			var low []string
			says := ""
			for _, b := range recovery.Freshest(test.survey.Backups) {
				if less, ok := all[b.ID]; ok {
					low, says = append(low, b.ID), less.Says()
					if less.First.ID != low[0] || less.Now != b.Holds {
						t.Errorf("of %s it says %+v", b.ID, less)
					}
				}
			}
			if says != "" {
				says = strings.Join(low, " ") + ": " + says
			}
			if diff := cmp.Diff(test.want, says); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The last before it shrank is told, and the three without which that would not be seen.
func TestShrinkage_Evidence(t *testing.T) {
	less := nights(1000, 1010, 1020, 1030, 1040, 1050, 12, 14).Shrank(nil)["8"]
	var ids []string
	for _, b := range less.Evidence() {
		ids = append(ids, b.ID)
	}
	if got := strings.Join(ids, " "); less.Last().ID != "6" || got != "4 5 6" {
		t.Errorf("the last is %s, the evidence %s", less.Last().ID, got)
	}
	if less := nights(3, 0).Shrank(nil)["2"]; less.Last().ID != "1" || len(less.Evidence()) != 1 {
		t.Errorf("of one before it says %+v", less)
	}
}

// Of a snapshot a survey lists what says how much is in it; of an archive, what is read.
func TestBackup_Amount(t *testing.T) {
	b := recovery.Backup{Objects: []storage.Object{{Size: 400}}, Holds: recovery.Holds{Bytes: 2_000_000}}
	if b.Amount() != 2_000_000 {
		t.Errorf("a snapshot has %d bytes", b.Amount())
	}
	if b.Holds = (recovery.Holds{Series: "snapshot of /srv/uploads"}); b.Amount() != 0 {
		t.Errorf("a snapshot of nothing has %d bytes", b.Amount())
	}
	if b.Holds = (recovery.Holds{}); b.Amount() != 400 {
		t.Errorf("of what tells nothing %d bytes are read", b.Amount())
	}
}
