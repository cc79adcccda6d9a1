package recovery

import (
	"encoding/json"
	"slices"
	"time"
)

// Mode is what a run is for.
type Mode string

// The modes.
const (
	Rehearsal Mode = "rehearsal" // into scratch, timed, cleaned up
	Recovery  Mode = "recovery"  // for real
)

// Duration is a time.Duration that reads well in JSON: "15m0s".
type Duration time.Duration

// MarshalText writes "15m0s".
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}

// Plan is everything that a run will do, complete before anything runs. Its
// digest is the SHA-256 of plan.json's bytes.
type Plan struct {
	Format int    `json:"comeback_plan"` // 1
	Run    string `json:"run"`
	System string `json:"system"`
	Mode   Mode   `json:"mode"`
	// Number counts the system's runs on this host; Previous is the digest of
	// the report before this one, so that none can vanish.
	Number   int       `json:"number"`
	Previous string    `json:"previous,omitempty"`
	Created  time.Time `json:"created"`
	Runbook  Source    `json:"runbook"`
	RPO      Duration  `json:"rpo"`
	RTO      Duration  `json:"rto"`
	// RehearseEvery is the interval between rehearsals that the runbook asks for.
	RehearseEvery Duration    `json:"rehearse_every,omitempty"`
	Moment        Moment      `json:"moment"`
	Components    []Component `json:"components"`
	Copies        []Copy      `json:"copies"`
	Targets       []Target    `json:"targets"`
	Stages        []Stage     `json:"stages"`
	Steps         []Step      `json:"steps"`
	// NotExecuted lists what the runbook holds and this run will not do.
	NotExecuted []NotExecuted `json:"not_executed,omitempty"`
	// Needs maps the environment variables that the runbook asks for to where
	// a person finds their values.
	Needs map[string]string `json:"needs,omitempty"`
	// Production lists what a rehearsal must not reach: hosts, addresses and
	// paths.
	Production []string `json:"production,omitempty"`
	// Notify is the command, by its words, that calls a person when the run
	// waits for one or has ended.
	Notify []string `json:"notify,omitempty"`
	// Keep leaves what was restored in place when the run ends well.
	Keep     bool     `json:"keep,omitempty"`
	People   []Person `json:"people,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
	// Confirm is the name that a person types before anything live changes, or is removed for
	// good: of several things that are removed all their names, with ", " between them; where
	// nothing but blocks of the runbook may change what is live, that of the system. It is
	// empty where nothing live is written to.
	Confirm string `json:"confirm,omitempty"`
	// Live are the live targets as they were read when the plan was made.
	Live []Live `json:"live,omitempty"`
	// Expires is what the run removes for good: what its parent has put aside, or
	// left running.
	Expires []Old `json:"expires,omitempty"`
	// GivesBack is what the run gives back in place of its parent, which has ended and
	// still holds it, the oldest first.
	GivesBack []Resource `json:"gives_back,omitempty"`
	// Settled are the parent's to-dos that whoever asked for the run says are done.
	Settled []string `json:"settled,omitempty"`
	// Earlier are rehearsals that had ended when the plan was made, the oldest first,
	// for the report of this one to be compared with.
	Earlier []Earlier `json:"earlier,omitempty"`
	// Parent is the run that this one follows: a switch back, a rescue, an
	// expiry, what gives back what it still holds.
	Parent string `json:"parent,omitempty"`
}

// Effects are what the plan does to live, of all its targets.
func (p *Plan) Effects() Effects {
	e := Effects{Removes: p.Expires != nil}
	for _, l := range p.Live {
		e.Add(l.Effects)
	}
	return e
}

// Does is what a run does to that of which it asks the name, as a clause: "changes db1/shop",
// "removes /srv/shop.old-7c31 for good", "runs blocks that may change what is live of shop".
func (p *Plan) Does() string {
	switch {
	case p.Expires != nil:
		return "removes " + p.Confirm + " for good"
	case p.OnlyBlocks():
		return "runs blocks that may change what is live of " + p.Confirm
	}
	return "changes " + p.Confirm
}

// Source is a document by its path and the digest of its bytes.
type Source struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
}

// Person is somebody whom the runbook names.
type Person struct {
	Role  string `json:"role"`
	Reach string `json:"reach"`
	Key   string `json:"key,omitempty"`
}

// Restores reports whether a run brings anything back: one that removes what another one
// has put aside, or gives back what it holds, proves nothing of the backups.
func (p *Plan) Restores() bool { return p.Expires == nil && p.GivesBack == nil }

// ChangesLive reports whether a step writes to anything but scratch and what lies beside
// live. A target that the plan does not list counts as live.
func (p *Plan) ChangesLive(s Step) bool {
	return slices.ContainsFunc(s.Writes, func(id TargetID) bool {
		return !slices.ContainsFunc(p.Targets, func(t Target) bool { return t.ID == id && !t.Changes() })
	})
}

// RunsBlock reports whether a step runs a shell block of the runbook that is shut off from
// nothing, as in a recovery: it may change what is live, and nobody can tell what.
func (p *Plan) RunsBlock(s Step) bool {
	return p.Mode == Recovery && s.IsBlock()
}

// Blocks counts the steps that run such a block.
func (p *Plan) Blocks() (n int) {
	for _, s := range p.Steps {
		if p.RunsBlock(s) {
			n++
		}
	}
	return n
}

// NeedsName reports whether a step may begin only after a person has typed the plan's name: it
// changes live, or may. Plans of earlier versions have no name where all that may are blocks.
func (p *Plan) NeedsName(s Step) bool {
	return p.ChangesLive(s) || p.Confirm != "" && p.RunsBlock(s)
}

// OnlyBlocks reports whether nothing but blocks may change what is live: the name that is typed
// is that of the system then.
func (p *Plan) OnlyBlocks() bool {
	return p.Blocks() > 0 && !slices.ContainsFunc(p.Steps, p.ChangesLive)
}

// OfLive reports whether a claim of a run was made by a step that changes live, or by one
// that nobody knows any more in a run that has such a target: people may have gone on
// there since. What only keeps them out is none of those.
func (p *Plan) OfLive(s *State, c ClaimState) bool {
	if c.Kind.Closes() {
		return false
	}
	step := s.Step(c.Step)
	return slices.ContainsFunc(p.Targets, func(t Target) bool {
		return t.Changes() && (step == nil || slices.Contains(step.Writes, t.ID))
	})
}

// Stage is a section of the runbook, in the order of the document.
type Stage struct {
	Name   string   `json:"name"`
	Owner  string   `json:"owner,omitempty"`
	Budget Duration `json:"budget,omitempty"`
	// Line is where it stands in the runbook.
	Line  int    `json:"line"`
	Prose string `json:"prose,omitempty"`
}

// Target is a place that a run writes to.
type Target struct {
	ID TargetID `json:"id"`
	// Scratch targets are created by the run and removed by it.
	Scratch   bool   `json:"scratch"`
	Component string `json:"component,omitempty"`
	// Place is the directory, host or prefix.
	Place string `json:"place"`
	// BecomesLive says that a scratch target lies beside a live one and takes its
	// place as a whole: what is restored there is fit to be a live server.
	BecomesLive bool `json:"becomes_live,omitempty"`
	// Beside says that the run makes the target, next to a live one and on its
	// server: it is claimed as scratch is, harmless, and what a switch makes
	// live.
	Beside bool `json:"beside,omitempty"`
	// What follows is of live targets and of those beside them. Switches is the
	// kind of component whose switcher knows the target, Name what a person
	// types, "db1/shop".
	Switches ComponentKind `json:"switches,omitempty"`
	Name     string        `json:"name,omitempty"`
	// Within is what the target is a part of, and what no other run may work on
	// meanwhile, in whichever part: a server.
	Within string `json:"within,omitempty"`
	// Address is how a server is reached; a reference, never a secret.
	Address string `json:"address,omitempty"`
	// Identity is what was read when the plan was made.
	Identity Identity `json:"identity,omitempty"`
	// Facts are the switcher's own.
	Facts json.RawMessage `json:"facts,omitempty"`
}

// Changes reports whether writing to the target changes what is live.
func (t Target) Changes() bool { return !t.Scratch && !t.Beside }

// TargetID names a target within its plan, like "scratch/database".
type TargetID string

// NotExecuted is something that the runbook holds and a run did not do.
type NotExecuted struct {
	Stage string `json:"stage"`
	What  string `json:"what"`
	Why   string `json:"why"`
	Line  int    `json:"line,omitempty"`
	// Check says that it is a check: a run that could not make it does not
	// pass.
	Check bool `json:"check,omitempty"`
}

// Step is one thing that a run does, as data.
type Step struct {
	ID string `json:"id"`
	// Stage is the index of its stage.
	Stage int    `json:"stage"`
	Kind  string `json:"kind"`
	// Says is what it does, for people: "copy the base backup".
	Says      string `json:"says"`
	Component string `json:"component,omitempty"`
	// After lists the steps that must have ended well before it starts.
	After []string `json:"after,omitempty"`
	// Args are the kind's own; never a secret, only references.
	Args   json.RawMessage `json:"args,omitempty"`
	Reads  []Ref           `json:"reads,omitempty"`
	Writes []TargetID      `json:"writes,omitempty"`
	Guards []Guard         `json:"guards,omitempty"`
	Budget Duration        `json:"budget,omitempty"`
	// Expected is how long it took in an earlier run, scaled; zero if never.
	Expected Duration `json:"expected,omitempty"`
	// Position is how far the step takes its component, where it leaves it so
	// that the same step of a later position goes on from there, as long as
	// nothing after it has begun; zero where it does not.
	Position LSN `json:"position,omitempty"`
	// MayPass says that a person may go on after its failure, with a reason:
	// checks, ticks and shell blocks, never restores.
	MayPass bool `json:"may_pass,omitempty"`
	// Phase is which part of a switch it is; empty for everything else.
	Phase Phase `json:"phase,omitempty"`
	// Network is what network it has, or gives to what it makes, of a step that is not shut
	// into a box and is no server of scratch: "that of this host". Empty for everything else.
	Network string `json:"network,omitempty"`
	// StandIn says what is done in the place of the real thing, of a rehearsal's step that a
	// recovery would do elsewhere: "scratch, in place of /srv/shop".
	StandIn string `json:"stand_in,omitempty"`
	// Line is where the runbook asks for it.
	Line int `json:"line,omitempty"`
}

// IsBlock reports whether a step runs a shell block of the runbook.
func (s Step) IsBlock() bool { return s.Kind == KindShell || s.Kind == KindShellWait }

// SameSwitch reports whether two steps are asked for by the same switch of the runbook.
func (s Step) SameSwitch(o Step) bool { return s.Stage == o.Stage && s.Line == o.Line }

// Ref is an object that a step reads.
type Ref struct {
	Copy string `json:"copy"`
	Key  string `json:"key"`
	Size int64  `json:"size,string"`
}

// Guard is a condition that must hold immediately before a step starts.
type Guard struct {
	// Kind is "room": at least Bytes must be free where Target lies.
	Kind   string   `json:"kind"`
	Target TargetID `json:"target,omitempty"`
	// Dir is where to look, where the target is not a directory itself: that of
	// the server that a database is made on.
	Dir   string `json:"dir,omitempty"`
	Bytes int64  `json:"bytes,string,omitempty"`
	// Likely is how many bytes it may come to where nobody knows before: a plan warns where
	// they are not free.
	Likely int64 `json:"likely,string,omitempty"`
}

// GuardRoom is the kind of guard that asks for free space.
const GuardRoom = "room"

// NewStep is a step whose arguments are marshalled from args; it panics if they
// cannot be, which is a mistake in the program.
func NewStep(id, kind, says string, args any) Step {
	b, err := json.Marshal(args)
	if err != nil {
		panic("recovery: arguments of " + kind + ": " + err.Error())
	}
	return Step{ID: id, Kind: kind, Says: says, Args: b}
}

// Decode reads a step's arguments.
func (s Step) Decode(args any) error {
	if err := json.Unmarshal(s.Args, args); err != nil {
		return Errorf("make a new plan with this version of comeback", "read the arguments of step %s: %w", s.ID, err)
	}
	return nil
}

// Step finds a step by its id.
func (p *Plan) Step(id string) (Step, bool) {
	for _, s := range p.Steps {
		if s.ID == id {
			return s, true
		}
	}
	return Step{}, false
}

// StepsOf lists the steps of a stage in their order.
func (p *Plan) StepsOf(stage int) []Step {
	var steps []Step
	for _, s := range p.Steps {
		if s.Stage == stage {
			steps = append(steps, s)
		}
	}
	return steps
}

// The kinds of steps that every run knows, whatever its engines.
const (
	KindTicks    = "ticks"     // items that a person ticks
	KindShell    = "shell"     // a shell block of the runbook
	KindSQLCheck = "check.sql" // a query whose result must be as expected
	// Rows and files must belong together; FilesCheckArgs.
	KindFilesCheck = "check.files"
	// Nothing must be wrong with a database; SoundCheckArgs.
	KindSoundCheck = "check.sound"
	// An answer over HTTP must be as expected; HTTPCheckArgs.
	KindHTTPCheck = "check.http"
	// A wait ends when its condition holds, or fails after its timeout.
	KindSQLWait   = "wait.sql"   // a query; SQLCheckArgs
	KindShellWait = "wait.shell" // a block that exits with 0; ShellArgs
	KindApproval  = "approval"   // a second person's signature over the plan's digest
	// An application runs on what was restored from its start to its stop, in a
	// box of its own; StartArgs and StopArgs.
	KindStart = "start"
	KindStop  = "stop"
	// What the parent of a run still holds is held by the run, whose end gives it
	// back; Plan.GivesBack.
	KindGiveBack = "give.back"
)

// ApprovalArgs are the arguments of a KindApproval step.
type ApprovalArgs struct {
	// Role is whose approval it is, Key the public key that must sign, both
	// from the runbook's people.
	Role string `json:"role"`
	Key  string `json:"key"`
}

// TicksArgs are the arguments of a KindTicks step.
type TicksArgs struct {
	Items []string `json:"items"`
}

// ShellArgs are the arguments of a KindShell step. The bytes that run are the
// bytes that were planned.
type ShellArgs struct {
	Name   string `json:"name"`
	Script string `json:"script"`
	// Interpreter is "sh" or "bash"; empty is "sh".
	Interpreter string   `json:"interpreter,omitempty"`
	Timeout     Duration `json:"timeout,omitempty"`
	// Every is how often a wait tries.
	Every Duration `json:"every,omitempty"`
	// Terminal says that the program talks with a person: the step waits
	// for an operator's terminal.
	Terminal bool `json:"terminal,omitempty"`
	// Env names the variables of the environment that the block may see.
	Env []string `json:"env,omitempty"`
	// Bind maps variables to the components whose binding is their value.
	Bind map[string]string `json:"bind,omitempty"`
	// Set are variables with values of their own, no secrets.
	Set map[string]string `json:"set,omitempty"`
}

// StartArgs are the arguments of a KindStart step. Its script runs until the
// KindStop step of the same name, or until the run ends.
type StartArgs struct {
	ShellArgs
	// URL is where it answers on its own loopback: "http://127.0.0.1:8080".
	URL string `json:"url,omitempty"`
	// Ready is when it has started: a path, "/health", that is answered with a
	// status below 400, or a text that stands in a line of its output.
	Ready string `json:"ready"`
}

// StopArgs are the arguments of a KindStop step.
type StopArgs struct {
	Name string `json:"name"`
	// Start is the step that starts it.
	Start string `json:"start"`
}

// HTTPCheckArgs are the arguments of a KindHTTPCheck step.
type HTTPCheckArgs struct {
	Name string `json:"name"`
	// URL is asked with GET. Where Application is empty it may hold references,
	// and is asked from where the run is; else it is on the loopback of the
	// application of that name.
	URL         string `json:"url"`
	Application string `json:"application,omitempty"`
	Status      int    `json:"status"`
	// Body is what the answer must contain; empty is anything.
	Body string `json:"body,omitempty"`
}

// SQLCheckArgs are the arguments of a KindSQLCheck step.
type SQLCheckArgs struct {
	Name   string `json:"name"`
	On     string `json:"on"`
	Query  string `json:"query"`
	Expect string `json:"expect"`
	// Moment is what `within 10m` is relative to
	// until a step proves which one was reached; AtLeast says that it may be later.
	Moment  time.Time `json:"moment,omitzero"`
	AtLeast bool      `json:"at_least,omitempty"`
	// Every and Timeout are a wait's.
	Every   Duration `json:"every,omitempty"`
	Timeout Duration `json:"timeout,omitempty"`
}

// FilesCheckArgs are the arguments of a KindFilesCheck step.
type FilesCheckArgs struct {
	Name string `json:"name"`
	// On is the component that Query asks, Files the one that holds the files.
	On    string `json:"on"`
	Query string `json:"query"`
	Files string `json:"files"`
	// What may be missing, different or unknown: "3" of them, "0.1%" of all,
	// or "any"; empty is none.
	Missing   string `json:"missing,omitempty"`
	Different string `json:"different,omitempty"`
	Unknown   string `json:"unknown,omitempty"`
}

// SoundRecord asks that a restored database has the tables, and in each of them
// the rows, that were recorded when its backup was made.
const SoundRecord = "record"

// BackupRef is a backup in a copy.
type BackupRef struct {
	Copy   string `json:"copy"`
	Backup string `json:"backup"`
}

// LogPoint is a point in the log of a component.
type LogPoint struct {
	Component Component `json:"component"`
	Point     Point     `json:"point"`
}

// SoundCheckArgs are the arguments of a KindSoundCheck step.
type SoundCheckArgs struct {
	Name string `json:"name"`
	On   string `json:"on"`
	// Sound is what is looked at, in the words of recovery/verify.
	Sound []string `json:"sound"`
	// Record is the backup whose record the tables are held against; After, where
	// it is not nil, the point in the log after it that was gone to.
	Record *BackupRef `json:"record,omitempty"`
	After  *LogPoint  `json:"after,omitempty"`
}
