package recovery

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"time"
)

// Usual is how often the like of a transaction happened at the same time of day
// before: on Seen days, Of those that the log tells of.
type Usual struct{ Seen, Of int }

// Holds reports whether it is usual: it happened on most of the days, and there
// are enough to say so.
func (u Usual) Holds() bool { return u.Of >= 2 && 2*u.Seen > u.Of }

func (u Usual) String() string {
	days := "days"
	if u.Of == 1 {
		days = "day"
	}
	return fmt.Sprintf("seen on %d of %d %s", u.Seen, u.Of, days)
}

const (
	// habitDays is how many earlier days are compared.
	habitDays = 7
	// habitNear is how far from the same time of day the like may lie: jobs
	// wait for each other.
	habitNear = 30 * time.Minute
	// habitHarms bounds how many transactions are judged at once.
	habitHarms = 32
)

// Habits tell harm from what happens every night: they compare harmful
// transactions with what was done on earlier days at the same time. The like is
// the same kind of effect on the same tables, with at least half as many rows;
// what has no name is like nothing.
type Habits struct {
	judged []judged
	spans  []Span
}

// judged is a transaction that is compared.
type judged struct {
	lsn   LSN
	deeds []deed
	days  []habitDay
}

// habitDay is the same time on an earlier day; known where it was read.
type habitDay struct {
	span  Span
	known bool
	seen  []bool // by deed
}

// deed is one effect on one table.
type deed struct {
	kind, table string
	rows        int64
}

// like reports whether one deed stands for another on a later day.
func (d deed) like(later deed) bool {
	return d.kind == later.kind && d.table == later.table && 2*d.rows >= later.rows
}

// NewHabits prepares to judge harmful transactions, of which the first few are.
// Days are those of a zone; what lies before since is in no log.
func NewHabits(harms []Transaction, zone *time.Location, since time.Time) *Habits {
	h := &Habits{}
	var wanted []Span
	for _, t := range harms[:min(len(harms), habitHarms)] {
		j := judged{lsn: t.LSN, deeds: t.harmfulDeeds()}
		if len(j.deeds) == 0 || t.Time.IsZero() {
			continue
		}
		for d := 1; d <= habitDays; d++ {
			at := t.Time.In(zone).AddDate(0, 0, -d)
			s := Span{From: at.Add(-habitNear), To: at.Add(habitNear)}
			if since.IsZero() || s.From.Before(since) {
				break
			}
			j.days = append(j.days, habitDay{span: s, seen: make([]bool, len(j.deeds))})
			wanted = append(wanted, s)
		}
		h.judged = append(h.judged, j)
	}
	h.spans = joined(wanted)
	return h
}

// joined puts spans together that overlap, the newest first.
func joined(all []Span) []Span {
	slices.SortFunc(all, func(a, b Span) int { return cmp.Or(b.From.Compare(a.From), b.To.Compare(a.To)) })
	var spans []Span
	for _, s := range all {
		if n := len(spans); n > 0 && !s.To.Before(spans[n-1].From) {
			spans[n-1].From = s.From
			continue
		}
		spans = append(spans, s)
	}
	return spans
}

// Spans are what has to be read of the log, the newest first.
func (h *Habits) Spans() []Span { return h.spans }

// Read takes in what a span holds. With an error the span counts as not known.
func (h *Habits) Read(s Span, all iter.Seq2[Transaction, error]) error {
	var days []*habitDay
	var deeds [][]deed
	for i := range h.judged {
		j := &h.judged[i]
		for d := range j.days {
			if day := &j.days[d]; !day.span.From.Before(s.From) && !day.span.To.After(s.To) {
				days, deeds = append(days, day), append(deeds, j.deeds)
			}
		}
	}
	for t, err := range all {
		if err != nil {
			return err
		}
		for i, day := range days {
			if t.Time.Before(day.span.From) || t.Time.After(day.span.To) {
				continue
			}
			did := t.deeds()
			for k, later := range deeds[i] {
				day.seen[k] = day.seen[k] || slices.ContainsFunc(did, func(d deed) bool { return d.like(later) })
			}
		}
	}
	for _, day := range days {
		day.known = true
	}
	return nil
}

// Of is how usual a transaction is, by where its end lies.
func (h *Habits) Of(lsn LSN) Usual {
	var u Usual
	if h == nil {
		return u
	}
	i := slices.IndexFunc(h.judged, func(j judged) bool { return j.lsn == lsn })
	if i < 0 {
		return u
	}
	for _, day := range h.judged[i].days {
		if !day.known {
			continue
		}
		if u.Of++; !slices.Contains(day.seen, false) {
			u.Seen++
		}
	}
	return u
}

// deeds are the effects of a transaction that committed, on what has a name.
func (t Transaction) deeds() []deed {
	if t.How != Committed && t.How != CommittedPrepared {
		return nil
	}
	var all []deed
	for _, d := range t.Databases {
		if d.Dropped && d.Name != "" {
			all = append(all, deed{kind: "drop database", table: d.Name})
		}
	}
	for _, c := range t.Tables {
		if c.Name == "" {
			continue
		}
		table := fmt.Sprintf("%d:%s", c.Database, c.Name)
		for _, d := range []struct {
			deed
			did bool
		}{
			{deed{"drop", table, 0}, c.Dropped && !c.Created},
			{deed{"truncate", table, 0}, c.Truncated && !c.Created},
			{deed{"delete", table, c.Deleted}, c.Deleted > 0},
			{deed{"update", table, c.Updated}, c.Updated > 0},
		} {
			if d.did {
				all = append(all, d.deed)
			}
		}
	}
	return all
}

// harmfulDeeds are those for which it stands out; none where not all of them have
// names.
func (t Transaction) harmfulDeeds() []deed {
	harms := t.Harms()
	var all []deed
	for _, d := range t.deeds() {
		alone := t
		alone.Databases, alone.Tablespaces = nil, nil
		alone.Tables = slices.DeleteFunc(slices.Clone(t.Tables), func(c TableChange) bool { return fmt.Sprintf("%d:%s", c.Database, c.Name) != d.table })
		if d.kind == "drop database" || slices.ContainsFunc(alone.Harms(), func(h Harm) bool { return h.Kind == d.kind }) {
			all = append(all, d)
		}
	}
	if len(all) != len(harms) {
		return nil
	}
	return all
}
