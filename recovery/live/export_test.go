package live

import (
	"time"

	"comeback/recovery/postgres"
)

// SetLockWait shortens the wait for another session of ours.
func SetLockWait(d time.Duration) { lockWait = d }

// SetRoom says how much is free where a directory lies, and on which device that is,
// until the function that it gives is called.
func SetRoom(in func(dir string) (free int64, device uint64, err error)) func() {
	real := roomIn
	roomIn = in
	return func() { roomIn = real }
}

// SplitNames, Program and Derived are what is fuzzed.
var (
	SplitNames = splitNames
	Settings   = postgres.AddressSettings
	Quote      = postgres.QuoteConninfo
	Derived    = derived
)
