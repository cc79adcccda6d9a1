// Package catalogue asks every engine what every copy holds and keeps the
// answers side by side: surveys, and copies that could not be judged, which are
// data like everything else. It never parses a format; engines do.
package catalogue

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
	"comeback/recovery/neighbours"
	"comeback/storage"
)

// OpenStore opens a copy, its references resolved.
type OpenStore func(context.Context, recovery.Copy) (storage.Store, error)

// Catalogue is what the copies of a system hold.
type Catalogue struct {
	// Surveys are in the order of copies, components and engines.
	Surveys []recovery.Survey
	// Refusals are the surveys that could not be made.
	Refusals []Refusal
	// Neighbours are the other systems whose backups a copy holds, which no survey lists,
	// by copies.
	Neighbours map[string][]string
}

// Of are the surveys of a component, in their order.
func (c Catalogue) Of(component string) (of []recovery.Survey) {
	for _, s := range c.Surveys {
		if s.Component == component {
			of = append(of, s)
		}
	}
	return of
}

// Refusal says why a copy could not be judged for a component.
type Refusal struct {
	Copy, Component, Engine string
	Err                     error
}

// Progress tells of one survey: State is "reading", "ok" or "refused".
type Progress struct {
	Copy, Component, Engine, State string
}

// Options say what to survey.
type Options struct {
	Components []recovery.Component
	Copies     []recovery.Copy
	Engines    []recovery.Engine
	OpenStore  OpenStore
	// Progress is told as surveys begin and end; it may be called from
	// several goroutines. It may be nil.
	Progress func(Progress)
}

// atOnce bounds the surveys of a copy that run side by side: they wait for the network,
// not for this machine. Copies wait for none of the others.
const atOnce = 8

// askedAgain is how often a copy that is surveyed is asked whether it still answers.
const askedAgain = time.Minute

// Survey asks all engines about all copies, side by side. A copy that refuses
// or does not answer is a Refusal and does not keep the others waiting, nor does a directory
// that answers no more while it is read; the error is that of ctx.
func Survey(ctx context.Context, o Options) (Catalogue, error) {
	var slots []*slot
	for _, cp := range o.Copies {
		r := &reading{Options: o, copy: cp, gate: make(chan struct{}, atOnce), gone: make(chan struct{})}
		r.open = sync.OnceValues(func() (storage.Store, error) {
			store, err := o.OpenStore(ctx, cp)
			return neighbours.Once(store), err
		})
		var surveys sync.WaitGroup
		for _, c := range o.Components {
			for _, e := range For(c, o.Engines) {
				if !cp.AsOf.IsZero() && e.Schema().Outside && c.With == "" {
					continue // it would tell of what is there now
				}
				s := &slot{reading: r, what: Progress{Copy: cp.Name, Component: c.Name, Engine: e.Schema().Engine, State: "reading"}, said: make(chan answer, 1)}
				slots = append(slots, s)
				surveys.Go(func() { s.said <- r.survey(ctx, c, e, s.what) })
			}
		}
		ended := make(chan struct{})
		go func() { surveys.Wait(); close(ended) }()
		go r.watch(ctx, ended)
	}
	cat := Catalogue{Neighbours: map[string][]string{}}
	for _, s := range slots {
		a, err := s.wait(ctx)
		if err != nil {
			return Catalogue{}, err
		}
		if len(a.others) > 0 {
			cat.Neighbours[s.what.Copy] = a.others
		}
		if a.err != nil {
			cat.Refusals = append(cat.Refusals, Refusal{Copy: s.what.Copy, Component: s.what.Component, Engine: s.what.Engine, Err: Explain(a.err, s.what.Copy)})
			continue
		}
		cat.Surveys = append(cat.Surveys, a.survey)
	}
	return cat, ctx.Err()
}

// slot is one survey of a catalogue.
type slot struct {
	*reading
	what Progress
	said chan answer
}

// answer is what came of a survey.
type answer struct {
	survey recovery.Survey
	others []string
	err    error
}

// wait gives the answer, or why the copy gives none. The error is that of ctx: a directory that
// has gone may answer nothing, not even that.
func (s *slot) wait(ctx context.Context) (answer, error) {
	select {
	case a := <-s.said:
		return a, nil
	case <-ctx.Done():
		return answer{}, ctx.Err()
	case <-s.gone:
	}
	select {
	case a := <-s.said:
		return a, nil
	default:
		s.what.State = "refused"
		report(ctx, s.Progress, s.what)
		return answer{err: s.why}, nil
	}
}

// reading is a copy that is surveyed.
type reading struct {
	Options
	copy recovery.Copy
	open func() (storage.Store, error)
	gate chan struct{}
	// gone is closed when the copy answers no more, for the reason why.
	gone chan struct{}
	why  error
}

// survey asks one engine about one component.
func (r *reading) survey(ctx context.Context, c recovery.Component, e recovery.Engine, what Progress) (a answer) {
	r.gate <- struct{}{}
	defer func() { <-r.gate }()
	report(ctx, r.Progress, what)
	store, err := r.open()
	if err == nil && e.Schema().Outside {
		err = presentOnly(e.Schema().Engine, r.copy, store)
	}
	if err == nil {
		a.survey, err = e.Survey(ctx, c, r.copy, neighbours.See(c, store))
		inArchive(&a.survey)
		a.others = neighbours.Known(store, c.Claims.System).Systems()
	}
	if a.err, what.State = err, "ok"; err != nil {
		what.State = "refused"
	}
	select {
	case <-r.gone: // nobody waits for it
	default:
		report(ctx, r.Progress, what)
	}
	return a
}

// inArchive finds that the newest backup which can be restored cannot be read at once.
func inArchive(s *recovery.Survey) {
	for _, b := range slices.Backward(s.Backups) {
		if b.Problem != "" {
			continue
		}
		if says := b.InArchive().Says(); says != "" {
			s.Findings = append(s.Findings, recovery.Finding{Object: b.ID, Says: "lies in an archive: " + says, Do: "let no rule move the newest backups there; before a restore, " + recovery.RestoreArchived})
		}
		return
	}
}

// watch asks a directory again and again whether it answers, as long as surveys of it are under
// way: what reads from a file server that has gone waits for ever, and hears of no limit. A
// service's own limits tell of others.
func (r *reading) watch(ctx context.Context, ended <-chan struct{}) {
	again := time.NewTicker(askedAgain)
	defer again.Stop()
	for {
		select {
		case <-ended:
			return
		case <-ctx.Done():
			return
		case <-again.C:
		}
		if store, err := r.open(); err != nil || !strings.HasPrefix(store.URL(), "file:") {
			return
		}
		if _, err := r.OpenStore(ctx, r.copy); errors.Is(err, storage.ErrUnavailable) && ctx.Err() == nil {
			r.why = err
			close(r.gone)
			return
		}
	}
}

// presentOnly refuses what reads a copy by its own means where that is to be read as it was.
func presentOnly(engine string, cp recovery.Copy, store storage.Store) error {
	then := storage.Then(store)
	if then.IsZero() {
		return nil
	}
	return recovery.Errorf("leave out --as-of, and go back by the means of "+engine+"; or restore from another copy",
		"%s cannot be read as it was at %s: %s reads it by a program or a service of its own", cp.Name, then.UTC().Format(time.RFC3339), engine).WithExit(recovery.Refused)
}

func report(ctx context.Context, progress func(Progress), p Progress) {
	if progress != nil && ctx.Err() == nil {
		progress(p)
	}
}

// For lists the engines that look for a component's backups: the one that
// `with:` names, or all of its kind.
func For(c recovery.Component, engines []recovery.Engine) []recovery.Engine {
	var fit []recovery.Engine
	for _, e := range engines {
		s := e.Schema()
		if s.Kind == c.Kind && (c.With == "" || c.With == s.Engine) {
			fit = append(fit, e)
		}
	}
	return fit
}

// Entry is one line of what can be restored: a backup or a window.
type Entry struct {
	Backup recovery.Backup
	// Window is nil where the backup has none.
	Window *recovery.Window
}

// SurveyOf is the survey that a point was resolved from, or would be now.
func (c Catalogue) SurveyOf(p recovery.Point) (recovery.Survey, bool) {
	i := slices.IndexFunc(c.Surveys, func(s recovery.Survey) bool {
		return s.Component == p.Component && s.Copy == p.Copy && s.Engine == p.Engine
	})
	if i < 0 {
		return recovery.Survey{}, false
	}
	return c.Surveys[i], true
}

// Entries lists every backup of a component ("" is all), the newest first, each
// with its window if it has one.
func (c Catalogue) Entries(component string) []Entry {
	var entries []Entry
	for _, s := range c.Surveys {
		if component != "" && s.Component != component {
			continue
		}
		for _, b := range s.Backups {
			e := Entry{Backup: b}
			for i := range s.Windows {
				if s.Windows[i].Backup == b.ID {
					e.Window = &s.Windows[i]
				}
			}
			entries = append(entries, e)
		}
	}
	slices.SortStableFunc(entries, func(a, b Entry) int {
		return cmp.Or(newest(b).Compare(newest(a)), cmp.Compare(a.Backup.Copy, b.Backup.Copy), cmp.Compare(a.Backup.ID, b.Backup.ID))
	})
	return entries
}

func newest(e Entry) time.Time {
	if e.Window != nil && e.Window.To.Time.After(e.Backup.Taken.To) {
		return e.Window.To.Time
	}
	return e.Backup.Taken.To
}

// Empty says in one sentence why nothing can be restored for a component, or is
// nil where something can.
func (c Catalogue) Empty(component string) error {
	for _, s := range c.Surveys {
		if s.Component == component && slices.ContainsFunc(s.Backups, func(b recovery.Backup) bool { return b.Problem == "" }) {
			return nil
		}
	}
	var looked, why, hints []string
	var cause error
	for _, s := range c.Surveys {
		if s.Component == component && !slices.Contains(looked, s.Copy) {
			looked = append(looked, s.Copy)
		}
		for _, b := range s.Backups {
			if s.Component == component && b.Problem != "" {
				why = append(why, fmt.Sprintf("%s in %s: %s", b.ID, b.Copy, b.Problem))
			}
		}
	}
	hint := "look where the backups are written to, and set the component's prefix and the copy's url to it"
	for _, r := range c.Refused() {
		if slices.Contains(r.Components, component) {
			why = append(why, fmt.Sprintf("%s: %s", r.Copy, Cause(r.Err)))
			cause = errors.Join(cause, r.Err)
			if h := recovery.HintOf(r.Err); h != "" && !slices.Contains(hints, h) {
				hints = append(hints, h)
			}
		}
	}
	if len(hints) > 0 {
		hint = strings.Join(hints, "; ")
	}
	what := fmt.Sprintf("no copy holds a backup of %s", component)
	if len(looked) > 0 {
		what += fmt.Sprintf(" (looked in %s)", strings.Join(looked, ", "))
	}
	for _, cp := range looked {
		if others := c.Neighbours[cp]; len(others) > 0 {
			what += fmt.Sprintf("; what %s holds of the system %s is not this one's", cp, strings.Join(others, " or "))
			if cause == nil {
				hint += fmt.Sprintf("; where %s is this system under an earlier name, let the runbook say `formerly: [%s]`", others[0], others[0])
			}
		}
	}
	if len(why) > 0 {
		what = fmt.Sprintf("%s: %s", what, strings.Join(why, "; "))
	}
	return &recovery.Error{What: what, Hint: hint, Err: cause}
}

// Explain gives a storage error its next step.
func Explain(err error, copy string) error {
	if err == nil || recovery.HintOf(err) != "" {
		return err
	}
	hint := ""
	missing, noProfile := errors.AsType[storage.NoProfile](err)
	switch {
	case noProfile:
		hint = fmt.Sprintf("make it here, with keys that may read the copy %s: aws configure --profile %s", copy, recovery.ShellWord(missing.Name))
	case errors.Is(err, storage.ErrExpired):
		hint = "sign in again (aws sso login), then try again"
	case errors.Is(err, storage.ErrArchived):
		hint = recovery.RestoreArchived
	case errors.Is(err, storage.ErrDenied):
		hint = "check with `aws sts get-caller-identity` who you are; the copy needs s3:ListBucket and s3:GetObject, or read permission on the directory"
	case errors.Is(err, storage.ErrNotExist):
		hint = fmt.Sprintf("check the url of the copy %s in the runbook", copy)
	case errors.Is(err, storage.ErrConfig):
		hint = fmt.Sprintf("correct the copy %s in the runbook (url, region, endpoint, account)", copy)
	case errors.Is(err, storage.ErrUnavailable):
		hint = "check the network and the endpoint, then try again; nothing is proven to be missing"
	case errors.Is(err, storage.ErrChanged), errors.Is(err, storage.ErrCorrupt):
		hint = "choose another backup or another copy, and find out what changed this one"
	default:
		return err
	}
	return &recovery.Error{What: err.Error(), Hint: hint, Err: err}
}
