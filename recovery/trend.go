package recovery

import (
	"slices"
	"time"
)

// Earlier is a rehearsal that has come to its end, as later ones are compared with it.
type Earlier struct {
	Run string    `json:"run"`
	At  time.Time `json:"at"` // its start
	// Took is its exercised time, RTO what the runbook owed then; 0 is nothing.
	Took Duration `json:"took"`
	RTO  Duration `json:"rto,omitempty"`
	// Bytes is the size of the backups that it restored.
	Bytes  int64          `json:"bytes,string"`
	Stages []EarlierStage `json:"stages"`
}

// EarlierStage is a stage of a rehearsal that had anything to do. Took is missing where
// not all of it was done.
type EarlierStage struct {
	Name string    `json:"name"`
	Took *Duration `json:"took,omitempty"`
}

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

// NewTrend compares rehearsals that are in the order of time; nil where there is none.
func NewTrend(runs []Earlier) *Trend {
	if len(runs) == 0 {
		return nil
	}
	t := &Trend{}
	var longest Duration = 1
	for _, r := range runs {
		t.Runs = append(t.Runs, TrendRun{Run: r.Run, At: r.At, Took: r.Took, RTO: r.RTO, Bytes: r.Bytes})
		for _, s := range r.Stages {
			if !slices.ContainsFunc(t.Stages, func(o TrendStage) bool { return o.Name == s.Name }) {
				t.Stages = append(t.Stages, TrendStage{Name: s.Name})
			}
			if s.Took != nil {
				longest = max(longest, *s.Took)
			}
		}
	}
	for i := range t.Stages {
		for _, r := range runs {
			took := TrendTook{}
			j := slices.IndexFunc(r.Stages, func(s EarlierStage) bool { return s.Name == t.Stages[i].Name })
			if j >= 0 && r.Stages[j].Took != nil {
				d := *r.Stages[j].Took
				took = TrendTook{Known: true, Took: d, Percent: max(1, int(100*d/longest))}
			}
			t.Stages[i].Took = append(t.Stages[i].Took, took)
		}
	}
	return t
}
