package live

import (
	"time"

	"comeback/recovery/postgres"
)

// SetLockWait shortens the wait for another session of ours.
func SetLockWait(d time.Duration) { lockWait = d }

// SplitNames, Program and Derived are what is fuzzed.
var (
	SplitNames = splitNames
	Settings   = postgres.AddressSettings
	Quote      = postgres.QuoteConninfo
	Derived    = derived
)
