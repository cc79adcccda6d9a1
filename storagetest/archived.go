package storagetest

import (
	"context"
	"io"
	"iter"

	"comeback/storage"
)

// Archive gives a store in which some objects lie in an archive, as a rule of S3 moves them:
// lists tell it, and they cannot be opened.
func Archive(s storage.Store, lies func(key string) bool) storage.Store { return archive{s, lies} }

type archive struct {
	storage.Store
	lies func(key string) bool
}

func (a archive) Unwrap() storage.Store { return a.Store }

func (a archive) List(ctx context.Context, prefix string) iter.Seq2[storage.Object, error] {
	return func(yield func(storage.Object, error) bool) {
		for o, err := range a.Store.List(ctx, prefix) {
			if err == nil && a.lies(o.Key) {
				o.Archived = "GLACIER"
			}
			if !yield(o, err) {
				return
			}
		}
	}
}

func (a archive) Open(ctx context.Context, o storage.Object, offset int64) (io.ReadCloser, error) {
	if a.lies(o.Key) {
		return nil, &storage.Error{Op: "open", Object: a.URL() + "/" + o.Key, Kind: storage.ErrArchived, Says: "The operation is not valid for the object's storage class (InvalidObjectState)"}
	}
	return a.Store.Open(ctx, o, offset)
}
