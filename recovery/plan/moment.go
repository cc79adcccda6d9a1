package plan

import (
	"context"
	"fmt"
	"slices"
	"time"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/runbooks"
)

// Wanted is what a person chose.
type Wanted struct {
	Want recovery.Want
	// Component is the anchor, whose log or backup Want is about; empty leaves it to Anchor.
	Component string
	// Copy and Engine restrict where to look; empty means everywhere.
	Copy, Engine string
	// Of is the only component that Copy and Engine restrict; empty means that Copy is for
	// all of them, and Engine for the anchor.
	Of string
	// Stay is where the other components come from already: they stay with these copies and
	// engines, as far as these can bring them back to the moment.
	Stay recovery.Moment
}

// at is the same at another want, for a component that is not the anchor: the engine was
// chosen for that one, unless it was chosen for this.
func (w Wanted) at(want recovery.Want, component string) Wanted {
	w.Want = want
	if w.Of != component {
		w.Engine = ""
	}
	return w
}

// in is what is wanted, restricted as it is for one component.
func (w Wanted) in(component string) Wanted {
	if w.Of != "" && w.Of != component {
		w.Copy, w.Engine = "", ""
	}
	return w
}

// Resolve turns what was chosen into one point per component, before anything
// is copied: the anchor's as wanted, the others' before the first of its commits
// that is lost. A backup is of one component, which is the anchor then. Where
// several copies or engines can, the point nearest to what was wanted wins, then
// the more exact one, then the runbook's order of copies.
func Resolve(ctx context.Context, cat catalogue.Catalogue, open catalogue.OpenStore, rb *runbooks.Runbook, engines []recovery.Engine, w Wanted) (recovery.Moment, error) {
	restored := Restored(rb)
	r := newResolver(ctx, cat, open, rb, engines)
	anchor, err := r.anchor(restored, w)
	if err != nil {
		return recovery.Moment{}, err
	}
	point, err := r.staying(anchor, w)
	if err != nil {
		return recovery.Moment{}, err
	}
	m := recovery.Moment{Want: w.Want, Anchor: anchor.Name, Points: []recovery.Point{point}}
	if w.Want.Table != "" {
		return m, nil
	}
	restored = slices.DeleteFunc(restored, func(c recovery.Component) bool { return c.Name == anchor.Name })
	known := lastMoment(point)
	until, points, err := r.together(restored, point, known, w)
	if err != nil {
		return recovery.Moment{}, err
	}
	if until.After(known) {
		m.Points[0].Warnings = append(slices.Clone(point.Warnings), fmt.Sprintf("%s comes back to %s, after which no copy tells of it, and the rest to %s, before which not all of it was backed up",
			anchor.Name, clock(known), clock(until)))
	}
	m.Points = append(m.Points, points...)
	return m, nil
}

// together resolves components to one time, that until which the anchor is known to
// have been as at its point. Where nothing of the anchor follows in any copy, it is at
// every later time what it is at its point, as far as anybody can bring it back. So the
// latest moment of a system of which something was first backed up after the anchor's
// last commit is that first backup's time: there is none at which all of it is there
// before.
func (r resolver) together(components []recovery.Component, anchor recovery.Point, until time.Time, w Wanted) (time.Time, []recovery.Point, error) {
	var refusal error
	later := until
	points, err := r.each(components, until, w, func(c recovery.Component, err error) error {
		first, ok := r.first(c, until, w.in(c.Name).Copy)
		if w.Want.Kind != recovery.WantLatest || !ok {
			return err
		}
		if refusal == nil {
			refusal = err
		}
		if first.After(later) {
			later = first
		}
		return nil
	})
	if err != nil || refusal == nil {
		return until, points, err
	}
	if err := r.last(anchor, until, later, refusal); err != nil {
		return until, nil, err
	}
	points, err = r.each(components, later, w, func(_ recovery.Component, err error) error { return err })
	if err != nil {
		return until, nil, err
	}
	return later, points, nil
}

// each resolves components to one time. Where refused takes a refusal, there is no point of
// that component.
func (r resolver) each(components []recovery.Component, t time.Time, w Wanted, refused func(recovery.Component, error) error) ([]recovery.Point, error) {
	then := recovery.Want{Kind: recovery.WantTime, Time: t, Look: w.Want.Look, Text: clock(t)}
	var points []recovery.Point
	for _, c := range components {
		p, err := r.staying(c, w.at(then, c.Name))
		if err == nil {
			points = append(points, p)
		} else if err := refused(c, err); err != nil {
			return nil, err
		}
	}
	return points, nil
}

// first is the time of the first backup of a component after a time, in any of its
// copies that is asked. There is none where one of before that could be restored.
func (r resolver) first(c recovery.Component, after time.Time, copy string) (first time.Time, ok bool) {
	for _, s := range r.cat.Surveys {
		if s.Component != c.Name || copy != "" && s.Copy != copy {
			continue
		}
		for _, b := range s.Backups {
			switch t := b.Taken.To; {
			case b.Problem != "" || t.IsZero():
			case !t.After(after):
				return time.Time{}, false // why it was refused is told
			case !ok || t.Before(first):
				first, ok = t, true
			}
		}
	}
	return first, ok
}

func clock(t time.Time) string { return t.Format("2006-01-02T15:04:05.999999Z07:00") }

// resolvePoint is Resolve for one component alone, whatever the runbook's stages
// bring back besides.
func resolvePoint(ctx context.Context, cat catalogue.Catalogue, open catalogue.OpenStore, rb *runbooks.Runbook, engines []recovery.Engine, c recovery.Component, w Wanted) (recovery.Point, error) {
	return newResolver(ctx, cat, open, rb, engines).point(c, w)
}

// lastMoment is the latest time at which the anchor is known to have been as it is at
// its point: nothing changed between its last commit and the first that is lost, or,
// where none is known to be lost, what else proves it.
func lastMoment(p recovery.Point) time.Time {
	if !p.Lost.Time.IsZero() {
		if before := p.Lost.Time.Add(-time.Microsecond); before.After(p.Time) {
			return before
		}
		return p.Time
	}
	if p.Unchanged.After(p.Time) {
		return p.Unchanged
	}
	return p.Time
}
