package pitr

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"comeback/recovery"
	"comeback/recovery/pitr/walfile"
)

// fork is one line of a .history file: a timeline's ancestor, and where it was
// left.
type fork struct {
	Parent uint32
	At     recovery.LSN
	Reason string
}

// parseHistory reads a .history file: the oldest ancestor first, the parent
// last. One without any, as a copy that was cut off leaves it, tells nothing.
func parseHistory(text string) ([]fork, error) {
	var forks []fork
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if len(fields) < 2 {
			return nil, fmt.Errorf("line %q does not tell where timeline %s was left", strings.TrimSpace(line), fields[0])
		}
		n, err := strconv.ParseUint(fields[0], 10, 32)
		if err != nil || n == 0 {
			return nil, fmt.Errorf("%q is not a timeline", fields[0])
		}
		at, err := recovery.ParseLSN(fields[1])
		if err != nil {
			return nil, err
		}
		forks = append(forks, fork{Parent: uint32(n), At: at, Reason: strings.Join(fields[2:], " ")})
	}
	if len(forks) == 0 {
		return nil, errors.New("it names no timeline: it is empty")
	}
	for i := 1; i < len(forks); i++ {
		if forks[i].Parent <= forks[i-1].Parent {
			return nil, fmt.Errorf("timeline %d stands after timeline %d", forks[i].Parent, forks[i-1].Parent)
		}
	}
	return forks, nil
}

// stretch is the part of the log that was written on one timeline.
type stretch struct {
	Timeline uint32       `json:"timeline"`
	From     recovery.LSN `json:"from,omitempty"`
	// To is exclusive, and zero where the timeline goes on.
	To recovery.LSN `json:"to,omitempty"`
}

// branch is a timeline with its ancestors, the oldest first: one history of
// the cluster.
type branch []stretch

// newBranch is the history that leads to a timeline.
func newBranch(timeline uint32, forks []fork) branch {
	var b branch
	var from recovery.LSN
	for _, f := range forks {
		b = append(b, stretch{Timeline: f.Parent, From: from, To: f.At})
		from = f.At
	}
	return append(b, stretch{Timeline: timeline, From: from})
}

// timeline is the branch's own.
func (b branch) timeline() uint32 { return b[len(b)-1].Timeline }

// on is the timeline whose file holds a segment: the youngest that had begun
// by the segment's end, because a new timeline starts with a copy of the
// segment that it branched off in.
func (b branch) on(seg uint64, size int64) uint32 {
	for _, s := range slices.Backward(b) {
		if walfile.Number(s.From, size) <= seg {
			return s.Timeline
		}
	}
	return b[0].Timeline
}

// at is the timeline on which a position was written.
func (b branch) at(l recovery.LSN) uint32 {
	for _, s := range slices.Backward(b) {
		if s.From <= l {
			return s.Timeline
		}
	}
	return b[0].Timeline
}

// holds reports whether a position of a timeline is part of this history.
func (b branch) holds(timeline uint32, l recovery.LSN) bool {
	return slices.ContainsFunc(b, func(s stretch) bool {
		return s.Timeline == timeline && (s.To == 0 || l <= s.To)
	})
}

// upTo is the history of one of the branch's own ancestors.
func (b branch) upTo(timeline uint32) branch {
	for i, s := range b {
		if s.Timeline == timeline {
			cut := slices.Clone(b[:i+1])
			cut[i].To = 0
			return cut
		}
	}
	return b
}
