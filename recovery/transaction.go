package recovery

import (
	"context"
	"iter"
	"time"

	"comeback/storage"
)

// Scanner is an Engine that can tell, from the log in a copy, what each
// transaction did. The log does not tell who.
type Scanner interface {
	// Scan reads the log that a survey found and yields transactions, the
	// newest first: those that ended within o.Span. Damage and the end of
	// the log end the scan with an error that says where; what was yielded
	// before is true.
	Scan(ctx context.Context, o ScanOptions) iter.Seq2[Transaction, error]
}

// Locator is an Engine that can find where a transaction ended, by the log in a copy.
type Locator interface {
	// Locate finds where it ended, be it with a commit or not; o.Span does not count. It reads
	// little of the log. One that ended before the log that the copy holds is a refusal.
	Locate(ctx context.Context, o ScanOptions, xid XID) (Commit, error)
}

// ScanOptions say what to read.
type ScanOptions struct {
	Component Component
	Survey    Survey
	Store     storage.Store
	// Span is when the transactions ended; a zero end is the window's own.
	Span Span
	// Names give relations their names; it may be nil.
	Names Names
	// Progress is told, from any goroutine, how far back has been read. It
	// may be nil.
	Progress func(ScanProgress)
}

// ScanProgress is how far a scan has come.
type ScanProgress struct {
	// Back is the time of the oldest transaction that was read.
	Back time.Time
	// Done and Total are bytes of log.
	Done, Total int64
}

// Names give relations the names that the log does not have.
type Names interface {
	// Relation names what lies in a file of a database, by the OIDs that the
	// log has; ok is false where it is not known.
	Relation(database, filenode uint32) (r Relation, ok bool)
	// Database names a database by its OID.
	Database(oid uint32) (name string, ok bool)
}

// Relation is a table, or an index or TOAST table that belongs to one.
type Relation struct {
	// Name is the table's, with its schema unless that is public; empty
	// where nothing knows it.
	Name string `json:"name,omitempty"`
	// Of is "table", "index", "toast", "sequence" or "other".
	Of string `json:"of,omitempty"`
	// Rows is about how many the table had when the name was read; -1 where
	// that is not known.
	Rows int64 `json:"rows,string"`
	// Dated says that Rows is of another time: of when the names were saved.
	Dated bool `json:"dated,omitempty"`
}

// Transaction is what one transaction did, as the log tells it, savepoints that
// were rolled back left out.
type Transaction struct {
	// Commit is its end, whichever it was.
	Commit
	Timeline uint32         `json:"timeline"`
	How      TransactionEnd `json:"how"`
	// First is where its first record starts, Stop where to stop to go to
	// just before it did anything that cannot be taken back; Inclusive says
	// whether the record at Stop is still replayed.
	First     LSN  `json:"first,omitempty"`
	Stop      LSN  `json:"stop,omitempty"`
	Inclusive bool `json:"inclusive,omitempty"`
	// GID is the global identifier of a prepared transaction.
	GID string `json:"gid,omitempty"`
	// AtLeast says that its beginning lies before what was read of the log:
	// it did what is listed, and maybe more.
	AtLeast bool `json:"at_least,omitempty"`
	// Tables are what it did to each table, the most rows first.
	Tables []TableChange `json:"tables,omitempty"`
	// Databases and Tablespaces that it dropped or created.
	Databases   []ObjectChange `json:"databases,omitempty"`
	Tablespaces []ObjectChange `json:"tablespaces,omitempty"`
	// RestorePoint is the name of pg_create_restore_point, which is a record
	// of its own and no transaction.
	RestorePoint string `json:"restore_point,omitempty"`
	// Bytes is about how much log it wrote.
	Bytes int64 `json:"bytes,string"`
}

// TransactionEnd is how a transaction ended.
type TransactionEnd string

// The ends of transactions.
const (
	Committed         TransactionEnd = "committed"
	Aborted           TransactionEnd = "aborted"
	Prepared          TransactionEnd = "prepared"
	CommittedPrepared TransactionEnd = "committed prepared"
	AbortedPrepared   TransactionEnd = "aborted prepared"
	NamedPoint        TransactionEnd = "restore point"
)

// TableChange is what a transaction did to one table, its TOAST folded in.
type TableChange struct {
	// Database and Filenode are the numbers of the log; Relation is the name
	// where it is known. Where the transaction gave the table another file,
	// Filenode is the one from before it.
	Database uint32 `json:"database"`
	Filenode uint32 `json:"filenode"`
	Relation
	Inserted int64 `json:"inserted,string,omitempty"`
	Updated  int64 `json:"updated,string,omitempty"`
	Deleted  int64 `json:"deleted,string,omitempty"`
	// Left are those of the updated rows that went to another partition, and count as
	// updated here alone. Arrived are rows that an update brought from one: a
	// partition that got nothing else is listed for them.
	Left    int64 `json:"left,string,omitempty"`
	Arrived int64 `json:"arrived,string,omitempty"`
	Created bool  `json:"created,omitempty"`
	Dropped bool  `json:"dropped,omitempty"`
	// Truncated lost all rows; Rewritten kept them (VACUUM FULL, CLUSTER,
	// ALTER TABLE).
	Truncated bool `json:"truncated,omitempty"`
	Rewritten bool `json:"rewritten,omitempty"`
}

// Grew is by how many rows the table grew, of what was neither made nor emptied.
func (c TableChange) Grew() int64 { return c.Inserted - c.Deleted + c.Arrived - c.Left }

// ObjectChange is a database or tablespace that came or went.
type ObjectChange struct {
	OID     uint32 `json:"oid"`
	Name    string `json:"name,omitempty"`
	Created bool   `json:"created,omitempty"`
	Dropped bool   `json:"dropped,omitempty"`
}

// Harm is why a transaction stands out.
type Harm struct {
	// Says is it in a few words: "delete orders 48 211 (100 %)".
	Says string `json:"says"`
	// Kind is "drop", "truncate", "delete", "update" or "drop database".
	Kind string `json:"kind"`
	// Share is the part of the table's rows, 0 to 1; negative where the
	// table's size is not known.
	Share float64 `json:"share"`
}

// What counts as mass: so many rows of a table, or so large a part of it. A
// handful that was changed, or deleted and put back in the same transaction, as
// a table of settings is on each deploy, is none, be the table as small as it may.
const (
	MassRows  = 1000
	MassShare = 0.2
	handful   = 10
)
