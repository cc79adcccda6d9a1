package live

import "time"

// SetLockWait shortens the wait for another session of ours.
func SetLockWait(d time.Duration) { lockWait = d }

// SplitNames, Program and Derived are what is fuzzed.
var (
	SplitNames = splitNames
	Settings   = settingsOf
	Quote      = quoteConninfo
	Derived    = derived
)
