package switchover

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/recovery/live"
	"comeback/recovery/neighbours"
	"comeback/storage"
)

// protectArgs are those of the step that proves that the system is backed up.
type protectArgs struct {
	countArgs
	// Logged says that the copy holds a log; Copies are those to look into.
	Logged bool            `json:"logged,omitempty"`
	Copies []recovery.Copy `json:"copies,omitempty"`
	// Data is the live data directory of a cluster, which goes on on a new
	// timeline.
	Data string `json:"data,omitempty"`
	// Untaken is the sort of backup that is needed and that nobody takes here.
	Untaken string `json:"untaken,omitempty"`
}

// protectSteps list how what is live is backed up again. A cluster goes on on a new
// timeline: its history and its log must be in the copies, and a base backup of it,
// because older ones need the log of two timelines. A database that has come back
// beside others goes on in their log, which is proof enough; where there is none, or
// where the runbook takes dumps, a new dump is: the newest would be of before the
// switch.
func (s switcher) protectSteps(c recovery.SwitchContext, a protectArgs) []recovery.Step {
	wanted := c.Component.Settings["backup"]
	none := slices.Equal(wanted, []string{"none"})
	var take []recovery.Step
	covered := a.Logged && a.Data == ""
	if s.Engines != nil {
		for _, e := range s.Engines() {
			sort := backup.SortOf(e)
			own := e.Schema().Engine == c.Point.Engine
			if sort == "" || none || e.Schema().Kind != c.Component.Kind || own && covered || !own && !slices.Contains(wanted, sort) {
				continue
			}
			args := backup.StepArgs{System: c.System, Component: c.Component, Engine: e.Schema().Engine, Sort: sort, Copies: c.Copies, Scratch: c.Scratch.ID, Run: c.Run, Runbook: c.Runbook}
			if own {
				args.Restored, covered = c.Point.Copy, true
			}
			take = append(take, backup.Step(sort, args))
		}
	}
	if !covered {
		if a.Untaken = "backup"; a.Data != "" {
			a.Untaken = "base backup"
		}
	}
	if !a.Logged && a.Untaken == "" {
		return take
	}
	prove := recovery.NewStep("protect", protectName, "prove that "+c.Live.Target.Name+" is backed up again", a)
	for i := range take { // one after the other, so that each is told of by itself
		take[i].After = []string{prove.ID}
		if i > 0 {
			take[i].After = []string{take[i-1].ID}
		}
	}
	return append([]recovery.Step{prove}, take...)
}

// protect proves that what is live now can be restored again: the log of the
// switch itself is in the copies that hold one.
type protect struct{ Options }

func (protect) Name() string              { return protectName }
func (protect) Restart() recovery.Restart { return recovery.Repeat }

func (k protect) Do(ctx context.Context, env recovery.Env, s recovery.Step) (o recovery.Outcome, err error) {
	var a protectArgs
	if err := s.Decode(&a); err != nil {
		return o, err
	}
	if o.Says = recovery.NotProtected; a.Logged {
		// The server goes on with the log that the copies hold: the same proof, without
		// a history to be archived anew.
		if o, err = k.newTimeline(ctx, env, a); err != nil {
			return o, err
		}
	}
	if a.Untaken != "" {
		o.Unprotected = append(o.Unprotected, fmt.Sprintf("%s: the newest %s in %s is of before the switch, and comeback takes none here", a.Component, a.Untaken, a.Point.Copy))
		o.ToDo = append(o.ToDo, fmt.Sprintf("take a new %s of %s", a.Untaken, a.Component))
	}
	return o, nil
}

// newTimeline proves that the timeline on which the server writes now is in every
// copy that holds its log: its history, and a segment of it.
func (k protect) newTimeline(ctx context.Context, env recovery.Env, a protectArgs) (recovery.Outcome, error) {
	address, err := env.Secret(a.Address)
	if err != nil {
		return recovery.Outcome{}, err
	}
	copies, silent, err := k.archives(ctx, env, a)
	if err != nil {
		return recovery.Outcome{}, err
	}
	env.Meter().Phase("wait for the new timeline", 0, recovery.NoUnit)
	ctx, cancel := context.WithTimeout(ctx, pushFor)
	defer cancel()
	first := ""
	if a.Data != "" {
		if first, err = live.FirstSegment(ctx, a.Data); err != nil {
			return recovery.Outcome{}, err
		}
	}
	p, err := live.Protected(ctx, address, live.Archives{Copies: copies, Receiver: a.Of.Settings.Text("receiver")}, first)
	if err != nil {
		return recovery.Outcome{}, err
	}
	o := recovery.Outcome{Says: fmt.Sprintf("timeline %d is in %s: %s", p.Timeline, namesOf(copies), strings.Join(p.Files(), ", ")),
		Facts: map[string]string{"history": p.History, "first segment": p.First, "last segment": p.Segment, "copies": namesOf(copies)}}
	for _, name := range slices.Sorted(maps.Keys(silent)) {
		p.Missing = append(p.Missing, fmt.Sprintf("copy %s could not be asked: %v", name, silent[name]))
		p.Next = cmp.Or(p.Next, "let the copy answer again, then see comeback check")
	}
	if len(p.Missing) > 0 {
		o.Says = recovery.NotProtected + ": " + p.Next
		for _, missing := range p.Missing {
			o.Unprotected = append(o.Unprotected, a.Component+": "+missing)
		}
		o.ToDo = []string{a.Component + ": " + p.Next}
	}
	return o, nil
}

// archives are the copies that must hold the log: the one that was restored from,
// and each that holds an archive of the component's log. One that does not answer must,
// too, because it may; silent says why it does not.
func (k protect) archives(ctx context.Context, env recovery.Env, a protectArgs) (all []live.Archive, silent map[string]error, err error) {
	engine, err := k.engine(a.Point.Engine)
	if err != nil {
		return nil, nil, err
	}
	h, ok := engine.(recovery.Holder)
	if !ok {
		return nil, nil, fmt.Errorf("wait for the log: the engine %s reads no archive", a.Point.Engine)
	}
	silent = map[string]error{}
	for _, c := range a.Copies {
		store, err := env.Store(ctx, c.Name)
		var archive heldBy
		if err == nil {
			archive, err = archiveIn(ctx, engine, a.Of, c, store, a.Point.Backup.Details[recovery.SystemIdentifier])
		}
		switch {
		case ctx.Err() != nil:
			return nil, nil, context.Cause(ctx)
		case err != nil:
			silent[c.Name] = err
		case c.Name == a.Point.Copy || h.End(archive.survey) > 0:
			all = append(all, archive)
		}
	}
	return all, silent, nil
}

// archiveIn is what a copy holds now of a cluster's log, by an engine that is a Holder.
func archiveIn(ctx context.Context, engine recovery.Engine, of recovery.Component, c recovery.Copy, store storage.Store, system string) (heldBy, error) {
	store = storage.Current(store)
	survey, err := engine.Survey(ctx, of, c, neighbours.See(of, store))
	if err != nil {
		return heldBy{}, err
	}
	return heldBy{c.Name, engine.(recovery.Holder), survey.Lineage(system), store}, nil
}

func namesOf(copies []live.Archive) string {
	var names []string
	for _, c := range copies {
		names = append(names, c.Name())
	}
	return strings.Join(names, ", ")
}

// heldBy is the archive of a copy as an engine reads it.
type heldBy struct {
	copy   string
	engine recovery.Holder
	survey recovery.Survey
	store  storage.Store
}

func (h heldBy) Name() string { return h.copy }

func (h heldBy) Has(ctx context.Context, file string) (bool, error) {
	return h.engine.Holds(ctx, h.survey, h.store, file)
}
