package runbooks

import "time"

// Block is one thing in a stage: [Ticks], [Approval], [Restore], [SQLCheck],
// [SQLWait], [FilesCheck], [SoundCheck], [HTTPCheck], [Switch], [Shell], [ShellWait], [Start]
// or [Doc]. A fenced block stands where its fence opens.
type Block interface {
	Position() Pos
	block()
}

// Ticks are items for a person to tick, one list of them.
type Ticks struct {
	Pos
	Items []Tick
}

// Tick is one "- [ ]" item.
type Tick struct {
	Pos
	// Text is on one line, as it was written.
	Text string
}

// Approval is a second person's signature over the plan, without which the run
// does not go on.
type Approval struct {
	Pos
	// Role is one of the runbook's people, RoleAt where the block names it.
	Role   string
	RoleAt Pos
	// Key is that person's SSH public key.
	Key string
}

// Restore brings components back.
type Restore struct {
	Pos
	Components []string
}

// SQLCheck is a query whose result must be as expected.
type SQLCheck struct {
	Pos
	Name string
	// On is the component that is asked.
	On string
	// Expect is what must hold, as written; Vocabulary.Expect understands it.
	Expect string
	// ExpectAt is where Expect stands.
	ExpectAt Pos
	// Query is one statement.
	Query string
	// QueryAt is where Query begins.
	QueryAt Pos
}

// SQLWait is a query that is asked until its result is as expected.
type SQLWait struct {
	SQLCheck
	Patience Patience
}

// Patience is how a wait asks. Where the block does not say, it is every 5
// seconds and for 10 minutes.
type Patience struct {
	// Every is the time between two questions, Timeout how long it waits.
	Every, Timeout time.Duration
}

// FilesCheck compares a table that lists files with the files themselves.
type FilesCheck struct {
	Pos
	Name string
	// On is the component that Rows asks.
	On string
	// Rows is a query whose rows are a path and, if they like, sha256 and bytes.
	Rows string
	// Files is the component that must hold them.
	Files string
	// Missing, Different and Unknown are what may differ: "3", "0.1%", "any",
	// or nothing where the block does not say.
	Missing, Different, Unknown string
}

// SoundCheck looks for what is wrong with a database.
type SoundCheck struct {
	Pos
	Name string
	On   string
	// Sound is what it looks at, in the words of the block.
	Sound []string
}

// HTTPCheck asks an address, and holds the answer against a status and a text.
type HTTPCheck struct {
	Pos
	Name string
	// URL may hold references, "${APP_URL}/health".
	URL    string
	Status int
	// Body is what the answer must contain; empty is anything.
	Body string
}

// References are the names that the URL refers to.
func (c HTTPCheck) References() []string { return Named(c.URL) }

// Switch puts what was restored in the place of what is live.
type Switch struct {
	Pos
	Components []string
	// At is where each of them stands.
	At []Pos
}

// Where says in which runs a block runs.
type Where string

// The places of a shell block.
const (
	InRecovery  Where = "recovery"
	InRehearsal Where = "rehearsal"
	InBoth      Where = "both"
)

// Shell is a script.
type Shell struct {
	Pos
	Name string
	// In is InRecovery where the block does not say.
	In Where
	// Timeout is zero where the block does not say.
	Timeout time.Duration
	// Interpreter is "sh", or "bash" where the block is marked as bash.
	Interpreter string
	// Script is the whole block, markers included, with \n line ends.
	Script string
	// Env names the variables that the script may see: those of "# env:" if
	// it has one, else those that it mentions and does not set itself.
	Env []string
	// Terminal says that the script talks with a person.
	Terminal bool
}

// ShellWait is a script that is run until it exits with 0. Its Shell has neither
// a Timeout nor a Terminal of its own.
type ShellWait struct {
	Shell
	Patience Patience
}

// Start is a script that runs an application on what a rehearsal has restored,
// until every check of it has been made. Its Shell has neither a place nor a
// Terminal of its own; its Timeout is how long the start may take.
type Start struct {
	Shell
	// Variable is what checks call the application's address by, URL the address,
	// on the application's own loopback; both are empty where it has none.
	Variable, URL string
	// Ready is a path that is answered once it has started, "/health", or a text
	// in a line of what it writes.
	Ready string
}

// Doc is a fenced block without a marker: it never runs.
type Doc struct {
	Pos
	// Language is the first word after the fence.
	Language string
	Text     string
}

func (Ticks) block()      {}
func (Approval) block()   {}
func (Restore) block()    {}
func (SQLCheck) block()   {}
func (FilesCheck) block() {}
func (SoundCheck) block() {}
func (HTTPCheck) block()  {}
func (Switch) block()     {}
func (Shell) block()      {}
func (Doc) block()        {}
