package gather

import (
	"testing"

	"comeback/recovery"
	"comeback/recovery/check"
	"comeback/recovery/postgres"
)

// farEnding is an engine whose archives all end at one position.
type farEnding struct{ recovery.Engine }

func (farEnding) Schema() recovery.Schema          { return recovery.Schema{Engine: "ending"} }
func (farEnding) End(recovery.Survey) recovery.LSN { return 0x5000000000 }

// The log of a server is held by copies whose newest base backups are of its own cluster;
// of one that was built anew the old one's log holds nothing.
func TestHoldLog(t *testing.T) {
	t.Parallel()
	of := func(copy, system string) recovery.Survey {
		return recovery.Survey{Component: "database", Copy: copy, Engine: "ending", Backups: []recovery.Backup{{ID: "base", Details: map[string]string{recovery.SystemIdentifier: system}}}}
	}
	for name, test := range map[string]struct {
		surveys  []recovery.Survey
		backedUp string
		held     bool
	}{
		"its own":             {[]recovery.Survey{of("nearby", "2")}, "2", true},
		"another one's":       {[]recovery.Survey{of("nearby", "1")}, "1", false},
		"its own in one copy": {[]recovery.Survey{of("nearby", "2"), of("offsite", "1")}, "2", true},
		"in the other":        {[]recovery.Survey{of("nearby", "1"), of("offsite", "2")}, "2", true},
		"nobody knows whose":  {[]recovery.Survey{of("nearby", "")}, "", true},
	} {
		e := check.Evidence{Engines: []recovery.Engine{farEnding{}}, Servers: map[string]check.Server{"database": {Archiver: postgres.Archiver{SystemIdentifier: "2"}}}}
		e.Catalogue.Surveys = test.surveys
		holdLog(&e)
		if s := e.Servers["database"]; s.BackedUp != test.backedUp || s.Held > 0 != test.held {
			t.Errorf("%s: backed up is %q, held to %s", name, s.BackedUp, s.Held)
		}
	}
}
