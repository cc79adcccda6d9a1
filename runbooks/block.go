package runbooks

import "time"

// Block is one thing in a stage: [Ticks], [Restore], [SQLCheck], [FilesCheck],
// [Switch], [Shell] or [Doc]. A fenced block stands where its fence opens.
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

// FilesCheck compares a table that lists files with the files themselves.
type FilesCheck struct {
	Pos
	Name string
	// On is the component that Rows asks.
	On string
	// Rows is a query whose rows are a path and a checksum.
	Rows string
	// Files is the component that must hold them.
	Files string
}

// Switch puts what was restored in the place of what is live.
type Switch struct {
	Pos
	Components []string
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
}

// Doc is a fenced block without a marker: it never runs.
type Doc struct {
	Pos
	// Language is the first word after the fence.
	Language string
	Text     string
}

func (Ticks) block()      {}
func (Restore) block()    {}
func (SQLCheck) block()   {}
func (FilesCheck) block() {}
func (Switch) block()     {}
func (Shell) block()      {}
func (Doc) block()        {}
