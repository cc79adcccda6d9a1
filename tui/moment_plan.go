package tui

import (
	"context"
	"slices"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// chooser is the part of a screen that has a moment planned once it is chosen,
// and that shows why it was refused.
type chooser struct {
	m    *model
	from *runbookScreen
	// marked are the transactions that a rescue takes back together.
	marked []recovery.XID
	// tried is the choice that is being planned, or was refused with err.
	tried    *Choice
	planning bool
	err      error
	cancel   context.CancelFunc
}

// plan asks for the plan to a choice and shows it; a refusal stays on the screen
// that asked.
func (c *chooser) plan(asks screen, list *momentScreen, choice Choice) tea.Cmd {
	r := c.from.route()
	xids := c.rescues(choice.Want)
	switch {
	case r.rescues && len(xids) > 0:
		return c.rescue(asks, choice, xids)
	case r.looks:
		c.tried, c.err = nil, c.from.onlyLooks()
		return nil
	}
	mode := c.from.mode()
	return c.prepare(asks, choice, func(ctx context.Context) (*Prepared, error) {
		return c.m.desk.Plan(ctx, c.from.path, mode, choice)
	}, func(p *Prepared) screen { return newPlan(c.m, list, choice, p) })
}

// rescue asks for the plan that takes transactions back, and shows it.
func (c *chooser) rescue(asks screen, choice Choice, xids []recovery.XID) tea.Cmd {
	return c.prepare(asks, choice, func(ctx context.Context) (*Prepared, error) {
		return c.m.desk.Follow(ctx, FollowUp{Kind: RescueRows, Runbook: c.from.path, Component: choice.Component, XIDs: xids})
	}, func(p *Prepared) screen { return newFollowUp(c.m, RescueRows, c.from.aside, p) })
}

// prepare has a plan made to a choice, and shows what comes of it.
func (c *chooser) prepare(asks screen, choice Choice, plan func(context.Context) (*Prepared, error), show func(*Prepared) screen) tea.Cmd {
	ctx, cancel := context.WithCancel(c.from.ctx)
	if c.cancel != nil {
		c.cancel()
	}
	c.tried, c.planning, c.err, c.cancel = &choice, true, nil, cancel
	return ask(ctx, asks, plan, func(p *Prepared, err error) tea.Cmd {
		if ctx.Err() != nil {
			return nil // given up, or overtaken by another choice
		}
		c.planning, c.err = false, err
		if err != nil {
			return nil
		}
		c.tried = nil
		return c.m.push(show(p))
	})
}

// rescues are the transactions that are taken back: those that were marked, or else
// the one that a moment lies just before.
func (c *chooser) rescues(want string) []recovery.XID {
	if len(c.marked) > 0 {
		return c.marked
	}
	if xid, ok := rescued(want, c.m.now()); ok {
		return []recovery.XID{xid}
	}
	return nil
}

// mark adds the transaction that a moment lies just before to those that are taken
// back together, or takes it away again.
func (c *chooser) mark(want string) {
	xid, ok := rescued(want, c.m.now())
	if !ok {
		c.tried, c.err = nil, c.from.onlyLooks()
		return
	}
	if i := slices.Index(c.marked, xid); i >= 0 {
		c.marked = slices.Delete(slices.Clone(c.marked), i, i+1)
		return
	}
	c.marked = append(slices.Clone(c.marked), xid)
}

// giveUp forgets what is being planned.
func (c *chooser) giveUp() {
	c.close()
	c.planning, c.tried = false, nil
}

func (c *chooser) close() {
	if c.cancel != nil {
		c.cancel()
	}
}

// refusal shows what is being planned, or why it was refused.
func (c *chooser) refusal(w int) []line {
	switch {
	case c.planning:
		return []line{say("        resolving " + c.tried.Want + " and making the plan ..")}
	case c.err != nil:
		var lines []line
		if c.tried != nil {
			lines = append(lines, as(strong, pad("MOMENT", 10)).say(c.tried.Want))
		}
		return append(lines, c.m.trouble("REFUSED", c.err, w)...)
	}
	return nil
}
