package recovery

import (
	"context"
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
	// that the run's host can read. The step adds objects and replaces none.
	// It is pure.
	PlanTail(c Component, copy, dir string) (Step, error)
}
