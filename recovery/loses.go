package recovery

import "slices"

// LiveLoss is what a live component loses by going back to a moment, as people are
// told before they type the target's name.
type LiveLoss struct {
	Component string `json:"component"`
	// Loss is what was counted; nil where nothing counts it.
	Loss *Loss `json:"loss,omitempty"`
	// Also is what else is lost, one sentence each, and what stands in the place of
	// a count where there is none.
	Also []string `json:"also,omitempty"`
}

// Says is the loss in words, one sentence each.
func (l LiveLoss) Says() []string {
	if l.Loss == nil {
		return l.Also
	}
	return append(l.Loss.Says(), l.Also...)
}

// Loses is what going back to the plan's moment loses.
func (p *Plan) Loses() []LiveLoss {
	var all []LiveLoss
	for _, l := range p.Live {
		loss := LiveLoss{Component: l.Component, Loss: l.Loss, Also: l.Effects.Gone}
		if l.Loss != nil { // its words stand first
			loss.Also = loss.Also[min(len(l.Loss.Says()), len(loss.Also)):]
		}
		all = append(all, loss)
	}
	return all
}

// Gone is what live loses, by the newest count of each component.
func (s *State) Gone() []string {
	var says []string
	for _, l := range s.Loses {
		if i := slices.IndexFunc(s.Losses, func(now LossState) bool { return now.Component == l.Component }); i >= 0 {
			if l.Loss == nil { // it stood for the count that there is now
				l.Also = nil
			}
			l.Loss = &s.Losses[i].Loss
		}
		says = append(says, l.Says()...)
	}
	return says
}
