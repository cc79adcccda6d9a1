package live

import (
	"time"

	"comeback/recovery/postgres"
)

// SetLockWait shortens the wait for another session of ours.
func SetLockWait(d time.Duration) { lockWait = d }

// WithRoom is the source with what is free where a directory lies, and on which device that
// is, in place of a disk.
func (s Source) WithRoom(in func(dir string) (free int64, device uint64, err error)) Source {
	s.room = in
	return s
}

// SplitNames, Program and Derived are what is fuzzed.
var (
	SplitNames = splitNames
	Settings   = postgres.AddressSettings
	Quote      = postgres.QuoteConninfo
	Derived    = derived
)
