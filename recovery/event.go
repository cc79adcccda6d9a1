package recovery

import (
	"encoding/json"
	"fmt"
	"time"
)

// Event is one line of a journal: something that must survive. It is durable
// before the act that it announces and after the act that it reports.
type Event struct {
	// Seq counts from 1.
	Seq uint64 `json:"seq"`
	// Prev is the SHA-256 of the line before, as package journal says.
	Prev string    `json:"prev"`
	At   time.Time `json:"at"`
	// Type is the payload's name and version, "step.finished/1".
	Type string          `json:"type"`
	Data json.RawMessage `json:"data"`
}

// Payload is what an event tells. The types in this file are all there are.
type Payload interface{ EventType() string }

// The payloads of events, in the order in which a run usually writes them.
type (
	// RunStarted opens every journal.
	RunStarted struct {
		Run           string `json:"run"`
		System        string `json:"system"`
		Mode          Mode   `json:"mode"`
		Number        int    `json:"number"`
		PlanSHA256    string `json:"plan_sha256"`
		RunbookSHA256 string `json:"runbook_sha256"`
		Version       string `json:"version"`
		// Operator and what follows are asserted by the environment; only
		// a signature proves who.
		Operator string            `json:"operator"`
		Host     string            `json:"host"`
		BootID   string            `json:"boot_id,omitempty"`
		PID      int               `json:"pid"`
		Asserted map[string]string `json:"asserted,omitempty"`
		// Unattended says that nobody could be asked.
		Unattended bool `json:"unattended,omitempty"`
	}
	// RunResumed continues a run whose runner died. Every step that was under
	// way is to do again.
	RunResumed struct {
		PID     int    `json:"pid"`
		BootID  string `json:"boot_id,omitempty"`
		Reason  string `json:"reason"`
		Version string `json:"version,omitempty"`
		// By holds the lease from now on.
		By         string `json:"by,omitempty"`
		Unattended bool   `json:"unattended,omitempty"`
		// Artifacts are the files that interrupted steps left unfinished.
		Artifacts []Artifact `json:"artifacts,omitempty"`
	}
	// LeaseTaken says that another operator commands the run from now on,
	// without having been asked to.
	LeaseTaken struct {
		By     string `json:"by"`
		From   string `json:"from"`
		Reason string `json:"reason"`
	}
	// LeaseHanded says that the operator gave the command to another.
	LeaseHanded struct {
		By string `json:"by"`
		To string `json:"to"`
	}
	// OutageNoted says when the outage began: "known", "estimated" or "unknown". By said it;
	// journals of earlier versions do not tell.
	OutageNoted struct {
		Since time.Time `json:"since,omitzero"`
		How   string    `json:"how"`
		By    string    `json:"by,omitempty"`
	}
	// StepStarted announces a step.
	StepStarted struct {
		Step    string `json:"step"`
		Attempt int    `json:"attempt"`
	}
	// StepCheckpoint records how far a step has come.
	StepCheckpoint struct {
		Step string `json:"step"`
		Text string `json:"text"`
	}
	// StepFinished reports that a step ended well.
	StepFinished struct {
		Step    string  `json:"step"`
		Outcome Outcome `json:"outcome"`
	}
	// StepFailed reports that a step did not; Outcome holds what it found,
	// for checks.
	StepFailed struct {
		Step    string  `json:"step"`
		Error   string  `json:"error"`
		Hint    string  `json:"hint,omitempty"`
		Exit    Exit    `json:"exit,omitempty"`
		Outcome Outcome `json:"outcome,omitzero"`
	}
	// StepGone says that what a finished step had made did not survive an
	// interruption: it is to do again.
	StepGone struct {
		Step string `json:"step"`
		Why  string `json:"why"`
	}
	// StepSkipped says that a step will not run, and why.
	StepSkipped struct {
		Step string `json:"step"`
		Why  string `json:"why"`
	}
	// Waiting says that a step waits for a person.
	Waiting struct {
		Step string  `json:"step"`
		For  WaitFor `json:"for"`
		// Cause and Hint say why, where a step that had begun has to wait:
		// for credentials that have expired.
		Cause string `json:"cause,omitempty"`
		Hint  string `json:"hint,omitempty"`
		// Artifacts are the files of the attempt that was given up.
		Artifacts []Artifact `json:"artifacts,omitempty"`
	}
	// Approved is a second person's signature over the plan's digest.
	Approved struct {
		Step string `json:"step"`
		// Role is who had to approve, Fingerprint the key that did.
		Role        string `json:"role"`
		Fingerprint string `json:"fingerprint"`
		PlanSHA256  string `json:"plan_sha256"`
		// Signature is the armored SSH signature, namespace
		// approval@comeback, over the digest's hex text and a newline.
		Signature string `json:"signature"`
		// By is who handed it in.
		By string `json:"by"`
	}
	// SecretGiven says that a value that was missing was typed in; never
	// which.
	SecretGiven struct {
		Name string `json:"name"`
		By   string `json:"by"`
	}
	// Notified says that the runbook's notify command was run, and how it
	// failed if it did.
	Notified struct {
		About string `json:"about"`
		Error string `json:"error,omitempty"`
	}
	// Ticked is one item of a stage decided by a person, or by Nobody. How is "done",
	// "talked through" or "not done", the last with a reason.
	Ticked struct {
		Step string `json:"step"`
		Item int    `json:"item"`
		How  string `json:"how"`
		By   string `json:"by"`
		Note string `json:"note,omitempty"`
	}
	// Decided is what a person chose for a failed step, or "comeback" where nobody can be
	// asked: "retry", "continue" or "stop".
	Decided struct {
		Step   string `json:"step"`
		Choice Choice `json:"choice"`
		Reason string `json:"reason,omitempty"`
		By     string `json:"by"`
	}
	// HeldBack says that a person wants to be asked for the name again before the first
	// change of live.
	HeldBack struct {
		By string `json:"by"`
	}
	// Confirmed says that a person has typed the name of what will be changed,
	// for this very plan.
	Confirmed struct {
		Name       string `json:"name"`
		PlanSHA256 string `json:"plan_sha256"`
		By         string `json:"by"`
		// Loss is what they were told that it costs.
		Loss []string `json:"loss,omitempty"`
	}
	// ClockStepped says that the clock by which events have their times was put forward since
	// the event before, by a clock that nobody sets; back where By is less than zero.
	ClockStepped struct {
		By Duration `json:"by"`
	}
	// Noted is a remark by a person.
	Noted struct {
		Text string `json:"text"`
		By   string `json:"by"`
	}
	// ClaimMade announces a resource before it is created.
	ClaimMade struct {
		Step     string   `json:"step"`
		Resource Resource `json:"resource"`
	}
	// ClaimReleased reports that a resource is proven gone.
	ClaimReleased struct {
		Resource Resource `json:"resource"`
		// Spared is what was not given back, because others have changed it since.
		Spared string `json:"spared,omitempty"`
	}
	// ClaimKept reports that a resource could not be removed, or is left on
	// purpose.
	ClaimKept struct {
		Resource  Resource `json:"resource"`
		Why       string   `json:"why"`
		OnPurpose bool     `json:"on_purpose,omitempty"`
	}
	// StopAsked says that a person or a signal asked the run to end early.
	StopAsked struct {
		By     string `json:"by"`
		Reason string `json:"reason"`
	}
	// CleanupStarted announces that claims are given back.
	CleanupStarted struct{}
	// RunEnded closes every journal.
	RunEnded struct {
		Result Result `json:"result"`
		Exit   Exit   `json:"exit"`
		Says   string `json:"says"`
		// Watched says that somebody was watching.
		Watched bool `json:"watched"`
		// Report is the number of the form of its report, ReportForm; 1 where it is not
		// told, which is so in journals of versions that wrote no other.
		Report int `json:"report,omitempty"`
	}
)

// ReportForm is the number of the newest form of reports that this version writes. Those of
// runs that were ended by earlier versions keep the form that they have, and so do those in
// which nothing needs the newest: earlier versions can verify them.
const ReportForm = tellsClockStepped

func (RunStarted) EventType() string     { return "run.started/1" }
func (RunResumed) EventType() string     { return "run.resumed/1" }
func (OutageNoted) EventType() string    { return "outage.noted/1" }
func (StepStarted) EventType() string    { return "step.started/1" }
func (StepCheckpoint) EventType() string { return "step.checkpoint/1" }
func (StepFinished) EventType() string   { return "step.finished/1" }
func (StepFailed) EventType() string     { return "step.failed/1" }
func (LeaseTaken) EventType() string     { return "lease.taken/1" }
func (LeaseHanded) EventType() string    { return "lease.handed/1" }
func (StepGone) EventType() string       { return "step.gone/1" }
func (Approved) EventType() string       { return "approved/1" }
func (SecretGiven) EventType() string    { return "secret.given/1" }
func (Notified) EventType() string       { return "notified/1" }
func (StepSkipped) EventType() string    { return "step.skipped/1" }
func (Waiting) EventType() string        { return "waiting/1" }
func (Ticked) EventType() string         { return "ticked/1" }
func (Decided) EventType() string        { return "decided/1" }
func (Confirmed) EventType() string      { return "confirmed/1" }
func (HeldBack) EventType() string       { return "held-back/1" }
func (ClockStepped) EventType() string   { return "clock.stepped/1" }
func (Noted) EventType() string          { return "noted/1" }
func (ClaimMade) EventType() string      { return "claim.made/1" }
func (ClaimReleased) EventType() string  { return "claim.released/1" }
func (ClaimKept) EventType() string      { return "claim.kept/1" }
func (StopAsked) EventType() string      { return "stop.asked/1" }
func (CleanupStarted) EventType() string { return "cleanup.started/1" }
func (RunEnded) EventType() string       { return "run.ended/1" }

// Says is that in words.
func (c ClockStepped) Says() string {
	if c.By < 0 {
		return "the clock was put back by " + FormatSpan(time.Duration(-c.By))
	}
	return "the clock was put forward by " + FormatSpan(time.Duration(c.By))
}

// Says is who asked for the stop, as a clause; of one that nobody asked for only that it is.
func (s StopAsked) Says() string {
	if s.By == Nobody {
		return "the run is stopped"
	}
	return s.By + " asked to stop"
}

// WaitFor is what a step waits for.
type WaitFor string

// What a step can wait for. All but a decision are waits, not failures.
const (
	WaitTicks       WaitFor = "ticks"
	WaitDecision    WaitFor = "decision"
	WaitApproval    WaitFor = "approval"
	WaitCredentials WaitFor = "credentials"
	WaitTerminal    WaitFor = "terminal" // an interactive program wants a person's terminal
	WaitName        WaitFor = "name"     // the typed name of the target that is about to be changed
)

// Says is what is waited for in words. The runs of later versions may wait for
// what this one does not know.
func (w WaitFor) Says() string {
	switch w {
	case WaitDecision:
		return "a decision"
	case WaitApproval:
		return "an approval"
	case WaitTerminal:
		return "a terminal"
	case WaitName:
		return "the name of the target"
	}
	return string(w)
}

// Choice is what a person decides about a failed step.
type Choice string

// The choices.
const (
	ChooseRetry    Choice = "retry"
	ChooseContinue Choice = "continue"
	ChooseStop     Choice = "stop"
)

// Result is how a run ended.
type Result string

// The results.
const (
	ResultPassed      Result = "passed"      // every check ran and held, everything is cleaned up
	ResultExceptions  Result = "exceptions"  // ended, with exceptions that are listed
	ResultFailed      Result = "failed"      // a step failed and the run was stopped
	ResultRefused     Result = "refused"     // a guard refused
	ResultInterrupted Result = "interrupted" // stopped by a person or a signal
)

// NewEvent encodes a payload; the journal sets Seq and Prev.
func NewEvent(at time.Time, p Payload) (Event, error) {
	b, err := json.Marshal(p)
	if err != nil {
		return Event{}, fmt.Errorf("encode event %s: %w", p.EventType(), err)
	}
	return Event{At: at, Type: p.EventType(), Data: b}, nil
}

// Payload decodes the event. ok is false where the type is not known to this
// version, or its data cannot be read.
func (e Event) Payload() (p Payload, ok bool) {
	read, ok := decoders[e.Type]
	if !ok {
		return nil, false
	}
	p, err := read(e.Data)
	return p, err == nil
}

// decoders holds every payload that this version understands, by type.
var decoders = map[string]func(json.RawMessage) (Payload, error){
	RunStarted{}.EventType():     decode[RunStarted],
	RunResumed{}.EventType():     decode[RunResumed],
	OutageNoted{}.EventType():    decode[OutageNoted],
	StepStarted{}.EventType():    decode[StepStarted],
	StepCheckpoint{}.EventType(): decode[StepCheckpoint],
	StepFinished{}.EventType():   decode[StepFinished],
	StepFailed{}.EventType():     decode[StepFailed],
	StepSkipped{}.EventType():    decode[StepSkipped],
	StepGone{}.EventType():       decode[StepGone],
	LeaseTaken{}.EventType():     decode[LeaseTaken],
	LeaseHanded{}.EventType():    decode[LeaseHanded],
	Amended{}.EventType():        decode[Amended],
	Approved{}.EventType():       decode[Approved],
	SecretGiven{}.EventType():    decode[SecretGiven],
	Notified{}.EventType():       decode[Notified],
	Waiting{}.EventType():        decode[Waiting],
	Ticked{}.EventType():         decode[Ticked],
	Decided{}.EventType():        decode[Decided],
	Confirmed{}.EventType():      decode[Confirmed],
	HeldBack{}.EventType():       decode[HeldBack],
	ClockStepped{}.EventType():   decode[ClockStepped],
	Noted{}.EventType():          decode[Noted],
	ClaimMade{}.EventType():      decode[ClaimMade],
	ClaimReleased{}.EventType():  decode[ClaimReleased],
	ClaimKept{}.EventType():      decode[ClaimKept],
	StopAsked{}.EventType():      decode[StopAsked],
	CleanupStarted{}.EventType(): decode[CleanupStarted],
	RunEnded{}.EventType():       decode[RunEnded],
}

func decode[P Payload](b json.RawMessage) (Payload, error) {
	var p P
	err := json.Unmarshal(b, &p)
	return p, err
}

// Sample is something that need only be seen: it is coalesced, may be lost and
// is never journaled.
type Sample struct {
	At    time.Time `json:"at"`
	Step  string    `json:"step"`
	Phase string    `json:"phase,omitempty"`
	Done  int64     `json:"done,string"`
	// Total is 0 where it is not known.
	Total int64 `json:"total,string"`
	Unit  Unit  `json:"unit,omitempty"`
	// PerSecond is the rate over the last seconds, in units.
	PerSecond float64 `json:"per_second,omitempty"`
	// Left is the estimated time to the end of the phase; 0 if unknown.
	Left Duration `json:"left,omitempty"`
	Note string   `json:"note,omitempty"`
	// Lines are log lines since the sample before.
	Lines []string `json:"lines,omitempty"`
	// Here lists who looks at the run now, in a sample that is of no step.
	Here []Watcher `json:"here,omitempty"`
}

// Watcher is a front end that is attached to a run.
type Watcher struct {
	// Operator is who looks; Terminal where, in a word: "console", "plain".
	Operator string    `json:"operator"`
	Terminal string    `json:"terminal"`
	Since    time.Time `json:"since"`
}
