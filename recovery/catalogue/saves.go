package catalogue

import (
	"fmt"
	"slices"
	"time"

	"comeback/recovery"
)

// Verdict answers whether copies would save a system, from what surveys found
// alone. It is an answer about backups that are there, not about backups that
// were restored: only a signed report is that.
type Verdict struct {
	// Saved says that every component can be restored from some copy, Lost
	// that one surely cannot. Where neither holds it is not known.
	Saved, Lost bool
	// Why says what keeps it from being saved; empty where it is.
	Why string
	// To is the newest moment that all components reach; zero where it is not
	// known, as of a log whose end the survey has not read.
	To time.Time
	// Findings are what a person should mend, one sentence each.
	Findings []string
	// Tells are those of them that are news beside what a whole check has found before.
	Tells []Telling `json:"-"`
}

// Telling is a finding that needs no more than a look into the copies: a gap in the log of
// the newest backup, a database that is older than its RPO, a time that is still to come.
type Telling struct {
	Says string
	// Same is the part of the sentence by which a check tells the same.
	Same string
}

// find adds a finding; same is as in a Telling, or empty.
func (v *Verdict) find(same, format string, args ...any) {
	says := fmt.Sprintf(format, args...)
	v.Findings = append(v.Findings, says)
	if same != "" {
		v.Tells = append(v.Tells, Telling{Says: says, Same: same})
	}
}

// Judge looks at all components of a system. A component that no engine knows
// and a copy that refused are not known to be anything.
func (c Catalogue) Judge(components []recovery.Component, engines []recovery.Engine, rpo time.Duration, now time.Time) Verdict {
	v := Verdict{Saved: true}
	doubt := func(lost bool, why string) {
		if v.Why == "" || lost && !v.Lost {
			v.Why = why
		}
		v.Saved, v.Lost = false, v.Lost || lost
	}
	toldEnds := true
	for _, component := range components {
		refused := c.refused(component.Name)
		to, ends, ok := c.reach(component.Name, now)
		switch {
		case ok:
		case len(For(component, engines)) == 0:
			doubt(false, fmt.Sprintf("%s: no engine of this version looks for %s", component.Name, component.Kind))
			continue
		case refused != "":
			doubt(false, "no access to "+refused)
			continue
		default:
			doubt(true, component.Name+": no copy holds a backup that can be restored")
			continue
		}
		if !ends {
			toldEnds = false
			continue
		}
		if v.To.IsZero() || to.Before(v.To) {
			v.To = to
		}
		if age := now.Sub(to); rpo > 0 && age > rpo {
			same := component.Name + ": its newest moment is "
			if component.Kind != recovery.Postgres { // whether anything has changed since, a look does not tell
				same = ""
			}
			v.find(same, "%s: its newest moment is %s old, the RPO is %s", component.Name, recovery.FormatSpan(age), recovery.FormatSpan(rpo))
		}
	}
	if !toldEnds || !v.Saved {
		v.To = time.Time{}
	}
	c.complain(&v, now)
	return v
}

// refused is a copy that could not be judged for a component, or "".
func (c Catalogue) refused(component string) string {
	for _, r := range c.Refusals {
		if r.Component == component {
			return r.Copy
		}
	}
	return ""
}

// reach is the newest moment to which a component can be restored, as the cluster that is
// in service; ends says that it is known, ok that something can be restored. A time that is
// still to come, by a clock that was wrong, is none.
func (c Catalogue) reach(component string, now time.Time) (to time.Time, ends, ok bool) {
	ends = true
	of := c.Of(component)
	inService := recovery.InService(of, time.Time{})
	for _, s := range of {
		s, serves := s.OfCluster(inService)
		usable := map[string]bool{}
		for _, b := range s.Backups {
			if b.Problem != "" {
				continue
			}
			ok = true
			if !serves {
				continue
			}
			usable[b.ID] = true
			if t := b.Fresh(); t.After(to) && !recovery.Future(t, now) {
				to = t
			}
		}
		for _, w := range s.Windows {
			switch {
			case !usable[w.Backup]:
			case w.To.Time.IsZero():
				ends = false
			case w.To.Time.After(to) && !recovery.Future(w.To.Time, now):
				to = w.To.Time
			}
		}
	}
	return to, ends && !to.IsZero(), ok
}

// complain finds what is wrong with copies, whatever it costs.
func (c Catalogue) complain(v *Verdict, now time.Time) {
	seen := map[string]bool{}
	for _, r := range c.Refusals {
		if !seen[r.Copy] {
			seen[r.Copy] = true
			v.find("", "%s could not be judged: %v", r.Copy, r.Err)
		}
	}
	for _, s := range c.Surveys {
		for _, b := range s.Backups {
			if b.Problem != "" {
				v.find("", "%s in %s cannot be restored: %s", b.ID, s.Copy, b.Problem)
			}
		}
		clocks(v, s, now)
		newest := s.NewestWindow()
		for i := range s.Windows {
			for k, g := range s.Windows[i].Gaps {
				what, same := g.Object+" is "+g.Why, ""
				if &s.Windows[i] == newest && k == 0 {
					same = what
				}
				v.find(same, "the log in %s has a gap: %s", s.Copy, what)
			}
		}
		for _, f := range s.Findings {
			if f.Do == "" {
				continue // a remark, not something to mend
			}
			text := f.Says
			if f.Object != "" {
				text = f.Object + ": " + text
			}
			v.find("", "%s", text)
		}
	}
}

// clocks finds what a clock that was wrong has dated.
func clocks(v *Verdict, s recovery.Survey, now time.Time) {
	for _, b := range slices.Backward(s.Backups) {
		if t := b.Fresh(); b.Problem == "" && recovery.Future(t, now) {
			same := b.ID + " of " + s.Component + " says that it is of "
			v.find(same, "%s: %s%s, which is still to come: the clock was wrong that it was taken by, and how fresh it is is not known", s.Copy, same, t.In(now.Location()).Format("2 Jan 2006 15:04"))
			break
		}
	}
	if b, ok := s.Contradicted(); ok {
		v.find(b.ID+" says that it was taken", "%s: of %s, %s", s.Copy, s.Component, b.ClockWarning())
	}
	for _, w := range slices.Backward(s.Windows) {
		if recovery.Future(w.To.Time, now) {
			same := "the log of " + s.Component + " ends with a commit of "
			v.find(same, "%s: %s%s, which is still to come: the clock of its server was wrong, and how fresh the log is is not known", s.Copy, same, w.To.Time.In(now.Location()).Format("2 Jan 2006 15:04"))
			break
		}
	}
}
