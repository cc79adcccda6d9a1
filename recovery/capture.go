package recovery

import (
	"context"
	"time"

	"comeback/storage"
)

// Capturer is an engine that takes backups, too.
type Capturer interface {
	Engine
	// Takes names the sorts of backups that it takes: "dump", "base".
	Takes() []string
	// Capture takes one backup of a component into source.Store, which is
	// several copies at once. Nothing may be listed as a backup before all of
	// it is stored: what makes it one is stored last.
	Capture(ctx context.Context, source Capture) (Manifest, error)
	// Fingerprint is that of the source as it is now, compared with the one
	// that Capture has recorded; empty where the source has none.
	Fingerprint(ctx context.Context, source Capture) (string, error)
}

// Pruner is a Capturer whose backups have objects in common, or need others beside
// their own.
type Pruner interface {
	// Shared looks at a copy in which only the kept backups of a component are to
	// stay. It lists the keys that they need, whoever has stored them, and objects
	// that were there for others alone. Where it cannot tell it must say so, and
	// then nothing is removed.
	Shared(ctx context.Context, c Component, kept []Backup, store storage.Store) (needed []string, spare []storage.Object, err error)
}

// Borrower is a Capturer whose backups need objects that earlier ones have stored, and that
// no survey lists as theirs.
type Borrower interface {
	// Needs lists the keys of all objects that a backup needs, whoever has stored them.
	// Where it cannot tell it must say so.
	Needs(ctx context.Context, b Backup, store storage.Store) ([]string, error)
}

// Itemizer is a Capturer of whose backups a survey shows all that was stored for them, so
// that it shows what is gone.
type Itemizer interface {
	// Gone lists what was stored for a backup, by its manifest, and is not there any more:
	// parts of it, without which not all of it comes back, and the roles of its server,
	// which lay beside it. It is pure.
	Gone(b Backup, m Manifest) (parts, roles []StoredObject)
}

// Capture is what an engine takes a backup of, and with.
type Capture struct {
	System    string
	Component Component
	// Stamp is when the backup was asked for, as a part of its key that sorts by
	// time: "20261122T010000Z".
	Stamp string
	Store storage.Store
	// Begin records what the backup is about to store, so that what an interruption
	// leaves can be cleared away, or, where all of it is stored, completed. It must be
	// called before the first object is stored, and is durable when it returns.
	Begin func(ctx context.Context, b Beginning) error
	// Secret resolves a reference; what it returns is never recorded.
	Secret func(text string) (string, error)
	// Command runs a program to its end, as Env.Command does.
	Command func(ctx context.Context, c Cmd) error
	Meter   Meter
	// Temp is a directory, of the backup alone, for what must lie somewhere
	// before it is stored.
	Temp string
	// Room refuses where so many more bytes do not fit into Temp, or would not leave what must
	// stay free for what lives on the same disk. It may be nil, where nobody looks.
	Room func(more int64) error
	// Last is the backup of the same sort before this one; nil where none is known.
	Last *Manifest
	Now  func() time.Time
}

// Beginning is what a backup says of itself before it stores anything.
type Beginning struct {
	// ID is the backup's own in its copy, as a survey will list it.
	ID string
	// Prefixes are what the keys of its objects begin with, and of no others that
	// anything needs.
	Prefixes []string
	// Last is the object that makes it whole.
	Last string
}
