package check

import (
	"fmt"
	"slices"
	"time"

	"comeback/recovery"
	"comeback/recovery/catalogue"
)

// Need is what most needs a proof.
type Need struct {
	// Copy is the one to restore from, Moment what to go back to; zero is the
	// latest.
	Copy   string
	Moment time.Time
	Why    string
}

// MostNeeds chooses what an unattended rehearsal restores: from a copy that was never
// proven, else from the one whose proof is the oldest. Where every copy was proven
// within the interval that the runbook asks for, it is a backup of the anchor that
// pick chooses among n, so that no old one is taken for granted. pick gives 0 ≤ i < n.
// It is pure.
func MostNeeds(cat catalogue.Catalogue, proofs []Proof, anchor string, copies []string, now time.Time, rehearse time.Duration, pick func(n int) int) (Need, bool) {
	type standing struct {
		copy   string
		proven time.Time
	}
	surveys := inCopies(cat.Surveys)
	if !slices.ContainsFunc(surveys, func(s recovery.Survey) bool {
		return (anchor == "" || s.Component == anchor) && slices.ContainsFunc(s.Backups, func(b recovery.Backup) bool { return b.Problem == "" })
	}) {
		surveys = cat.Surveys // no copy holds one, but where it lives there is something
	}
	var all []standing
	for _, name := range copies {
		usable := slices.ContainsFunc(surveys, func(s recovery.Survey) bool {
			return s.Copy == name && (anchor == "" || s.Component == anchor) && slices.ContainsFunc(s.Backups, func(b recovery.Backup) bool { return b.Problem == "" })
		})
		if !usable {
			continue
		}
		st := standing{copy: name}
		for _, p := range proofs {
			if pt, ok := p.point(anchor, name); anchor != "" && ok && p.proves() && pt.Copy == name && p.At.After(st.proven) {
				st.proven = p.At
			}
			if anchor == "" && p.proves() && p.At.After(st.proven) && slices.ContainsFunc(p.Points, func(pt recovery.Point) bool { return pt.Copy == name }) {
				st.proven = p.At
			}
		}
		all = append(all, st)
	}
	if len(all) == 0 {
		return Need{}, false
	}
	oldest := slices.MinFunc(all, func(a, b standing) int { return a.proven.Compare(b.proven) })
	switch {
	case oldest.proven.IsZero():
		return Need{Copy: oldest.copy, Why: oldest.copy + " was never proven"}, true
	case rehearse <= 0 || now.Sub(oldest.proven) > rehearse:
		return Need{Copy: oldest.copy, Why: fmt.Sprintf("%s was last proven %s ago", oldest.copy, recovery.FormatSpan(now.Sub(oldest.proven)))}, true
	}
	var backups []recovery.Backup
	for _, s := range surveys {
		for _, b := range s.Backups {
			if s.Component == anchor && b.Problem == "" && !b.Taken.To.IsZero() {
				backups = append(backups, b)
			}
		}
	}
	if len(backups) == 0 {
		return Need{Copy: oldest.copy, Why: "every copy was proven; the oldest proof is that of " + oldest.copy}, true
	}
	b := backups[pick(len(backups))]
	return Need{Copy: b.Copy, Moment: b.Taken.To, Why: "every copy was proven; by chance " + b.ID}, true
}
