package recovery

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Identity is what tells one live target from every other: named observations,
// "host", "system identifier", "database oid", "inode". Numbers are text, and the inode
// is a [FileIdentity]. Two identities are of the same target when they have the same names
// with the same values, and inodes of the same file.
type Identity map[string]string

// Differences lists what another reading says otherwise, one sentence each, in
// the order of the names.
func (i Identity) Differences(now Identity) []string {
	var all []string
	names := slices.Collect(maps.Keys(i))
	for name := range now {
		if _, ok := i[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		was, is := i[name], now[name]
		if was != is && !(name == "inode" && sameFile(was, is)) {
			all = append(all, fmt.Sprintf("%s was %s and is %s", name, orNothing(was), orNothing(is)))
		}
	}
	return all
}

func orNothing(s string) string {
	if s == "" {
		return "not there"
	}
	return s
}

func (i Identity) String() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(i)) {
		parts = append(parts, name+" "+i[name])
	}
	return strings.Join(parts, ", ")
}

// Live is a live target as it stood when it was looked at, before anything runs.
type Live struct {
	Component string `json:"component"`
	// Target is what the switch writes to. Its Name is what a person types.
	Target Target `json:"target"`
	// Beside is the directory in which scratch must lie so that it can take the
	// live one's place, on the same file system; empty where any will do.
	Beside  string  `json:"beside,omitempty"`
	Effects Effects `json:"effects,omitzero"`
	// Fresh says that there is nothing in its place yet: nothing is replaced, and
	// nothing stays to be switched back to.
	Fresh bool `json:"fresh,omitempty"`
	// Only is the database that alone goes back; empty where its whole cluster,
	// or whatever the component is, does.
	Only string `json:"only,omitempty"`
	// Warnings are what a person should know before it is switched, one sentence each.
	Warnings []string `json:"warnings,omitempty"`
	// Loss is what going back to the plan's moment loses, as it stood then; nil
	// where nothing could count it.
	Loss *Loss     `json:"loss,omitempty"`
	At   time.Time `json:"at"`
	// Facts are the switcher's own, opaque to everyone else.
	Facts json.RawMessage `json:"facts,omitempty"`
}

// Effects are what a recovery does to live beyond bringing something back, one
// sentence each, for the screen on which a person types the target's name.
type Effects struct {
	// Target is the live target as it was read: "db1, /srv/pg/shop, system
	// 7301448812, primary, 6 sessions".
	Target []string `json:"target,omitempty"`
	// Gone is what live loses, or where that is so what an expiry removes for good; none of
	// that is live.
	Gone    []string `json:"gone,omitempty"`
	Removes bool     `json:"-"`
	// GoesBack is what also goes back: neighbouring databases.
	GoesBack []string `json:"goes_back,omitempty"`
	// Rebuild is what must be rebuilt afterwards: standbys, slots.
	Rebuild []string `json:"rebuild,omitempty"`
	// Undo is how it can be undone, until when and at which cost.
	Undo []string `json:"undo,omitempty"`
	// NotUndone is what no switch back can undo.
	NotUndone []string `json:"not_undone,omitempty"`
	// Locks is what others wait for while it is changed.
	Locks []string `json:"locks,omitempty"`
}

// Add appends another component's effects.
func (e *Effects) Add(o Effects) {
	e.Target = append(e.Target, o.Target...)
	e.Gone = append(e.Gone, o.Gone...)
	e.GoesBack = append(e.GoesBack, o.GoesBack...)
	e.Rebuild = append(e.Rebuild, o.Rebuild...)
	e.Undo = append(e.Undo, o.Undo...)
	e.NotUndone = append(e.NotUndone, o.NotUndone...)
	e.Locks = append(e.Locks, o.Locks...)
}

// Switch is how what was restored beside takes the place of what is live, as
// steps in the order of their phases. The planner puts the phases of several
// components side by side, so that all are fenced before any is exchanged and
// none is opened before all are exchanged. IDs are unique within the component.
type Switch struct {
	// Prepare brings what was restored beside live, without changing it: it
	// may begin as soon as the restore has ended.
	Prepare []Step
	// Fence ends the writes: from then on live does not move.
	Fence []Step
	// Settle happens between the fence and the exchange: the tail of the log
	// is saved, the loss becomes final.
	Settle []Step
	// Exchange puts the restored in the place of the live. Its claim undoes it
	// until Open has adopted it.
	Exchange []Step
	// Open lets users in and adopts the exchange: it is the point of no return
	// but by a switch back.
	Open []Step
	// Protect makes sure that what is live now is backed up again.
	Protect []Step
	// Effects and Warnings are what only the plan can tell of the switch, beside those of
	// Live.
	Effects  Effects
	Warnings []string
}

// Phase is a part of a switch.
type Phase string

// The phases of a switch, in their order.
const (
	Prepare  Phase = "prepare"
	Fence    Phase = "fence"
	Settle   Phase = "settle"
	Exchange Phase = "exchange"
	Open     Phase = "open"
	Protect  Phase = "protect"
	// Rescuing is no part of a switch: rows are brought back, or taken back, in one
	// transaction.
	Rescuing Phase = "rescue"
	// Expiring is no part of one either: what was put aside is removed.
	Expiring Phase = "expire"
	// GivingBack is none either: what a run still held after its end is given back.
	GivingBack Phase = "give-back"
)

// SwitchContext is what a switch is planned from.
type SwitchContext struct {
	// System is the system's name, Runbook the digest of its runbook.
	System    string
	Runbook   string
	Component Component
	Point     Point
	Live      Live
	// Scratch is where the component is restored; Beside the target that the
	// run makes beside the live one, where the switcher asked for one.
	Scratch Target
	Beside  Target
	// Run is the run's id, Copies the plan's, KeepUntil when the old data may
	// go.
	Run       string
	Copies    []Copy
	KeepUntil time.Time
	// By and At are the run that is planned and when; of a switch back Run is the
	// one that has switched.
	By string
	At time.Time
}

// UndescribedFile stands beside a restored tree in scratch, where it was written by an
// engine whose backup does not describe all directories: it has their names below the
// tree, each after the one above it and ended by NUL; "." is the tree itself. They are
// private until the switcher gives them owner and mode.
const UndescribedFile = "undescribed"

// Switcher brings what an engine has restored into scratch to a live target of
// one kind: a server, a directory, a bucket. It is chosen by what is live, not by
// the engine that restores it.
type Switcher interface {
	// Kind is the kind of target that it switches, which is that of the component
	// but for files that live in a bucket.
	Kind() ComponentKind
	// Keys are its keys in a runbook, beside the engine's.
	Keys() []Key
	// Look reads the live target of a component; it only reads. Copies are the
	// runbook's, one of which may be the live place itself. Expand resolves
	// references such as ${DATABASE_URL}. A target that cannot be switched is a
	// refusal, with what to do instead.
	Look(ctx context.Context, c Component, copies []Copy, expand func(string) (string, error)) (Live, error)
	// Identify reads the identity of a target anew.
	Identify(ctx context.Context, t Target, expand func(string) (string, error)) (Identity, error)
	// Plan lists the steps. It is pure.
	Plan(c SwitchContext) (Switch, error)
	// Back lists the steps that put old data, which an earlier run left, in the
	// place of what is live.
	Back(c SwitchContext, old Old) (Switch, error)
	Kinds() []Kind
	Releasers(expand func(string) (string, error)) []Releaser
}

// Foreseer is a Switcher that can tell long before a recovery what would refuse its switch.
type Foreseer interface {
	// Foresee is Look without whatever would change something, if only for a moment, or ask
	// a server. What is not on this host is no refusal.
	Foresee(c Component, expand func(string) (string, error)) (Live, error)
}

// Expirer is a Switcher whose old data are somewhere, and can be removed: those of a
// bucket are versions, which its own rules remove.
type Expirer interface {
	// Expire lists the steps that remove old data for good, and the target that
	// they write to, whose identity is the old data's. It is pure.
	Expire(c SwitchContext, old Old) (Target, []Step, error)
}

// Switches is the kind of live target that old data of a run's plan are of.
func (p *Plan) Switches(old Old) ComponentKind {
	for _, t := range p.Targets {
		if t.ID == old.Target && t.Switches != "" {
			return t.Switches
		}
	}
	for _, c := range p.Components {
		if c.Name == old.Component {
			return c.Kind
		}
	}
	return ""
}

// Old is what a switch has put aside: it stays until its expiry, and longer
// while its run has open to-dos.
type Old struct {
	Component string   `json:"component"`
	Target    TargetID `json:"target"`
	// Place is where it lies: "/srv/pg/shop.old-7c31", or a database's name.
	Place string `json:"place"`
	// Until is when it may go; zero where only people decide that.
	Until time.Time `json:"until,omitzero"`
	// Since is when it was live for the last time, by the clock of its file system;
	// zero where nothing can write to it without being seen.
	Since time.Time `json:"since,omitzero"`
	// Handed says that it was never live, but handed over; it goes when people say so.
	Handed bool `json:"handed,omitempty"`
	// Served says that a server uses it, which is stopped before it goes.
	Served bool `json:"served,omitempty"`
	// Address is how the server's own user reaches it then.
	Address string `json:"address,omitempty"`
	// Identity tells the old data from anything else in that place.
	Identity Identity `json:"identity,omitempty"`
	// Says is how it is brought back.
	Says string `json:"says,omitempty"`
}

// LiveSays answers "is live changed?" in a few words, at any moment of a run.
// Times are in the zone of loc.
func (s *State) LiveSays(loc *time.Location) string {
	if s.Mode == Rehearsal {
		return "untouched: a rehearsal writes to scratch only"
	}
	ended := map[Phase]time.Time{}
	begun, tried := map[Phase]bool{}, map[Phase]bool{}
	open := map[Phase]int{}
	for i := range s.Steps {
		st := &s.Steps[i]
		if st.Phase == "" {
			continue
		}
		if st.State != Done && st.State != Passed {
			open[st.Phase]++
		}
		begun[st.Phase] = begun[st.Phase] || st.State == Running || st.State == Done
		tried[st.Phase] = tried[st.Phase] || !st.Started.IsZero()
		if st.State == Done && st.Ended.After(ended[st.Phase]) {
			ended[st.Phase] = st.Ended
		}
	}
	clock := func(p Phase) string { return ended[p].In(loc).Format(time.TimeOnly) }
	untouched, switched := s.untouched(), "switched"
	if s.Parent != "" && !s.removesBeside() { // what it follows has changed live
		untouched, switched = "as run "+s.Parent+" left it", "switched back"
	}
	data, before := "data untouched", s.openedBefore()
	if !before.IsZero() {
		untouched, data = switched+", open "+before.In(loc).Format(time.TimeOnly), "data as it was "+switched+" before"
	}
	switch {
	case !ended[Rescuing].IsZero():
		return "rows changed " + clock(Rescuing) + ", all else as it was"
	case s.Result != "" && s.heldOfLive().rows:
		return "NOT GIVEN BACK: rows may be changed"
	case begun[Rescuing]:
		return "rows are being brought back, none is committed"
	}
	held := s.heldOfLive()
	leaving := s.Result != "" || !s.Cleaning.IsZero()
	undone := leaving && len(s.Old) == 0 && !s.Opened() && before.IsZero()
	switch {
	case begun[Expiring]:
		return untouched + "; " + s.removes()
	case begun[GivingBack] && s.Result != "" && len(s.Held()) > 0:
		return untouched + "; not all that it still held was given back"
	case begun[GivingBack]:
		return untouched + "; what it still held is given back"
	case s.Result != "" && held.exchanged && held.closed:
		return "NOT GIVEN BACK: it may be " + switched + ", CLOSED to users"
	case s.Result != "" && held.exchanged:
		return "NOT GIVEN BACK: it may be " + switched
	case s.Result != "" && held.closed && undone:
		return "NOT GIVEN BACK: CLOSED to users, data untouched"
	case s.Result != "" && held.closed:
		return switched + ", but not all is open: CLOSED to users"
	case leaving && held.exchanged:
		return "being given back, it may still be " + switched
	case undone && held.closed:
		return "being given back, still CLOSED to users"
	case undone && (begun[Fence] || tried[Exchange] || held.before) && s.Parent != "":
		return untouched + ": nothing was switched back"
	case undone && (begun[Fence] || begun[Exchange] || held.before):
		if slices.ContainsFunc(s.Claims, func(c ClaimState) bool { return c.Spared != "" }) {
			return "given back, but for what others have written meanwhile"
		}
		return "given back as it was: nothing was switched"
	case leaving && !before.IsZero() && !held.closed:
		return untouched
	case held.exchanged && !begun[Exchange]: // cut off or failed on the way
		return "BEING " + strings.ToUpper(switched)
	case held.closed && !begun[Fence] && !begun[Exchange]:
		return "CLOSED to users, " + data
	case !begun[Fence] && !begun[Exchange] && len(s.HandedOver) > 0:
		return untouched + "; what came back " + s.besides() + " beside it"
	case !begun[Fence] && !begun[Exchange]:
		return untouched
	case open[Fence] > 0:
		return "being closed to writes, " + data
	case !begun[Exchange]:
		return "writes stopped " + clock(Fence) + ", " + data
	case open[Exchange] > 0:
		return "being " + switched
	case held.opening:
		return switched + " " + clock(Exchange) + ", being opened"
	case open[Open] > 0:
		return switched + " " + clock(Exchange) + ", not open yet"
	}
	return switched + " " + clock(Exchange) + ", open " + clock(Open)
}

// untouched is how live is before anything of it was switched: what a block of the runbook has
// changed in it nobody can tell but the data that the run would exchange.
func (s *State) untouched() string {
	blocks := 0
	for i := range s.Steps {
		st := &s.Steps[i]
		waits := st.WaitsFor == WaitName && st.Attempts <= 1 // the name comes first
		if st.IsBlock() && !st.Started.IsZero() && !waits && st.ExitCode != Refused {
			blocks++
		}
	}
	switch blocks {
	case 0:
		return "untouched"
	case 1:
		return "data untouched, 1 block has run"
	}
	return fmt.Sprintf("data untouched, %d blocks have run", blocks)
}

// removesBeside reports whether the run removes only what was left beside live, and was never
// in its place.
func (s *State) removesBeside() bool {
	return len(s.Expires) > 0 && !slices.ContainsFunc(s.Expires, func(o Old) bool { return !o.Handed })
}

// removes says what an expiry removes.
func (s *State) removes() string {
	handed := slices.ContainsFunc(s.Expires, func(o Old) bool { return o.Handed })
	switch {
	case s.removesBeside():
		return "what was left beside it is removed"
	case handed:
		return "what was put aside, and what was left beside it, is removed"
	}
	return "what was put aside is removed"
}

// besides says what what was handed over does there: servers run, trees lie.
func (s *State) besides() string {
	if slices.ContainsFunc(s.HandedOver, func(h HandedOver) bool { return h.Tree == "" }) {
		return "runs"
	}
	return "lies"
}

// heldOfLive is what the claims that a run holds have made of live. The phases of its steps
// tell less: of a step that was cut off, failed or was skipped they say only that it is to do.
type heldOfLive struct {
	// exchanged says that live is switched, or may be; opening that people are let into
	// that, or may be; closed that they are kept out of it; rows that some were changed,
	// or may be; before that one of these was so, and was given back.
	exchanged, opening, closed, rows, before bool
}

func (s *State) heldOfLive() (h heldOfLive) {
	for _, c := range s.Claims {
		if !c.Released.IsZero() {
			h.before = h.before || c.Kind.Exchanges() || c.Kind.Opens() || c.Kind.Closes()
			continue
		}
		st := s.Step(c.Step)
		h.opening = h.opening || c.Kind.Opens()
		h.exchanged = h.exchanged || c.Kind.Exchanges() || c.Kind.Opens()
		h.closed = h.closed || c.Kind.Closes()
		h.rows = h.rows || st != nil && st.Phase == Rescuing
	}
	return h
}
