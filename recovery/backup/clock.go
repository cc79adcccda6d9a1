package backup

import (
	"time"

	"comeback/recovery"
)

// clocksApart is by how much the clocks of a host and of a copy may differ where backups are
// removed by their days.
const clocksApart = 10 * time.Minute

// OneClock refuses to remove backups by their days from a copy whose clock and this host's
// differ: by one of them they are taken for older, or newer, than they are.
func OneClock(copy string, skew time.Duration) error {
	if skew.Abs() <= clocksApart {
		return nil
	}
	return recovery.Errorf("set the one that is wrong (chronyc tracking), and ask again", "the clock of %s and of this host differ by %s", copy, recovery.FormatSpan(skew.Abs()))
}
