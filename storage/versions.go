package storage

import (
	"context"
	"iter"
	"time"
)

// Versioner is a store that keeps what was overwritten and deleted.
type Versioner interface {
	// Versioning says whether it does so now, and for how long.
	Versioning(ctx context.Context) (Versioning, error)
	// Versions yields every version of the objects whose key starts with
	// prefix: in the byte order of their keys, of each key the newest first. A
	// version comes once. A failure is yielded once, last. Opening a version
	// gives its bytes, whatever has replaced it.
	Versions(ctx context.Context, prefix string) iter.Seq2[Version, error]
}

// Versioning is how a store keeps versions.
type Versioning struct {
	// On says that every overwrite and deletion from now on leaves a version.
	On bool
	// Expires is how long after a version was replaced it is removed; zero is
	// never, as far as the store tells.
	Expires time.Duration
}

// Version is one version of an object, or the mark that it was deleted.
type Version struct {
	Object
	// Deleted says that the object was deleted at Modified; it has no bytes.
	Deleted bool
	// Unversioned says that it is from a time in which the store kept no
	// versions: whatever was before it is not known.
	Unversioned bool
}
