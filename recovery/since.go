package recovery

import (
	"slices"
	"strings"
)

// Since is what has become of a run that has ended: its journal does not tell that. The zero
// Since is nothing.
type Since struct {
	// Undone is the run that has switched it back; nil where none has.
	Undone *State
	// Gone says of places that it had put aside or handed over what has become of them:
	// "removed by run 8d01".
	Gone map[string]string
}

// of is the state of a run without what it had handed over and is gone.
func (since Since) of(s *State) *State {
	now := *s
	now.HandedOver = slices.DeleteFunc(slices.Clone(s.HandedOver), func(h HandedOver) bool {
		gone := since.Gone[h.Place] != ""
		if gone { // the end of the run says where it lies
			now.Says = strings.Replace(now.Says, "; "+h.Component+" "+h.Where(), "", 1)
		}
		return gone
	})
	return &now
}

// OldHandedOver is what a run has handed over, as something that can be removed.
func (s *State) OldHandedOver() []Old {
	var all []Old
	for _, h := range s.HandedOver {
		all = append(all, h.Old())
	}
	return all
}
