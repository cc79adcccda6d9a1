package switchover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/pitr/walfile"
	"comeback/recovery/postgres"
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
	marked, err := k.mark(ctx, a, func(c recovery.Copy) (storage.Store, error) { return env.Store(ctx, c.Name) })
	if err != nil {
		return recovery.Outcome{}, recovery.Errorf("retry; or "+a.byHand(), "%w", err)
	}
	if len(marked) == 0 {
		return recovery.Outcome{Says: "no copy holds the log of two timelines"}, nil
	}
	return recovery.Outcome{Says: fmt.Sprintf("timeline %d is marked dead in %s, %d goes on", a.Dead, strings.Join(marked, ", "), a.Alive)}, nil
}

// byHand is what does where a copy has no mark.
func (a markArgs) byHand() string {
	return fmt.Sprintf("set `timeline: %d` of %s, else the latest moment may be taken from timeline %d", a.Alive, a.Of.Name, a.Dead)
}

// mark notes it in every copy that holds the log, and names those.
func (o Options) mark(ctx context.Context, a markArgs, open func(recovery.Copy) (storage.Store, error)) (marked []string, err error) {
	var failed []string
	for _, c := range a.Copies {
		store, err := open(c)
		if err == nil {
			var there bool
			if there, err = o.markIn(ctx, a, c.Name, storage.Current(store)); there {
				marked = append(marked, c.Name)
			}
		}
		if err != nil {
			failed = append(failed, fmt.Sprintf("%s: %v", c.Name, err))
		}
	}
	if len(failed) > 0 {
		return marked, fmt.Errorf("note that timeline %d is dead: %s", a.Dead, strings.Join(failed, "; "))
	}
	return marked, nil
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

// startedTimeline is a timeline on which a restored server has been started for its users,
// and that its archiver may have stored, history and all. Its ID is not a file's.
const startedTimeline recovery.ResourceKind = "started timeline"

// claimTimeline announces the timeline of a restored server that is about to be started. It
// is older than the opening, so that it is given back when the server has stopped.
func (c clusterStepOf) claimTimeline(ctx context.Context, env recovery.Env, timeline uint32) error {
	if c.Back || !c.Logged || len(c.Copies) == 0 {
		return nil
	}
	alive := c.Point.Timeline // where nothing was live, the one that was gone back to
	if !c.Fresh {
		control, err := postgres.ReadControl(ctx, c.tools, c.Aside)
		if err != nil {
			return err
		}
		alive = control.Timeline
	}
	if alive == timeline {
		return nil
	}
	mark, err := json.Marshal(markArgs{Of: c.Of, Copies: c.Copies, System: c.System, Dead: timeline, Alive: alive, Run: c.Run, At: env.Now().UTC()})
	if err != nil {
		return fmt.Errorf("keep which timeline is started: %w", err)
	}
	return env.Claim(ctx, recovery.Resource{Kind: startedTimeline, ID: fmt.Sprintf("%d of %s", timeline, c.Data),
		Details: map[string]string{"data": c.Data, "engine": c.Point.Engine, "mark": string(mark)}})
}

// leaveTimeline notes in the copies that nobody goes on with a timeline whose server was
// started and is not live any more. A timeline that no copy has got is left alone: the next
// restore gives its number again.
type leaveTimeline struct {
	Options
	expand func(string) (string, error)
}

func (leaveTimeline) Resource() recovery.ResourceKind { return startedTimeline }

func (k leaveTimeline) Release(ctx context.Context, r recovery.Resource) error {
	var a markArgs
	if err := json.Unmarshal([]byte(r.Details["mark"]), &a); err != nil || a.Dead == 0 || k.OpenCopy == nil {
		return fmt.Errorf("give back %s %s: its record does not say where", r.Kind, r.ID)
	}
	open := func(c recovery.Copy) (storage.Store, error) { return k.OpenCopy(ctx, c, k.expand) }
	stored, err := k.stored(ctx, r.Details["engine"], a, open)
	if stored {
		_, err = k.mark(ctx, a, open)
	}
	if err != nil {
		return fmt.Errorf("%w; %s", err, a.byHand())
	}
	return nil
}

// stored reports whether a copy has got the timeline's history. Its error is of copies that
// could not be asked, where none of the others has.
func (o Options) stored(ctx context.Context, name string, a markArgs, open func(recovery.Copy) (storage.Store, error)) (bool, error) {
	engine, err := o.engine(name)
	if err != nil {
		return false, err
	}
	if _, ok := engine.(recovery.Holder); !ok {
		return false, fmt.Errorf("look for timeline %d: the engine %s reads no archive", a.Dead, name)
	}
	var failed []error
	for _, c := range a.Copies {
		store, err := open(c)
		var archive heldBy
		if err == nil {
			archive, err = archiveIn(ctx, engine, a.Of, c, store, a.System)
		}
		there := false
		if err == nil {
			there, err = archive.Has(ctx, walfile.HistoryName(a.Dead))
		}
		if there {
			return true, nil
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("look for timeline %d in %s: %w", a.Dead, c.Name, err))
		}
	}
	return false, errors.Join(failed...)
}
