package recovery

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Snapshot is which transactions a reader sees, as pg_current_snapshot() gives it:
// xmin, xmax and the transactions between them that were under way. It is
// "10:20:10,14,15" in JSON.
// https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT
type Snapshot struct {
	// Min is the oldest transaction that was under way, Max the next to begin.
	Min, Max uint64
	// Under were under way, in order.
	Under []uint64
}

// ParseSnapshot reads the text of a pg_snapshot.
func ParseSnapshot(text string) (Snapshot, error) {
	bad := fmt.Errorf("%q is not a snapshot", text)
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return Snapshot{}, bad
	}
	var s Snapshot
	var errMin, errMax error
	s.Min, errMin = strconv.ParseUint(parts[0], 10, 64)
	s.Max, errMax = strconv.ParseUint(parts[1], 10, 64)
	if errMin != nil || errMax != nil || s.Min == 0 || s.Max < s.Min {
		return Snapshot{}, bad
	}
	for part := range strings.SplitSeq(parts[2], ",") {
		if parts[2] == "" {
			break
		}
		x, err := strconv.ParseUint(part, 10, 64)
		if err != nil || x < s.Min || x >= s.Max {
			return Snapshot{}, bad
		}
		s.Under = append(s.Under, x)
	}
	slices.Sort(s.Under)
	return s, nil
}

// Sees reports whether a transaction that has committed is seen. The log has the
// lower half of its number, which is taken as the one nearest to the snapshot.
func (s Snapshot) Sees(x XID) bool {
	full := s.Max + uint64(int64(int32(uint32(x)-uint32(s.Max))))
	if full >= s.Max {
		return false
	}
	_, under := slices.BinarySearch(s.Under, full)
	return !under
}

// IsZero reports whether there is no snapshot.
func (s Snapshot) IsZero() bool { return s.Max == 0 }

// String is the text of the pg_snapshot.
func (s Snapshot) String() string {
	var under []string
	for _, x := range s.Under {
		under = append(under, strconv.FormatUint(x, 10))
	}
	return fmt.Sprintf("%d:%d:%s", s.Min, s.Max, strings.Join(under, ","))
}

// MarshalText writes it as PostgreSQL does.
func (s Snapshot) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads it.
func (s *Snapshot) UnmarshalText(b []byte) (err error) {
	*s, err = ParseSnapshot(string(b))
	return err
}
