package recovery

import (
	"context"
	"io"
	"iter"
)

// Session is a front end's hold on a run, in the same process or through a
// socket.
type Session interface {
	// Plan is what the run executes.
	Plan() *Plan
	// Dir is the run's directory, with its journal and report.
	Dir() string
	// State is what the run's events fold to so far. A front end starts from
	// it and goes on with the events after State.Seq.
	State(ctx context.Context) (State, error)
	// Events yields the run's events from a sequence number on, those to
	// come included, until the run has ended or ctx has.
	Events(ctx context.Context, from uint64) iter.Seq2[Event, error]
	// Samples are lossy; the channel is closed with ctx or the run.
	Samples(ctx context.Context) <-chan Sample
	// Do asks the run for something; nil means that it is journaled.
	Do(ctx context.Context, c Command) error
}

// CommandKind is what a front end can ask a run for.
type CommandKind string

// The kinds of commands.
const (
	DoTick   CommandKind = "tick"   // Step, Item, How, By, Text
	DoDecide CommandKind = "decide" // Step, Choice, By, Text (the reason)
	DoNote   CommandKind = "note"   // By, Text
	DoStop   CommandKind = "stop"   // By, Text (the reason)
	DoOutage CommandKind = "outage" // Outage
	// The lease: only its holder may tick, decide, stop and the like;
	// everybody may note.
	DoHandOver CommandKind = "hand over" // By, To
	DoTakeOver CommandKind = "take over" // By, Text (the reason)
	DoApprove  CommandKind = "approve"   // Step, By, Signature
	DoAmend    CommandKind = "amend"     // Amend
	DoSecret   CommandKind = "secret"    // By, Name, Value
	DoConfirm  CommandKind = "confirm"   // By, Text (the typed name), PlanSHA256
	DoHold     CommandKind = "hold"      // By: before the first change of live
)

// Command is one request of a front end.
type Command struct {
	Kind   CommandKind `json:"kind"`
	Step   string      `json:"step,omitempty"`
	Item   int         `json:"item,omitempty"`
	How    string      `json:"how,omitempty"`
	Choice Choice      `json:"choice,omitempty"`
	By     string      `json:"by"`
	Text   string      `json:"text,omitempty"`
	Outage OutageNoted `json:"outage,omitzero"`
	// To is who gets the lease.
	To string `json:"to,omitempty"`
	// Signature is an armored SSH signature.
	Signature string   `json:"signature,omitempty"`
	Amend     *Amended `json:"amend,omitempty"`
	// PlanSHA256 is the plan that was read when the name was typed; empty for the one that
	// the run has when that arrives, as front ends of earlier versions have it.
	PlanSHA256 string `json:"plan_sha256,omitempty"`
	// Name and Value are a secret that was missing; Value is never recorded.
	Name  string `json:"name,omitempty"`
	Value string `json:"value,omitempty"`
}

// How a tick is decided.
const (
	TickDone          = "done"
	TickTalkedThrough = "talked through"
	TickNotDone       = "not done"
)

// Nobody is who has decided an item that was decided because there was nobody to do it, and
// who has asked for a stop that came from outside: from a signal, or a limit.
const Nobody = "nobody"

// Program is who has decided what no person has: it tried again, or stopped where nobody was
// there to decide.
const Program = "comeback"

// Named is what a user is called who does something in a run: by their name, but where that is
// Nobody's or the Program's, as of the user that a host runs its jobs as.
func Named(name string) string {
	if name == Nobody || name == Program {
		return "user " + name
	}
	return name
}

// Seats is a Session that can give a person the terminal of a program that talks
// with one.
type Seats interface {
	// Terminal takes the terminal of a step: of one that waits for a terminal,
	// whose program is then started, or of one whose program runs already,
	// which whoever had it before loses.
	Terminal(ctx context.Context, step string, screen Screen) (Terminal, error)
}

// Screen is the terminal of a person: its size in cells and its name for
// programs, "xterm-256color".
type Screen struct {
	Columns int    `json:"columns"`
	Rows    int    `json:"rows"`
	Term    string `json:"term"`
}

// Terminal is a hold on a program's terminal: what the program shows is read,
// io.EOF after it has ended, and what the person types is written. Closing it
// leaves the program running.
type Terminal interface {
	io.ReadWriteCloser
	Resize(columns, rows int) error
}
