package aftermath

import (
	"slices"
	"time"

	"comeback/recovery"
	"comeback/recovery/runner"
)

// Holding is what a run that has ended did not give back.
type Holding struct {
	// Still is there; Gone was given back since, each by the run beside it.
	Still []recovery.ClaimState
	Gone  []GivenBack
	// OfLive says that some of it was made of what is live: people may have gone on there.
	OfLive bool
	// Under is a run that is about to give back, or died of it; nil where none is.
	Under *runner.Past
}

// GivenBack is a claim that a later run gave back.
type GivenBack struct {
	recovery.ClaimState
	By string
	At time.Time
}

// Held reads from the runs of the host what one of them still holds. What a recovery
// kept on purpose is what came back, and no claim of anybody.
func Held(r runner.Past, runs []runner.Past) Holding {
	var h Holding
	children := childrenOf(r, runs)
	for i, child := range children {
		if child.Plan.GivesBack != nil && child.State.Result == "" {
			h.Under = &children[i]
		}
	}
	for _, c := range r.State.Held() {
		if c.OnPurpose && r.Plan.Mode == recovery.Recovery {
			continue
		}
		if g, ok := givenBackBy(children, c); ok {
			h.Gone = append(h.Gone, g)
		} else {
			h.Still = append(h.Still, c)
			h.OfLive = h.OfLive || r.Plan.OfLive(&r.State, c)
		}
	}
	return h
}

func givenBackBy(children []runner.Past, c recovery.ClaimState) (GivenBack, bool) {
	for _, child := range children {
		if child.Plan.GivesBack == nil {
			continue
		}
		for _, theirs := range child.State.Claims {
			if theirs.Kind == c.Kind && theirs.ID == c.ID && !theirs.Released.IsZero() {
				return GivenBack{c, child.ID, theirs.Released}, true
			}
		}
	}
	return GivenBack{}, false
}

// Now is the state of a run without the claims that later runs gave back.
func (h Holding) Now(s recovery.State) recovery.State {
	s.Claims = slices.Clone(s.Claims)
	for _, g := range h.Gone {
		i := slices.IndexFunc(s.Claims, func(c recovery.ClaimState) bool { return c.Kind == g.Kind && c.ID == g.ID && c.Released.IsZero() })
		if i >= 0 {
			s.Claims[i].Released = g.At
		}
	}
	return s
}
