package push

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"

	"comeback/recovery/pitr"
	"comeback/storage"
)

// send stores a file in one copy, unless it is there.
func (p *pusher) send(ctx context.Context, c Copy, e *entry) error {
	store, err := p.stores[c.Name]()
	if err != nil {
		return err
	}
	there, err := p.there(ctx, store, e)
	if there || err != nil {
		return err
	}
	if !e.temp || p.spool.cutOff[e.Name] {
		// A push that was killed may have left parts of it. Not every key may look for
		// them: a lifecycle rule of the bucket has to, then. A push of the same file at
		// this moment, which the server asks for once more, would fail and be asked for again.
		if err := storage.Sweep(ctx, store, p.prefix+e.object()); err != nil && ctx.Err() != nil {
			return err
		}
	}
	f, err := e.open()
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = store.Put(ctx, p.prefix+e.object(), f, storage.PutOptions{IfAbsent: true, Size: e.size})
	if errors.Is(err, storage.ErrExist) {
		// Somebody was faster, or an answer was lost.
		there, err = p.there(ctx, store, e)
		if err == nil && !there {
			err = fmt.Errorf("%s%s: %w", p.prefix, e.object(), storage.ErrExist)
		}
	}
	return err
}

// there reports whether a copy has the file already, under its name or compressed
// in any way that is read, and durable; with other content that is ErrOther.
func (p *pusher) there(ctx context.Context, store storage.Store, e *entry) (bool, error) {
	for o, err := range pitr.Named(ctx, store, p.prefix+e.Name) {
		if err != nil {
			return false, err
		}
		f, ok := pitr.ParseFileName(path.Base(o.Key))
		if !ok || f.Name() != e.Name || path.Dir(o.Key)+"/" != p.prefix && p.prefix != "" {
			continue
		}
		digest, err := contentDigest(ctx, store, o, f.Packing)
		if err != nil {
			return false, fmt.Errorf("compare %s: %w", o.Key, err)
		}
		if digest != e.SHA256 {
			return false, fmt.Errorf("%s in %s %w", o.Key, store.URL(), ErrOther)
		}
		if settler, ok := storage.As[storage.Settler](store); ok {
			if err := settler.Settle(ctx, o); err != nil {
				return false, fmt.Errorf("make %s durable: %w", o.Key, err)
			}
		}
		return true, nil
	}
	return false, nil
}

// contentDigest is the digest of an object's content, decompressed.
func contentDigest(ctx context.Context, store storage.Store, o storage.Object, packing pitr.Packing) (string, error) {
	return digestOf(storage.NewReader(ctx, store, o, storage.ReadOptions{Attempts: 3}), packing)
}

func digestOf(r io.ReadCloser, packing pitr.Packing) (string, error) {
	in, err := pitr.Unpacked(r, packing)
	if err != nil {
		return "", err
	}
	defer in.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, in); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
