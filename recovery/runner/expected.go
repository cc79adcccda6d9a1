package runner

import (
	"time"

	"comeback/recovery"
)

// Expected says how long a step took in the newest run in which it ended well,
// scaled by what it must read; 0 if it never did. A run whose clock was put back meanwhile
// does not tell.
func (h History) Expected(s recovery.Step) time.Duration {
	for _, p := range h.runs {
		for i := range p.State.Steps {
			st := &p.State.Steps[i]
			if st.Kind != s.Kind || st.ID != s.ID || st.State != recovery.Done {
				continue
			}
			took, known := p.State.Took(st)
			if !known {
				continue
			}
			then, now := reads(st.Step), reads(s)
			if then > 0 && now > 0 {
				took = recovery.Scaled(took, float64(now)/float64(then))
			}
			return took.Round(time.Millisecond)
		}
	}
	return 0
}

func reads(s recovery.Step) int64 {
	var n int64
	for _, r := range s.Reads {
		n += r.Size
	}
	return n
}
