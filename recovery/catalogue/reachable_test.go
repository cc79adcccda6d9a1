package catalogue_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/recovery/files/bucket"
)

// Which moments another component's log does not reach is known where nothing else of that
// component goes on: a dump, a window that nothing follows, and an end that nobody has
// read leave every later moment as it is.
func TestCatalogue_Reachable(t *testing.T) {
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
	engines := []recovery.Engine{bucket.New(bucket.Options{})}
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
			cat := catalogue.Catalogue{Surveys: append(test.database, uploads)}
			for _, m := range cat.Reachable(components, engines) {
				if len(m.Beyond) == 0 {
					continue
				}
				if beyond = append(beyond, m.Backup); m.Component != "uploads" || !slices.Equal(m.Beyond, []string{"database"}) || m.Until.IsZero() || !m.Begins().After(m.Until) {
					t.Errorf("%+v", m)
				}
			}
			if !slices.Equal(beyond, test.beyond) {
				t.Errorf("beyond the end are %q, want %q", beyond, test.beyond)
			}
		})
	}
	// A window of which only the end is beyond says how far it can be used.
	all := catalogue.Catalogue{Surveys: []recovery.Survey{
		survey("a", "nearby", []recovery.Window{window(1, "08:00:00", "12:00:00", nil)}), survey("b", "nearby", []recovery.Window{window(1, "08:00:00", "10:00:00", nil)})}}.Reachable([]recovery.Component{{Name: "a"}, {Name: "b"}}, engines)
	if len(all) != 2 || !all[1].Until.Equal(at("10:00:00")) || all[1].First != "b" || !slices.Equal(all[1].Beyond, []string{"b"}) || len(all[0].Beyond) > 0 {
		t.Errorf("%+v", all)
	}
	bucket := recovery.Survey{Component: "uploads", Copy: "nearby", Engine: bucket.Name, Backups: []recovery.Backup{{ID: "versions", Taken: recovery.Span{From: at("06:00:00"), To: at("13:00:00")}}}}
	database := survey("database", "nearby", []recovery.Window{window(1, "08:00:00", "12:00:00", nil)})
	cat := catalogue.Catalogue{Surveys: []recovery.Survey{database, bucket}}
	for _, m := range cat.Reachable(components, engines) {
		switch m.Component {
		case "uploads": // until the database's end it can be gone to
			if !m.Begins().Equal(at("06:00:00")) || !m.Until.Equal(at("12:00:00")) || m.Begins().After(m.Until) {
				t.Errorf("a bucket's versions: %+v", m)
			}
		case "database":
			if len(m.Without) > 0 {
				t.Errorf("beside a bucket's versions: %+v", m)
			}
		}
	}
}
