package execute_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/execute"
)

// Rows of a table of which nobody was told, when the name was typed, are lost only
// after it was typed again.
func TestLive_losesMore(t *testing.T) {
	told := recovery.Loss{Component: "db", Commits: 1, Tables: []recovery.TableLoss{{Table: "orders", Inserted: 1}}}
	for table, want := range map[string]recovery.Exit{"orders": recovery.CameBack, "customers": recovery.Refused} {
		th := &things{}
		counts := kind{"counts", func(context.Context, recovery.Env, recovery.Step) (recovery.Outcome, error) {
			return recovery.Outcome{Says: "counted", Loss: &recovery.Loss{Component: "db", Commits: 9, Final: true, Tables: []recovery.TableLoss{{Table: table, Inserted: 9}}}}, nil
		}}
		s := newRig(t, []recovery.Kind{counts, th.noted("k")}, func(p *recovery.Plan, o *execute.Options) {
			o.Unattended = true
			confirmedBefore(t, p, o, "db1/shop", "ops1", time.Now())
			p.Live = []recovery.Live{{Component: "db", Loss: &told}}
		}, step("0", "counts"), writes("1", "live/db", "0")).run(t)
		if s.Exit != want || (th.said() == "") != (want == recovery.Refused) || want == recovery.Refused && !strings.Contains(s.Says, "also rows of customers") {
			t.Errorf("%s: ended as %s (exit %d): %s; %s", table, s.Result, s.Exit, s.Says, th.said())
		}
	}
}

// A system that is open and could not be backed up again came back all the same,
// with that exception; one that is not open has failed.
func TestEnding_notProtected(t *testing.T) {
	for phase, want := range map[recovery.Phase]recovery.Exit{recovery.Open: recovery.WithExceptions, recovery.Settle: recovery.Failed} {
		fails := kind{"fails", func(context.Context, recovery.Env, recovery.Step) (recovery.Outcome, error) {
			return recovery.Outcome{}, errors.New("access denied")
		}}
		first, last := step("1", "k"), step("2", "fails", "1")
		first.Phase, last.Phase, last.MayPass = phase, recovery.Protect, true
		s := newRig(t, []recovery.Kind{kind{"k", ok}, fails}, func(p *recovery.Plan, o *execute.Options) {
			o.Unattended, p.Mode = true, recovery.Recovery
		}, first, last).run(t)
		if s.Exit != want || !strings.Contains(s.Says, "access denied") || len(s.Unprotected()) != map[bool]int{true: 1}[phase == recovery.Open] {
			t.Errorf("%s: ended as %s (exit %d): %s; not protected %q", phase, s.Result, s.Exit, s.Says, s.Unprotected())
		}
	}
}

// A run that is stopped while it backs up again what is open came back, too: nobody is told
// that it was interrupted, and everybody that it is not protected. One that is stopped before
// everything else was done is interrupted.
func TestEnding_stoppedWhileProtected(t *testing.T) {
	for name, test := range map[string]struct {
		first, second recovery.Phase
		want          recovery.Exit
		result        recovery.Result
	}{
		"open":                  {recovery.Open, recovery.Protect, recovery.WithExceptions, recovery.ResultExceptions},
		"not open":              {recovery.Settle, recovery.Protect, recovery.Interrupted, recovery.ResultInterrupted},
		"open, and not checked": {recovery.Open, recovery.Settle, recovery.Interrupted, recovery.ResultInterrupted},
	} {
		t.Run(name, func(t *testing.T) {
			started := make(chan struct{})
			waits := kind{"waits", func(ctx context.Context, _ recovery.Env, _ recovery.Step) (recovery.Outcome, error) {
				close(started)
				<-ctx.Done()
				return recovery.Outcome{}, ctx.Err()
			}}
			first, second, last := step("1", "k"), step("2", "waits", "1"), step("3", "k", "2")
			first.Phase, second.Phase, last.Phase, second.MayPass, last.MayPass = test.first, test.second, recovery.Protect, true, true
			r := newRig(t, []recovery.Kind{kind{"k", ok}, waits}, func(p *recovery.Plan, _ *execute.Options) { p.Mode = recovery.Recovery }, first, second, last)
			foretold := ""
			go func() {
				<-started
				s := r.State()
				foretold = r.Plan.StoppedSays(&s, nil)
				if err := r.Do(recovery.Command{Kind: recovery.DoStop, By: "ops1", Text: "enough"}); err != nil {
					t.Error(err)
				}
			}()
			s := r.run(t)
			if headline := r.Plan.Headline(&s); foretold != headline {
				t.Errorf("before it was stopped it was said to end as %q, and it ended as %q", foretold, headline)
			}
			if s.Exit != test.want || s.Result != test.result {
				t.Errorf("ended as %s (exit %d): %s", s.Result, s.Exit, s.Says)
			}
			if says := "not protected: " + s.Step("2").Says + ": stopped by ops1: enough"; test.want == recovery.WithExceptions && (!strings.Contains(s.Says, says) || len(s.Unprotected()) != 2) {
				t.Errorf("it says %s; not protected %q", s.Says, s.Unprotected())
			}
		})
	}
}

// What an amendment has left out was not stopped, and the system came back without it.
func TestEnding_leftOutAndStopped(t *testing.T) {
	opens, task, protects, another := step("1", "k"), step("2", "k", "1"), step("3", "k", "2"), step("4", "k", "2")
	opens.Phase, protects.Phase, another.Phase = recovery.Open, recovery.Protect, recovery.Protect
	p := &recovery.Plan{Mode: recovery.Recovery, Steps: []recovery.Step{opens, task, protects, another}}
	s := recovery.NewState(p)
	s.Stop = &recovery.StopAsked{By: "ops1"}
	s.Steps[0].State = recovery.Done
	s.Steps[1].State, s.Steps[1].Why, s.Steps[1].LeftOut = recovery.Skipped, "it was done by hand", true
	s.Steps[2].State, s.Steps[2].Why = recovery.Skipped, "the run was stopped"
	s.Steps[3].State, s.Steps[3].Why, s.Steps[3].LeftOut = recovery.Skipped, "the copy is being replaced", true
	end := execute.Ending(&s, p)
	if end.Exit != recovery.WithExceptions || end.Says != "3 exceptions, the first: 2: it was done by hand" {
		t.Errorf("ended as %s (exit %d): %s", end.Result, end.Exit, end.Says)
	}
	s.Steps[1].State = recovery.Done
	if end := execute.Ending(&s, p); end.Says != "2 exceptions, the first: not protected: 3: stopped by ops1" {
		t.Errorf("ended as %s (exit %d): %s", end.Result, end.Exit, end.Says)
	}
	s.Steps[2].State = recovery.Done
	if end := execute.Ending(&s, p); end.Says != "1 exception: not protected: 4: the copy is being replaced" {
		t.Errorf("ended as %s (exit %d): %s", end.Result, end.Exit, end.Says)
	}
}
