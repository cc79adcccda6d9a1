package report

import (
	"fmt"
	"slices"

	"comeback/recovery"
)

// Isolation is the proof that a run wrote to scratch alone.
type Isolation struct {
	// ScratchOnly says that every target of the plan and every address that
	// steps used is scratch.
	ScratchOnly bool `json:"scratch_only"`
	// Evidence tells of every breach first.
	Evidence []string `json:"evidence"`
}

func (s *source) isolation() Isolation {
	i := Isolation{}
	scratch, used := 0, []string{}
	for _, t := range s.plan.Targets {
		if t.Scratch {
			scratch++
		} else {
			i.Evidence = append(i.Evidence, fmt.Sprintf("target %s is live: %s", t.ID, t.Place))
		}
	}
	for _, b := range s.state.Bindings {
		if b.Scratch {
			if use := fmt.Sprintf("%s was used in scratch, at %s", b.Component, b.URL); !slices.Contains(used, use) {
				used = append(used, use)
			}
		} else {
			i.Evidence = append(i.Evidence, fmt.Sprintf("%s was used live, at %s", b.Component, b.URL))
		}
	}
	i.ScratchOnly = len(i.Evidence) == 0
	i.Evidence = append(i.Evidence, fmt.Sprintf("%d of %d targets are scratch, made by the run", scratch, len(s.plan.Targets)))
	i.Evidence = append(i.Evidence, used...)
	for k := range s.state.Steps {
		if st := &s.state.Steps[k]; st.Outcome.Facts[recovery.FactIsolation] != "" {
			i.Evidence = append(i.Evidence, fmt.Sprintf("%s: %s", st.Says, st.Outcome.Facts[recovery.FactIsolation]))
		}
	}
	return i
}
