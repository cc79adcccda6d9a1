package recovery

import (
	"context"
	"fmt"
	"time"

	"comeback/storage"
)

// TimelineMark says whether a timeline of a cluster's log goes on.
type TimelineMark struct {
	System   string
	Timeline uint32
	// Copy is the name of the copy that is marked.
	Copy string
	// Dead says that nobody goes on with it, since Run at At.
	Dead bool
	Run  string
	At   time.Time
}

// TimelineMarker is an Engine in whose copies several timelines of a log lie side by
// side, and that can note which of them goes on. The newest note of a timeline
// counts.
type TimelineMarker interface {
	// MarkTimeline adds a note to a copy; it may be repeated. A copy without a log
	// of the cluster gets none, and marked is false.
	MarkTimeline(ctx context.Context, c Component, store storage.Store, t TimelineMark) (marked bool, err error)
}

// TailSaver is an Engine that can save what a dead server had not archived.
type TailSaver interface {
	// PlanTail makes the step that saves into a copy what it lacks of the log
	// in dir, the pg_wal of a server that has stopped or died: a directory
	// that the run's host can read. The step does what SaveTail does. It is pure.
	PlanTail(c Component, copy, dir string) (Step, error)
	// SaveTail saves it. It may be repeated, and goes on where it was. It must replace nothing
	// but a segment that was not full when it was saved, by what its server has written since;
	// an object that is there with other bytes is an error, after everything else was saved.
	SaveTail(ctx context.Context, o TailOptions) (Tail, error)
}

// TailOptions say which log to save, and where.
type TailOptions struct {
	Component Component
	// Copy is the copy's name, Store the copy.
	Copy  string
	Store storage.Store
	// Dir is the pg_wal of a server that has stopped or died. It is only read.
	Dir string
	// Progress is told the bytes that were saved, and how many there are; it
	// may be nil.
	Progress func(done, total int64)
}

// Tail is what saving the rest of a server's log came to.
type Tail struct {
	System   string
	Timeline uint32
	// Saved are the keys of the objects that were added, Bytes their size.
	Saved []string
	Bytes int64
	// There counts the files that the copy had already, with the same bytes
	// where they were compared.
	There int
	// End is where the log in the directory ends, Last the last commit in what
	// was read of it; zero where none is in it.
	End  LSN
	Last Commit
	// Partial is the key of the segment that the server had not filled; empty
	// where the log ends with a whole one.
	Partial string
}

// Says is it in one sentence.
func (t Tail) Says() string {
	last := ""
	if !t.Last.Time.IsZero() {
		last = fmt.Sprintf(", last commit xid %d of %s", t.Last.XID, t.Last.Time.UTC().Format("2006-01-02 15:04:05.000-07"))
	}
	if len(t.Saved) == 0 {
		return fmt.Sprintf("the copy has all of the log already, to %s%s", t.End, last)
	}
	what := "1 file"
	if n := len(t.Saved); n != 1 {
		what = fmt.Sprintf("%d files", n)
	}
	return fmt.Sprintf("%s (%s) of the log saved, to %s%s", what, FormatBytes(t.Bytes), t.End, last)
}
