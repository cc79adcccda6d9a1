package report

import (
	"fmt"
	"time"

	"comeback/recovery"
)

// Wait is a time in which the run waited for a person.
type Wait struct {
	Step string `json:"step"`
	// For is what a person had to give.
	For   recovery.WaitFor  `json:"for"`
	Since time.Time         `json:"since"`
	Until time.Time         `json:"until,omitzero"`
	Took  recovery.Duration `json:"took"`
}

// Decision is what a person chose for a failed step, or that one asked the run
// to stop.
type Decision struct {
	At     time.Time       `json:"at"`
	Step   string          `json:"step,omitempty"`
	Choice recovery.Choice `json:"choice"`
	Reason string          `json:"reason"`
	By     string          `json:"by"`
}

// Failure is one attempt at a step that failed, also where a later one did not.
type Failure struct {
	At      time.Time `json:"at"`
	Step    string    `json:"step"`
	Attempt int       `json:"attempt"`
	Error   string    `json:"error"`
	Hint    string    `json:"hint,omitempty"`
	// Check is what a check found then.
	Check *recovery.CheckResult `json:"check,omitempty"`
}

// Break is a time in which nobody ran the run.
type Break struct {
	From     time.Time         `json:"from"`
	To       time.Time         `json:"to"`
	Took     recovery.Duration `json:"took"`
	Reason   string            `json:"reason"`
	Rebooted bool              `json:"rebooted"`
}

// history is what the order of events tells beyond the state that they fold to:
// what a later event superseded, and when.
type history struct {
	waits     []Wait
	decisions []Decision
	failures  []Failure
	breaks    []Break
	// strange lists events that stand where none of their kind may.
	strange []string
	// recorded holds the artifacts of every attempt, by name.
	recorded map[string]recorded
	boot     string // at the start

	last     time.Time
	lastBoot string
	started  bool
	ended    bool
	open     map[string]int // step → index of its open wait
	attempts map[string]int
}

// recorded is an artifact as a step's last event names it.
type recorded struct {
	recovery.Artifact
	step string
}

func newHistory() history {
	return history{recorded: map[string]recorded{}, open: map[string]int{}, attempts: map[string]int{}}
}

// add takes the next event. What it does not know, the fold has noted already.
func (h *history) add(e recovery.Event) {
	payload, _ := e.Payload()
	at := e.At.UTC()
	h.order(e, payload)
	switch p := payload.(type) {
	case recovery.RunStarted:
		h.boot, h.lastBoot = p.BootID, p.BootID
	case recovery.RunResumed:
		h.breaks = append(h.breaks, Break{From: h.last, To: at, Took: between(h.last, at),
			Reason: p.Reason, Rebooted: p.BootID != h.lastBoot})
		h.lastBoot = p.BootID
	case recovery.StepStarted:
		h.attempts[p.Step] = p.Attempt
		h.close(p.Step, at)
	case recovery.StepFinished:
		h.close(p.Step, at)
		h.record(p.Step, p.Outcome)
	case recovery.StepFailed:
		h.close(p.Step, at)
		h.record(p.Step, p.Outcome)
		h.failures = append(h.failures, Failure{At: at, Step: p.Step, Attempt: h.attempts[p.Step],
			Error: p.Error, Hint: p.Hint, Check: p.Outcome.Check})
	case recovery.StepSkipped:
		h.close(p.Step, at)
	case recovery.Waiting:
		h.close(p.Step, at)
		h.open[p.Step] = len(h.waits)
		h.waits = append(h.waits, Wait{Step: p.Step, For: p.For, Since: at})
	case recovery.Decided:
		h.close(p.Step, at)
		h.decisions = append(h.decisions, Decision{At: at, Step: p.Step, Choice: p.Choice, Reason: p.Reason, By: p.By})
	case recovery.StopAsked:
		h.decisions = append(h.decisions, Decision{At: at, Choice: recovery.ChooseStop, Reason: p.Reason, By: p.By})
	case recovery.RunEnded:
		for step := range h.open {
			h.close(step, at)
		}
	}
	h.last = at
}

// order notes what stands before the start, after the end, or twice.
func (h *history) order(e recovery.Event, payload recovery.Payload) {
	strange := func(why string) {
		h.strange = append(h.strange, fmt.Sprintf("event %d: %s %s", e.Seq, e.Type, why))
	}
	_, starts := payload.(recovery.RunStarted)
	switch {
	case starts && h.started:
		strange("in a run that has started")
	case !starts && !h.started:
		strange("before the run started")
	}
	h.started = h.started || starts
	if h.ended {
		switch payload.(type) {
		// Until the report is signed, a person may still say what is known.
		case recovery.Noted, recovery.OutageNoted:
		default:
			strange("after the run's end")
		}
	}
	if _, ends := payload.(recovery.RunEnded); ends {
		h.ended = true
	}
}

// close ends a step's wait.
func (h *history) close(step string, at time.Time) {
	if i, ok := h.open[step]; ok {
		h.waits[i].Until, h.waits[i].Took = at, between(h.waits[i].Since, at)
		delete(h.open, step)
	}
}

func (h *history) record(step string, o recovery.Outcome) {
	for _, a := range o.Artifacts {
		h.recorded[a.Name] = recorded{Artifact: a, step: step}
	}
}

// waited is how long a step waited for people.
func (h *history) waited(step string) recovery.Duration {
	var d recovery.Duration
	for _, w := range h.waits {
		if w.Step == step {
			d += w.Took
		}
	}
	return d
}

// decidedAt is when a person last decided about a step.
func (h *history) decidedAt(step string) time.Time {
	var at time.Time
	for _, d := range h.decisions {
		if d.Step == step {
			at = d.At
		}
	}
	return at
}

// between is a span in whole milliseconds; zero where an end is not known.
func between(from, to time.Time) recovery.Duration {
	if from.IsZero() || to.IsZero() {
		return 0
	}
	return recovery.Duration(to.Sub(from).Round(time.Millisecond))
}
