package pitr

import (
	"fmt"

	"comeback/recovery"
	"comeback/recovery/pitr/walfile"
)

// Ancestry is the log that leads to a timeline: its own, and of those that it came from
// what lies before they were left.
type Ancestry struct{ of branch }

// ParseAncestry reads the history of a timeline, as its file has it. Timeline 1 has none.
func ParseAncestry(timeline uint32, history string) (Ancestry, error) {
	if history == "" {
		return Ancestry{newBranch(timeline, nil)}, nil
	}
	forks, err := parseHistory(history)
	if err != nil {
		return Ancestry{}, fmt.Errorf("read the history of timeline %d: %w", timeline, err)
	}
	return Ancestry{newBranch(timeline, forks)}, nil
}

// Holds reports whether a position of a timeline is part of it. That at which a timeline was
// left is.
func (a Ancestry) Holds(timeline uint32, at recovery.LSN) bool { return a.of.holds(timeline, at) }

// Segment is the name of the segment of size bytes that holds a position: where a timeline
// began in it, it is that one's.
func (a Ancestry) Segment(at recovery.LSN, size int64) walfile.Name {
	n := walfile.Number(at, size)
	return walfile.OfSegment(a.of.on(n, size), n, size)
}
