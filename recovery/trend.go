package recovery

import "time"

// Trend is how rehearsals went over time.
type Trend struct {
	Runs   []TrendRun
	Stages []TrendStage
}

// TrendRun is one rehearsal that ended: what it took, and how much was restored.
type TrendRun struct {
	Run   string
	At    time.Time
	Took  Duration
	RTO   Duration
	Bytes int64
}

// TrendStage is a stage in each of the rehearsals.
type TrendStage struct {
	Name string
	Took []TrendTook
}

// TrendTook is what a stage took; Known is false where it was not exercised. Percent
// is of the longest that any stage took.
type TrendTook struct {
	Known   bool
	Took    Duration
	Percent int
}
