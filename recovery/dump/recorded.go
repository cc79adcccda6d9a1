package dump

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"comeback/recovery"
	"comeback/storage"
)

// recordSuffix ends the names of manifests of dumps, after the time that the dump has in
// its own name; maxRecord bounds one.
const (
	recordSuffix = "-dump.json"
	maxRecord    = 64 << 20
)

// recorded is the manifest beside the dump that is restored. Nothing depends on it: that it
// cannot be read is a remark.
func (r *restore) recorded(ctx context.Context) (*recovery.Manifest, error) {
	store, err := r.env.Store(ctx, r.args.Copy)
	if err != nil {
		return nil, err
	}
	return recordOf(ctx, store, r.args.Backup, func(key string, err error) {
		if key == "" {
			r.remarks = append(r.remarks, fmt.Sprintf("what was recorded of %s could not be read, and its bytes were not held against it: %v", r.args.Backup, err))
			return
		}
		r.remarks = append(r.remarks, fmt.Sprintf("%s could not be read, and no bytes were held against it: %v", key, err))
	})
}

// recordOf is the manifest beside a dump that comeback has taken; nil where there is none.
// Unread, which may be nil, is told of one that cannot be read, or, without its key, that they
// cannot be listed; the error is ctx's.
func recordOf(ctx context.Context, store storage.Store, backup string, unread func(key string, err error)) (*recovery.Manifest, error) {
	if unread == nil {
		unread = func(string, error) {}
	}
	for o, err := range store.List(ctx, recovery.ManifestsIn) {
		if err != nil {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			unread("", err)
			return nil, nil
		}
		stamp, ok := strings.CutSuffix(path.Base(o.Key), recordSuffix)
		if !ok || o.Size > maxRecord || !strings.Contains(backup, stamp) {
			continue
		}
		in := storage.NewReader(ctx, store, o, storage.ReadOptions{Attempts: 3})
		b, err := io.ReadAll(in)
		in.Close()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		var m recovery.Manifest
		if err == nil {
			m, err = recovery.DecodeManifest(b)
		}
		if err != nil {
			unread(o.Key, err)
			continue
		}
		if m.ID == backup {
			return &m, nil
		}
	}
	return nil, nil
}

// recordedOf is what a manifest says of an object; nothing where it says nothing.
func recordedOf(m *recovery.Manifest, key string) string {
	if m != nil {
		for _, o := range m.Objects {
			if o.Key == key {
				return o.SHA256
			}
		}
	}
	return ""
}

// holdAgainst refuses bytes that are not those which were stored.
func holdAgainst(m *recovery.Manifest, key, sum string) error {
	if want := recordedOf(m, key); want != "" && want != sum {
		return recovery.Errorf("restore it from another copy, or another backup: see comeback moments",
			"%s: %w: its digest is %s, and %s was stored", key, storage.ErrCorrupt, sum, want)
	}
	return nil
}

// besides holds what was stored with the archive, and is not restored with it, against
// what was recorded: the roles.
func (r *restore) besides(ctx context.Context, m *recovery.Manifest) error {
	if m == nil {
		return nil
	}
	store, err := r.env.Store(ctx, r.args.Copy)
	if err != nil {
		return err
	}
	for _, recorded := range m.Objects {
		if path.Ext(recorded.Key) != ".sql" || recorded.SHA256 == "" {
			continue
		}
		sum := ""
		o, err := store.Stat(ctx, recorded.Key)
		if err == nil {
			var src *source
			if src, err = r.open(ctx, o, storage.ReadOptions{}); err == nil {
				_, err = io.Copy(io.Discard, src)
				err = errors.Join(err, src.in.Close())
				sum = hex.EncodeToString(src.sum.Sum(nil))
			}
		}
		if err == nil {
			err = holdAgainst(m, recorded.Key, sum)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			r.exceptions = append(r.exceptions, fmt.Sprintf("the roles that were stored with the dump cannot be had from it: %v", err))
		}
	}
	return nil
}
