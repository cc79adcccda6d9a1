// Package storage reads and writes the objects of a copy: a directory, a
// bucket. It promises that bytes are streamed, and no more of them held than
// ReadOptions.Ahead says; that an object is read at one revision or not at all; and that a refusal, an absence and a
// broken connection are three different errors. It never knows what an object
// means: that is the engines' business.
//
// Abilities that only some stores have (versions, locks, identity, conditional
// writes) are small interfaces of their own, found with [As] through any number
// of wrappers.
package storage

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"
)

// Object is one stored object as a listing or a stat saw it. Together, Key and
// Revision name exact bytes: reading an Object whose Revision has passed gives
// [ErrChanged], never other bytes.
type Object struct {
	// Key is relative to the store's root and uses forward slashes.
	Key string `json:"key"`
	// Size is in bytes.
	Size int64 `json:"size,string"`
	// Modified is the store's own clock. It says when an object was stored
	// (for S3 multipart uploads: when the upload began), never what moment
	// its content is of.
	Modified time.Time `json:"modified"`
	// Revision is opaque; it changes whenever the bytes do (an ETag and
	// version id, or inode, size and time). It is not a content hash. A
	// listing, a stat and the Put that stored the bytes give the same one.
	Revision string `json:"revision"`
	// Version is the store's own id of the revision where it keeps versions:
	// with it, a revision that was replaced since can still be read. Listings
	// may leave it empty; Stat fills it where the store has one.
	Version string `json:"version,omitempty"`
	// Checksum is the store's own checksum of the whole object as
	// "algorithm:value" (for example "crc64nvme:…" in base64), or "".
	// Listings may leave it empty; Stat fills it where the store has one.
	Checksum string `json:"checksum,omitempty"`
	// Archived is the store's own name of the archive, such as GLACIER, in which the object
	// lies: opening it is ErrArchived until it is restored there, which takes hours; "" where it
	// is in none. Listings tell it also of an object that was restored there for a while.
	Archived string `json:"archived,omitempty"`
}

// Store is a copy's way to its objects. Implementations must be safe for
// concurrent use, must honour the context in every call, and must pass the
// suite in package storagetest.
type Store interface {
	// URL names the place for people, without credentials.
	URL() string
	// List yields the objects whose key starts with prefix, in byte order of
	// their keys. A failure is yielded once, last.
	List(ctx context.Context, prefix string) iter.Seq2[Object, error]
	// Stat describes one object; the error is ErrNotExist where it is
	// proven to be absent.
	Stat(ctx context.Context, key string) (Object, error)
	// Open streams the bytes of exactly this revision from offset on, which
	// is between 0 and the object's size. It does not retry a stream that
	// breaks: NewReader does. It must give ErrChanged when the object's
	// revision is no longer the one asked for and cannot be had by its
	// Version, and ErrNotExist when the object is gone.
	Open(ctx context.Context, object Object, offset int64) (io.ReadCloser, error)
	// Put stores all of r under key and returns only when the bytes are
	// durable. A failed Put leaves no object under key that was not there.
	Put(ctx context.Context, key string, r io.Reader, options PutOptions) (Object, error)
}

// PutOptions says how an object is stored.
type PutOptions struct {
	// IfAbsent makes Put fail with ErrExist instead of replacing an object.
	IfAbsent bool
	// Size is the number of bytes that r must give, or -1 where unknown:
	// more or fewer fail with ErrCorrupt.
	Size int64
	// AtMost is how many bytes r gives at most, as far as anybody can tell where Size is
	// not known; 0 where nobody can. A store that has to know beforehand goes by it; more
	// are no failure by themselves.
	AtMost int64
}

// The errors that callers tell apart. Stores wrap them with the object's name
// and the service's own words.
var (
	// ErrNotExist: the object is proven to be absent in a place that is
	// there. A missing bucket or directory is ErrConfig to Stat, Open and
	// Put, so that nobody takes it for a missing object; where no key is
	// asked for (OpenDir, List) it is both.
	ErrNotExist = errors.New("does not exist")
	// ErrExist: IfAbsent was asked for and the key is taken.
	ErrExist = errors.New("exists already")
	// ErrDenied: the caller is known and may not, or is not known at all.
	ErrDenied = errors.New("access denied")
	// ErrExpired: the credentials were good once and are no longer.
	ErrExpired = errors.New("credentials expired")
	// ErrArchived: the object is there, in an archive of the service, and has to be
	// restored there before it can be read.
	ErrArchived = errors.New("lies in an archive and has to be restored there first")
	// ErrChanged: the object is no longer the revision that was asked for.
	ErrChanged = errors.New("changed while it was read")
	// ErrCorrupt: the bytes do not match the object's size or checksum.
	ErrCorrupt = errors.New("is damaged")
	// ErrConfig: the address is wrong (bucket, region, account, endpoint),
	// and trying again cannot help.
	ErrConfig = errors.New("wrong address")
	// ErrUnavailable: the service did not answer or broke off; trying again
	// may help. Absence is not proven.
	ErrUnavailable = errors.New("unavailable")
)

// A Wrapper is a Store around another one.
type Wrapper interface{ Unwrap() Store }

// As finds an ability of s or of a store that it wraps.
func As[T any](s Store) (T, bool) {
	for s != nil {
		if t, ok := s.(T); ok {
			return t, true
		}
		w, ok := s.(Wrapper)
		if !ok {
			break
		}
		s = w.Unwrap()
	}
	var zero T
	return zero, false
}

// A Settler is a store in which an object that is found may not be durable yet: who
// stored it was killed before it could see to that.
type Settler interface {
	// Settle returns when o is durable. It must give ErrNotExist where it is gone.
	Settle(ctx context.Context, o Object) error
}

// A Sweeper is a store in which a Put that was killed may leave what no list shows:
// parts of an upload, files without their names.
type Sweeper interface {
	// Sweep removes what such Puts have left of keys that begin with prefix. No Put
	// of such a key may be under way.
	Sweep(ctx context.Context, prefix string) error
}

// Sweep lets a store remove what killed Puts have left of keys that begin with prefix;
// a store that leaves nothing has nothing to do.
func Sweep(ctx context.Context, s Store, prefix string) error {
	sweeper, ok := As[Sweeper](s)
	if !ok {
		return nil
	}
	return sweeper.Sweep(ctx, prefix)
}

// Identifier is a store that can say who asks and whose the place is.
type Identifier interface {
	// Identity describes the caller in the service's words, for example an
	// ARN, and the account it belongs to.
	Identity(ctx context.Context) (who, account string, err error)
}

// CredentialHolder is a store that asks with credentials which may end.
type CredentialHolder interface {
	// Expires is when they do; zero where they hold until they are revoked.
	Expires(ctx context.Context) (time.Time, error)
}
