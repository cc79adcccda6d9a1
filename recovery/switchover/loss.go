package switchover

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/neighbours"
	"comeback/recovery/postgres"
	"comeback/storage"
)

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
	survey, err := engine.Survey(ctx, a.Of, a.Copy, neighbours.See(a.Of, store))
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
	if o, ok := a.unseen(); ok {
		return o, nil
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
	h, ok := engine.(recovery.Holder)
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

// count reads from the log what going back loses. The database is closed; it is final
// where the step before it has brought the end of the log into the copy.
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
	loss.Stopped = true
	loss.Final = err == nil && a.ended(env)
	if past, ok := a.unseen(); ok {
		loss.Final, loss.AtLeast = false, true
		outcome.Exceptions = append(outcome.Exceptions, past.Says)
	}
	outcome.Loss, outcome.Says = &loss, strings.Join(loss.Says(), "; ")
	return outcome, nil
}

// unseen is the outcome of what would look for the end of the log in a copy that is read as
// it was: it cannot be seen there.
func (a countArgs) unseen() (recovery.Outcome, bool) {
	if a.Copy.AsOf.IsZero() {
		return recovery.Outcome{}, false
	}
	then := a.Copy.AsOf.UTC().Format(time.RFC3339)
	return recovery.Outcome{Says: fmt.Sprintf("what was committed after %s is not counted: %s is read as it was then", then, a.Copy.Name),
		Facts: map[string]string{unproven: "the copy is read as it was at " + then}}, true
}

// ended reports whether the end of the log is known to be in the copy.
func (a countArgs) ended(env recovery.Env) bool {
	p, ok := env.(recovery.Preceded)
	if !ok || a.Tail == "" {
		return false
	}
	return slices.ContainsFunc(p.Before(), func(st recovery.StepState) bool {
		_, not := st.Outcome.Facts[unproven]
		return st.Kind == a.Tail && st.Component == a.Component && st.State == recovery.Done && !not
	})
}

// since says what going back loses where no log tells of it: all that was committed
// after the backup, until now; the database is closed.
type since struct{}

func (since) Name() string              { return sinceName }
func (since) Restart() recovery.Restart { return recovery.Repeat }

func (since) Do(_ context.Context, _ recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	var a countArgs
	if err := s.Decode(&a); err != nil {
		return recovery.Outcome{}, err
	}
	loss := recovery.Loss{Component: a.Component, Copy: a.Point.Copy, Since: a.Point.Backup.Taken, Until: time.Now().UTC(), Of: a.Database, Final: true}
	if loss.Since.To.IsZero() {
		loss.Since = recovery.Span{From: a.Point.Time, To: a.Point.Time}
	}
	return recovery.Outcome{Loss: &loss, Says: strings.Join(loss.Says(), "; ")}, nil
}
