package check_test

import (
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/check"
)

// The copy that was never proven comes first, then the one with the oldest proof, then
// chance; what cannot be restored is no proof's need, and an unsigned run is no proof.
func TestMostNeeds(t *testing.T) {
	for name, c := range map[string]struct {
		change    func(*check.Evidence)
		copy, why string
		moment    bool
	}{
		"never":    {func(e *check.Evidence) { e.Proofs = e.Proofs[:1] }, "offsite", "offsite was never proven", false},
		"unsigned": {func(e *check.Evidence) { e.Proofs[1].Signed = false }, "offsite", "never proven", false},
		"stranger": {func(e *check.Evidence) { stranger(e, 1) }, "offsite", "never proven", false},
		"oldest":   {func(e *check.Evidence) { e.Rehearse = 24 * time.Hour }, "offsite", "last proven", false},
		"chance":   {nil, "nearby", "by chance database/", true},
		"broken": {func(e *check.Evidence) {
			e.Proofs = e.Proofs[:1]
			edit(e, "offsite", "database", func(s *recovery.Survey) {
				for i := range s.Backups {
					s.Backups[i].Problem = "cut off"
				}
			})
		}, "nearby", "by chance", true},
	} {
		e := healthy()
		if c.change != nil {
			c.change(e)
		}
		need, ok := check.MostNeeds(e.Catalogue, e.Proofs, "database", []string{"nearby", "offsite"}, e.At, e.Rehearse, func(int) int { return 1 })
		if !ok || need.Copy != c.copy || !strings.Contains(need.Why, c.why) || need.Moment.IsZero() == c.moment {
			t.Errorf("%s: %+v, %v", name, need, ok)
		}
	}
	e := healthy()
	e.Catalogue.Surveys = nil
	if need, ok := check.MostNeeds(e.Catalogue, e.Proofs, "database", []string{"nearby"}, e.At, e.Rehearse, nil); ok {
		t.Errorf("without a backup: %+v", need)
	}
}
