// Package walfile is how PostgreSQL calls the files of its log: the names of segments,
// of those that were never completed, of the histories of timelines, and of the labels that
// base backups leave beside them; which segment holds a position, and where a segment begins.
//
// [Parse] takes exactly the names that PostgreSQL gives, and [Name.String] gives each of them
// back, byte for byte. What an archive adds to them, such as the ending of a compression, is
// the caller's to take off. The names of one timeline sort as its log goes. It reads no file.
package walfile

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"comeback/recovery"
)

// Kind says what a file of the log is.
type Kind uint8

// The kinds of files of the log.
const (
	// Segment is a complete WAL segment.
	Segment Kind = iota + 1
	// Partial is a segment that was never completed: pg_receivewal's last,
	// or the last of a timeline before a promotion.
	Partial
	// History tells where a timeline branched off.
	History
	// Label is what a base backup leaves in the archive, NAME.OFFSET.backup.
	Label
)

// Endings of what is no complete segment.
const (
	partialEnding = ".partial"
	historyEnding = ".history"
	labelEnding   = ".backup"
)

// timelineDigits is how long a timeline's number is in a name, segmentDigits how long the
// name of a segment is.
const (
	timelineDigits = 8
	segmentDigits  = 24
)

// Name is the name of a file of the log, as what it says.
type Name struct {
	Kind Kind
	// Timeline, Log and Low are the three numbers of a segment's name; a
	// history file has the first alone.
	Timeline, Log, Low uint32
	// Offset is where in its segment a label's backup starts.
	Offset uint32
}

// Parse reads a name. Others, which the directories of logs hold too, are not ok.
func Parse(name string) (n Name, ok bool) {
	if len(name) < timelineDigits {
		return Name{}, false
	}
	if n.Timeline, ok = ParseTimeline(name[:timelineDigits]); !ok || n.Timeline == 0 {
		return Name{}, false
	}
	if name[timelineDigits:] == historyEnding {
		n.Kind = History
		return n, true
	}
	if len(name) < segmentDigits {
		return Name{}, false
	}
	var okLow bool
	n.Log, ok = hex8(name[8:16])
	n.Low, okLow = hex8(name[16:24])
	if !ok || !okLow {
		return Name{}, false
	}
	switch rest := name[segmentDigits:]; {
	case rest == "":
		n.Kind = Segment
	case rest == partialEnding:
		n.Kind = Partial
	case len(rest) == len(".00000028"+labelEnding) && rest[0] == '.' && strings.HasSuffix(rest, labelEnding):
		n.Kind = Label
		if n.Offset, ok = hex8(rest[1:9]); !ok {
			return Name{}, false
		}
	default:
		return Name{}, false
	}
	return n, true
}

// String is the name as PostgreSQL writes it.
func (n Name) String() string {
	switch n.Kind {
	case History:
		return HistoryName(n.Timeline)
	case Label:
		return fmt.Sprintf("%08X%08X%08X.%08X"+labelEnding, n.Timeline, n.Log, n.Low, n.Offset)
	case Partial:
		return fmt.Sprintf("%08X%08X%08X"+partialEnding, n.Timeline, n.Log, n.Low)
	}
	return fmt.Sprintf("%08X%08X%08X", n.Timeline, n.Log, n.Low)
}

// Compare orders by the three numbers: the log of a timeline as it goes on.
func (n Name) Compare(m Name) int {
	return cmp.Or(cmp.Compare(n.Timeline, m.Timeline), cmp.Compare(n.Log, m.Log), cmp.Compare(n.Low, m.Low))
}

// Number is the segment's number where segments have size bytes.
func (n Name) Number(size int64) uint64 { return uint64(n.Log)*PerLog(size) + uint64(n.Low) }

// OfSegment is the name of a segment by its number, where segments have size bytes.
func OfSegment(timeline uint32, number uint64, size int64) Name {
	return Name{Kind: Segment, Timeline: timeline, Log: uint32(number / PerLog(size)), Low: uint32(number % PerLog(size))}
}

// SegmentName is [OfSegment] as PostgreSQL writes it.
func SegmentName(timeline uint32, number uint64, size int64) string {
	return OfSegment(timeline, number, size).String()
}

// HistoryName is the name of a timeline's history.
func HistoryName(timeline uint32) string { return FormatTimeline(timeline) + historyEnding }

// PerLog is how many segments of size bytes share the middle part of their names.
func PerLog(size int64) uint64 { return (1 << 32) / uint64(size) }

// Number is that of the segment that holds a position, where segments have size bytes.
func Number(l recovery.LSN, size int64) uint64 { return uint64(l) / uint64(size) }

// Start is where a segment of size bytes begins.
func Start(number uint64, size int64) recovery.LSN { return recovery.LSN(number * uint64(size)) }

// FormatTimeline is a timeline as names begin with it.
func FormatTimeline(timeline uint32) string { return fmt.Sprintf("%08X", timeline) }

// ParseTimeline reads a timeline as names begin with it, and nothing else.
func ParseTimeline(text string) (timeline uint32, ok bool) { return hex8(text) }

// hex8 reads eight digits as PostgreSQL writes them, upper case.
func hex8(s string) (uint32, bool) {
	if strings.ContainsAny(s, "abcdef+-_") {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 16, 32)
	return uint32(n), err == nil && len(s) == timelineDigits
}
