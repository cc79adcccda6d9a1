package backup

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"comeback/recovery"
	"comeback/recovery/neighbours"
	"comeback/storage"
)

// Options say what is to be backed up, from where and whereto.
type Options struct {
	System     string
	Components []recovery.Component
	Engines    []recovery.Engine
	Copies     []recovery.Copy
	// OpenStore opens a copy, its references resolved.
	OpenStore func(context.Context, recovery.Copy) (storage.Store, error)
	// Runbook is the text of the runbook, which goes into the copies, too; where
	// only its digest is known, RunbookSHA256 is that.
	Runbook       []byte
	RunbookSHA256 string
	// RunbookSignature is one over the text, which goes along; nil where nobody has
	// signed it.
	RunbookSignature []byte
	// Secret resolves references, Redact takes what they are out of a text.
	Secret func(string) (string, error)
	Redact func(string) string
	// Temp is a directory in which each backup gets one of its own, for what
	// must lie somewhere before it is stored.
	Temp string
	// Host and By are where and by which program backups are taken.
	Host, By string
	// Place is that in which the caller holds the components, so that no other backup
	// of them is taken by this host: what was cut off by one that held them there is
	// dead. Empty is nowhere; then only time tells.
	Place string
	Now   func() time.Time
	// Watch gives the meter of the next backup; last is the manifest of the one
	// before it, nil where none is known.
	Watch func(component, sort string, last *recovery.Manifest) recovery.Meter
	// Command runs the programs that read a source; nil runs them in a process
	// group of their own.
	Command func(context.Context, recovery.Cmd) error
	// Locks, where it is not nil, keeps what was seen of locks for the next backup.
	Locks LocksSeen
	// Claim, where it is not nil, records what the backup is about to store before
	// it stores anything, so that what an interruption leaves can be removed even
	// if no other backup follows. It is durable when it returns.
	Claim func(context.Context, recovery.Resource) error
	// Room, where it is not nil, refuses what Temp has no room for, as Capture.Room does.
	Room func(more int64) error
	// CopyRoom, where it is not nil, gives what a copy's disk is asked for room, as Room is;
	// nil of a copy whose disk nobody has to look at. One that refuses is left out, and the
	// others have the backup.
	CopyRoom func(recovery.Copy) func(more int64) error
}

// command is what runs programs.
func (o Options) command() func(context.Context, recovery.Cmd) error {
	if o.Command != nil {
		return o.Command
	}
	return commander{o.Redact}.run
}

// Taken is how one backup went.
type Taken struct {
	Component string
	// Sort is the engine's: "dump", "base", "snapshot", "bundle".
	Sort     string
	Manifest recovery.Manifest
	// Copies are those that hold it, Failed those that do not, and why.
	Copies []string
	Failed map[string]error
	// Err is why there is no backup at all.
	Err error
}

// Take takes one backup of each sort that the components ask for, one after the
// other. How each of them went is in the list; the error is ctx's, or says that
// the components ask for what nobody takes.
func Take(ctx context.Context, o Options) ([]Taken, error) {
	jobs, err := jobsOf(o.Components, o.Engines)
	if err != nil {
		return nil, err
	}
	stores, closed := openAll(ctx, o)
	var all []Taken
	for _, j := range jobs {
		t := take(ctx, o, j, stores)
		if t.Failed == nil {
			t.Failed = map[string]error{}
		}
		maps.Copy(t.Failed, closed)
		all = append(all, t)
		if ctx.Err() != nil {
			return all, context.Cause(ctx)
		}
	}
	return all, nil
}

// job is one sort of backup of a component.
type job struct {
	component recovery.Component
	engine    recovery.Capturer
	sort      string
}

// jobsOf lists what the components ask for: the sorts that the setting `backup`
// names, or all that engines of the component take.
func jobsOf(components []recovery.Component, engines []recovery.Engine) ([]job, error) {
	var jobs []job
	for _, c := range components {
		wanted := c.Settings["backup"]
		var has []string
		for _, e := range engines {
			s := e.Schema()
			capturer, ok := e.(recovery.Capturer)
			if !ok || s.Kind != c.Kind || c.With != "" && c.With != s.Engine {
				continue
			}
			for _, sort := range capturer.Takes() {
				has = append(has, sort)
				if len(wanted) == 0 || slices.Contains(wanted, sort) {
					jobs = append(jobs, job{c, capturer, sort})
				}
			}
		}
		for _, w := range wanted {
			if w != "none" && !slices.Contains(has, w) {
				return nil, recovery.Errorf("write one of: "+strings.Join(append(has, "none"), ", "), "`backup` of %s is %q, and nothing here takes that", c.Name, w).WithExit(recovery.Usage)
			}
		}
	}
	return jobs, nil
}

// openWithin is how long a copy may take to be opened.
const openWithin = time.Minute

// openAll opens the copies side by side; those that cannot be opened come with
// their reasons.
func openAll(ctx context.Context, o Options) (arms []storage.Arm, closed map[string]error) {
	closed = map[string]error{}
	for _, a := range storage.Each(ctx, o.Copies, openWithin, o.OpenStore) {
		if a.Err != nil {
			closed[a.Of.Name] = a.Err
			continue
		}
		arms = append(arms, storage.Arm{Name: a.Of.Name, Store: o.watched(a.Of, a.Says)})
	}
	return arms, closed
}

// stampLayout gives stamps that sort by time.
const stampLayout = "20060102T150405Z"

// take takes one backup.
func take(ctx context.Context, o Options, j job, stores []storage.Arm) Taken {
	t := Taken{Component: j.component.Name, Sort: j.sort}
	if len(stores) == 0 {
		t.Err = recovery.Errorf("open one of them: see comeback check", "back up %s: no copy can be opened", j.component.Name)
		return t
	}
	fan := storage.NewFan(stores...)
	t.Manifest, t.Err = capture(ctx, o, j, fan)
	t.Failed = fan.Failed()
	if t.Err != nil {
		return t
	}
	for _, a := range fan.Left() {
		t.Copies = append(t.Copies, a.Name)
	}
	return t
}

// capture lets the engine read and the fan store, and puts the manifest and the
// runbook beside the backup.
func capture(ctx context.Context, o Options, j job, fan *storage.Fan) (m recovery.Manifest, err error) {
	temp, leave, err := makeTemp(o.Temp)
	if err != nil {
		return m, recovery.Errorf("give a directory with room with --temp", "back up %s: %w", j.component.Name, err).WithExit(recovery.Usage)
	}
	defer func() { err = errors.Join(err, leave()) }()
	cleared := clearUnfinished(ctx, fan, j.component.Name, holder{o.Host, o.Place, o.System}, o.Now())
	begun := o.Now().UTC()
	last, lastStamp, unread := newest(ctx, fan, o.System, j.component, j.sort)
	stamp := stampOf(begun, lastStamp)
	meter := o.Watch(j.component.Name, j.sort, last)
	known := recovery.Manifest{Format: recovery.ManifestFormat, System: o.System, Component: j.component.Name, Kind: j.component.Kind, Engine: j.engine.Schema().Engine,
		Begun: begun, Host: o.Host, By: o.By, Runbook: o.digest()}
	mark := unfinished{Component: j.component.Name, Sort: j.sort, Host: o.Host, Begun: begun, Token: rand.Text(), Place: o.Place, Record: &known}
	guards := &guard{mark: &mark, fan: fan, now: o.Now, known: map[string]time.Time{}}
	recorded := &recorder{Store: fan, guard: guards}
	var keeping sync.WaitGroup
	keep, stop := context.WithCancel(ctx)
	var among []string // remarks on others' backups beside it
	defer func() { stop(); keeping.Wait() }()
	m, err = j.engine.Capture(ctx, recovery.Capture{System: o.System, Component: j.component, Stamp: stamp, Store: recorded, Secret: o.Secret,
		Command: o.command(), Meter: meter, Temp: temp, Room: o.Room, Last: last, Now: o.Now,
		Begin: func(ctx context.Context, b recovery.Beginning) error {
			mark.of(b)
			var err error
			if among, err = apart(ctx, fan, o.System, j.component, mark.prefixes()); err != nil {
				return err
			}
			if o.Claim != nil {
				r, err := mark.resource(o.left(fan), stamp)
				if err == nil {
					err = o.Claim(ctx, r)
				}
				if err != nil {
					return err
				}
			}
			if err := mark.begin(ctx, fan, stamp); err != nil {
				return err
			}
			for _, a := range fan.Left() {
				guards.known[a.Name] = begun
			}
			keeping.Go(func() { guards.keep(keep) })
			return nil
		}})
	if err != nil {
		return m, err
	}
	m.System, m.Component, m.Kind = o.System, j.component.Name, j.component.Kind
	m.Begun, m.Ended, m.Objects, m.Host, m.By = begun, o.Now().UTC(), recorded.objects, o.Host, o.By
	lose(last, &m)
	if last == nil && unread != nil && m.Tables != nil {
		m.Remarks = append(m.Remarks, "which tables have lost rows is not known, nothing can be read of the backups before: "+unread.Error())
	}
	m.Runbook, m.Remarks = o.digest(), slices.Concat(m.Remarks, lostAnew(m), cleared, among)
	// From here on the backup is whole, whatever happens.
	if err := putManifest(ctx, fan, stamp, j.sort, m); err != nil {
		return m, err
	}
	if len(o.Runbook) > 0 {
		if err := putRunbook(ctx, fan, o, stamp, m.Runbook); err != nil {
			return m, err
		}
	}
	m.Remarks = append(m.Remarks, o.prolong(ctx, fan, m)...)
	stop()
	keeping.Wait() // it would miss the mark
	m.Remarks = append(m.Remarks, mark.end(ctx, fan)...)
	if len(fan.Left()) == 0 {
		return m, errTaken
	}
	return m, nil
}

// apart leaves out the copies in which another system keeps backups where these would lie,
// and this one has none yet: each would be taken for the other's, as far as no manifest tells
// them apart. Where it has some, what no backup would cost is worse, and it is remarked.
func apart(ctx context.Context, fan *storage.Fan, system string, c recovery.Component, prefixes []string) (remarks []string, err error) {
	for _, a := range fan.Left() {
		found, err := neighbours.In(ctx, a.Store, system, c.Claims.Formerly...)
		if err == nil && found.Unread > 0 {
			remarks = append(remarks, fmt.Sprintf("%s: whether another system keeps backups where this one lies is not known, %s there may not be read: %v",
				a.Name, recovery.FormatCount(int64(found.Unread), "manifest"), found.Err))
		}
		other, place, own := beside(found, prefixes)
		switch {
		case err != nil:
			fan.Drop(a.Name, err)
		case other != "" && own:
			remarks = append(remarks, fmt.Sprintf("%s: backups of the system %s lie in %q, too, told apart by their manifests alone: %s", a.Name, other, place, apartBy(system, c.Name, other)))
		case other != "":
			fan.Drop(a.Name, recovery.Errorf(apartBy(system, c.Name, other), "backups of the system %s lie in %q, where those of %s would", other, place, system).WithExit(recovery.Refused))
		}
	}
	if len(fan.Left()) > 0 {
		return remarks, nil
	}
	var all []error
	failed := fan.Failed()
	for _, name := range slices.Sorted(maps.Keys(failed)) {
		all = append(all, fmt.Errorf("%s: %w", name, failed[name]))
	}
	return nil, errors.Join(all...)
}

// apartBy is what a person does about two systems in one place.
func apartBy(system, component, other string) string {
	return fmt.Sprintf("give `%s` a `prefix:` of its own in the runbook, like `prefix: %s/%s/`; where %s is this system under an earlier name, let the runbook say `formerly: [%s]`",
		component, system, component, other, other)
}

// beside is which neighbour has backups in a place that these prefixes lie in, "" where none
// has, and whether the system itself has some in one of them.
func beside(found neighbours.Found, prefixes []string) (other, in string, own bool) {
	places := map[string]bool{}
	for _, prefix := range prefixes {
		places[placeIn(prefix)] = true
	}
	for key, system := range found.Objects() {
		if place := placeIn(key); places[place] && (other == "" || system < other || system == other && place < in) {
			other, in = system, place
		}
	}
	for key := range found.Own() {
		own = own || places[placeIn(key)]
	}
	return other, in, own
}

// left are the copies that the backup goes into.
func (o Options) left(fan *storage.Fan) []recovery.Copy {
	return slices.DeleteFunc(slices.Clone(o.Copies), func(c recovery.Copy) bool {
		return !slices.ContainsFunc(fan.Left(), func(a storage.Arm) bool { return a.Name == c.Name })
	})
}

// digest is that of the runbook that asks for the backup.
func (o Options) digest() string {
	if o.RunbookSHA256 != "" {
		return o.RunbookSHA256
	}
	sum := sha256.Sum256(o.Runbook)
	return hex.EncodeToString(sum[:])
}

// recorder keeps the digests of what is stored through it.
type recorder struct {
	storage.Store
	guard   *guard
	objects []recovery.StoredObject
}

// Missing is what of a backup is in no copy, in words; empty where each has it.
func (t Taken) Missing() []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(t.Failed)) {
		all = append(all, fmt.Sprintf("%s: %v", name, t.Failed[name]))
	}
	return all
}
