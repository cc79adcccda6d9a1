package backup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"comeback/recovery"
	"comeback/recovery/neighbours"
	"comeback/storage"
)

// stepName is the kind of a step that takes a backup within a run.
const stepName = "backup.take"

// StepArgs are what the step is told.
type StepArgs struct {
	System    string             `json:"system"`
	Component recovery.Component `json:"component"`
	// Engine takes it, of the sort Sort.
	Engine string `json:"engine"`
	Sort   string `json:"sort"`
	// Copies are the plan's; Restored is the one that was restored from.
	Copies   []recovery.Copy `json:"copies"`
	Restored string          `json:"restored,omitempty"`
	// Scratch is where it lies until it is stored.
	Scratch recovery.TargetID `json:"scratch"`
	// Run is the run that takes it, Runbook the digest of its runbook.
	Run     string `json:"run"`
	Runbook string `json:"runbook,omitempty"`
}

// Step is a step that takes a backup of what is live now.
func Step(id string, a StepArgs) recovery.Step {
	s := recovery.NewStep(id, stepName, fmt.Sprintf("take a new %s of %s", Called(a.Sort), a.Component.Name), a)
	s.Writes = []recovery.TargetID{a.Scratch}
	return s
}

// Called is what people call a sort of backup.
func Called(sort string) string {
	if sort == "base" {
		return "base backup"
	}
	return sort
}

// SortOf is the sort of backup that an engine takes; "" where it takes none, or more
// than one.
func SortOf(e recovery.Engine) string {
	if c, ok := e.(recovery.Capturer); ok && len(c.Takes()) == 1 {
		return c.Takes()[0]
	}
	return ""
}

// StepOptions are what the step needs from outside.
type StepOptions struct {
	Engines func() []recovery.Engine
	// Hold keeps other backups of a component of a system on this host away until
	// release is called, and says in which place; an error says who is at work, and
	// waiting is told whom it waits for.
	Hold func(ctx context.Context, system, component, run string, waiting func(string)) (place string, release func() error, err error)
	// By is this program with its version.
	By string
}

// Taking is the kind of the steps that take backups.
func Taking(o StepOptions) recovery.Kind { return taking{o} }

// taking takes one backup into every copy that holds backups of its sort. What an
// attempt that was cut off has stored the next one clears away, or, where none
// follows, whoever gives back its claim.
type taking struct{ StepOptions }

func (taking) Name() string              { return stepName }
func (taking) Restart() recovery.Restart { return recovery.Repeat }

func (k taking) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	var a StepArgs
	if err := s.Decode(&a); err != nil {
		return recovery.Outcome{}, err
	}
	scratch, err := env.Target(ctx, a.Scratch)
	if err != nil {
		return recovery.Outcome{}, err
	}
	named, ok := recovery.EngineNamed(k.Engines(), a.Engine)
	if !ok || SortOf(named) != a.Sort {
		return recovery.Outcome{}, recovery.Errorf("use the version of comeback that made the plan", "no engine %q here takes a %s", a.Engine, Called(a.Sort))
	}
	engine := named.(recovery.Capturer)
	place, release, err := k.Hold(ctx, a.System, a.Component.Name, a.Run, func(says string) { env.Meter().Phase(says, 0, recovery.NoUnit) })
	if err != nil {
		return recovery.Outcome{}, err
	}
	o, err := k.take(ctx, env, a, engine, scratch, place)
	return o, errors.Join(err, release())
}

func (k taking) take(ctx context.Context, env recovery.Env, a StepArgs, engine recovery.Capturer, scratch recovery.Handle, place string) (recovery.Outcome, error) {
	env.Meter().Phase("ask which copies must have it", int64(len(a.Copies)), recovery.InItems)
	arms, refused, err := a.required(ctx, env, engine)
	if err != nil {
		return recovery.Outcome{}, err
	}
	host, err := os.Hostname()
	if err != nil {
		return recovery.Outcome{}, fmt.Errorf("name this host: %w", err)
	}
	temp := filepath.Join(scratch.Dir, "backup")
	// What an attempt that was killed has left there is worth nothing.
	if err := errors.Join(os.RemoveAll(temp), os.Mkdir(temp, 0o700)); err != nil {
		return recovery.Outcome{}, recovery.Errorf("make room there, then retry", "make a place for the backup: %w", err)
	}
	var claimed []recovery.Resource
	options := Options{Room: a.room(scratch.Room), System: a.System, Copies: a.Copies, RunbookSHA256: a.Runbook, Secret: env.Secret, Temp: temp, Host: host, Place: place, By: k.By, Now: env.Now, Command: env.Command,
		Watch: func(_, _ string, last *recovery.Manifest) recovery.Meter { return expecting(env.Meter(), last) },
		Claim: func(ctx context.Context, r recovery.Resource) error {
			claimed = append(claimed, r)
			return env.Claim(ctx, r)
		}}
	t := take(ctx, options, job{a.Component, engine, a.Sort}, arms)
	if err := errors.Join(ctx.Err(), t.Err); err != nil {
		return recovery.Outcome{}, err
	}
	for _, name := range t.Copies {
		env.Meter().Phase("prove that it is whole in "+name, 0, recovery.NoUnit)
		if err := a.whole(ctx, env, engine, name, t.Manifest.ID); err != nil {
			t.Failed[name] = err
		}
	}
	t.Copies = slices.DeleteFunc(t.Copies, func(name string) bool { return t.Failed[name] != nil })
	for name, err := range refused {
		t.Failed[name] = err
	}
	return a.outcome(t, claimed), nil
}

// room is that of the scratch, where a backup lies until it is stored: on the disk of what was
// just opened, or beside it. What can be done is not what can before a switch.
func (a StepArgs) room(scratch func(more int64) error) func(more int64) error {
	if scratch == nil {
		return nil
	}
	return func(more int64) error {
		err := scratch(more)
		if err == nil {
			return nil
		}
		return recovery.Errorf("make room on that disk, then retry; or go on without it, and take it into another directory: comeback backup RUNBOOK "+a.Component.Name+" --temp DIRECTORY",
			"%w", err).WithExit(recovery.Refused)
	}
}

// outcome tells how it went. A copy that has not got it keeps the system from being
// protected, and the claim on what it may have of it.
func (a StepArgs) outcome(t Taken, claimed []recovery.Resource) recovery.Outcome {
	m := t.Manifest
	o := recovery.Outcome{Says: fmt.Sprintf("the %s %s, %s, is whole in %s", Called(a.Sort), m.ID, recovery.FormatBytes(m.Size()), strings.Join(t.Copies, ", ")),
		Facts: map[string]string{"backup": m.ID, "copies": strings.Join(t.Copies, ", ")}, Remarks: m.Remarks}
	for _, e := range m.Exceptions {
		o.Exceptions = append(o.Exceptions, a.Component.Name+": in the new "+Called(a.Sort)+" "+e)
	}
	if len(t.Copies) == 0 {
		o.Says = "not protected yet: no copy has the new " + Called(a.Sort)
	}
	for _, missing := range t.Missing() {
		o.Unprotected = append(o.Unprotected, fmt.Sprintf("%s: the new %s is not in the copy %s", a.Component.Name, Called(a.Sort), missing))
	}
	if len(t.Failed) > 0 {
		o.ToDo = []string{fmt.Sprintf("%s: mend what keeps it out of a copy, then: comeback backup RUNBOOK %s", a.Component.Name, a.Component.Name)}
		return o
	}
	o.Adopted = claimed
	return o
}

// required opens the copies that must have the backup: the one that was restored
// from, and each that holds backups or a log of the component already. One that
// does not answer must, too, because it may hold some.
func (a StepArgs) required(ctx context.Context, env recovery.Env, engine recovery.Engine) (arms []storage.Arm, refused map[string]error, err error) {
	refused = map[string]error{}
	for _, c := range a.Copies {
		store, err := env.Store(ctx, c.Name)
		var survey recovery.Survey
		if err == nil {
			store = storage.Current(store)
			survey, err = engine.Survey(ctx, a.Component, c, neighbours.See(a.Component, store))
		}
		env.Meter().Add(1)
		switch {
		case ctx.Err() != nil:
			return nil, nil, context.Cause(ctx)
		case errors.Is(err, storage.ErrExpired):
			return nil, nil, err // fresh credentials mend it
		case err != nil:
			refused[c.Name] = err
		case c.Name == a.Restored || holdsSome(engine, survey):
			arms = append(arms, storage.Arm{Name: c.Name, Store: store})
		}
	}
	if len(arms) == 0 {
		var all []error
		for _, err := range refused {
			all = append(all, err)
		}
		return nil, nil, recovery.Errorf("see comeback check, then retry", "take a new %s of %s: no copy can be written to: %w", Called(a.Sort), a.Component.Name, errors.Join(all...))
	}
	return arms, refused, nil
}

// holdsSome reports whether a copy holds anything of a component by this engine.
func holdsSome(engine recovery.Engine, s recovery.Survey) bool {
	if len(s.Backups) > 0 {
		return true
	}
	logged, ok := engine.(recovery.Ender)
	return ok && logged.End(s) > 0
}

// whole proves that a copy lists the backup as one that can be restored, as the
// next recovery will see it.
func (a StepArgs) whole(ctx context.Context, env recovery.Env, engine recovery.Engine, name, id string) error {
	store, err := env.Store(ctx, name)
	if err != nil {
		return err
	}
	store = storage.Current(store)
	i := slices.IndexFunc(a.Copies, func(c recovery.Copy) bool { return c.Name == name })
	survey, err := engine.Survey(ctx, a.Component, a.Copies[i], neighbours.See(a.Component, store))
	if err != nil {
		return err
	}
	for _, b := range survey.Backups {
		if b.ID == id && b.Problem != "" {
			return fmt.Errorf("it cannot be restored: %s", b.Problem)
		}
		if b.ID == id {
			return nil
		}
	}
	return fmt.Errorf("it was stored, and is not listed")
}

// expectingMeter knows how much the backup before this one was.
type expectingMeter struct {
	recovery.Meter
	expected int64
}

func expecting(m recovery.Meter, last *recovery.Manifest) recovery.Meter {
	if last == nil {
		return m
	}
	return expectingMeter{m, last.Size()}
}

func (m expectingMeter) Phase(name string, total int64, unit recovery.Unit) {
	if total == 0 && unit == recovery.InBytes {
		total = m.expected
	}
	m.Meter.Phase(name, total, unit)
}
