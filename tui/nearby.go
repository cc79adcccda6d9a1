package tui

import (
	"context"
	"fmt"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// nearby are the transactions around a moment, for whom a little earlier or later may
// be right: what each did, and what to say to go to just before it.
type nearby struct {
	list    []recovery.Transaction // the oldest first
	cursor  int                    // the one that is chosen; len(list) is none
	first   int                    // the first that the moment loses
	reading bool
	err     error
	cancel  context.CancelFunc
}

// Of the log this much around the moment is looked through, and this many
// transactions are listed on each side.
const (
	nearSpan = 10 * time.Minute
	nearEach = 4
)

func (n *nearby) stop() {
	if n.cancel != nil {
		n.cancel()
	}
}

// read reads them, for a screen.
func (n *nearby) read(m *model, s screen, runbook string, p recovery.Point) tea.Cmd {
	ctx, cancel := context.WithCancel(m.ctx)
	n.reading, n.cancel = true, cancel
	choice := Choice{Component: p.Component, Copy: p.Copy, Engine: p.Engine, Backup: p.Backup.ID}
	span := recovery.Span{From: p.Time.Add(-nearSpan), To: p.Time.Add(nearSpan)}
	return ask(ctx, s, func(ctx context.Context) (nearby, error) {
		found := nearby{}
		var earlier, later []recovery.Transaction // the newest first
		for t, err := range m.desk.Around(ctx, runbook, choice, span, func(recovery.ScanProgress) {}) {
			if err != nil {
				return found, err
			}
			if t.How != recovery.Committed && t.How != recovery.CommittedPrepared {
				continue
			}
			if t.LSN >= p.Stop && t.LSN != p.Kept.LSN {
				later = append(later, t)
				later = later[max(0, len(later)-nearEach):]
				continue
			}
			if earlier = append(earlier, t); len(earlier) == nearEach {
				break
			}
		}
		found.list = append(later, earlier...)
		slices.Reverse(found.list)
		found.first = len(earlier)
		return found, nil
	}, func(found nearby, err error) tea.Cmd {
		if ctx.Err() == nil {
			n.list, n.first, n.cursor, n.err, n.reading = found.list, found.first, len(found.list), err, false
		}
		return nil
	})
}

// key goes from one to the next; want is what to say for it.
func (n *nearby) key(k tea.KeyPressMsg) (want string, ok bool) {
	if len(n.list) == 0 {
		return "", false
	}
	switch k.String() {
	case "up":
		if n.cursor == len(n.list) {
			n.cursor = n.first // begin at the moment
		}
		n.cursor = max(0, n.cursor-1)
	case "down":
		if n.cursor == len(n.list) {
			n.cursor = n.first - 1
		}
		n.cursor = min(len(n.list)-1, n.cursor+1)
	default:
		return "", false
	}
	return before(n.list[n.cursor]), true
}

// before is what to say to go to just before a transaction.
func before(t recovery.Transaction) string { return fmt.Sprintf("before-xid:%d", t.XID) }

// show lists them, with the moment between them.
func (n *nearby) show(p *page, w int, zone *time.Location) {
	switch {
	case n.reading:
		p.about("NEARBY", faint, "reading what was committed around it ..", w, 1)
		return
	case n.err != nil:
		p.about("NEARBY", faint, "cannot be read: "+n.err.Error(), w, 2)
		return
	case len(n.list) == 0:
		return
	}
	p.about("NEARBY", plain, "say one of these to go to just before it; up and down choose", w, 1)
	words := recovery.Wording{}
	here := as(faint, cut("  -- the moment as it is: what follows is lost --", w))
	for i, t := range n.list {
		if i == n.first {
			p.body = append(p.body, here)
		}
		mark := "  "
		if i == n.cursor {
			mark = "> "
		}
		p.body = append(p.body, say(cut(mark+pad(before(t), 20)+" "+t.Time.In(zone).Format("15:04:05.000")+"  "+words.Line(t, recovery.Usual{}), w)))
	}
	if n.first == len(n.list) {
		p.body = append(p.body, here)
	}
}
