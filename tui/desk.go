package tui

import (
	"context"
	"iter"
	"time"

	"comeback/recovery"
)

// Desk is what the console can ask for before, between and after runs. Every
// call may take long and must honour its context; the console makes none of
// them from its event loop. Errors are shown to people: their text says what is
// wrong, recovery.HintOf what to do next, and neither holds a secret. Desk must
// be safe for concurrent use.
type Desk interface {
	Shelf
	Planner
	Follower
	Historian
	Resumer
	Signer
}

// Shelf is what there is to look at. It only reads.
type Shelf interface {
	// Systems lists the runbooks that are known: the one that was named, those
	// of the state directory, those of the current directory. A runbook that
	// cannot be read is a System with Problems, not an error.
	Systems(ctx context.Context) ([]System, error)
	// Runs lists earlier and current runs, the newest first.
	Runs(ctx context.Context) ([]KnownRun, error)
	// Fetch fetches the runs that other hosts have filed in the copies of a runbook
	// and this host does not know, within bounds of time and size, and reports
	// whether any came: Systems and Runs tell them from then on. It stores nothing
	// in a copy.
	Fetch(ctx context.Context, runbook string) (news bool, err error)
	// Open reads a runbook. One with problems is returned with them; an error
	// means that there is nothing to show.
	Open(ctx context.Context, runbook string) (*Opened, error)
	// Attach is a hold on an earlier or current run. Of a run that has ended,
	// or whose runner died, its session replays the journal and then ends.
	Attach(ctx context.Context, run KnownRun) (recovery.Session, error)
	// Since tells what has become of a run that has ended since then, by its
	// directory: other runs may have switched it back, or removed what it left.
	Since(ctx context.Context, runDir string) (Since, error)
	// Files lists what lies in a run's directory: its plan, journal, runbook,
	// report, and the logs and scripts of its steps.
	Files(ctx context.Context, runDir string) ([]File, error)
	// Text is a document to read: a runbook, a report, a plan, a log.
	Text(ctx context.Context, path string) (string, error)
	// Rows is the preview that a run of a rescue has made, with some of the rows.
	// They stand in no document, and are gone when the run has ended.
	Rows(ctx context.Context, run string) (string, error)
	// Look asks what a run has restored of a component one query that only reads; without
	// a query it lists the tables with their rows.
	Look(ctx context.Context, run, component, query string) (string, error)
	// Kept names the copies that hold the head of the journal of a run that has ended, in
	// the order of its plan. A copy that does not answer is left out.
	Kept(ctx context.Context, runDir string) ([]string, error)
	// Check looks into every copy of a runbook, at its live servers and at
	// earlier runs, and judges whether the copies would save the system. Systems
	// tells from then on what was found. It stores nothing in a copy.
	Check(ctx context.Context, runbook string) (recovery.Assessment, error)
	// Trends compares the rehearsals of the runbook's system that have ended, the
	// newest last; nil where there is none.
	Trends(ctx context.Context, runbook string) (*recovery.Trend, error)
}

// Since is what has become of a run that has ended.
type Since struct {
	recovery.Since
	// Status is one text about the run to paste, which is what comeback status
	// prints.
	Status string
}

// Planner leads from a runbook to a run.
type Planner interface {
	// Survey looks into every copy for every component. It calls progress when
	// it begins with a row and when it is done with it, from any goroutine,
	// and returns all rows in the runbook's order. A copy that refuses is a row
	// with its cause and hint; an error means that nothing could be tried.
	Survey(ctx context.Context, runbook string, progress func(Access)) ([]Access, error)
	// Ready says what a run needs besides backups: who asks in each copy, how
	// long that holds, how much room there is. What cannot be told is data.
	Ready(ctx context.Context, runbook string) (Ready, error)
	// Plan resolves the choice, before anything long is copied, and makes the
	// complete plan. A refusal names the nearest points on both sides. It
	// leaves nothing behind.
	Plan(ctx context.Context, runbook string, mode recovery.Mode, choice Choice) (*Prepared, error)
	// Start executes a plan as it was prepared, byte by byte. ctx bounds the
	// start only: the run lives until it ends or is stopped, and its session's
	// Events must not end before the report has been written to its directory.
	// Typed is the name of the plan's target as a person has typed it; empty
	// where the plan changes nothing live, or asks for it later.
	Start(ctx context.Context, p *Prepared, typed string) (recovery.Session, error)
	// Amend makes the amendment of a run under way that a choice asks for:
	// another moment, or another copy to restore from, where an empty Want
	// keeps the moment. It only reads; the session is then asked to take it.
	Amend(ctx context.Context, s recovery.Session, state recovery.State, choice Choice) (recovery.Amended, error)
}

// Follower plans the runs that follow from another one, or from a transaction.
type Follower interface {
	// Follow makes the complete plan of a follow-up. It only reads, and leaves
	// nothing behind.
	Follow(ctx context.Context, next FollowUp) (*Prepared, error)
}

// FollowUp is a run that follows from what a screen shows.
type FollowUp struct {
	Kind FollowKind
	// Run is the run that is followed, for SwitchBack and MergeBack.
	Run string
	// Runbook, Component and XIDs are whose transactions are taken back, for RescueRows.
	Runbook   string
	Component string
	XIDs      []recovery.XID
}

// FollowKind is what a follow-up is for.
type FollowKind string

// The kinds of follow-ups.
const (
	// SwitchBack gives what a recovery has put aside its place again.
	SwitchBack FollowKind = "switch back"
	// MergeBack brings what people wrote after the moment of a recovery, into
	// the system that it replaced, to the one that came back.
	MergeBack FollowKind = "merge back"
	// RescueRows brings the rows back that transactions removed or changed.
	RescueRows FollowKind = "rescue"
)

// Historian tells from a copy's log what each transaction did.
type Historian interface {
	// Around reads a window's log and yields the transactions that ended in
	// a span, the newest first; a zero end of the span is the window's own.
	// The window is that of the choice's component and copy. Progress may be
	// called from any goroutine.
	Around(ctx context.Context, runbook string, window Choice, span recovery.Span, progress func(recovery.ScanProgress)) iter.Seq2[recovery.Transaction, error]
	// Usual reads what was done on earlier days at the times of some harmful
	// transactions of a window's log, to tell harm from what happens every
	// night. Progress is told which share was read, from any goroutine, as long
	// as the call goes on.
	Usual(ctx context.Context, runbook string, window Choice, harms []recovery.Transaction, progress func(share float64)) (*recovery.Habits, error)
	// Live says how far the live server of a component is, and what of its
	// log no copy has yet.
	Live(ctx context.Context, runbook, component string) (Live, error)
	// PushOut makes the live server switch to a new segment and returns when
	// a copy has the one before.
	PushOut(ctx context.Context, runbook, component string) error
}

// Live is how far a live server is.
type Live struct {
	// At is the server's clock when it was asked, Zone its time zone.
	At   time.Time
	Zone string
	// Archived is when the newest segment was archived; what came after it
	// no copy has: about Unarchived bytes.
	Archived   time.Time
	Unarchived int64
	// Failure is why archiving failed last, if it did after that.
	Failure string
}

// Resumer takes up runs whose runner died.
type Resumer interface {
	// Missing lists the secrets that the run needs and nobody has given.
	Missing(ctx context.Context, run KnownRun) ([]Need, error)
	// Resume starts a new runner for the run. Values holds what was missing,
	// by name; it is never recorded.
	Resume(ctx context.Context, run KnownRun, values map[string]string) (recovery.Session, error)
}

// Need is a secret that must be typed in.
type Need struct {
	Name string
	// Where says where a person finds it; it may be empty.
	Where string
}

// Signer signs reports and says how anyone can check them.
type Signer interface {
	// Keys lists what can sign now: the agent's keys and key files.
	Keys(ctx context.Context) ([]Key, error)
	// CreateKey makes a new key and returns it.
	CreateKey(ctx context.Context) (Key, error)
	// Sign signs the report in a run's directory. The passphrase is nil unless
	// the key is Locked; it is wiped when Sign returns.
	Sign(ctx context.Context, runDir string, key Key, passphrase []byte) (Signed, error)
	// Approve signs a plan's digest; the signature is what DoApprove takes.
	Approve(ctx context.Context, planSHA256 string, key Key, passphrase []byte) (signature string, err error)
	// Signature says who signed the report in a run's directory; ok is false
	// where nobody did.
	Signature(ctx context.Context, runDir string) (signed Signed, ok bool, err error)
	// VerifyCommands are the commands that check a report without comeback,
	// and words that explain them. Lines of more than 76 cells are wrapped, and
	// a wrapped command cannot be copied: they should be continued with "\".
	VerifyCommands(runDir string) string
}

// System is one runbook as the first screen lists it.
type System struct {
	Name string
	// Runbook is its path.
	Runbook       string
	RPO, RTO      time.Duration
	RehearseEvery time.Duration
	Problems      []Problem
	// Proof is the newest signed report that passed, in a few words; empty
	// where there is none.
	Proof string
	// Outdated says that the runbook was changed after it.
	Outdated bool
	// Unproven is what comes closest to one where there is none, beginning with what it lacks.
	Unproven string
	// Saves is what the last look into its copies found.
	Saves  Saves
	People []recovery.Person
	// SHA256 is the digest of its bytes, in hex.
	SHA256 string
	// Signed tells who has signed these very bytes, in a few words; empty where no
	// signature lies beside them. Unsigned says that one does, and that it does not hold or
	// is by somebody who is not known here.
	Signed   string
	Unsigned bool
}

// Saves answers "would it save us?".
type Saves struct {
	// Checked is when the copies were looked into; zero if they never were.
	Checked time.Time
	Answer  SavesAnswer
	// Why says in a few words what the answer rests on where it is not yes.
	Why string
	// To is the newest moment to which every component can be restored; zero
	// where it is not known.
	To       time.Time
	Findings []string
	// Holding are the copies in which these bytes of the runbook lay, at the newest whole
	// check.
	Holding []string
}

// SavesAnswer is the word of a Saves.
type SavesAnswer string

// The answers. What could not be looked at is unknown, never yes.
const (
	SavesYes     SavesAnswer = "yes"
	SavesNo      SavesAnswer = "NO"
	SavesUnknown SavesAnswer = "unknown"
)

// Ready is what a run needs besides backups.
type Ready struct {
	// Copies are in the runbook's order.
	Copies []Asker
	Room   []Room
}

// Asker is who this console is to a copy.
type Asker struct {
	Copy string
	// Who and Account are the service's words; empty where it does not tell.
	Who, Account string
	// Expires is when the credentials end; zero where they do not, or where
	// that is not told.
	Expires time.Time
	// Problem says why it is not known.
	Problem string
}

// Room is how much room there is in a place that a run writes to. Needs is what
// it takes at least; 0 if it is not known.
type Room struct {
	Place       string
	Needs, Free int64
	// Problem says why Free is not known.
	Problem string
}

// Problem is something in a runbook that must be mended before it can be used.
type Problem struct {
	// Line and Column count from 1; 0 where the problem has no place.
	Line, Column int
	What         string
	// Do is what to write instead.
	Do string
}

// KnownRun is an earlier or current run as the first screen lists it.
type KnownRun struct {
	ID, System string
	Mode       recovery.Mode
	// State says in a few words where it stands: "WAITS for a tick since
	// 22:14", "passed, report signed", "ended, unsigned".
	State string
	// Live answers for a recovery whether live is changed, in a few words.
	Live string
	// Alive says that a runner runs it, Died that its runner is gone before
	// its end: it can be resumed.
	Alive, Died bool
	Operator    string
	Started     time.Time
	// Ended is zero while it runs, waits, or was broken off.
	Ended time.Time
	// Dir is its directory.
	Dir string
}

// File is a document of a run.
type File struct {
	// Name is its path below the run's directory.
	Name, Path string
	Size       int64
	// Modified is when it was written last.
	Modified time.Time
}

// Opened is a runbook that was read.
type Opened struct {
	System
	Title      string
	Stages     []Stage
	Components []recovery.Component
	Copies     []recovery.Copy
	// Text is the runbook as it is written.
	Text string
	// OnlyScratch says why this console cannot change a live system; empty
	// where it can.
	OnlyScratch string
	// AnotherHost is what it takes to bring components back where their host is gone, one
	// sentence each.
	AnotherHost []string
}

// Stage is a stage of an opened runbook.
type Stage struct {
	Name, Owner string
	// Budget and Last, the time it took in the last run, are zero where there
	// is none.
	Budget, Last time.Duration
	// Live says that a recovery changes live in it.
	Live bool
}

// Access is what came of looking for a component in a copy.
type Access struct {
	Copy, Component string
	State           AccessState
	// Says adds a few words; where it is empty the surveys speak.
	Says string
	// Cause and Hint explain a refusal: the service's own words, and what to
	// do next.
	Cause, Hint string
	// Surveys are what the engines found, one each.
	Surveys []recovery.Survey
	// Proof tells of a backup by what it is proven; nil where that is not known.
	Proof func(recovery.Backup) recovery.ProofStanding
	// Shrank tells of a backup in which much less is than was in those before it; nil where
	// that is not known.
	Shrank func(recovery.Backup) (recovery.Shrinkage, bool)
}

// AccessState is the word that stands for an Access.
type AccessState string

// The states of an Access.
const (
	Looking     AccessState = "looking"
	Readable    AccessState = "ok"
	Nothing     AccessState = "NOTHING"  // the copy was read and holds no backup of it
	Refused     AccessState = "REFUSED"  // the copy could not be judged
	NotLookedAt AccessState = "not read" // no engine of this version knows the kind
)

// Choice is the moment that a person chose.
type Choice struct {
	// Want is the moment as recovery.ParseWant reads it.
	Want string
	// Asked is when Want was said: "10 minutes ago" is ten minutes before that, however
	// often it is planned. Zero is now.
	Asked time.Time
	// What follows narrows the choice; where it is empty, as for a moment from
	// the command line, the planner decides. Component is the one that the moment was
	// chosen of, and decides, as for a place in its log; of a change it is the only one that Copy is for. Backup is
	// the backup itself or the one that the window starts from.
	Component, Copy, Engine, Backup string
	// Look asks to stop before the copy is opened, so that a person looks at it.
	Look bool
}

// Prepared is a plan that can be started.
type Prepared struct {
	Plan *recovery.Plan
	// Bytes are plan.json as it will be stored, and Digest is their SHA-256
	// in hex.
	Bytes  []byte
	Digest string
	// NotSet is what steps need and nobody has set.
	NotSet []NotSet
	// NameLater says that the run asks for the name of its target by itself,
	// once it can show what it would change; it begins without.
	NameLater bool
}

// NotSet is a variable without a value: its name, where the runbook says that it is
// found, and what needs it.
type NotSet struct{ Name, From, For string }

// Key is something that can sign.
type Key struct {
	// Name is what people call it: its comment or its file's name.
	Name string
	// Type is "ED25519" and the like; Fingerprint is "SHA256:…".
	Type, Fingerprint string
	// From is "ssh-agent" or a file's path.
	From string
	// Locked keys need a passphrase.
	Locked bool
}

// Signed is a signature under a report.
type Signed struct {
	By, Fingerprint string
	At              time.Time
	// Reviewed says which further people have reviewed it; empty is not known.
	Reviewed string
}
