package switchover

import (
	"strings"
	"testing"
	"time"

	"comeback/recovery"
)

// In a copy that is read as it was, nothing waits for the end of the live log, and nothing
// is taken for it.
func TestUnseen(t *testing.T) {
	a := countArgs{Copy: recovery.Copy{Name: "offsite", AsOf: time.Date(2026, 11, 29, 20, 0, 0, 0, time.UTC)}}
	o, err := push{}.Do(t.Context(), nil, recovery.NewStep("push", pushName, "", a))
	if err != nil || o.Facts[unproven] == "" || !strings.Contains(o.Says, "offsite is read as it was then") || !strings.Contains(o.Says, "2026-11-29T20:00:00Z") {
		t.Errorf("%+v, %v", o, err)
	}
	if o, ok := (countArgs{Copy: recovery.Copy{Name: "offsite"}}).unseen(); ok {
		t.Errorf("%+v", o)
	}
}
