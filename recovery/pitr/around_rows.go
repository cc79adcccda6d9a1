package pitr

import "comeback/recovery"

// sizes tell how many rows tables had before a transaction, from how many they
// have now and what happened since. They are asked from the newest transaction
// on, and know something only where nothing between is missing.
type sizes struct {
	// since is what transactions since then took away from a table, net;
	// lost are tables whose rows cannot be told from now on.
	since map[sizeKey]int64
	lost  map[sizeKey]bool
	// unknown says that a part of the log is missing between now and here.
	unknown bool
}

// small is a number of rows of which shares tell little.
const small = 100

type sizeKey struct {
	database uint32
	name     string
}

// before puts into a transaction how many rows its tables had before it.
func (s *sizes) before(t *recovery.Transaction) {
	if s.unknown {
		return
	}
	decided := t.How == recovery.Committed || t.How == recovery.CommittedPrepared
	for i := range t.Tables {
		c := &t.Tables[i]
		if c.Name == "" || c.Rows < 0 || c.Dated {
			continue // a number of another time cannot be reckoned with
		}
		key := sizeKey{c.Database, c.Name}
		if decided {
			if c.Created || c.Dropped || c.Truncated {
				// A table of that name has other rows from here on back.
				s.lost[key] = true
			}
			s.since[key] -= c.Grew()
		}
		if s.lost[key] {
			c.Rows = -1
			continue
		}
		if decided && stale(c.Rows, c.Deleted) {
			s.since[key] -= c.Deleted
		}
		// What the server counts lags behind; it had at least what was
		// taken from it.
		had := max(c.Rows+s.since[key], c.Deleted, c.Updated)
		if had < c.Rows && had < small {
			continue // of a table that only begins to fill, everything is a large part
		}
		c.Rows = had
	}
}

// stale reports whether a number of rows looks as if it was counted before so
// many were deleted: of a table that is empty, or after a crash, the server
// knows only what its last ANALYZE found. That a table lost just as many rows as
// it kept is less likely.
func stale(rows, deleted int64) bool {
	return deleted >= 20 && max(rows-deleted, deleted-rows) <= deleted/50
}
