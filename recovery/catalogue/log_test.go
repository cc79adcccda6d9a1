package catalogue_test

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/catalogue"
)

// A time that only an older copy holds is read there.
func TestCatalogue_LogAround(t *testing.T) {
	at := func(hour int) time.Time { return time.Date(2026, 11, 23, hour, 0, 0, 0, time.UTC) }
	survey := func(copy string, from, to int) recovery.Survey {
		return recovery.Survey{Component: "database", Copy: copy, Windows: []recovery.Window{{From: recovery.Instant{Time: at(from)}, To: recovery.Instant{Time: at(to)}}}}
	}
	cat := catalogue.Catalogue{Surveys: []recovery.Survey{survey("offsite", 1, 12), survey("nearby", 8, 14), {Component: "database", Copy: "dumps"}}}
	for hour, want := range map[int]string{0: "nearby", 2: "offsite", 9: "nearby", 13: "nearby", 20: "nearby"} {
		if s, ok := cat.LogAround("database", at(hour)); !ok || s.Copy != want {
			t.Errorf("%d:00 is read in %s, want %s", hour, s.Copy, want)
		}
	}
	if s, ok := cat.LogAround("database", time.Time{}); !ok || s.Copy != "nearby" {
		t.Errorf("without a time %s is read", s.Copy)
	}
	if _, ok := cat.LogAround("uploads", at(9)); ok {
		t.Error("what has no log is read")
	}
}

// What is left out is what is of another copy or engine, and nothing else that a catalogue
// knows, now or later.
func TestCatalogue_Only(t *testing.T) {
	cat := catalogue.Catalogue{
		Surveys: []recovery.Survey{{Copy: "nearby", Engine: "dump"}, {Copy: "nearby", Engine: "pitr"}, {Copy: "offsite", Engine: "pitr"}},
		Refusals: []catalogue.Refusal{{Copy: "nearby", Engine: "walg", Err: errors.New("no")}, {Copy: "offsite", Engine: "dump", Err: errors.New("no")},
			{Copy: "offsite", Engine: "pitr", Err: errors.New("no")}},
		Neighbours: map[string][]string{"nearby": {"shop2"}},
	}
	for name, test := range map[string]struct {
		copy, engine string
		want         []string
	}{
		"all":             {"", "", []string{"nearby dump", "nearby pitr", "offsite pitr", "no nearby walg", "no offsite dump", "no offsite pitr"}},
		"one copy":        {"offsite", "", []string{"offsite pitr", "no offsite dump", "no offsite pitr"}},
		"one engine":      {"", "pitr", []string{"nearby pitr", "offsite pitr", "no offsite pitr"}},
		"one of one":      {"nearby", "pitr", []string{"nearby pitr"}},
		"what is nowhere": {"nas", "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			only := cat.Only(test.copy, test.engine)
			var got []string
			for _, s := range only.Surveys {
				got = append(got, s.Copy+" "+s.Engine)
			}
			for _, r := range only.Refusals {
				got = append(got, "no "+r.Copy+" "+r.Engine)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("left are %q, want %q", got, test.want)
			}
			if !maps.EqualFunc(only.Neighbours, cat.Neighbours, slices.Equal) {
				t.Errorf("the neighbours are %v", only.Neighbours)
			}
			for field, value := range reflect.ValueOf(only).Fields() {
				if field.Name != "Surveys" && field.Name != "Refusals" && value.IsZero() {
					t.Errorf("%s is dropped", field.Name)
				}
			}
		})
	}
	if len(cat.Surveys) != 3 || cat.Surveys[1].Engine != "pitr" || cat.Surveys[2].Copy != "offsite" {
		t.Errorf("the catalogue that was asked has changed: %+v", cat.Surveys)
	}
}
