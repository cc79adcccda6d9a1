package pitr

import (
	"context"
	"fmt"
	"io"
	"time"

	"comeback/recovery"
	"comeback/storage"
)

// Repository is the form in which base backups and archived WAL lie in a copy.
// Implementations only read, stream what they read, and give the store's own
// errors, so that absence, damage and a failing network stay apart.
type Repository interface {
	// Contents lists everything once and looks into objects only as far as
	// it takes to describe them. What is broken is data; an error means that
	// the copy could not be judged.
	Contents(ctx context.Context) (Contents, error)
	// Files lists, anew, the archived files whose PostgreSQL names begin with
	// prefix, which has at least the eight digits of a timeline.
	Files(ctx context.Context, prefix string) ([]File, error)
	// Absent reports whether an archived file is proven not to be there, by a
	// fresh listing and by asking for it. An error proves nothing.
	Absent(ctx context.Context, name string) (bool, error)
	// Open streams an archived file as PostgreSQL wrote it.
	Open(ctx context.Context, f File) (io.ReadCloser, error)
	// Unpack gives every file of a base backup to a sink, once.
	Unpack(ctx context.Context, b Base, to Sink) error
	// Layout is what it takes to open the repository again, as data.
	Layout() Layout
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
	// Kind is "native".
	Kind string `json:"kind"`
	// Places are where WAL lies.
	Places []Place `json:"places,omitempty"`
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
	// System is empty and Major 0 where they cannot be told cheaply.
	System string `json:"system,omitempty"`
	Major  int    `json:"major,omitempty"`
	// SegmentSize and PageSize are those of its log; 0 where not known.
	SegmentSize int64 `json:"segment_size,omitempty"`
	PageSize    int64 `json:"page_size,omitempty"`
	// Manifest is the key of its backup_manifest, if it stands by itself.
	Manifest string `json:"manifest,omitempty"`
	// OwnWAL says that it brings the log from Start to Stop.
	OwnWAL bool `json:"own_wal,omitempty"`
	// Tablespaces are the oids of tablespaces outside of the data directory.
	Tablespaces []string `json:"tablespaces,omitempty"`
	// Name is the label that was given to it, From "primary" or "standby".
	Name string `json:"name,omitempty"`
	From string `json:"from,omitempty"`
	// Problem says why it cannot be restored.
	Problem string `json:"-"`
}

// form says what a base backup is, for people.
func (b Base) form() string {
	if b.Packing == Plain {
		return "base backup, " + b.Format
	}
	return fmt.Sprintf("base backup, %s, %s", b.Format, b.Packing)
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

// openRepository opens what a survey has found.
func openRepository(l Layout, store storage.Store, read storage.ReadOptions) (Repository, error) {
	if l.Kind != nativeKind {
		return nil, recovery.Errorf("use the version of comeback that made the survey", "a repository of the kind %q is not known", l.Kind)
	}
	return &native{store: store, places: l.Places, read: read}, nil
}
