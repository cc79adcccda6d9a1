package aftermath

import (
	"slices"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/runner"
)

// Left is what a run has put aside or left running.
func Left(r runner.Past) []recovery.Old {
	return slices.Concat(r.State.Old, r.State.OldHandedOver())
}

// Why is what keeps something that a run has left.
type Why string

// What may go has no such reason.
const (
	// Removed says that it is gone already, by an expiry.
	Removed Why = "removed"
	// Entered says that a switch back let people into it, or may have, and then gave up.
	Entered Why = "entered"
	// Undated says that its run did not record since when it is live no more, so that nobody
	// can tell whether it was written to since.
	Undated Why = "undated"
	// Early says that its time has not come.
	Early Why = "early"
	// Unsettled says that to-dos of its run are open.
	Unsettled Why = "unsettled"
)

// Reason is why something that a run has left stays; the zero Reason says that no journal
// keeps it.
type Reason struct {
	Why Why
	// Run is the one that has removed it, or let people into it.
	Run string
	// Until is when it may go.
	Until time.Time
	// Open is how many to-dos of its run are open.
	Open int
}

// Keeps is what keeps something that a run has left, at a moment. Runs are all of the host,
// open the run's to-dos that nobody has said to be done.
func Keeps(r runner.Past, old recovery.Old, runs []runner.Past, open []string, now time.Time) Reason {
	if by := removedBy(r, old, runs); by != "" {
		return Reason{Why: Removed, Run: by}
	}
	by := enteredBy(r, old, runs)
	switch {
	case by != "":
		return Reason{Why: Entered, Run: by}
	case r.Plan.Switches(old) == recovery.Files && old.Since.IsZero() && !old.Handed:
		return Reason{Why: Undated}
	case old.Until.After(now):
		return Reason{Why: Early, Until: old.Until}
	case !old.Served && !old.Handed && len(open) > 0:
		return Reason{Why: Unsettled, Open: len(open)}
	}
	return Reason{}
}

// enteredBy is the run, a switch back, that let people into old data, or may have, and
// then gave up: what they wrote there is nowhere else. Empty where none did. A tree is
// open as soon as it is exchanged.
func enteredBy(r runner.Past, old recovery.Old, runs []runner.Past) string {
	tree := r.Plan.Switches(old) == recovery.Files
	for _, child := range childrenOf(r, runs) {
		for _, c := range child.State.Claims {
			if of, _, _ := strings.Cut(c.Step, "."); of == old.Component && !c.Adopted && (c.Kind.Opens() || tree && c.Kind.Exchanges()) {
				return child.ID
			}
		}
	}
	return ""
}

// removedBy is the run, an expiry, that has removed what a run has left; empty where none
// has.
func removedBy(r runner.Past, old recovery.Old, runs []runner.Past) string {
	for _, child := range childrenOf(r, runs) {
		if child.State.Result == recovery.ResultPassed && slices.ContainsFunc(child.Plan.Expires, func(o recovery.Old) bool {
			return o.Component == old.Component && o.Place == old.Place
		}) {
			return child.ID
		}
	}
	return ""
}

// SwitchedBack is the run that has switched a run back; empty where none has.
func SwitchedBack(r runner.Past, runs []runner.Past) string {
	for _, child := range childrenOf(r, runs) {
		if len(child.State.Old) > 0 {
			return child.ID
		}
	}
	return ""
}

// Undone is the run that has switched all of a run back and was not switched back itself;
// nil where there is none.
func Undone(r runner.Past, runs []runner.Past) *runner.Past {
	for _, child := range childrenOf(r, runs) {
		if len(r.State.Old) > 0 && putAsideIn(child, r.State.Old) && Undone(child, runs) == nil {
			return &child
		}
	}
	return nil
}

// putAsideIn reports whether a run has put something aside of the component of each old data.
func putAsideIn(child runner.Past, old []recovery.Old) bool {
	return !slices.ContainsFunc(old, func(o recovery.Old) bool {
		return !slices.ContainsFunc(child.State.Old, func(c recovery.Old) bool { return c.Component == o.Component })
	})
}

// ToDos are what a run has left to do.
func ToDos(r runner.Past) []string { return append(r.State.ToDos(), r.State.Unprotected()...) }

// Open are the to-dos of a run of which none of its children, an expiry, was told that they
// are done. A run that is undone has none: what they tell of is live again.
func Open(r runner.Past, runs []runner.Past) []string {
	if Undone(r, runs) != nil {
		return nil
	}
	children := childrenOf(r, runs)
	return slices.DeleteFunc(ToDos(r), func(text string) bool {
		return slices.ContainsFunc(r.Settled, func(s runner.Settlement) bool { return s.ToDo == text }) || slices.ContainsFunc(children, func(child runner.Past) bool { return slices.Contains(child.Plan.Settled, text) })
	})
}

// childrenOf are the runs that followed a run and can be read.
func childrenOf(r runner.Past, runs []runner.Past) (all []runner.Past) {
	for _, child := range runs {
		if child.Problem == nil && child.Plan.Parent == r.ID {
			all = append(all, child)
		}
	}
	return all
}
