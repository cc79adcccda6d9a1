package plan

import (
	"slices"
	"time"

	"comeback/recovery"
)

// Stretch are transactions of which only the chosen ones did anything to the tables
// that come back.
type Stretch struct {
	First, Last recovery.Transaction
	Changes     []recovery.TableChange
}

// MostStretches is how many stretches a rescue takes: each is restored twice.
const MostStretches = 4

// Stretches cuts a log, the oldest transaction first, where somebody else did something to a
// table of a chosen transaction, or may have. Named says that tables were named: the log does
// not tell what of it is about them. More stretches than MostStretches are refused.
func Stretches(log []recovery.Transaction, chosen func(recovery.XID) bool, named bool) ([]Stretch, error) {
	// What was given another file goes under two numbers.
	all := named
	var tables []recovery.TableChange
	for _, t := range log {
		if chosen(t.XID) {
			tables = append(tables, t.Tables...)
			all = all || t.AtLeast || slices.ContainsFunc(t.Tables, func(c recovery.TableChange) bool { return c.Created || c.Dropped || c.Truncated || c.Rewritten })
		}
	}
	disturbs := func(t recovery.Transaction) bool {
		return t.AtLeast || slices.ContainsFunc(t.Tables, func(c recovery.TableChange) bool {
			return slices.ContainsFunc(tables, func(o recovery.TableChange) bool {
				return c.Database == o.Database && (all || c.Filenode == o.Filenode)
			})
		})
	}
	var found []Stretch
	disturbed := true
	for _, t := range log {
		switch {
		case !chosen(t.XID):
			disturbed = disturbed || disturbs(t)
			continue
		case disturbed:
			found = append(found, Stretch{First: t})
		}
		s := &found[len(found)-1]
		s.Last, s.Changes, disturbed = t, append(s.Changes, t.Tables...), false
	}
	if len(found) > MostStretches {
		return nil, recovery.Errorf("rescue fewer at once, the last first",
			"others changed the same tables between the transactions, so that the database would have to be restored %d times; %d are the most", 2*len(found), 2*MostStretches).WithExit(recovery.Refused)
	}
	return found, nil
}

// clockStep is how far a server's clock may have been set back or forth between
// two transactions.
const clockStep = 10 * time.Minute

// Together is the span of a log in which transactions lie whose ends are points, in one log:
// what is in another is rescued by itself. The times of commits are not in the order of the
// log, which counts; so the span is wider than they are.
func Together(xids []recovery.XID, ends []recovery.Point) (recovery.Span, error) {
	first := ends[0]
	span := recovery.Span{From: first.Kept.Time, To: first.Kept.Time}
	for i, p := range ends {
		if p.Copy != first.Copy || p.Engine != first.Engine || p.Timeline != first.Timeline {
			return recovery.Span{}, recovery.Errorf("rescue them one after the other, or say which copy with --copy", "transactions %d and %d are in different logs: %s, timeline %d, and %s, timeline %d",
				xids[0], xids[i], first.Copy, first.Timeline, p.Copy, p.Timeline).WithExit(recovery.Refused)
		}
		if p.Kept.Time.Before(span.From) {
			span.From = p.Kept.Time
		}
		if p.Kept.Time.After(span.To) {
			span.To = p.Kept.Time
		}
	}
	span.From, span.To = span.From.Add(-clockStep), span.To.Add(clockStep)
	return span, nil
}
