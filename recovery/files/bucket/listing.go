package bucket

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"os"
	"path/filepath"
	"time"

	"github.com/klauspost/compress/zstd"

	"comeback/recovery"
	"comeback/storage"
)

// A bucket of a million objects takes minutes to list. Its versions are listed to
// resolve a moment; what was current then is kept on this host until the restore, which
// need not list them again. It saves that time and nothing else: where it cannot be kept,
// or is of another moment by now, the bucket is listed, and has to have at the moment what it
// had when that was chosen; where it names a version that has been removed since, too, to tell
// how many those are.

// listing is what was current at a moment, being written: a file that replaces that of
// the moment before when it is whole. A nil one keeps nothing.
type listing struct {
	file *os.File
	out  *zstd.Encoder
	to   *json.Encoder
	sum  hash.Hash // of what is in it, unpacked
	err  error
	// path is where it is put when it is whole, and stays then.
	path  string
	stays bool
}

// listingOf is where a component's listing is kept, "" where nothing is.
func (o Options) listingOf(component string, store storage.Store, prefix string) string {
	if o.Listings == nil {
		return ""
	}
	dir, err := o.Listings()
	if err != nil {
		return ""
	}
	of := sha256.Sum256(fmt.Appendf(nil, "%q %q %q", component, store.URL(), prefix))
	return filepath.Join(dir, hex.EncodeToString(of[:12])+".zst")
}

// forgotten is the age at which a listing that no restore has asked for is removed.
const forgotten = 7 * 24 * time.Hour

func newListing(path string, now time.Time) *listing {
	if path == "" {
		return nil
	}
	sweepListings(filepath.Dir(path), now.Add(-forgotten))
	f, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return nil
	}
	l := &listing{file: f, sum: sha256.New(), path: path}
	l.out, l.err = zstd.NewWriter(f, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if l.err == nil {
		l.to = json.NewEncoder(io.MultiWriter(l.out, l.sum))
	}
	return l
}

// sweepListings removes what is older than a time: also what a writer that was killed has
// left.
func sweepListings(dir string, than time.Time) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && info.ModTime().Before(than) {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// add notes the next object, in the order of the keys.
func (l *listing) add(o storage.Object) {
	if l != nil && l.err == nil {
		l.err = l.to.Encode(o)
	}
}

// keep puts the listing in its place and gives its digest, by which the restore knows it;
// "" where it could not be kept.
func (l *listing) keep() string {
	if l == nil {
		return ""
	}
	if l.err == nil {
		l.err = l.out.Close()
	}
	err := errors.Join(l.err, l.file.Close())
	if err == nil {
		err = os.Rename(l.file.Name(), l.path)
	}
	if err != nil {
		return ""
	}
	l.stays = true
	return hex.EncodeToString(l.sum.Sum(nil))
}

// drop removes a listing that does not stay.
func (l *listing) drop() {
	if l != nil && !l.stays {
		_ = l.file.Close()
		_ = os.Remove(l.file.Name())
	}
}

// kept opens a listing that has a digest; nil where there is none.
func kept(path, digest string) *os.File {
	if path == "" || digest == "" {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	sum := sha256.New()
	in, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1))
	if err == nil {
		_, err = io.Copy(sum, in)
		in.Close()
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil || hex.EncodeToString(sum.Sum(nil)) != digest {
		_ = f.Close()
		return nil
	}
	return f
}

// listedIn yields what a listing names.
func listedIn(f *os.File) iter.Seq2[storage.Object, error] {
	return func(yield func(storage.Object, error) bool) {
		in, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1))
		if err != nil {
			yield(storage.Object{}, err)
			return
		}
		defer in.Close()
		d := json.NewDecoder(bufio.NewReaderSize(in, 64<<10))
		for {
			var o storage.Object
			err := d.Decode(&o)
			if err == io.EOF {
				return
			}
			if !yield(o, err) || err != nil {
				return
			}
		}
	}
}

// left yields what a listing names, in the order of the keys, of which the bucket still has
// the version.
func left(all iter.Seq2[storage.Object, error], now iter.Seq2[history, error]) iter.Seq2[storage.Object, error] {
	return func(yield func(storage.Object, error) bool) {
		next, stop := iter.Pull2(now)
		defer stop()
		h, err, here := next()
		for o, errListed := range all {
			for here && err == nil && h[0].Key < o.Key {
				h, err, here = next()
			}
			if err = cmp.Or(errListed, err); err != nil {
				yield(storage.Object{}, err)
				return
			}
			if here && h[0].Key == o.Key && h.version(o.Version) != nil && !yield(o, nil) {
				return
			}
		}
	}
}

// then yields what was current at the moment, in the order of the keys, by the versions
// that the bucket has now.
func (a args) then(ctx context.Context, versions storage.Versioner) iter.Seq2[storage.Object, error] {
	return func(yield func(storage.Object, error) bool) {
		for h, err := range byKey(versions.Versions(ctx, a.Facts.Prefix)) {
			if err != nil {
				yield(storage.Object{}, err)
				return
			}
			if v := h.at(a.Facts.Moment); v != nil && !yield(*v, nil) {
				return
			}
		}
	}
}

// currents adds up which versions are current, in the order of their keys.
type currents struct{ sum hash.Hash }

func newCurrents() *currents { return &currents{sha256.New()} }

func (c *currents) add(o storage.Object) { fmt.Fprintf(c.sum, "%q %q\n", o.Key, o.Version) }

func (c *currents) digest() string { return hex.EncodeToString(c.sum.Sum(nil)) }

// of adds what passes by.
func (c *currents) of(all iter.Seq2[storage.Object, error]) iter.Seq2[storage.Object, error] {
	return func(yield func(storage.Object, error) bool) {
		for o, err := range all {
			if err == nil {
				c.add(o)
			}
			if !yield(o, err) {
				return
			}
		}
	}
}

// are fails where those that were added are not those of a digest: for where the version of
// the moment was removed, the one before it looks like it. An earlier plan has no digest.
func (c *currents) are(digest, url string) error {
	if digest == "" || digest == c.digest() {
		return nil
	}
	return recovery.Errorf("choose the moment again, which shows what is left, or another copy; and look at who removes versions",
		"what %s had at the moment is not what it was when it was chosen: versions of that time have been removed since, or stored", url).WithExit(recovery.Refused)
}
