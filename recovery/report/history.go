package report

import (
	"encoding/json"
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
	// Cause and Hint say why a step that had begun had to wait: credentials
	// that had expired. That is no failure.
	Cause string `json:"cause,omitempty"`
	Hint  string `json:"hint,omitempty"`
	// Unknown says why it is not known how long it took, where it is not.
	Unknown string `json:"took_unknown_because,omitempty"`

	from, to uint64 // the events of both
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

// history is what the order of events tells beyond the state that they fold to:
// what a later event superseded, and when.
type history struct {
	waits      []Wait
	decisions  []Decision
	failures   []Failure
	breaks     []Break
	cutOff     []CutOff
	redone     []Redone
	leases     []LeaseChange
	amendments []Amendment
	approvals  []Approval
	secrets    []SecretGiven
	calls      []Call
	outages    []Outage
	// strange lists events that stand where none of their kind may.
	strange []string
	// recorded holds the artifacts of every attempt, by name.
	recorded map[string]recorded
	boot     string // at the start
	started  string // the digest of the plan that the run started with
	watched  *bool  // at the end; nil where the journal does not tell
	// unattended says that nobody could be asked, at the start.
	unattended bool

	people      []recovery.Person
	plan        string // the digest that is current
	holder      string // of the lease
	last        time.Time
	seq         uint64            // of the event that is added
	lastOf      map[string]uint64 // step → the last event that began or ended anything in it
	lastBoot    string
	running     bool
	ended       bool
	stopped     time.Time      // somebody asked for it
	open        map[string]int // step → index of its open wait
	attempts    map[string]int
	began       map[string]time.Time
	beganAt     map[string]uint64 // by the event
	checkpoints map[string]string
	underWay    map[string]bool
}

// recorded is an artifact as a step's last event names it, or the end of an
// interruption: then no step has finished it.
type recorded struct {
	recovery.Artifact
	step       string
	unfinished bool
}

func newHistory(people []recovery.Person) history {
	return history{people: people, recorded: map[string]recorded{}, open: map[string]int{}, attempts: map[string]int{},
		began: map[string]time.Time{}, beganAt: map[string]uint64{}, lastOf: map[string]uint64{}, checkpoints: map[string]string{}, underWay: map[string]bool{}}
}

// add takes the next event and the state that it folds to. What it does not
// know, the fold has noted already.
func (h *history) add(e recovery.Event, s *recovery.State) {
	payload, _ := e.Payload()
	at := e.At.UTC()
	h.seq = e.Seq
	h.order(e, payload)
	switch p := payload.(type) {
	case recovery.RunStarted:
		h.boot, h.lastBoot, h.holder = p.BootID, p.BootID, p.Operator
		h.started, h.plan, h.unattended = p.PlanSHA256, p.PlanSHA256, p.Unattended
	case recovery.RunResumed:
		h.resume(at, p, s)
	case recovery.Amended:
		h.amend(at, p)
	case recovery.Approved:
		h.approve(at, p)
	case recovery.Decided:
		h.close(p.Step, at)
		h.decisions = append(h.decisions, Decision{At: at, Step: p.Step, Choice: p.Choice, Reason: p.Reason, By: p.By})
	case recovery.OutageNoted:
		h.outages = append(h.outages, Outage{At: at, Since: p.Since.UTC(), How: p.How, By: p.By, AfterEnd: h.ended})
	case recovery.StopAsked:
		h.stopped = at
		h.decisions = append(h.decisions, Decision{At: at, Choice: recovery.ChooseStop, Reason: p.Reason, By: p.By})
	case recovery.RunEnded:
		until := at
		if p.Report >= tellsDecided && !h.stopped.IsZero() { // nobody was waited for any more
			until = h.stopped
		}
		for step := range h.open {
			h.close(step, until)
		}
		h.watched = watched(e)
	default:
		if !h.person(at, payload) {
			h.step(e, payload)
		}
	}
	h.last = at
}

// watched says whether somebody watched a run end; journals of the first
// release do not tell.
func watched(e recovery.Event) *bool {
	var told struct {
		Watched *bool `json:"watched"`
	}
	if json.Unmarshal(e.Data, &told) != nil {
		return nil
	}
	return told.Watched
}

// step takes the events of one step.
func (h *history) step(e recovery.Event, payload recovery.Payload) {
	at := e.At.UTC()
	switch p := payload.(type) {
	case recovery.StepStarted:
		if h.underWay[p.Step] {
			h.strange = append(h.strange, fmt.Sprintf("event %d: %s of %s, which is under way", e.Seq, e.Type, p.Step))
		}
		h.attempts[p.Step], h.began[p.Step], h.beganAt[p.Step], h.underWay[p.Step] = p.Attempt, at, e.Seq, true
		delete(h.checkpoints, p.Step)
		h.close(p.Step, at)
	case recovery.StepCheckpoint:
		h.checkpoints[p.Step] = p.Text
	case recovery.StepFinished:
		h.close(p.Step, at)
		h.record(p.Step, p.Outcome.Artifacts)
		delete(h.underWay, p.Step)
	case recovery.StepFailed:
		h.close(p.Step, at)
		h.record(p.Step, p.Outcome.Artifacts)
		delete(h.underWay, p.Step)
		h.failures = append(h.failures, Failure{At: at, Step: p.Step, Attempt: h.attempts[p.Step],
			Error: p.Error, Hint: p.Hint, Check: p.Outcome.Check})
	case recovery.StepGone:
		h.close(p.Step, at)
		delete(h.underWay, p.Step)
		h.redone = append(h.redone, Redone{At: at, Step: p.Step, Why: p.Why})
	case recovery.StepSkipped:
		h.close(p.Step, at)
		delete(h.underWay, p.Step)
	case recovery.Waiting:
		h.close(p.Step, at)
		h.record(p.Step, p.Artifacts)
		delete(h.underWay, p.Step)
		h.open[p.Step] = len(h.waits)
		h.waits = append(h.waits, Wait{Step: p.Step, For: p.For, Since: at, Cause: p.Cause, Hint: p.Hint, from: e.Seq})
	}
}

// order notes what stands before the start, after the end, or twice.
func (h *history) order(e recovery.Event, payload recovery.Payload) {
	strange := func(why string) {
		h.strange = append(h.strange, fmt.Sprintf("event %d: %s %s", e.Seq, e.Type, why))
	}
	_, starts := payload.(recovery.RunStarted)
	switch {
	case starts && h.running:
		strange("in a run that has started")
	case !starts && !h.running:
		strange("before the run started")
	}
	h.running = h.running || starts
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
	h.lastOf[step] = h.seq
	if i, ok := h.open[step]; ok {
		h.waits[i].Until, h.waits[i].Took, h.waits[i].to = at, between(h.waits[i].Since, at), h.seq
		delete(h.open, step)
	}
}

func (h *history) record(step string, artifacts []recovery.Artifact) {
	for _, a := range artifacts {
		h.recorded[a.Name] = recorded{Artifact: a, step: step}
	}
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
