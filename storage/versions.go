package storage

import (
	"context"
	"iter"
	"time"
)

// Versioner is a store that keeps what was overwritten and deleted.
type Versioner interface {
	// Versioning says whether it does so now, and for how long the versions of the
	// objects whose key starts with prefix are kept.
	Versioning(ctx context.Context, prefix string) (Versioning, error)
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
	// Expires is how long after a version was replaced it may be removed, of any of the
	// objects; zero is never, as far as the store tells.
	Expires time.Duration
	// Hidden says that whoever asks may not know whether versions are removed.
	Hidden bool
}

// Version is one version of an object, or the mark that it was deleted.
type Version struct {
	Object
	// Deleted says that the object was deleted at Modified; it has no bytes.
	Deleted bool
	// Latest says that it is what the store gives, or does not give, to who asks for
	// the key alone. Of versions of the same second nothing else tells.
	Latest bool
	// Tied says that a version and a mark of deletion have its time and that the store does
	// not tell which of them came first: where neither is Latest, nothing else does.
	Tied bool
	// Unversioned says that it is from a time in which the store kept no
	// versions: whatever was before it is not known.
	Unversioned bool
}

// Reverted is the copy of a version that is current now.
type Reverted struct {
	Object
	// Lacks is what the version had beside its bytes and the copy does not have, in words
	// that are the same for all objects; "" where it has everything.
	Lacks string
}

// Reverter is a Versioner that goes back: what it does adds versions, and removes
// none. The bytes do not travel through here.
type Reverter interface {
	// Revert makes a version the current one of its key again, by a copy of it,
	// with all that the store keeps beside the bytes, and says what the copy lacks of
	// that. It returns when the copy is durable.
	Revert(ctx context.Context, v Object) (Reverted, error)
	// Hide marks a key as deleted. Its versions stay, and what is hidden already
	// may be hidden again. It must give ErrConfig, and leave the object, where
	// the store keeps no versions now.
	Hide(ctx context.Context, key string) error
	// Alike reports whether two versions are proven to hold the same bytes: by
	// their revisions, or by checksums that the store keeps of both.
	Alike(ctx context.Context, a, b Object) (bool, error)
	// SaidAlike reports whether what is said of two versions beside their bytes, such
	// as their content type and metadata, is the same.
	SaidAlike(ctx context.Context, a, b Object) (bool, error)
}
