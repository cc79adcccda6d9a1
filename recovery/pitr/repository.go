package pitr

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"comeback/recovery"
	"comeback/storage"
)

// Form is a way in which base backups and archived WAL lie in a copy: the native one,
// or that of a tool which keeps a repository of its own.
type Form interface {
	// Name is the engine's, for `with:`.
	Name() string
	// Keys are the form's in a runbook, beside those of every form.
	Keys() []recovery.Key
	// Find opens what a copy holds of a component; nil where the copy is none of
	// this form.
	Find(ctx context.Context, c recovery.Component, copy recovery.Copy, a Access) (Repository, error)
	// Open opens what a survey has found. It is quick and asks nobody.
	Open(l Layout, a Access) (Repository, error)
}

// Access is a repository's way to the world.
type Access struct {
	Store storage.Store
	// Env is that of the step that reads; nil outside of a run.
	Env recovery.Env
	// Temp is a directory for files that a program fetches, each of which is gone when it
	// has been read. In a run it lies in scratch, and goes with it; "" is the system's.
	Temp string
}

// ErrUncertain is a failure of which nobody can tell whether the network or the object is
// the cause. It is to be tried again; what it keeps from being read is neither damaged nor
// missing.
var ErrUncertain = fmt.Errorf("%w, or damaged", storage.ErrUnavailable)

// Repository is what a copy holds in some form.
// Implementations only read, stream what they read, and give the store's own
// errors, so that absence, damage and a failing network stay apart; what they cannot
// tell apart is [ErrUncertain]. One of them is
// also an [Unpacker] or a [Restorer].
type Repository interface {
	// Contents lists everything once and looks into objects only as far as
	// it takes to describe them. What is broken is data; an error means that
	// the copy could not be judged.
	Contents(ctx context.Context) (Contents, error)
	// Files lists, anew, the archived files whose PostgreSQL names begin with
	// prefix, which has at least the eight digits of a timeline.
	Files(ctx context.Context, prefix string) ([]File, error)
	// Absent reports whether an archived file is proven not to be there now: the
	// archive itself is, and asked anew it does not have the file. An error proves
	// nothing.
	Absent(ctx context.Context, name string) (bool, error)
	// Open streams an archived file as PostgreSQL wrote it.
	Open(ctx context.Context, f File) (io.ReadCloser, error)
	// Layout is what it takes to open the repository again, as data; never a secret.
	Layout() Layout
}

// Unpacker is a Repository whose base backups are streamed and written here.
type Unpacker interface {
	// Unpack gives every file of a base backup to a sink, once.
	Unpack(ctx context.Context, b Base, to Sink) error
}

// Restorer is a Repository whose base backups a program of its own restores.
type Restorer interface {
	// Restore makes a data directory of a base backup. Every file is proven against
	// the repository and on disk when it returns, and what makes the cluster
	// startable is written last. What an attempt that was cut off has left is gone
	// on with where the program can prove it.
	Restore(ctx context.Context, b Base, to Restoring) (Restored, error)
}

// Marked is a Repository into whose archive nothing may be written: what comeback
// notes of its timelines lies elsewhere in the copy.
type Marked interface {
	// Marks is what the keys of the marks of a cluster begin with.
	Marks(system string) string
}

// Restoring is where a base backup is restored to.
type Restoring struct {
	// Data becomes the data directory, and Spaces holds the tablespaces, each in a
	// directory of its own. Both are there, and the owner's.
	Data, Spaces string
	// Own is a directory for what the program needs beside, which is the owner's and
	// is removed afterwards.
	Own   string
	Owner recovery.User
	// Resumed says that an attempt at this very backup has left what is there.
	Resumed bool
}

// Restored is what a program says that it has restored.
type Restored struct {
	Files int
	Bytes int64
	// Kept counts the files that an earlier attempt had left whole.
	Kept int
	// Proof says what every file was compared with: "every checksum of … holds".
	Proof string
	// Remarks are what a reader should know although nothing is wrong.
	Remarks []string
	// Facts are for the report.
	Facts map[string]string
}

// Sink takes the files of a base backup. Its methods may be called from several
// goroutines at once.
type Sink interface {
	// Put reads the body before it returns, and must refuse paths that it
	// does not like.
	Put(e Entry) error
	// Has reports that a file of that size is there already and need not be
	// put; then it counts as put.
	Has(path string, size int64) bool
	// From is where to begin to read a tar file that is not compressed:
	// everything before counts as put.
	From(object string) int64
	// Progress is told the bytes that came from the store, or need not.
	Progress(n int)
}

// Layout names a form of repository and where its parts lie.
type Layout struct {
	// Kind is "native", or the name of another form.
	Kind string `json:"kind"`
	// Places are where WAL lies.
	Places []Place `json:"places,omitempty"`
	// Others are runs of segments there that are of other clusters.
	Others []foreign `json:"others,omitempty"`
	// Form is what another form needs to know, opaque to everyone else.
	Form json.RawMessage `json:"form,omitempty"`
}

// Contents is what a repository holds.
type Contents struct {
	Bases []Base
	// Archives are the WAL archives, one per cluster that wrote into them.
	Archives []Archive
	Findings []recovery.Finding
}

// Archive is the archived WAL of one cluster.
type Archive struct {
	Places []Place
	Files  []File
	// Others are runs of segments in the same places that are not this cluster's.
	Others []foreign
	// What the header of a segment says; zero where none could be read.
	System      string
	Major       int
	SegmentSize int64
	PageSize    int64
	// dead are the timelines that nobody goes on with.
	dead map[uint32]timelineMark
}

// Base is one base backup.
type Base struct {
	ID string `json:"id"`
	// Format is "tar" or "plain".
	Format  string  `json:"format"`
	Packing Packing `json:"packing,omitempty"`
	// Root is what its objects' keys begin with.
	Root    string           `json:"root"`
	Objects []storage.Object `json:"-"`
	// Start is where its log begins and Stop where it can first be opened:
	// everything before Stop is in it. Stop is zero where it is not known.
	Start    recovery.LSN `json:"start"`
	Stop     recovery.LSN `json:"stop"`
	Timeline uint32       `json:"timeline"`
	// Started and Ended are by the server's clock, zero where not known.
	Started time.Time `json:"started,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`
	// AtStop says that Ended is when the server wrote Stop, as its label tells: all that
	// was committed until then is in it. Else Ended is when a program had done all of its
	// work, and commits between Stop and Ended are not.
	AtStop bool `json:"at_stop,omitempty"`
	// System is empty and Major 0 where they cannot be told cheaply.
	System string `json:"system,omitempty"`
	Major  int    `json:"major,omitempty"`
	// SegmentSize and PageSize are those of its log; 0 where not known.
	SegmentSize int64 `json:"segment_size,omitempty"`
	PageSize    int64 `json:"page_size,omitempty"`
	// Before is where the backup began that it is incremental to; 0 for a full
	// one. Chain are all that it takes to restore it, the full one first; their
	// objects are among its own.
	Before recovery.LSN `json:"before,omitempty"`
	Chain  []Base       `json:"chain,omitempty"`
	// Manifest is the key of its backup_manifest, if it stands by itself.
	Manifest string `json:"manifest,omitempty"`
	// OwnWAL says that it brings the log from Start to Stop.
	OwnWAL bool `json:"own_wal,omitempty"`
	// Tablespaces are the oids of tablespaces outside of the data directory.
	Tablespaces []string `json:"tablespaces,omitempty"`
	// Bare are those of which the copy holds nothing, as of empty ones.
	Bare []string `json:"bare,omitempty"`
	// Name is the label that was given to it, From "primary" or "standby".
	Name string `json:"name,omitempty"`
	From string `json:"from,omitempty"`
	// Form is what people call it where its format and packing do not say so:
	// "incremental backup of pgBackRest".
	Form string `json:"form,omitempty"`
	// Unpacked is the size of its files; 0 where only its manifest tells.
	Unpacked int64 `json:"unpacked,string,omitempty"`
	// Delta says that Unpacked is that of all that it builds on, too, so that it does not tell
	// how large the cluster was.
	Delta bool `json:"-"`
	// Warnings are what a person should know before choosing it.
	Warnings []string `json:"warnings,omitempty"`
	// Details are facts of the form for people and the report.
	Details map[string]string `json:"-"`
	// Problem says why it cannot be restored.
	Problem string `json:"-"`
}

// form says what a base backup is, for people.
func (b Base) form() string {
	if b.Form != "" {
		return b.Form
	}
	form := "base backup, " + b.Format
	if b.Before != 0 {
		form = "incremental " + form
	}
	if b.Packing != Plain {
		form += ", " + b.Packing.String()
	}
	if len(b.Chain) > 0 {
		form += fmt.Sprintf(", with the %d before it", len(b.Chain))
	}
	return form
}

// Entry is one file or directory of a base backup.
type Entry struct {
	// Path is relative to the data directory, with forward slashes; files of
	// tablespaces are under pg_tblspc/OID.
	Path string
	// Dir is a directory, or the link to a tablespace.
	Dir  bool
	Size int64
	Body io.Reader
	// Object is the key of the tar file that it stands in, and Next where
	// the entry after it begins; both are zero where there is no such place.
	Object string
	Next   int64
}

// unknownForm refuses a layout of another form, or of another version.
func unknownForm(l Layout) error {
	return recovery.Errorf("use the version of comeback that made the survey", "a repository of the kind %q is not known", l.Kind)
}

// enter opens what a survey has found, outside of a run.
func (e *engine) enter(l Layout, store storage.Store) (Repository, error) {
	return e.form.Open(l, Access{Store: store, Temp: e.Temp})
}

// reenter opens it for a step of a run.
func (e *engine) reenter(ctx context.Context, env recovery.Env, h recovery.Handle, copy string, l Layout) (Repository, error) {
	store, err := env.Store(ctx, copy)
	if err != nil {
		return nil, err
	}
	return e.form.Open(l, Access{Store: store, Env: env, Temp: h.Dir})
}
