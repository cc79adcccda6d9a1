package check

import (
	"time"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/recovery/postgres"
	"comeback/storage"
)

// Evidence is what was seen of a system, its copies, its servers and its runs.
type Evidence struct {
	System string
	// Runbook is the SHA-256 of the runbook's bytes, Path what to call it in a
	// command line.
	Runbook, Path string
	// Checks are those of the runbook by their names, each with all that it asks for.
	Checks   map[string]string
	At       time.Time
	RPO, RTO time.Duration
	// Rehearse is the longest time between two rehearsals; zero where nobody
	// says.
	Rehearse   time.Duration
	Components []recovery.Component
	// Without are the kinds of component of which the runbook says there is nothing.
	Without []recovery.ComponentKind
	// Jobs are those that comeback would do by itself; nil where nobody looked.
	Jobs []Job
	// State is where this host keeps what it knows; Unkept is what of a check it cannot
	// keep there, or not read.
	State  string
	Unkept []error
	// Engines tell which components anybody looks for, and what is gone of a backup.
	Engines   []recovery.Engine
	Copies    []Copy
	Catalogue catalogue.Catalogue
	// Sources are the live files and repositories, Servers the live databases, by
	// the names of their components.
	Sources map[string]Source
	Servers map[string]Server
	// Proofs are the runs that ended, the newest first.
	Proofs []Proof
	// Signers is the file that lists whose signatures count, or would.
	Signers string
	// Spools are what spools of this host hold of the log that no copy of the runbook
	// gets, and those that cannot be read.
	Spools []Spool
	// Received is what receivers on this host have not pushed.
	Received []Received
	// Unfiled are signed runs of this host that no copy holds.
	Unfiled []string
	// Altered are runs that a copy holds otherwise than they were signed, "4f2a in
	// offsite".
	Altered []string
	// Vanished are runs of this host whose end a copy knows and whose journal is not
	// here any more; Rewritten those whose journal is another than the one that ended.
	Vanished, Rewritten []string
	// Room is that for a recovery on this host; nil where it was not looked at.
	Room *Room
	// Identities say why what decrypts a component is not at hand, or that it does not
	// decrypt the newest backup; nil where it does.
	Identities map[string]error
	// Switches say why a recovery on this host could not switch a component, as its live place
	// stands; nil where nothing is seen that keeps it from that.
	Switches map[string]error
	// Majors are those of PostgreSQL that are installed here.
	Majors []int
	// Program is the version of comeback that asks, Programs those of PostgreSQL that are
	// installed here, by their majors; nil where nobody looked.
	Program  string
	Programs map[int]string
	// Owner sees to findings that nobody else is named for.
	Owner string
	// Assigned are owners and due dates that people have set, by the findings'
	// ids; First is when a finding was first seen.
	Assigned map[string]Assigned
	First    map[string]time.Time
}

// Job is something that a host does again and again, if it was told to.
type Job struct {
	// Name is "backup-uploads", Unit the systemd unit that starts it; Component is what
	// it backs up, empty for other jobs.
	Name, Unit, Component string
	// Told says that this host does it, Idle that it has a unit which is not enabled.
	Told, Idle bool
}

// Assigned is who sees to a finding, and until when.
type Assigned struct {
	Owner string    `json:"owner,omitempty"`
	Due   time.Time `json:"due,omitzero"`
}

// Copy is what was seen of a copy beside its backups.
type Copy struct {
	recovery.Copy
	// Err is why nothing was seen.
	Err error
	// Who asks, and the account that is seen to be the caller's.
	Who, Account string
	// Skew is how far the copy's clock is ahead of ours; nil where it tells none.
	Skew *time.Duration
	// Versioning and Locking are nil where the store has no such thing, or does not
	// tell.
	Versioning *storage.Versioning
	Locking    *storage.Locking
	LockErr    error
	// Newest is the lock that ends first of those of all objects that the newest backups
	// need; nil where none could be seen. Locks says whose it is.
	Newest *storage.Retention
	Locks  Locks
	Canary Tried
	// Medium is "a directory" or "a bucket"; Domain is what fails as one: a disk
	// of a host, an account of a provider; empty where it is not known. Whose account
	// the caller is says nothing of the bucket's.
	Medium, Domain string
	// Provider is whose service a bucket is at: "AWS", or the name of a host.
	Provider string
	// Here says that it lies on this host; Beside that it lies on the disk that
	// holds live data, and falls with it.
	Here, Beside bool
	// Disks are those of this host that a directory lies on; none where the kernel does not
	// tell. Unsure says that it is not known whether live data lie there, too.
	Disks  []string
	Unsure bool
	// Manifests are what the copy knows of its backups.
	Manifests []recovery.Manifest
	// Unread is how many further ones could not be read, UnreadErr why.
	Unread    int
	UnreadErr error
	// Unfinished are the backups that are under way, or were cut off.
	Unfinished []Unfinished
	// NoRunbook says that no runbook of the system lies there, RunbookErr why it could not be
	// put there, or not be looked for.
	NoRunbook  bool
	RunbookErr error
	// HoldsRunbook says that this very one lies there.
	HoldsRunbook bool
	// OtherRunbook is the newest runbook there, where that is another one than this which
	// this does not replace, since it was not changed after it; OtherSince is when it was stored.
	OtherRunbook string
	OtherSince   time.Time
	// Lacking is what the spool of this host still has for it.
	Lacking Lacking
}

// Locks are what was seen of the locks of all objects that the newest backups need: those
// of each component, by each engine.
type Locks struct {
	// First is the key of the object whose lock ends first.
	First string
	// Looked is at how many of Of objects was looked; Err is why not at all of them.
	Looked, Of int
	Err        error
}

// Spool is what is to be said of one that holds the log of a component.
type Spool struct {
	Component, Dir string
	// Err is why some of it, or all, cannot be told.
	Err error
	// Copy is one that the runbook does not name, and Lacking what it has not got; it
	// is empty where there is none.
	Copy    string
	Lacking Lacking
}

// Received is what a receiver's directory on this host holds of the log of a component
// that it has not pushed: the segments that are finished, and the one that is not.
type Received struct {
	Component, Dir string
	// Err is why it cannot be told.
	Err error
	Lacking
	// Partial is the segment that was being received, last at Until; empty where there is
	// none.
	Partial string
	Until   time.Time
}

// Unfinished is a backup that is under way, or was cut off.
type Unfinished struct {
	// Component is that of its mark, which lies in Mark; the names of its objects begin
	// with Prefix. Last is when it was last known to be at work.
	Component, Mark, Prefix string
	Last                    time.Time
}

// Lacking is what a copy has not got yet of the log.
type Lacking struct {
	Files int
	Bytes int64
	Since time.Time
	// Free is the room on the disk on which it waits; nil where that was not seen.
	Free *int64
}

// With is what a copy has not got by either of two spools: the older is the one to tell of, and
// the lesser room.
func (l Lacking) With(other Lacking) Lacking {
	if l.Files == 0 || other.Since.Before(l.Since) {
		l.Since = other.Since
	}
	l.Files, l.Bytes = l.Files+other.Files, l.Bytes+other.Bytes
	if l.Free == nil || other.Free != nil && *other.Free < *l.Free {
		l.Free = other.Free
	}
	return l
}

// Source is what is backed up, as it is now.
type Source struct {
	// Fingerprint is compared with that of a manifest; empty where the source has
	// none, or Err says why it could not be looked at.
	Fingerprint string
	Err         error
}

// Server is what a live server says of its log.
type Server struct {
	Err error
	postgres.Archiver
	postgres.Keeping
	// ArchivedLSN is where the last archived segment begins; 0 where none was.
	ArchivedLSN recovery.LSN
	// Held is where the log ends that a copy holds; 0 where none does, or none tells.
	Held recovery.LSN
	// BackedUp is the system identifier of the cluster that the newest base backups are
	// of; empty where none tells.
	BackedUp string
	// Free is the room on the disk of the log; -1 where that is not seen from here.
	Free int64
}

// Proof is a run that has ended, seen from what it proves.
type Proof struct {
	Run  string
	Mode recovery.Mode
	At   time.Time
	// Passed says that everything that it did came to a good end, Signed that somebody whom
	// the reader knows stands behind the report and that it is intact, Unchecked that no check
	// held in it: what it restored came, and nothing says that it is right. What of it all
	// makes a proof is said by Lacks.
	Passed, Signed, Unchecked bool
	// Ahead says that it is of a time still to come, so that it counts for nothing.
	Ahead bool
	// Altered says that the report is signed and not as it was signed.
	Altered bool
	// Came are the components that came to their point, whatever became of the run.
	Came []string
	// Untimed says that it did not measure how long it takes to come back, whatever it
	// took itself.
	Untimed bool
	// Stranger is who has signed a report that is intact, where nobody here knows the
	// key; nil otherwise.
	Stranger *Stranger
	Points   []recovery.Point
	// Chosen is the component of which a person has chosen the backup by its name; empty where
	// none was.
	Chosen  string
	Runbook string
	// Checks are those of the run's runbook, as in Evidence; nil where it cannot be
	// read.
	Checks map[string]string
	// Took is how long it took to come back: neither what protects again, nor what cleans up,
	// nor the time in which nobody ran it. Zero where that is Untimed.
	Took   time.Duration
	Stages []Stage
	// Program is the version of comeback that the run was of, Programs those of the
	// PostgreSQL that it restored into, by components; empty where it did not tell.
	Program  string
	Programs map[string]string
}

// Stranger is a key that no reader's list names.
type Stranger struct {
	Fingerprint string
	// Why it is not known, in words: there is no list, or what it says.
	Why string
	// Line lets the key sign reports, in a list of signers.
	Line string
}

// Stage is a stage of a run.
type Stage struct {
	Name string
	// Exercised says that all of it was done for real; otherwise it was Talked
	// through, done on a stand-in, or not executed.
	Talked, StoodIn, Omitted bool
	Took                     time.Duration
}

// done reports whether a stage was done, if on a stand-in: what its steps do was seen, and only
// how long it takes on the real thing is not known.
func (s Stage) done() bool { return !s.Talked && !s.Omitted }

// Room is what a recovery needs on this host.
type Room struct {
	Place       string
	Needs, Free int64
}
