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

// point resolves a want for one component in every survey of it.
func (r resolver) point(c recovery.Component, w Wanted) (recovery.Point, error) {
	if err := r.cat.Empty(c.Name); err != nil {
		return recovery.Point{}, err
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
	answers, err := r.ask(asked, w.Want)
	if err != nil {
		return recovery.Point{}, err
	}
	inService := inServiceAt(asked, w.Want)
	p, ok := best(answers, inService)
	if !ok {
		err := refused(c.Name, w.Want, answers)
		if r.several && len(answers) == 1 {
			err = fmt.Errorf("bring back %s: %w", c.Name, err)
		}
		return recovery.Point{}, err
	}
	p.Warnings = append(slices.Clone(p.Warnings), warnings(p, w.Want, answers, inService)...)
	return p, nil
}

// answer is what an engine says to a want by its survey of a copy: a point, or why there is
// none.
type answer struct {
	survey recovery.Survey
	point  recovery.Point
	err    error
}

// ask asks the engines of some surveys, side by side.
func (r resolver) ask(asked []recovery.Survey, w recovery.Want) ([]answer, error) {
	answers := make([]answer, len(asked))
	var wait sync.WaitGroup
	for i, s := range asked {
		wait.Go(func() {
			p, err := r.resolve(s, w)
			answers[i] = answer{s, p, catalogue.Explain(err, s.Copy)}
		})
	}
	wait.Wait()
	return answers, r.ctx.Err()
}

// best is the point nearest to what was wanted, of those of the cluster in service where
// there are any.
func best(answers []answer, inService string) (p recovery.Point, ok bool) {
	better := func(than recovery.Point) bool {
		other := isOther(than, inService)
		if isOther(p, inService) != other {
			return !other
		}
		return nearer(than, p)
	}
	for _, a := range answers {
		if a.err == nil && (!ok || better(a.point)) {
			p, ok = a.point, true
		}
	}
	return p, ok
}

// warnings are what a reader should know of the point that was chosen: that it is of another
// cluster, and who refuses a later one.
func warnings(p recovery.Point, w recovery.Want, answers []answer, inService string) (all []string) {
	if isOther(p, inService) {
		all = append(all, fmt.Sprintf("the point is of the cluster %s, and the newest base backup from before it of the cluster %s, which no copy that was asked can bring back there",
			p.Backup.Details[recovery.SystemIdentifier], inService))
	}
	for _, a := range answers {
		if a.err == nil || !couldReachLater(a.survey, w, p) {
			continue
		}
		says := fmt.Sprintf("it could come back to a later moment by %s in %s, which refuses: %v", a.survey.Engine, a.survey.Copy, a.err)
		if hint := recovery.HintOf(a.err); hint != "" {
			says += "; to get there, " + hint
		}
		all = append(all, says)
	}
	return all
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
	p, err := engine.Resolve(r.ctx, s, w, store)
	if says := p.Backup.InArchive().Says(); err == nil && says != "" {
		p.Warnings = append(slices.Clone(p.Warnings), fmt.Sprintf("%s in %s lies in an archive: %s; unless that was done, %s", s.Component, s.Copy, says, recovery.RestoreArchived))
	}
	return p, err
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
func refused(component string, w recovery.Want, answers []answer) error {
	first := answers[0].err
	if len(answers) == 1 {
		return first
	}
	var says []string
	var refusals []error
	byWindows := slices.SortedStableFunc(slices.Values(answers), func(a, b answer) int {
		return cmp.Compare(min(1, len(b.survey.Windows)), min(1, len(a.survey.Windows)))
	})
	first = byWindows[0].err
	for _, a := range byWindows {
		says = append(says, fmt.Sprintf("%s in %s: %v", a.survey.Engine, a.survey.Copy, a.err))
	}
	for _, a := range answers {
		refusals = append(refusals, a.err)
	}
	e := &recovery.Error{What: fmt.Sprintf("no copy can bring %s back to %s: %s", component, w, strings.Join(says, "; ")),
		Hint: recovery.HintOf(first), Err: errors.Join(refusals...)}
	return e.WithExit(recovery.ExitOf(first))
}
