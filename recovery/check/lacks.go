package check

import (
	"slices"

	"comeback/recovery"
)

// Lacks is what keeps a run from being a proof: nothing does where it has restored, checked
// and passed, and somebody who is known has signed that. Whoever asks whether something is
// proven asks here.
func (p Proof) Lacks() recovery.Lack {
	switch {
	case !p.Passed:
		return recovery.LacksSuccess
	case p.Stranger != nil:
		return recovery.LacksSigner
	case p.Altered:
		return recovery.LacksBytes
	case !p.Signed:
		return recovery.LacksSignature
	case p.Ahead:
		return recovery.LacksTime
	case p.Unchecked:
		return recovery.LacksChecks
	}
	return ""
}

// Proves reports whether a run proves anything.
func (p Proof) Proves() bool { return p.Lacks() == "" }

// Restored reports whether somebody who is known stands behind what a run has restored, with
// checks or without.
func (p Proof) Restored() bool { return p.Proves() || p.Lacks() == recovery.LacksChecks }

// Closer reports whether a run comes closer to a proof than another.
func (p Proof) Closer(than Proof) bool { return p.short() < than.short() }

// short is how far a run is from a proof: it lacks checks, somebody who stands behind it, or
// its success.
func (p Proof) short() int {
	switch p.Lacks() {
	case "":
		return 0
	case recovery.LacksChecks:
		return 1
	case recovery.LacksSuccess:
		return 3
	}
	return 2
}

// Brought reports whether a run brought a component back, whatever became of it then. What a
// stranger says of a run that did not pass tells nothing.
func (p Proof) Brought(component string) bool {
	return p.Passed || p.Stranger == nil && slices.Contains(p.Came, component)
}

// would reports whether a run would count, if its signer were known.
func (p Proof) would() bool { return p.Lacks() == recovery.LacksSigner }

// point is what a run restored of a component, from a copy ("" is any).
func (p Proof) point(component, copy string) (recovery.Point, bool) {
	for _, pt := range p.Points {
		if pt.Component == component && (copy == "" || pt.Copy == copy) {
			return pt, true
		}
	}
	return recovery.Point{}, false
}
