package plan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
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

// Restored lists the components that the runbook's stages bring back, in the
// order in which they do.
func Restored(rb *runbooks.Runbook) []recovery.Component {
	var restored []recovery.Component
	all := Components(rb)
	for _, stage := range rb.Stages {
		for _, b := range stage.Blocks {
			r, ok := b.(runbooks.Restore)
			if !ok {
				continue
			}
			for _, name := range r.Components {
				called := func(c recovery.Component) bool { return c.Name == name }
				if i := slices.IndexFunc(all, called); i >= 0 && !slices.ContainsFunc(restored, called) {
					restored = append(restored, all[i])
				}
			}
		}
	}
	return restored
}

// Components are all of the runbook's components, each with what tells its backups from
// those of the others, and of other systems.
func Components(rb *runbooks.Runbook) []recovery.Component {
	var all []recovery.Component
	for _, c := range rb.Components {
		all = append(all, Component(c))
	}
	return recovery.Apart(rb.System, all, rb.Formerly...)
}

// Component is a component of the runbook by itself, without the others.
func Component(c runbooks.Component) recovery.Component {
	return recovery.Component{Name: c.Name, Kind: recovery.ComponentKind(c.Kind), With: c.With, Settings: c.Settings}
}

// Copies are the runbook's copies.
func Copies(rb *runbooks.Runbook) []recovery.Copy {
	var all []recovery.Copy
	for _, c := range rb.Copies {
		all = append(all, recovery.Copy{Name: c.Name, URL: c.URL, Region: c.Region, Profile: c.Profile,
			Endpoint: c.Endpoint, PathStyle: c.PathStyle, Role: c.Role, Account: c.Account, AsOf: c.AsOf})
	}
	return all
}

// Anchor is the component whose moment decides: the one that was named, else the first
// postgres that comes back, else the first component.
func Anchor(restored []recovery.Component, named string) (recovery.Component, error) {
	if len(restored) == 0 {
		return recovery.Component{}, recovery.Errorf("give a stage a block with `restore: COMPONENT`", "the runbook restores nothing").WithExit(recovery.Usage)
	}
	is := func(c recovery.Component) bool { return c.Kind == recovery.Postgres }
	if named != "" {
		is = func(c recovery.Component) bool { return c.Name == named }
	}
	if i := slices.IndexFunc(restored, is); i >= 0 {
		return restored[i], nil
	}
	if named != "" {
		return recovery.Component{}, recovery.Errorf("choose one of: "+strings.Join(names(restored), ", "), "the runbook restores no component %q", named).WithExit(recovery.Usage)
	}
	return restored[0], nil
}

// Databases are the names of the postgres components among those that come back.
func Databases(restored []recovery.Component) []string {
	return names(slices.DeleteFunc(slices.Clone(restored), func(c recovery.Component) bool { return c.Kind != recovery.Postgres }))
}

func names(components []recovery.Component) []string {
	var all []string
	for _, c := range components {
		all = append(all, c.Name)
	}
	return all
}

// LogOf is the database in whose log a transaction or a position is of which it is not said
// whose it is; "" where no copy holds a log. It is refused where it may be in several.
func LogOf(cat catalogue.Catalogue, restored []recovery.Component, want string) (string, error) {
	var of []string // a database of each log
	logs := map[start]bool{}
	for _, name := range Databases(restored) {
		starts := logsOf(cat, name)
		if len(starts) > 0 && !slices.ContainsFunc(starts, func(s start) bool { return logs[s] }) {
			of = append(of, name)
		}
		for _, s := range starts {
			logs[s] = true
		}
	}
	switch len(of) {
	case 0:
		return "", nil
	case 1:
		return of[0], nil
	}
	return "", recovery.Errorf("say of which database it is: --component "+strings.Join(of, " or --component "),
		"%s may be in the log of each of several databases", want).WithExit(recovery.Usage)
}

// start is where a log starts: what starts at the same backup is the same log.
type start struct{ copy, engine, backup, system string }

// logsOf are the starts of the logs with positions that copies hold of a component. A service's
// window has none, nor has a dump.
func logsOf(cat catalogue.Catalogue, component string) (starts []start) {
	for _, s := range cat.Surveys {
		if s.Component != component {
			continue
		}
		for _, w := range s.Windows {
			if w.Exactness() != recovery.ToCommit {
				continue
			}
			at := start{copy: s.Copy, engine: s.Engine, backup: w.Backup}
			if i := slices.IndexFunc(s.Backups, func(b recovery.Backup) bool { return b.ID == w.Backup }); i >= 0 {
				at.system = s.Backups[i].Details[recovery.SystemIdentifier]
			}
			starts = append(starts, at)
		}
	}
	return starts
}

// Resolve turns what was chosen into one point per component, before anything
// is copied: the anchor's as wanted, the others' before the
// first of its commits that is lost. A backup is of one component, which is the anchor then. Where several copies or engines can, the point nearest to what was
// wanted wins, then the more exact one, then the runbook's order of copies.
func Resolve(ctx context.Context, cat catalogue.Catalogue, open catalogue.OpenStore, rb *runbooks.Runbook, engines []recovery.Engine, w Wanted) (recovery.Moment, error) {
	restored := Restored(rb)
	anchor, err := Anchor(restored, w.Component)
	if err == nil && w.Component == "" && w.Want.OfLog() {
		var of string
		if of, err = LogOf(cat, restored, w.Want.Text); of != "" {
			anchor, err = Anchor(restored, of)
		}
	}
	if err != nil {
		return recovery.Moment{}, err
	}
	r := newResolver(ctx, cat, open, rb, engines)
	if anchor, err = r.holder(restored, anchor, w); err != nil {
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
	resolve := func(c recovery.Component, t time.Time) (recovery.Point, error) {
		then := recovery.Want{Kind: recovery.WantTime, Time: t, Look: w.Want.Look, Text: clock(t)}
		return r.staying(c, w.at(then, c.Name))
	}
	var points []recovery.Point
	var refusal error
	later := until
	for _, c := range components {
		p, err := resolve(c, until)
		if err == nil {
			points = append(points, p)
			continue
		}
		first, ok := r.first(c, until, w.in(c.Name).Copy)
		if w.Want.Kind != recovery.WantLatest || !ok {
			return until, nil, err
		}
		if refusal == nil {
			refusal = err
		}
		if first.After(later) {
			later = first
		}
	}
	if refusal == nil {
		return until, points, nil
	}
	if err := r.last(anchor, until, later, refusal); err != nil {
		return until, nil, err
	}
	points = nil
	for _, c := range components {
		p, err := resolve(c, later)
		if err != nil {
			return until, nil, err
		}
		points = append(points, p)
	}
	return later, points, nil
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

// ResolvePoint is Resolve for one component alone, whatever the runbook's stages
// bring back besides.
func ResolvePoint(ctx context.Context, cat catalogue.Catalogue, open catalogue.OpenStore, rb *runbooks.Runbook, engines []recovery.Engine, c recovery.Component, w Wanted) (recovery.Point, error) {
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

type resolver struct {
	ctx     context.Context
	cat     catalogue.Catalogue
	open    catalogue.OpenStore
	copies  []recovery.Copy
	engines []recovery.Engine
	// several says that several components come back, databases that several of them do:
	// then it is said of which a refusal is.
	several, databases bool
}

func newResolver(ctx context.Context, cat catalogue.Catalogue, open catalogue.OpenStore, rb *runbooks.Runbook, engines []recovery.Engine) resolver {
	restored := Restored(rb)
	return resolver{ctx: ctx, cat: cat, open: open, copies: Copies(rb), engines: engines, several: len(restored) > 1, databases: len(Databases(restored)) > 1}
}

// staying resolves a want for one component in the copy from which it comes already, or,
// where it is restricted to another, or that one cannot bring it back to the moment, as if it
// came from none.
func (r resolver) staying(c recovery.Component, w Wanted) (recovery.Point, error) {
	w = w.in(c.Name)
	if now, ok := w.Stay.Point(c.Name); ok && w.Copy == "" {
		there := w
		there.Copy, there.Engine = now.Copy, now.Engine
		if p, err := r.point(c, there); err == nil || r.ctx.Err() != nil {
			return p, err
		}
	}
	return r.point(c, w)
}

// asked are the surveys of a component that a want is about.
func (r resolver) asked(c recovery.Component, w Wanted) []recovery.Survey {
	var asked []recovery.Survey
	for _, s := range r.cat.Surveys {
		if s.Component == c.Name && len(s.Backups) > 0 && (w.Copy == "" || s.Copy == w.Copy) && (w.Engine == "" || s.Engine == w.Engine) {
			asked = append(asked, s)
		}
	}
	return asked
}

// holder is the component that a wanted backup is of: the anchor, where it has one of that
// name, else the only other one that has.
func (r resolver) holder(restored []recovery.Component, anchor recovery.Component, w Wanted) (recovery.Component, error) {
	if w.Want.Kind != recovery.WantBackup || w.Want.Table != "" || w.Component != "" {
		return anchor, nil
	}
	for _, exact := range []bool{true, false} {
		var of []recovery.Component
		var names []string
		for _, c := range restored {
			if slices.ContainsFunc(r.asked(c, w.in(c.Name)), func(s recovery.Survey) bool {
				return slices.ContainsFunc(s.Backups, func(b recovery.Backup) bool { return goesBy(b, w.Want.Backup, exact) })
			}) {
				of, names = append(of, c), append(names, c.Name)
			}
		}
		switch {
		case slices.Contains(names, anchor.Name):
			return anchor, nil
		case len(of) == 1:
			return of[0], nil
		case len(of) > 1:
			return anchor, recovery.Errorf("choose one of them with --component, or give its time",
				"%q names backups of several components: %s", w.Want.Backup, strings.Join(names, ", ")).WithExit(recovery.Usage)
		}
	}
	return anchor, nil // which refuses it
}

// goesBy reports whether a backup has an id, or one that ends on it.
func goesBy(b recovery.Backup, id string, exact bool) bool {
	return b.ID == id || !exact && strings.HasSuffix(b.ID, "/"+id)
}

// point resolves a want for one component in every survey of it.
func (r resolver) point(c recovery.Component, w Wanted) (recovery.Point, error) {
	if err := r.cat.Empty(c.Name); err != nil {
		return recovery.Point{}, err
	}
	type answer struct {
		point recovery.Point
		err   error
	}
	asked := r.asked(c, w)
	if w.Want.Kind == recovery.WantBackup {
		var err error
		if asked, w.Want.Backup, err = holding(asked, w.Want.Backup); err != nil {
			return recovery.Point{}, err
		}
	}
	if len(asked) == 0 {
		return recovery.Point{}, recovery.Errorf("leave --copy out, or choose one that `comeback moments` lists",
			"the copy %s holds no backup of %s", w.Copy, c.Name)
	}
	if r.databases {
		w.Want.Of = c.Name
	}
	answers := make([]answer, len(asked))
	var wait sync.WaitGroup
	for i, s := range asked {
		wait.Go(func() {
			p, err := r.resolve(s, w.Want)
			answers[i] = answer{p, catalogue.Explain(err, s.Copy)}
		})
	}
	wait.Wait()
	if err := r.ctx.Err(); err != nil {
		return recovery.Point{}, err
	}
	var best *recovery.Point
	var refusals []error
	inService := inServiceAt(asked, w.Want)
	for i := range answers {
		if answers[i].err != nil {
			refusals = append(refusals, answers[i].err)
			continue
		}
		p := &answers[i].point
		if best == nil || !isOther(*p, inService) && isOther(*best, inService) || isOther(*p, inService) == isOther(*best, inService) && nearer(*p, *best) {
			best = p
		}
	}
	if best == nil {
		err := refused(c.Name, w.Want, asked, refusals)
		if r.several && len(refusals) == 1 {
			err = fmt.Errorf("bring back %s: %w", c.Name, err)
		}
		return recovery.Point{}, err
	}
	if isOther(*best, inService) {
		best.Warnings = append(slices.Clone(best.Warnings), fmt.Sprintf("the point is of the cluster %s, and the newest base backup from before it of the cluster %s, which no copy that was asked can bring back there",
			best.Backup.Details[recovery.SystemIdentifier], inService))
	}
	for i, a := range answers {
		if a.err != nil && couldReachLater(asked[i], w.Want, *best) {
			says := fmt.Sprintf("it could come back to a later moment by %s in %s, which refuses: %v", asked[i].Engine, asked[i].Copy, a.err)
			if hint := recovery.HintOf(a.err); hint != "" {
				says += "; to get there, " + hint
			}
			best.Warnings = append(slices.Clone(best.Warnings), says)
		}
	}
	return *best, nil
}

// inServiceAt is the cluster that a want is about, where copies hold several: that which was
// in service at its time, or is now. Positions, transactions and backups are of
// whichever has them.
func inServiceAt(asked []recovery.Survey, w recovery.Want) string {
	switch w.Kind {
	case recovery.WantLatest:
		return recovery.InService(asked, time.Time{})
	case recovery.WantTime:
		return recovery.InService(asked, w.Time)
	}
	return ""
}

// isOther reports whether a point is of another cluster than the one in service. A dump
// does not tell of which it is, and is of none other.
func isOther(p recovery.Point, inService string) bool {
	system := p.Backup.Details[recovery.SystemIdentifier]
	return inService != "" && system != "" && system != inService
}

// couldReachLater reports whether a survey, whose engine refuses a want, has a window in
// which something that the want asks for may be, and a point of another engine does not
// have: after the last of that one's, or between a backup and the time that was wanted.
// What else is wanted is reached exactly or not at all.
func couldReachLater(s recovery.Survey, w recovery.Want, than recovery.Point) bool {
	exact := than.Exactness == recovery.ToCommit
	if open := w.Kind == recovery.WantLatest || w.Kind == recovery.WantTime && !exact; !open || w.Table != "" {
		return false
	}
	return slices.ContainsFunc(s.Windows, func(window recovery.Window) bool {
		if w.Kind == recovery.WantTime && window.From.Time.After(w.Time) {
			return false
		}
		if window.To.Time.IsZero() { // it is not known
			return !exact
		}
		return window.To.Time.After(than.Time)
	})
}

func (r resolver) resolve(s recovery.Survey, w recovery.Want) (recovery.Point, error) {
	engine, ok := recovery.EngineNamed(r.engines, s.Engine)
	i := slices.IndexFunc(r.copies, func(c recovery.Copy) bool { return c.Name == s.Copy })
	if i < 0 || !ok {
		return recovery.Point{}, fmt.Errorf("resolve %s in %s: no engine %q or no such copy", w, s.Copy, s.Engine)
	}
	store, err := r.open(r.ctx, r.copies[i])
	if err != nil {
		return recovery.Point{}, err
	}
	return engine.Resolve(r.ctx, s, w, store)
}

// nearer reports whether a loses less than b: it is later, or as late and more
// exact. Every point is at or before what was wanted. In one log its positions tell which
// is later: a clock may have been put back.
func nearer(a, b recovery.Point) bool {
	system := a.Backup.Details[recovery.SystemIdentifier]
	if system != "" && system == b.Backup.Details[recovery.SystemIdentifier] && a.Timeline == b.Timeline && a.Stop != 0 && b.Stop != 0 && a.Stop != b.Stop {
		return a.Stop > b.Stop
	}
	if !a.Time.Equal(b.Time) {
		return a.Time.After(b.Time)
	}
	return a.Exactness == recovery.ToCommit && b.Exactness != recovery.ToCommit
}

// holding restricts surveys to those that hold a backup. A unique end of its id
// is enough: people type the file's name, not its path.
func holding(surveys []recovery.Survey, id string) ([]recovery.Survey, string, error) {
	var found []recovery.Survey
	var ids, known []string
	for _, exact := range []bool{true, false} {
		for _, s := range surveys {
			for _, b := range s.Backups {
				known = append(known, b.ID)
				if goesBy(b, id, exact) {
					found = append(found, s)
					if !slices.Contains(ids, b.ID) {
						ids = append(ids, b.ID)
					}
				}
			}
		}
		if len(found) > 0 {
			break
		}
	}
	switch len(ids) {
	case 0:
		hint := "list them with: comeback moments RUNBOOK"
		if n := len(known); n > 0 {
			slices.Sort(known)
			hint += "; the last by name is " + known[n-1]
		}
		return nil, id, recovery.Errorf(hint, "no copy holds a backup with the id %q, and it is no moment either", id).WithExit(recovery.Usage)
	case 1:
		return found, ids[0], nil
	}
	return nil, id, recovery.Errorf("give the whole id", "%q names several backups: %s", id, strings.Join(ids, ", ")).WithExit(recovery.Usage)
}

// refused says why no copy can reach the moment. Where a copy has windows, their
// refusals come first and give the hint: they can reach moments that a dump, by
// its nature, cannot.
func refused(component string, w recovery.Want, asked []recovery.Survey, refusals []error) error {
	if len(refusals) == 1 {
		return refusals[0]
	}
	order := make([]int, len(refusals))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(min(1, len(asked[b].Windows)), min(1, len(asked[a].Windows)))
	})
	var says []string
	for _, i := range order {
		says = append(says, fmt.Sprintf("%s in %s: %v", asked[i].Engine, asked[i].Copy, refusals[i]))
	}
	first := refusals[order[0]]
	e := &recovery.Error{What: fmt.Sprintf("no copy can bring %s back to %s: %s", component, w, strings.Join(says, "; ")),
		Hint: recovery.HintOf(first), Err: errors.Join(refusals...)}
	return e.WithExit(recovery.ExitOf(first))
}
