package tui

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// follower is the part of a screen that has a run planned which follows from what
// the screen shows. The plan is reviewed before anything begins.
type follower struct {
	m        *model
	planning bool
	err      error
}

// plan asks for the plan of a follow-up and shows it; a refusal stays on the
// screen that asked.
func (f *follower) plan(asks screen, next FollowUp, aside func() string) tea.Cmd {
	if f.planning {
		return nil
	}
	f.planning, f.err = true, nil
	return ask(f.m.ctx, asks, func(ctx context.Context) (*Prepared, error) {
		return f.m.desk.Follow(ctx, next)
	}, func(p *Prepared, err error) tea.Cmd {
		f.planning, f.err = false, err
		if err != nil {
			return nil
		}
		return f.m.push(newFollowUp(f.m, next.Kind, aside, p))
	})
}

// newFollowUp is the plan of a run that follows another, or of a rescue.
func newFollowUp(m *model, kind FollowKind, aside func() string, prepared *Prepared) *planScreen {
	s := &planScreen{m: m, path: prepared.Plan.Runbook.Path, aside: aside, follows: kind, prepared: prepared}
	s.asksName()
	return s
}

// begins is what enter does with the plan of a follow-up.
func (k FollowKind) begins() string {
	if k == SwitchBack {
		return "begin the switch back"
	}
	return "begin into scratch"
}

// rescued is the transaction that a moment lies just before.
func rescued(want string, now time.Time) (recovery.XID, bool) {
	w, err := recovery.ParseWant(want, now)
	return w.XID, err == nil && w.Kind == recovery.WantBeforeXID
}
