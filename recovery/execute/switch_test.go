package execute_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/execute"
)

// noted gives back a kind of resource and notes it.
type noted struct {
	*things
	kind recovery.ResourceKind
}

func (n noted) Resource() recovery.ResourceKind { return n.kind }

// A system of two components is old as a whole or new, wherever a run ends while they are
// opened: what the first that is open makes of it is not taken back by one that opens
// beside it, or after it, and fails.
func TestSwitch_oneWay(t *testing.T) {
	at := func(s recovery.Step, phase recovery.Phase, line int) recovery.Step {
		s.Phase, s.Line = phase, line
		return s
	}
	both := []string{"database.swap", "uploads.swap"}
	later := []recovery.Step{at(step("mail.swap", "swap", "uploads.open"), recovery.Exchange, 30), at(step("mail.open", "fails", "mail.swap"), recovery.Open, 30)}
	for name, c := range map[string]struct {
		opens []recovery.Step
		back  string
		old   int
	}{
		"the database fails first": {[]recovery.Step{step("database.open", "fails", both...), step("uploads.open", "keeps", "database.open")},
			"released database.open, released uploads.swap, released database.swap", 0},
		"beside the uploads, which it lets in":   {[]recovery.Step{step("database.open", "fails beside", both...), step("uploads.open", "keeps", both...)}, "", 2},
		"after the uploads":                      {[]recovery.Step{step("database.open", "fails", "uploads.open"), step("uploads.open", "keeps", both...)}, "", 2},
		"a switch of its own, after that of two": {[]recovery.Step{step("uploads.open", "keeps", both...)}, "released mail.open, released mail.swap", 2},
	} {
		t.Run(name, func(t *testing.T) {
			th := &things{}
			claimed, kept := make(chan struct{}), make(chan struct{})
			claims := func(ctx context.Context, e recovery.Env, s recovery.Step, kind recovery.ResourceKind) error {
				return e.Claim(ctx, recovery.Resource{Kind: kind, ID: s.ID})
			}
			fails := errors.New("the server does not start")
			kinds := []recovery.Kind{
				kind{"swap", func(ctx context.Context, e recovery.Env, s recovery.Step) (recovery.Outcome, error) {
					return recovery.Outcome{Old: []recovery.Old{{Component: s.Component, Place: s.ID}}}, claims(ctx, e, s, recovery.Exchanged)
				}},
				kind{"keeps", func(context.Context, recovery.Env, recovery.Step) (recovery.Outcome, error) {
					if name == "beside the uploads, which it lets in" {
						<-claimed
					}
					return recovery.Outcome{}, nil
				}},
				kind{"fails beside", func(ctx context.Context, e recovery.Env, s recovery.Step) (recovery.Outcome, error) {
					err := claims(ctx, e, s, recovery.Opened)
					close(claimed)
					<-kept
					return recovery.Outcome{}, errors.Join(err, fails)
				}},
				kind{"fails", func(ctx context.Context, e recovery.Env, s recovery.Step) (recovery.Outcome, error) {
					return recovery.Outcome{}, errors.Join(claims(ctx, e, s, recovery.Opened), fails)
				}}}
			steps := []recovery.Step{at(step("database.swap", "swap"), recovery.Exchange, 20), at(step("uploads.swap", "swap", "database.swap"), recovery.Exchange, 20)}
			for _, s := range c.opens {
				steps = append(steps, at(s, recovery.Open, 20))
			}
			if len(c.opens) == 1 {
				steps = append(steps, later...)
			}
			for i := range steps {
				steps[i].Component = steps[i].ID[:len(steps[i].ID)-len(".swap")]
			}
			s := newRig(t, kinds, func(_ *recovery.Plan, o *execute.Options) {
				o.Unattended, o.Releasers = true, []recovery.Releaser{noted{th, recovery.Exchanged}, noted{th, recovery.Opened}}
				o.Event = func(e recovery.Event) {
					if p, ok := e.Payload(); ok {
						if f, ok := p.(recovery.StepFinished); ok && f.Step == "uploads.open" {
							close(kept)
						}
					}
				}
			}, steps...).run(t)
			if th.said() != c.back || len(s.Old) != c.old || len(s.Held()) != 0 || s.Exit != recovery.Failed {
				t.Errorf("gave back %q, old data %+v, holds %v, ended as %s: %s", th.said(), s.Old, s.Held(), s.Result, s.Says)
			}
		})
	}
}

// What is put aside stays for as long as was planned from when it is, however long the run
// had waited.
func TestSwitch_keepsFromTheExchange(t *testing.T) {
	planned := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	for _, waited := range []time.Duration{0, 26 * time.Hour, -time.Hour} {
		swap := kind{"swap", func(_ context.Context, _ recovery.Env, s recovery.Step) (recovery.Outcome, error) {
			return recovery.Outcome{Old: []recovery.Old{{Component: "db", Place: "shop_old", Until: planned.Add(24 * time.Hour)}, {Component: "uploads", Place: "uploads.old"}}}, nil
		}}
		s := newRig(t, []recovery.Kind{swap}, func(p *recovery.Plan, o *execute.Options) {
			o.Unattended, p.Created, o.Now = true, planned, func() time.Time { return planned.Add(waited) }
		}, step("db.swap", "swap")).run(t)
		if want := planned.Add(24*time.Hour + max(0, waited)); len(s.Old) != 2 || !s.Old[0].Until.Equal(want) || !s.Old[1].Until.IsZero() {
			t.Errorf("after %s: %+v, want until %s", waited, s.Old, want)
		}
	}
}

// Where a plan has a check beside what changes live, as those of earlier versions have, what
// did not hold does not go live: nobody has passed over it. What is open already is finished.
func TestSwitch_failedCheckBeside(t *testing.T) {
	for name, c := range map[string]struct {
		choice recovery.Choice // of a person; nobody is there where it is empty
		opened bool
		want   recovery.Progress
	}{
		"nobody is there":    {"", false, recovery.Skipped},
		"a person stops":     {recovery.ChooseStop, false, recovery.Skipped},
		"a person goes on":   {recovery.ChooseContinue, false, recovery.Done},
		"it was open before": {"", true, recovery.Done},
	} {
		t.Run(name, func(t *testing.T) {
			failed, passed := make(chan struct{}), make(chan struct{})
			check, open, swap := step("check", recovery.KindSQLCheck), step("open", "k"), writes("swap", "live/db", "restore")
			check.MayPass = true
			swap.Phase, swap.Line = recovery.Exchange, 20
			if c.opened {
				open.Phase, open.Line = recovery.Open, 20
			}
			// The last is started when whoever starts steps has come by all of them.
			steps := []recovery.Step{open, check, step("restore", "restores", "open"), swap, step("last", "k", "restore")}
			r := newRig(t, []recovery.Kind{kind{"k", ok},
				kind{recovery.KindSQLCheck, func(context.Context, recovery.Env, recovery.Step) (recovery.Outcome, error) {
					return recovery.Outcome{}, errors.New("expected >= 1, found 0")
				}},
				kind{"restores", func(context.Context, recovery.Env, recovery.Step) (recovery.Outcome, error) {
					<-failed
					return recovery.Outcome{}, nil
				}}}, func(p *recovery.Plan, o *execute.Options) {
				confirmedBefore(t, p, o, "db1/shop", "ops1", time.Now())
				told := o.Event
				o.Unattended, o.Event = c.choice == "", func(e recovery.Event) {
					p, _ := e.Payload()
					switch p := p.(type) {
					case recovery.StepFailed:
						close(failed)
					case recovery.StepStarted:
						if p.Step == "last" {
							close(passed)
						}
					}
					told(e)
				}
			}, steps...)
			if c.choice != "" {
				go func() {
					<-passed
					if err := r.Do(recovery.Command{Kind: recovery.DoDecide, Step: "check", Choice: c.choice, By: "ops1", Text: "known"}); err != nil {
						t.Error(err)
					}
				}()
			}
			if s := r.run(t); s.Step("swap").State != c.want || s.Step("restore").State != recovery.Done {
				t.Errorf("it is %s, the restore %s: %s", s.Step("swap").State, s.Step("restore").State, s.Says)
			}
		})
	}
}
