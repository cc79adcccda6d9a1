package backup_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/storage"
)

// A year of nightly backups leaves what is asked for, the newest of each period,
// and never loses the newest nor the newest that each signer has proven.
func TestRetain(t *testing.T) {
	end := time.Date(2026, 11, 28, 2, 0, 0, 0, time.UTC)
	var s recovery.Survey
	for day := 365; day >= 0; day-- {
		taken := end.AddDate(0, 0, -day)
		b := recovery.Backup{ID: "base/" + taken.Format("20060102"), Taken: recovery.Span{From: taken, To: taken}}
		s.Backups = append(s.Backups, b)
	}
	s.Backups[365].Problem = "it is cut off" // last night's
	known, ci, forger := backup.Prover{}, backup.Prover{Signer: "SHA256:ci"}, backup.Prover{Signer: "SHA256:forger"}
	proven := func(b recovery.Backup) []backup.Prover {
		return map[string][]backup.Prover{"base/20260302": {ci, known}, "base/20260303": {known}, "base/20260304": {ci}, "base/20260305": {forger}}[b.ID]
	}
	kept := backup.Retain(s, backup.Keep{Daily: 7, Weekly: 4, Monthly: 12}, end, proven, nil)
	var ids []string
	for _, k := range kept {
		if len(k.Why) > 0 {
			ids = append(ids, strings.TrimPrefix(k.ID, "base/"))
		}
	}
	want := "20251231 20260131 20260228 20260303 20260304 20260305 20260331 20260430 20260531 20260630 20260731 20260831 20260930 20261031 20261108 20261115 20261121 20261122 20261123 20261124 20261125 20261126 20261127 20261128"
	if got := strings.Join(ids, " "); got != want {
		t.Errorf("kept\n%s, want\n%s", got, want)
	}
	for _, k := range backup.Retain(s, backup.Keep{}, end, nil, nil) {
		if len(k.Why) == 0 {
			t.Errorf("%s would go although nothing is to go", k.ID)
		}
	}
	one := recovery.Survey{Backups: s.Backups[:1]}
	if k := backup.Retain(one, backup.Keep{Daily: 1}, end, nil, nil); strings.Join(k[0].Why, ", ") != "the newest, the newest of the day 2025-11-28" {
		t.Errorf("the only one: %v", k[0].Why)
	}
	// What was proven stays where something is said of it since, and so does what was
	// proven before and can be restored.
	some := recovery.Survey{Backups: slices.Clone(s.Backups[:5])}
	some.Backups[2].Problem = "its timeline is dead"
	var stay []string
	for _, k := range backup.Retain(some, backup.Keep{Daily: 1}, end, func(b recovery.Backup) []backup.Prover {
		return map[string][]backup.Prover{some.Backups[1].ID: {known}, some.Backups[2].ID: {known}}[b.ID]
	}, nil) {
		if len(k.Why) > 0 {
			stay = append(stay, k.ID)
		}
	}
	if want := []string{some.Backups[1].ID, some.Backups[2].ID, some.Backups[4].ID}; !slices.Equal(stay, want) {
		t.Errorf("kept %q, want %q", stay, want)
	}
}

// What was restored without checks is no proof: it lets nothing go that is proven, and stays
// itself only where its signer has proven nothing that can be restored.
func TestRetain_unchecked(t *testing.T) {
	end := time.Date(2026, 11, 28, 2, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		provers map[string][]backup.Prover
		broken  string
		want    []string
	}{
		"beside a proof":       {map[string][]backup.Prover{"24": {{}}, "25": {{Unchecked: true}}}, "", []string{"24: the newest that was proven", "28: the newest"}},
		"without a proof":      {map[string][]backup.Prover{"24": {{Unchecked: true}}, "25": {{Unchecked: true}}}, "", []string{"25: the newest that was restored, with no checks and none proven", "28: the newest"}},
		"what is proven broke": {map[string][]backup.Prover{"24": {{}}, "25": {{Unchecked: true}}}, "24", []string{"24: the newest that was proven", "25: the newest that was restored, with no checks and none proven", "28: the newest"}},
		"another's proof": {map[string][]backup.Prover{"24": {{}}, "25": {{Signer: "SHA256:ci", Unchecked: true}}}, "",
			[]string{"24: the newest that was proven", "25: the newest that SHA256:ci has restored, with no checks and none proven, a key that is not known here", "28: the newest"}},
	} {
		var s recovery.Survey
		for day := 4; day >= 0; day-- {
			taken := end.AddDate(0, 0, -day)
			b := recovery.Backup{ID: taken.Format("02"), Taken: recovery.Span{From: taken, To: taken}}
			if b.ID == c.broken {
				b.Problem = "a pack is missing"
			}
			s.Backups = append(s.Backups, b)
		}
		var stay []string
		for _, k := range backup.Retain(s, backup.Keep{Daily: 1}, end, func(b recovery.Backup) []backup.Prover { return c.provers[b.ID] }, nil) {
			if len(k.Why) > 0 {
				stay = append(stay, k.ID+": "+k.Why[0])
			}
		}
		if !slices.Equal(stay, c.want) {
			t.Errorf("%s: kept %q, want %q", name, stay, c.want)
		}
	}
}

// What was damaged after it was stored does not go the next night because another is
// whole, and takes no place from what can be restored; it goes when it would have gone.
func TestRetain_damaged(t *testing.T) {
	end := time.Date(2026, 11, 28, 2, 0, 0, 0, time.UTC)
	var s recovery.Survey
	for day := 5; day >= 0; day-- {
		taken := end.AddDate(0, 0, -day)
		s.Backups = append(s.Backups, recovery.Backup{ID: taken.Format("02"), Taken: recovery.Span{From: taken, To: taken}})
	}
	s.Backups[3].Problem, s.Backups[3].Damaged = "a pack is missing", true // 26
	s.Backups[4].Problem = "it is cut off"                                 // 27
	ids := func(keep backup.Keep) string {
		var ids []string
		for _, k := range backup.Retain(s, keep, end, nil, nil) {
			if len(k.Why) > 0 {
				ids = append(ids, k.ID)
			}
		}
		return strings.Join(ids, " ")
	}
	if got := ids(backup.Keep{Daily: 2}); got != "25 26 28" {
		t.Errorf("kept %s", got)
	}
	if got := ids(backup.Keep{Daily: 1}); got != "28" {
		t.Errorf("a day later: kept %s", got)
	}
}

// A base backup on a timeline that was left holds what people wrote there, and comes back
// for whoever asks for that timeline: it stays as long as if nobody had left it.
func TestRetain_left(t *testing.T) {
	end := time.Date(2026, 11, 28, 2, 0, 0, 0, time.UTC)
	var s recovery.Survey
	for day := 9; day >= 0; day-- {
		taken := end.AddDate(0, 0, -day)
		s.Backups = append(s.Backups, recovery.Backup{ID: taken.Format("02"), Taken: recovery.Span{From: taken, To: taken}})
	}
	s.Backups[5].Problem, s.Backups[5].Left = "timeline 2 was left with run 7c31", true // 24
	for daily, want := range map[int]bool{7: true, 5: true, 4: false} {
		for _, k := range backup.Retain(s, backup.Keep{Daily: daily}, end, nil, nil) {
			if k.ID == "24" && (len(k.Why) > 0) != want {
				t.Errorf("%d daily: kept for %q", daily, k.Why)
			}
		}
	}
}

// A snapshot of last night does not go because its store's clock had fallen to 1970, and
// one of a clock that was ahead lets the newest by its store stay.
func TestRetain_clocks(t *testing.T) {
	end := time.Date(2026, 11, 28, 2, 0, 0, 0, time.UTC)
	var s recovery.Survey
	for day := 3; day >= 0; day-- {
		taken := end.AddDate(0, 0, -day)
		s.Backups = append(s.Backups, recovery.Backup{ID: taken.Format("02"), Taken: recovery.Span{From: taken, To: taken}})
	}
	ids := func() string {
		var ids []string
		for _, k := range backup.Retain(s, backup.Keep{Daily: 1}, end, nil, nil) {
			if len(k.Why) > 0 {
				ids = append(ids, k.ID)
			}
		}
		return strings.Join(ids, " ")
	}
	s.Backups[3].Taken = recovery.Span{To: end}
	s.Backups[3].Contradicts = time.Unix(0, 0)
	if got := ids(); got != "27 28" {
		t.Errorf("the clock of the store had fallen: kept %s", got)
	}
	s.Backups[3].Contradicts = time.Time{}
	s.Backups[0].Taken = recovery.Span{To: end.AddDate(1, 0, 0)}
	s.Backups[0].Contradicts = end.AddDate(0, 0, -3)
	if got := ids(); got != "28 25" {
		t.Errorf("the clock of the host was ahead: kept %s", got)
	}
}

// A wrong clock lets nothing go that the rule keeps of what was taken by a right one, and
// what was taken by the wrong one stays as long as it would by either.
func TestRetain_wrongClocks(t *testing.T) {
	const nights = 21
	night := func(n int) time.Time { return time.Date(2026, 11, 1+n, 2, 0, 0, 0, time.UTC) } // from 0 on
	for name, c := range map[string]struct {
		keep backup.Keep
		// Of the nights from on, to before to, the backups say that they are of so many
		// days later. The store says nothing of when it got what is silent.
		from, to, days int
		silent         bool
		// looked is the night after which it is looked, want the days that stay.
		looked int
		want   string
	}{
		"all were right":                       {backup.Keep{Daily: 7}, 0, 0, 0, false, 20, "15 16 17 18 19 20 21"},
		"the host was a month ahead":           {backup.Keep{Daily: 7}, 7, 14, 30, false, 20, "8 9 10 11 12 13 14 15 16 17 18 19 20 21"},
		"it is ahead until now":                {backup.Keep{Daily: 7}, 14, 21, 30, false, 20, "8 9 10 11 12 13 14 15 16 17 18 19 20 21"},
		"the store was ahead as well":          {backup.Keep{Daily: 7}, 7, 14, 30, true, 20, "8 9 10 11 12 13 14 15 16 17 18 19 20 21"},
		"more nights ahead than days are kept": {backup.Keep{Daily: 7}, 4, 14, 30, false, 20, "8 9 10 11 12 13 14 15 16 17 18 19 20 21"},
		"last night was a month behind":        {backup.Keep{Daily: 7}, 20, 21, -30, false, 20, "14 15 16 17 18 19 20 21"},
		"a week was a month behind":            {backup.Keep{Daily: 7}, 14, 21, -30, false, 20, "8 9 10 11 12 13 14 15 16 17 18 19 20 21"},
		"a week that is long past was behind":  {backup.Keep{Daily: 3}, 2, 9, -30, false, 20, "19 20 21"},
		"weeks":                                {backup.Keep{Weekly: 2}, 14, 20, 30, false, 20, "14 15 20 21"},
	} {
		var s recovery.Survey
		for n := range nights {
			at, says := night(n), night(n)
			if n >= c.from && n < c.to {
				says = says.AddDate(0, 0, c.days)
			}
			b := recovery.Backup{ID: at.Format("2"), Taken: recovery.Span{From: says, To: says}}
			if !c.silent {
				b.Objects = []storage.Object{{Key: b.ID, Modified: at.Add(time.Minute)}}
			}
			s.Backups = append(s.Backups, b)
		}
		stays := map[string]bool{}
		for _, k := range backup.Retain(s, c.keep, night(c.looked).Add(4*time.Hour), nil, nil) {
			stays[k.ID] = len(k.Why) > 0
		}
		var got []string
		for _, b := range s.Backups {
			if stays[b.ID] {
				got = append(got, b.ID)
			}
		}
		if got := strings.Join(got, " "); got != c.want {
			t.Errorf("%s: kept\n%s, want\n%s", name, got, c.want)
		}
	}
}

// What the newest ones lack, the newest that lacks nothing has: it stays.
func TestRetain_exceptions(t *testing.T) {
	end := time.Date(2026, 11, 28, 2, 0, 0, 0, time.UTC)
	var s recovery.Survey
	for day := 9; day >= 0; day-- {
		taken := end.AddDate(0, 0, -day)
		b := recovery.Backup{ID: taken.Format("02"), Taken: recovery.Span{From: taken, To: taken}}
		if day < 8 {
			b.Details = map[string]string{recovery.DetailExceptions: "a film is missing"}
		}
		s.Backups = append(s.Backups, b)
	}
	var stay []string
	for _, k := range backup.Retain(s, backup.Keep{Daily: 2}, end, nil, nil) {
		if len(k.Why) > 0 {
			stay = append(stay, k.ID)
		}
	}
	if want := []string{"20", "27", "28"}; !slices.Equal(stay, want) {
		t.Errorf("kept %q, want %q", stay, want)
	}
}

// What was in the last backups before they shrank may be nowhere else: they stay, with those
// without which nobody would see it, until somebody says that it is to be so. Of base backups the log
// tells more.
func TestRetain_beforeItShrank(t *testing.T) {
	end := time.Date(2026, 11, 28, 2, 0, 0, 0, time.UTC)
	var s recovery.Survey
	for day := 30; day >= 0; day-- {
		taken := end.AddDate(0, 0, -day)
		b := recovery.Backup{ID: taken.Format("20060102"), Taken: recovery.Span{From: taken, To: taken}, Holds: recovery.Holds{Files: 31204, Bytes: 2e9, Series: "snapshot of /srv/uploads"}}
		if day < 20 {
			b.Holds.Files, b.Holds.Bytes = 12, 3_100_000
		}
		s.Backups = append(s.Backups, b)
	}
	const before = "20261106 20261107 20261108 "
	for name, test := range map[string]struct {
		meant string
		stop  recovery.LSN
		want  string
	}{
		"nobody has said anything":    {"", 0, before + "20261127 20261128"},
		"a smaller one is to be so":   {"20261110", 0, "20261127 20261128"},
		"one of before is":            {"20261107", 0, before + "20261127 20261128"},
		"they have log that leads on": {"", 1, "20261127 20261128"},
	} {
		of := recovery.Survey{Backups: slices.Clone(s.Backups)}
		for i := range of.Backups {
			of.Backups[i].Stop = test.stop
		}
		var meant []recovery.Backup
		if b, ok := of.Named(test.meant); ok {
			meant = append(meant, b)
		}
		for range 2 { // what stays is seen without what went
			left := recovery.Survey{}
			for _, k := range backup.Retain(of, backup.Keep{Daily: 2}, end, nil, meant) {
				if len(k.Why) > 0 {
					left.Backups = append(left.Backups, k.Backup)
				}
			}
			of = left
		}
		var ids []string
		for _, b := range of.Backups {
			ids = append(ids, b.ID)
		}
		if got := strings.Join(ids, " "); got != test.want {
			t.Errorf("%s: kept %s, want %s", name, got, test.want)
		}
	}
}
