package catalogue_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/recovery/dump"
)

func TestCatalogue_Judge(t *testing.T) {
	now := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
	components := []recovery.Component{{Name: "database", Kind: recovery.Postgres}}
	engines := []recovery.Engine{dump.New(dump.Options{})}
	at := func(ago time.Duration) recovery.Span { return recovery.Span{From: now.Add(-ago), To: now.Add(-ago)} }
	survey := func(problem string, taken recovery.Span, windows ...recovery.Window) recovery.Survey {
		return recovery.Survey{Component: "database", Copy: "nearby", Backups: []recovery.Backup{{ID: "a", Taken: taken, Problem: problem}}, Windows: windows}
	}
	refusal := catalogue.Refusal{Copy: "offsite", Component: "database", Err: errors.New("AccessDenied")}
	for _, test := range []struct {
		name       string
		cat        catalogue.Catalogue
		components []recovery.Component
		saved      bool
		lost       bool
		why        string
		to         time.Time
		findings   []string
	}{
		{name: "a fresh backup", cat: catalogue.Catalogue{Surveys: []recovery.Survey{survey("", at(time.Minute))}}, saved: true, to: now.Add(-time.Minute)},
		{name: "an old backup", cat: catalogue.Catalogue{Surveys: []recovery.Survey{survey("", at(time.Hour))}}, saved: true, to: now.Add(-time.Hour), findings: []string{"1h00m old"}},
		{name: "a log that was not read to its end", cat: catalogue.Catalogue{Surveys: []recovery.Survey{survey("", at(time.Hour), recovery.Window{Backup: "a"})}}, saved: true},
		{name: "a log of a broken backup", cat: catalogue.Catalogue{Surveys: []recovery.Survey{survey("cut", at(time.Hour), recovery.Window{Backup: "a"})}}, lost: true, why: "no copy holds", findings: []string{"a in nearby cannot be restored: cut"}},
		{name: "no backup", lost: true, why: "no copy holds"},
		{name: "no access", cat: catalogue.Catalogue{Refusals: []catalogue.Refusal{refusal}}, why: "no access to offsite", findings: []string{"AccessDenied"}},
		{name: "one copy refuses and another does", cat: catalogue.Catalogue{Surveys: []recovery.Survey{survey("", at(time.Minute))}, Refusals: []catalogue.Refusal{refusal}},
			saved: true, to: now.Add(-time.Minute), findings: []string{"offsite could not be judged"}},
		{name: "a component that nobody looks for", components: append(components, recovery.Component{Name: "uploads", Kind: recovery.Files}),
			cat: catalogue.Catalogue{Surveys: []recovery.Survey{survey("", at(time.Minute))}}, why: "uploads: no engine"},
		{name: "lost counts more than unknown", components: append([]recovery.Component{{Name: "uploads", Kind: recovery.Files}}, components...), lost: true, why: "database: no copy"},
		{name: "what is to mend, and what is not", cat: catalogue.Catalogue{Surveys: []recovery.Survey{{Component: "database", Copy: "nearby", Backups: []recovery.Backup{{ID: "a", Taken: at(time.Minute)}},
			Findings: []recovery.Finding{{Object: "walg/", Says: "is WAL-G's"}, {Object: "b", Says: "ends early", Do: "look at the job"}}}}}, saved: true, to: now.Add(-time.Minute), findings: []string{"b: ends early"}},
		{name: "the log of a cluster that another has followed", cat: catalogue.Catalogue{Surveys: []recovery.Survey{
			{Component: "database", Copy: "nearby", Backups: []recovery.Backup{{ID: "a", Taken: at(time.Hour), Details: map[string]string{recovery.SystemIdentifier: "2"}}}},
			{Component: "database", Copy: "offsite", Backups: []recovery.Backup{{ID: "b", Taken: at(2 * time.Hour), Details: map[string]string{recovery.SystemIdentifier: "1"}}},
				Windows: []recovery.Window{{Backup: "b", To: recovery.Instant{Time: now}}}}}},
			saved: true, to: now.Add(-time.Hour), findings: []string{"1h00m old"}},
		{name: "the first backup of another cluster is being made", cat: catalogue.Catalogue{Surveys: []recovery.Survey{
			{Component: "database", Copy: "nearby", Backups: []recovery.Backup{{ID: "a", Taken: at(time.Minute), Details: map[string]string{recovery.SystemIdentifier: "1"}},
				{ID: "b", Problem: "base.tar is missing", Taken: at(0), Details: map[string]string{recovery.SystemIdentifier: "2"}}}}}},
			saved: true, to: now.Add(-time.Minute), findings: []string{"base.tar is missing"}},
		{name: "a backup of a clock that was ahead", cat: catalogue.Catalogue{Surveys: []recovery.Survey{survey("", at(-24*time.Hour)), survey("", at(time.Minute))}}, saved: true, to: now.Add(-time.Minute),
			findings: []string{"nearby: a of database says that it is of 24 Nov 2026 03:00, which is still to come"}},
		{name: "nothing but what a clock that was ahead has dated", cat: catalogue.Catalogue{Surveys: []recovery.Survey{survey("", at(-24*time.Hour))}}, saved: true, findings: []string{"still to come"}},
		{name: "a log of a clock that was ahead", cat: catalogue.Catalogue{Surveys: []recovery.Survey{survey("", at(time.Minute), recovery.Window{Backup: "a", To: recovery.Instant{Time: now.Add(time.Hour)}})}},
			saved: true, to: now.Add(-time.Minute), findings: []string{"the log of database ends with a commit of 23 Nov 2026 04:00, which is still to come"}},
		{name: "a backup that contradicts the clock of its store", cat: catalogue.Catalogue{Surveys: []recovery.Survey{{Component: "database", Copy: "nearby",
			Backups: []recovery.Backup{{ID: "a", Taken: at(time.Minute), Contradicts: now.Add(-time.Hour)}}}}}, saved: true, to: now.Add(-time.Hour), findings: []string{"1h00m old", "one of the clocks was wrong"}},
		{name: "a gap", cat: catalogue.Catalogue{Surveys: []recovery.Survey{survey("", at(time.Minute), recovery.Window{Backup: "a", To: recovery.Instant{Time: now}, Gaps: []recovery.Gap{{Object: "seg", Why: "missing"}}})}},
			saved: true, to: now, findings: []string{"seg is missing"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			list := test.components
			if list == nil {
				list = components
			}
			v := test.cat.Judge(list, engines, 5*time.Minute, now)
			if v.Saved != test.saved || v.Lost != test.lost || !strings.Contains(v.Why, test.why) || (v.Why == "") != test.saved || !v.To.Equal(test.to) {
				t.Errorf("the verdict is %+v", v)
			}
			for _, told := range v.Tells {
				if !slices.Contains(v.Findings, told.Says) || !strings.Contains(told.Says, told.Same) {
					t.Errorf("%+v is told, of %q", told, v.Findings)
				}
			}
			if len(v.Findings) != len(test.findings) {
				t.Fatalf("the findings are %q", v.Findings)
			}
			for i, f := range test.findings {
				if !strings.Contains(v.Findings[i], f) {
					t.Errorf("finding %q does not say %q", v.Findings[i], f)
				}
			}
		})
	}
}
