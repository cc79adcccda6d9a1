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
