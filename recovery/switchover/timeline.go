package switchover

import (
	"context"
	"fmt"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/storage"
)

const markName = "live.mark"

// markArgs are those of the step that notes which timeline goes on.
type markArgs struct {
	Of     recovery.Component `json:"of"`
	Copies []recovery.Copy    `json:"copies"`
	System string             `json:"system"`
	// Dead is the timeline that is left, Alive the one that goes on.
	Dead  uint32    `json:"dead"`
	Alive uint32    `json:"alive"`
	Run   string    `json:"run"`
	At    time.Time `json:"at"`
}

// markTimeline notes in every copy that holds the log that the timeline which was
// switched back from is dead, so that "latest" is not taken from it. It may be
// repeated.
type markTimeline struct{ Options }

func (markTimeline) Name() string              { return markName }
func (markTimeline) Restart() recovery.Restart { return recovery.Repeat }

func (k markTimeline) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	var a markArgs
	if err := s.Decode(&a); err != nil {
		return recovery.Outcome{}, err
	}
	var marked, failed []string
	for _, c := range a.Copies {
		store, err := env.Store(ctx, c.Name)
		if err == nil {
			var there bool
			if there, err = k.markIn(ctx, a, c.Name, storage.Current(store)); there {
				marked = append(marked, c.Name)
			}
		}
		if err != nil {
			failed = append(failed, fmt.Sprintf("%s: %v", c.Name, err))
		}
	}
	if len(failed) > 0 {
		return recovery.Outcome{}, recovery.Errorf(fmt.Sprintf("retry; or set `timeline: %d` of %s, else the latest moment may be taken from timeline %d", a.Alive, a.Of.Name, a.Dead),
			"note that timeline %d is dead: %s", a.Dead, strings.Join(failed, "; "))
	}
	if len(marked) == 0 {
		return recovery.Outcome{Says: "no copy holds the log of two timelines"}, nil
	}
	return recovery.Outcome{Says: fmt.Sprintf("timeline %d is marked dead in %s, %d goes on", a.Dead, strings.Join(marked, ", "), a.Alive)}, nil
}

// markIn notes it in one copy, with every engine that keeps timelines there.
func (o Options) markIn(ctx context.Context, a markArgs, copy string, store storage.Store) (marked bool, err error) {
	for _, e := range o.Engines() {
		marker, ok := e.(recovery.TimelineMarker)
		if !ok || e.Schema().Kind != a.Of.Kind || a.Of.With != "" && a.Of.With != e.Schema().Engine {
			continue
		}
		for _, t := range []recovery.TimelineMark{{System: a.System, Copy: copy, Timeline: a.Dead, Dead: true, Run: a.Run, At: a.At}, {System: a.System, Copy: copy, Timeline: a.Alive, Run: a.Run, At: a.At}} {
			there, err := marker.MarkTimeline(ctx, a.Of, store, t)
			if err != nil {
				return marked, err
			}
			marked = marked || there
		}
	}
	return marked, nil
}
