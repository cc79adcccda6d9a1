package catalogue

import (
	"fmt"
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
		to, ends, ok := c.reach(component.Name)
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
			v.Findings = append(v.Findings, fmt.Sprintf("%s: its newest moment is %s old, the RPO is %s", component.Name, recovery.FormatSpan(age), recovery.FormatSpan(rpo)))
		}
	}
	if !toldEnds || !v.Saved {
		v.To = time.Time{}
	}
	v.Findings = append(v.Findings, c.complaints()...)
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
// in service; ends says that it is known, ok that something can be restored.
func (c Catalogue) reach(component string) (to time.Time, ends, ok bool) {
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
			if b.Taken.To.After(to) {
				to = b.Taken.To
			}
		}
		for _, w := range s.Windows {
			switch {
			case !usable[w.Backup]:
			case w.To.Time.IsZero():
				ends = false
			case w.To.Time.After(to):
				to = w.To.Time
			}
		}
	}
	return to, ends && !to.IsZero(), ok
}

// complaints are what is wrong with copies, whatever it costs.
func (c Catalogue) complaints() []string {
	var list []string
	seen := map[string]bool{}
	for _, r := range c.Refusals {
		if !seen[r.Copy] {
			seen[r.Copy] = true
			list = append(list, r.Copy+" could not be judged: "+r.Err.Error())
		}
	}
	for _, s := range c.Surveys {
		for _, b := range s.Backups {
			if b.Problem != "" {
				list = append(list, fmt.Sprintf("%s in %s cannot be restored: %s", b.ID, s.Copy, b.Problem))
			}
		}
		for _, w := range s.Windows {
			for _, g := range w.Gaps {
				list = append(list, fmt.Sprintf("the log in %s has a gap: %s is %s", s.Copy, g.Object, g.Why))
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
			list = append(list, text)
		}
	}
	return list
}
