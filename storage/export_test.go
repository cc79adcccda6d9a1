package storage

import "time"

// StallAfter has a fan leave out a store that takes nothing for so long.
func (f *Fan) StallAfter(d time.Duration) { f.stall = d }
