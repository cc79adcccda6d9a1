package switchover

import (
	"context"
	"fmt"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/live"
	"comeback/recovery/postgres"
	"comeback/storage"
)

// holder is an engine that can tell whether a segment has come into a copy.
type holder interface {
	Holds(ctx context.Context, s recovery.Survey, store storage.Store, segment string) (bool, error)
	// End is where the archive ended that a survey found; zero where there is none.
	End(s recovery.Survey) recovery.LSN
}

// surveyed opens a copy and surveys it with the engine that has restored the
// point: what has come into it since counts.
func (o Options) surveyed(ctx context.Context, env recovery.Env, a countArgs) (recovery.Engine, storage.Store, recovery.Survey, error) {
	engine, err := o.engine(a.Point.Engine)
	if err != nil {
		return nil, nil, recovery.Survey{}, err
	}
	store, err := env.Store(ctx, a.Point.Copy)
	if err != nil {
		return nil, nil, recovery.Survey{}, err
	}
	survey, err := engine.Survey(ctx, a.Of, a.Copy, store)
	return engine, store, survey, err
}

// push makes the live server close its segment and waits until the copy has it:
// what was written up to the fence can then be counted, and restored later.
type push struct{ Options }

func (push) Name() string              { return pushName }
func (push) Restart() recovery.Restart { return recovery.Repeat }

// pushFor bounds how long an archiver may take for a segment.
const pushFor = 5 * time.Minute

func (k push) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	var a countArgs
	if err := s.Decode(&a); err != nil {
		return recovery.Outcome{}, err
	}
	segment, err := k.push(ctx, env, a)
	if err != nil {
		return recovery.Outcome{}, err
	}
	return recovery.Outcome{Says: fmt.Sprintf("the log up to segment %s is in %s", segment, a.Point.Copy), Facts: map[string]string{"last segment": segment}}, nil
}

func (k push) push(ctx context.Context, env recovery.Env, a countArgs) (string, error) {
	address, err := env.Secret(a.Address)
	if err != nil {
		return "", err
	}
	engine, store, survey, err := k.surveyed(ctx, env, a)
	if err != nil {
		return "", err
	}
	h, ok := engine.(holder)
	if !ok {
		return "", fmt.Errorf("wait for the log: the engine %s reads no archive", a.Point.Engine)
	}
	conn, err := besideConn(ctx, address)
	if err != nil {
		return "", err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	segment, err := postgres.SwitchWAL(ctx, conn)
	if err != nil {
		return "", err
	}
	env.Meter().Phase("wait for segment "+segment, 0, recovery.NoUnit)
	ctx, cancel := context.WithTimeout(ctx, pushFor)
	defer cancel()
	return segment, postgres.AwaitArchived(ctx, conn, segment, func(ctx context.Context) (bool, error) { return h.Holds(ctx, survey, store, segment) })
}

// count reads from the log what going back loses. It is final: the database is
// closed, and its log is in the copy.
type count struct{ Options }

func (count) Name() string              { return countName }
func (count) Restart() recovery.Restart { return recovery.Repeat }

func (k count) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	var a countArgs
	if err := s.Decode(&a); err != nil {
		return recovery.Outcome{}, err
	}
	engine, store, survey, err := k.surveyed(ctx, env, a)
	if err != nil {
		return recovery.Outcome{}, err
	}
	m := env.Meter()
	begun := false
	o := recovery.ScanOptions{Component: a.Of, Survey: survey, Store: store, Progress: func(p recovery.ScanProgress) {
		if !begun && p.Total > 0 {
			begun = true
			m.Phase("read the log", p.Total, recovery.InBytes)
		}
		m.Set(p.Done)
	}}
	var outcome recovery.Outcome
	if o.Names, err = k.savedNames(ctx, env, a.args); err != nil {
		outcome.Remarks = append(outcome.Remarks, "tables are numbers: "+err.Error())
	}
	// An engine that counts is what the plan was made for.
	loss, err := engine.(recovery.Loser).Loss(ctx, o, a.Point)
	if err != nil && !loss.AtLeast {
		return outcome, err
	}
	if err != nil {
		outcome.Exceptions = append(outcome.Exceptions, "not all that is lost could be counted: "+err.Error())
	}
	if !a.Whole {
		loss = loss.Only(a.Database)
	}
	loss.Final = err == nil
	outcome.Loss, outcome.Says = &loss, strings.Join(loss.Says(), "; ")
	return outcome, nil
}

// protectArgs are those of the step that proves that the system is backed up.
type protectArgs struct {
	countArgs
	// Logged says that the copy holds a log; Copies are those to look into.
	Logged bool            `json:"logged,omitempty"`
	Copies []recovery.Copy `json:"copies,omitempty"`
}

// protect proves that what is live now can be restored again: the log of the
// switch itself is in the copy, on top of the base backup that is there. Where
// there is no log, only a new dump is.
type protect struct{ Options }

func (protect) Name() string              { return protectName }
func (protect) Restart() recovery.Restart { return recovery.Repeat }

func (k protect) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	var a protectArgs
	if err := s.Decode(&a); err != nil {
		return recovery.Outcome{}, err
	}
	if !a.Logged {
		what := fmt.Sprintf("%s: the newest backup in %s is of before the switch; take a new one", a.Component, a.Point.Copy)
		return recovery.Outcome{Says: "not protected yet", Unprotected: []string{what}, ToDo: []string{"take a new backup of " + a.Component}}, nil
	}
	// The server goes on with the log that the copies hold: the same proof, without
	// a history to be archived anew.
	return k.newTimeline(ctx, env, a)
}

// newTimeline proves that the timeline on which the server writes now is in every
// copy that holds its log: its history, and a segment of it.
func (k protect) newTimeline(ctx context.Context, env recovery.Env, a protectArgs) (recovery.Outcome, error) {
	address, err := env.Secret(a.Address)
	if err != nil {
		return recovery.Outcome{}, err
	}
	copies, err := k.archives(ctx, env, a)
	if err != nil {
		return recovery.Outcome{}, err
	}
	env.Meter().Phase("wait for the new timeline", 0, recovery.NoUnit)
	ctx, cancel := context.WithTimeout(ctx, pushFor)
	defer cancel()
	p, err := live.Protected(ctx, address, copies)
	if err != nil {
		return recovery.Outcome{}, err
	}
	what := "segment " + p.Segment
	if p.History != "" {
		what = p.History + " and " + what
	}
	o := recovery.Outcome{Says: fmt.Sprintf("timeline %d is in %s: %s", p.Timeline, namesOf(copies), what),
		Facts: map[string]string{"history": p.History, "first segment": p.Segment, "copies": namesOf(copies)}}
	if len(p.Missing) > 0 {
		o.Says = "not protected yet: " + p.Next
		for _, missing := range p.Missing {
			o.Unprotected = append(o.Unprotected, a.Component+": "+missing)
		}
		o.ToDo = []string{a.Component + ": " + p.Next}
	}
	return o, nil
}

// archives are the copies that must hold the log: the one that was restored from,
// and each that holds an archive of the component's log. One that does not answer must,
// too, because it may.
func (k protect) archives(ctx context.Context, env recovery.Env, a protectArgs) ([]live.Archive, error) {
	engine, err := k.engine(a.Point.Engine)
	if err != nil {
		return nil, err
	}
	h, ok := engine.(holder)
	if !ok {
		return nil, fmt.Errorf("wait for the log: the engine %s reads no archive", a.Point.Engine)
	}
	var all []live.Archive
	for _, c := range a.Copies {
		store, err := env.Store(ctx, c.Name)
		var survey recovery.Survey
		if err == nil {
			survey, err = engine.Survey(ctx, a.Of, c, store)
		}
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case err != nil:
			all = append(all, silentCopy{c.Name, err})
		case c.Name == a.Point.Copy || h.End(survey) > 0:
			all = append(all, heldBy{c.Name, h, survey, store})
		}
	}
	return all, nil
}

func namesOf(copies []live.Archive) string {
	var names []string
	for _, c := range copies {
		names = append(names, c.Name())
	}
	return strings.Join(names, ", ")
}

// silentCopy is a copy that could not be asked.
type silentCopy struct {
	copy string
	err  error
}

func (s silentCopy) Name() string { return s.copy }

func (s silentCopy) Has(context.Context, string) (bool, error) { return false, s.err }

// heldBy is the archive of a copy as an engine reads it.
type heldBy struct {
	copy   string
	engine holder
	survey recovery.Survey
	store  storage.Store
}

func (h heldBy) Name() string { return h.copy }

func (h heldBy) Has(ctx context.Context, file string) (bool, error) {
	return h.engine.Holds(ctx, h.survey, h.store, file)
}
