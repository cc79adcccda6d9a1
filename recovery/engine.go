package recovery

import (
	"context"
	"errors"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"comeback/storage"
)

// Engine surveys and restores one kind of backup. A new engine is one package
// and one line in cmd/comeback/engines.go, where it is also said how what it restores goes
// live, if that is in a way of its own.
type Engine interface {
	// Schema is what the engine understands in a runbook.
	Schema() Schema
	// Survey says what the store of copy holds for a component. It only
	// reads. What is missing or broken in the copy is data in the survey; an
	// error means that the copy could not be judged.
	Survey(ctx context.Context, c Component, copy Copy, store storage.Store) (Survey, error)
	// Resolve turns what was asked for into a point that can be reached,
	// before anything long is copied. A refusal names the nearest points on
	// both sides.
	Resolve(ctx context.Context, survey Survey, want Want, store storage.Store) (Point, error)
	// Plan lists the steps that bring the component to the point in a
	// target. It is pure. IDs are unique within the component; the planner
	// prefixes them with the component's name and sets stage and budget.
	Plan(c Component, p Point, t Target) ([]Step, error)
	// Kinds are the kinds of steps that Plan uses.
	Kinds() []Kind
}

// EngineNamed finds the engine that its schema calls name, as points and surveys do.
func EngineNamed(engines []Engine, name string) (Engine, bool) {
	i := slices.IndexFunc(engines, func(e Engine) bool { return e.Schema().Engine == name })
	if i < 0 {
		return nil, false
	}
	return engines[i], true
}

// Restart says what an interrupted step needs.
type Restart string

// What an interruption leaves.
const (
	Repeat   Restart = "repeat"   // do it again, it replaces what it left
	Continue Restart = "continue" // do it again, it goes on where it was
	Clean    Restart = "clean"    // its claims must be removed first
)

// Kind executes one kind of step.
type Kind interface {
	Name() string
	Restart() Restart
	// Do executes the step and returns when its effect is durable. An error
	// says what is wrong in the words of the program that refused, with a
	// hint; ctx ends when the run is stopped.
	Do(ctx context.Context, env Env, s Step) (Outcome, error)
}

// Reviver is a Kind whose effect may not outlive its runner: a server is a child
// of it, and what was written without fsync is worth nothing after a reboot.
type Reviver interface {
	// Revive is called after an interruption for a step that had ended well,
	// in the order of the plan and before any other step starts. It brings
	// back what ended with the runner, and returns nil when the outcome holds
	// again. An error that wraps ErrGone says that the step must be done
	// again, and with it all that came after it.
	Revive(ctx context.Context, env Env, s Step, o Outcome, rebooted bool) error
}

// Needing is a Kind whose steps resolve references for which a person gives the values. Where
// one has none, that is told before the run begins.
type Needing interface {
	// Needs lists the texts of a step whose references Do resolves. It is pure.
	Needs(s Step) ([]string, error)
}

// ErrGone says that what a step had made is not there any more.
var ErrGone = errors.New("it did not survive the interruption")

// Env is a step's only way to the world.
type Env interface {
	// Store opens a copy by its name in the plan.
	Store(ctx context.Context, copy string) (storage.Store, error)
	// Target returns the directory that the step may write into, which
	// exists and is empty or the step's own. In a rehearsal only scratch
	// targets can be resolved.
	Target(ctx context.Context, id TargetID) (Handle, error)
	// Claim records that the run is about to create or hold a resource. It
	// must not return before the record is durable. Of one that is held already
	// other details take the place of those before.
	Claim(ctx context.Context, r Resource) error
	// Meter is how the step shows what it does.
	Meter() Meter
	// Command runs a program in a process group of its own, with the
	// environment that cmd names and nothing else, and ends it with ctx. An
	// error carries the last lines of its standard error, redacted.
	Command(ctx context.Context, cmd Cmd) error
	// Binding is where a restored component can be reached.
	Binding(component string) (Binding, bool)
	// Artifact creates a file that is kept with the report; Close makes it
	// durable. The writer is Placed where the file has a name on this host.
	Artifact(name string) (io.WriteCloser, error)
	// Now is the run's clock.
	Now() time.Time
	// Secret resolves a reference such as "${DATABASE_URL}"; what it returns
	// is redacted from everything that the run records.
	Secret(text string) (string, error)
	// Held are the run's claims that are not released: what an earlier attempt
	// has claimed, with its details.
	Held() []Resource
}

// ErrNotStarted says that an application was not started, because it could not be
// shut off from production.
var ErrNotStarted = errors.New("it was not started: it could not be shut off from production")

// Preceded is an Env that tells of the steps that its own comes after, as they stand.
type Preceded interface{ Before() []StepState }

// Placed is an artifact's writer that knows the path of its file.
type Placed interface{ Path() string }

// ErrNoIsolation says that the host gives no network namespace.
var ErrNoIsolation = errors.New("this host gives no network namespace")

// Handle is a resolved target.
type Handle struct {
	// Dir is an absolute path. A scratch target is the run's own, and Owner may go through it:
	// what servers and their programs write to lies in it, in directories that a step gives
	// them. So nobody else puts anything in the place of what lies directly in it.
	Dir     string
	Scratch bool
	// Target is the plan's; of a live one its identity has just been read again
	// and found to be the one that was planned for.
	Target Target
	// Owner is the user that servers run as; its ids are -1 where the run's
	// own user serves.
	Owner User
	// Room refuses where so many more bytes do not fit into a scratch target, or would not
	// leave what must stay free for what lives on the same disk: for a step that learns only
	// while it writes how much that is. It may be nil, where nobody looks.
	Room func(more int64) error
}

// User is an operating system user by its ids.
type User struct {
	Name     string
	UID, GID int
}

// ResourceKind is a kind of thing that a run makes or holds.
type ResourceKind string

// The kinds of resources.
const (
	Directory ResourceKind = "directory" // ID is an absolute path
	Cluster   ResourceKind = "cluster"   // ID is a PostgreSQL data directory
	// Application is what runs in a box from one step to another; ID is the path
	// of a file that is locked for as long as anything of it lives.
	Application ResourceKind = "application"
	// Exchanged is what a switch has exchanged and not opened yet; kinds of
	// exchanges that are given back in other ways are called "exchange of …".
	// Giving it back undoes the exchange. When the first step that opens has ended, the
	// run adopts all of them and all openings of its switch, and claims no more of
	// either for it, so that a system is old as a whole, or new.
	Exchanged ResourceKind = "exchange"
	// Opened is what a switch lets people into from its claim on; kinds that are
	// given back in other ways are called "opening of …". Giving it back makes live
	// again what was, and sees to it that what people may have written to is kept.
	Opened ResourceKind = "opening"
	// Fenced keeps everybody out of a live database, StoppedServer is a live server that
	// was shut down. Giving one back lets people into whatever is live, and changes
	// nothing else.
	Fenced        ResourceKind = "fence"
	StoppedServer ResourceKind = "stopped server"
)

// Closes reports whether it is a kind that keeps people out of what is live.
func (k ResourceKind) Closes() bool { return k == Fenced || k == StoppedServer }

// Opens reports whether it is a kind of opening.
func (k ResourceKind) Opens() bool {
	return k == Opened || strings.HasPrefix(string(k), string(Opened)+" of ")
}

// Exchanges reports whether it is a kind of exchange.
func (k ResourceKind) Exchanges() bool {
	return k == Exchanged || strings.HasPrefix(string(k), string(Exchanged)+" of ")
}

// Resource is something that a run makes or holds, and must give back.
type Resource struct {
	Kind ResourceKind `json:"kind"`
	ID   string       `json:"id"`
	// Details help to find and judge it after a crash.
	Details map[string]string `json:"details,omitempty"`
}

// Releaser removes a kind of resource. Release must be safe to repeat, must
// work from the resource's record alone, and returns nil only when the
// resource is proven to be gone; or [Spared].
type Releaser interface {
	Resource() ResourceKind
	Release(ctx context.Context, r Resource) error
}

// Spared is what Release gives where everything was given back but what others have changed
// since, which stays as they have left it. The resource counts as given back, and the run
// tells what stays.
type Spared struct{ Says string }

func (s *Spared) Error() string { return s.Says }

// Expander is a Releaser that does not resolve every reference of what a claim records.
type Expander interface {
	// Expands lists the texts of a claim whose references Release resolves: they are what
	// a person has to give for it. It is pure.
	Expands(r Resource) []string
}

// Meter is how a running step is seen. Everything but Checkpoint and Log is lossy: it
// may be called as often as is convenient and never blocks.
type Meter interface {
	// Phase names what the step does now and resets its progress. Total is
	// in units, or 0 where it is not known.
	Phase(name string, total int64, unit Unit)
	// Add counts progress; Set sets it.
	Add(n int64)
	Set(n int64)
	// Note is a short live remark: "at 01:53:12 of 02:41:05".
	Note(text string)
	// Log is a line for the step's log, which is kept as an artifact. It does not wait for
	// the disk, unless that has fallen far behind.
	Log(line string)
	// Checkpoint records how far the step has come; durable when it returns.
	Checkpoint(ctx context.Context, text string) error
}

// Unit is what progress is counted in.
type Unit string

// The units of progress.
const (
	InBytes  Unit = "bytes"
	InLSN    Unit = "lsn" // bytes of WAL replayed
	InItems  Unit = "items"
	NoUnit   Unit = ""
	InTables Unit = "tables"
)

// Cmd is a program to run.
type Cmd struct {
	// Path is the program; Args are its arguments without the program's name.
	Path string
	Args []string
	Dir  string
	// Env is the whole environment, as KEY=value.
	Env []string
	// User is who runs it; nil is the run's own user.
	User  *User
	Stdin io.Reader
	// Stdout and Stderr get what the program writes as it writes it; where
	// they are nil, lines go to the step's log.
	Stdout, Stderr io.Writer
	// Isolated asks for a box from which production cannot be reached: a
	// network with loopback only, production's files and the host's sockets
	// hidden, nothing but the run's own writable. Where the host cannot give
	// one the command is not run and ErrNoIsolation returned.
	Isolated bool
	// Applications lets a program that is Isolated reach the applications that
	// steps have started, at the addresses that they listen on.
	Applications bool
	// Grace is how long the program may take to end when it is asked to;
	// zero means ten seconds.
	Grace time.Duration
}

// Outcome is what a step did.
type Outcome struct {
	// Says is one sentence for the journal and the report.
	Says string `json:"says"`
	// Facts are named values for the report: versions, digests, identities.
	Facts map[string]string `json:"facts,omitempty"`
	// Bindings are the addresses that can be used from now on.
	Bindings []Binding `json:"bindings,omitempty"`
	// Reached is the proof that a component is at its point.
	Reached *Reached `json:"reached,omitempty"`
	// Check is the result of a check.
	Check *CheckResult `json:"check,omitempty"`
	// Remarks are what a reader of the report should know, though nothing is
	// wrong: roles that were created without login.
	Remarks []string `json:"remarks,omitempty"`
	// Exceptions are what went otherwise than asked; with any of them the run
	// ends with exceptions.
	Exceptions []string `json:"exceptions,omitempty"`
	// Artifacts are files kept with the report, by name.
	Artifacts []Artifact `json:"artifacts,omitempty"`
	// Identities are what targets are from now on, where the step has changed
	// that: a switched target is another one than before.
	Identities map[TargetID]Identity `json:"identities,omitempty"`
	// Adopted are claims of the run that are live from now on, or otherwise not
	// the run's to give back any more.
	Adopted []Resource `json:"adopted,omitempty"`
	// Old is what was put aside, and ToDo what people have to do afterwards.
	Old  []Old    `json:"old,omitempty"`
	ToDo []string `json:"to_do,omitempty"`
	// HandedOver is what is left running when the run ends.
	HandedOver []HandedOver `json:"handed_over,omitempty"`
	// Loss is what going back loses, as it stands now.
	Loss *Loss `json:"loss,omitempty"`
	// Unprotected says what is not backed up again yet; with any of it the
	// system came back, but is not protected.
	Unprotected []string `json:"unprotected,omitempty"`
}

// Binding is where a restored component can be reached.
type Binding struct {
	Component string `json:"component"`
	// URL is a PostgreSQL connection string, a directory as file://, or what
	// BucketURL gives of a bucket; it
	// holds no secret: that of a live one is a reference, "${DATABASE_URL}".
	URL     string `json:"url"`
	Scratch bool   `json:"scratch"`
	// AnyLocale says of a database that its backup does not tell how text sorts in
	// it: where it replaces a live one, that one's locale is the better guess.
	AnyLocale bool `json:"any_locale,omitempty"`
	// Of is the live directory that a restored tree is a copy of, as its backup tells it;
	// "" where that is not known.
	Of string `json:"of,omitempty"`
	// Disowned says which names of a restored tree are not their owners', because only root
	// gives files away: "12 names, the first …"; "" where there is none.
	Disowned string `json:"disowned,omitempty"`
	// Commit is what a restored checkout is of.
	Commit string `json:"commit,omitempty"`
}

// BucketURL is the address of the objects of a copy whose keys begin with prefix.
func BucketURL(copy, prefix string) string {
	return (&url.URL{Scheme: "bucket", Host: copy, Path: "/" + prefix}).String()
}

// Bucket is what BucketURL was made of.
func (b Binding) Bucket() (copy, prefix string, ok bool) {
	u, err := url.Parse(b.URL)
	if err != nil || u.Scheme != "bucket" {
		return "", "", false
	}
	return u.Host, strings.TrimPrefix(u.Path, "/"), true
}

// Reached is the proof that a component stands at its point.
type Reached struct {
	Component string    `json:"component"`
	Time      time.Time `json:"time,omitzero"`
	LSN       LSN       `json:"lsn,omitempty"`
	XID       XID       `json:"xid,omitempty"`
	Timeline  uint32    `json:"timeline,omitempty"`
	// Evidence are the observations, one sentence each.
	Evidence []string `json:"evidence"`
}

// CheckResult is what a check found.
type CheckResult struct {
	Name     string `json:"name"`
	Held     bool   `json:"held"`
	Query    string `json:"query,omitempty"`
	Expected string `json:"expected"`
	Found    string `json:"found"`
}

// Artifact is a file kept with the report.
type Artifact struct {
	Name   string `json:"name"`
	Size   int64  `json:"size,string"`
	SHA256 string `json:"sha256"`
}
