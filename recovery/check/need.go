package check

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"comeback/recovery"
	"comeback/recovery/catalogue"
)

// Need is what most needs a proof.
type Need struct {
	// Copy is the one to restore from, with Engine the anchor ("" is any), Backup the one
	// to go back to; empty is the latest.
	Copy, Engine, Backup string
	Why                  string
}

// MostNeeds chooses what an unattended rehearsal restores: from a copy that was never
// proven, else by an engine of the anchor that was never proven in a copy, else what has
// the oldest proof. What was restored without checks is not proven; of several that are not
// it comes after those that were never restored, or it would be chosen each time. Where all of it was proven within the interval that the runbook asks
// for, it is a backup of the anchor that pick chooses among n, so that no old one is taken
// for granted. pick gives 0 ≤ i < n. A proof
// of a time still to come is none. It is pure.
func MostNeeds(cat catalogue.Catalogue, proofs []Proof, anchor string, copies []string, now time.Time, rehearse time.Duration, pick func(n int) int) (Need, bool) {
	proofs, _ = inTime(proofs, now)
	type standing struct {
		copy, engine string
		last
	}
	whole := func(b recovery.Backup) bool { return b.Problem == "" }
	surveys := inCopies(cat.Surveys)
	if !slices.ContainsFunc(surveys, func(s recovery.Survey) bool {
		return (anchor == "" || s.Component == anchor) && slices.ContainsFunc(s.Backups, whole)
	}) {
		surveys = cat.Surveys // no copy holds one, but where it lives there is something
	}
	var all, inAll []standing // by copies, and by their engines
	for _, name := range copies {
		in := standing{copy: name}
		var engines []standing
		for _, s := range surveys {
			if s.Copy == name && (anchor == "" || s.Component == anchor) && slices.ContainsFunc(s.Backups, whole) {
				st := standing{copy: name, last: lastBy(proofs, anchor, name, s.Engine)}
				if anchor != "" {
					st.engine = s.Engine
				}
				in.last = in.last.or(st.last)
				engines = append(engines, st)
			}
		}
		if len(engines) > 0 {
			all, inAll = append(all, in), append(inAll, engines...)
		}
	}
	if len(all) == 0 {
		return Need{}, false
	}
	first := func(of []standing) standing {
		return slices.MinFunc(of, func(a, b standing) int { return a.last.compare(b.last) })
	}
	if s := first(all); s.proven.IsZero() {
		return Need{Copy: s.copy, Why: s.never(s.copy)}, true
	}
	oldest := first(inAll)
	what := oldest.copy
	if slices.ContainsFunc(inAll, func(s standing) bool { return s.copy == oldest.copy && s.engine != oldest.engine }) {
		what = fmt.Sprintf("%s of %s", oldest.engine, oldest.copy)
	}
	need := Need{Copy: oldest.copy, Engine: oldest.engine}
	switch {
	case oldest.proven.IsZero():
		need.Why = oldest.never(what)
		return need, true
	case rehearse <= 0 || now.Sub(oldest.proven) > rehearse:
		need.Why = fmt.Sprintf("%s was last proven %s ago", what, recovery.FormatSpan(now.Sub(oldest.proven)))
		return need, true
	}
	var backups []recovery.Backup
	for _, s := range surveys {
		// Whether one that shrank is to be so, a person says by choosing it.
		shrank := s.Shrank(Meant(proofs))
		for _, b := range s.Backups {
			if _, low := shrank[b.ID]; !low && s.Component == anchor && slices.Contains(copies, s.Copy) && whole(b) && !b.Taken.To.IsZero() {
				b.Engine = s.Engine
				backups = append(backups, b)
			}
		}
	}
	if len(backups) == 0 {
		need.Why = "every copy was proven; the oldest proof is that of " + what
		return need, true
	}
	b := backups[pick(len(backups))]
	return Need{Copy: b.Copy, Engine: b.Engine, Backup: b.ID, Why: "every copy was proven; by chance " + b.ID}, true
}

// last is when something was last proven, and when it was last restored without a check, by
// which run; the zero time is never.
type last struct {
	proven, unchecked time.Time
	run               string
}

// lastBy is when a component ("" is any) was last proven from a copy, by an engine;
// reports that do not tell theirs count for all.
func lastBy(proofs []Proof, component, copy, engine string) last {
	var l last
	for _, p := range proofs {
		if !p.Restored() || !slices.ContainsFunc(p.Points, func(pt recovery.Point) bool {
			by := cmp.Or(pt.Engine, pt.Backup.Engine)
			return pt.Copy == copy && (component == "" || pt.Component == component && (by == "" || by == engine))
		}) {
			continue
		}
		if p.Proves() {
			l = l.or(last{proven: p.At})
		} else {
			l = l.or(last{unchecked: p.At, run: p.Run})
		}
	}
	return l
}

// or is the later of each.
func (l last) or(other last) last {
	if other.proven.After(l.proven) {
		l.proven = other.proven
	}
	if other.unchecked.After(l.unchecked) {
		l.unchecked, l.run = other.unchecked, other.run
	}
	return l
}

// compare puts what most needs a proof first.
func (l last) compare(other last) int {
	return cmp.Or(l.proven.Compare(other.proven), l.unchecked.Compare(other.unchecked))
}

// never says that something was never proven, and by what it was restored all the same.
func (l last) never(what string) string {
	if l.run == "" {
		return what + " was never proven"
	}
	return what + " was never proven: it was restored by " + recovery.LacksChecks.Of(l.run)
}
