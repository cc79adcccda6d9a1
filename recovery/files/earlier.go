package files

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"comeback/recovery/files/tree"
	"comeback/storage"
)

// earlier is the snapshot before: what has not changed since stays where it is.
type earlier struct {
	snapshot
	lost map[int]bool // packs that the copy does not hold any more
	next func() (tree.Record, error, bool)
	stop func()
	in   io.Closer
	at   tree.Record
	end  bool
}

// newestBefore opens the newest snapshot under a prefix; nil where there is none.
func newestBefore(ctx context.Context, store storage.Store, prefix string) (*earlier, error) {
	var newest storage.Object
	for o, err := range store.List(ctx, inPrefix(prefix, "snapshots/")) {
		if err != nil {
			return nil, err
		}
		if snapshotKey.MatchString(o.Key) {
			newest = o
		}
	}
	if newest.Key == "" {
		return nil, nil
	}
	s, err := readSnapshot(ctx, store, newest)
	if err != nil || s.sealed() {
		return nil, err
	}
	e := &earlier{snapshot: s}
	if e.lost, err = lostPacks(ctx, store, prefix, s); err != nil {
		return nil, err
	}
	o, err := store.Stat(ctx, inPrefix(prefix, s.Manifest.Name))
	if err != nil {
		return nil, fmt.Errorf("read the snapshot before: %w", err)
	}
	in := storage.NewReader(ctx, store, o, storage.ReadOptions{})
	z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1)) // reads nothing by itself, which close relies on
	if err != nil {
		in.Close()
		return nil, fmt.Errorf("read the snapshot before: %w", err)
	}
	e.in = in
	e.next, e.stop = iter.Pull2(manifestRecords(z))
	return e, nil
}

func (e *earlier) close() {
	e.stop()
	e.in.Close()
}

// lostPacks are the packs of a snapshot that are not there, or not as they were.
func lostPacks(ctx context.Context, store storage.Store, prefix string, s snapshot) (map[int]bool, error) {
	found, err := findParts(ctx, store, prefix, s)
	if err != nil {
		return nil, err
	}
	lost := map[int]bool{}
	for i, p := range s.Packs {
		if o, ok := found[p.Name]; !ok || o.Size != p.Size {
			lost[i] = true
		}
	}
	return lost, nil
}

// findParts lists the packs of a snapshot that a copy holds.
func findParts(ctx context.Context, store storage.Store, prefix string, s snapshot) (map[string]storage.Object, error) {
	wanted := map[string]bool{}
	for _, p := range s.Packs {
		wanted[p.Name] = true
	}
	found := map[string]storage.Object{}
	for o, err := range store.List(ctx, inPrefix(prefix, "packs/")) {
		if err != nil {
			return nil, err
		}
		if name := strings.TrimPrefix(o.Key, prefix); wanted[name] {
			found[name] = o
		}
	}
	return found, nil
}

// settled is how long before a snapshot a file must have been changed last to
// count as unchanged since: the clock of a file system is coarse.
const settled = time.Second

// same finds a file as the snapshot before has it, if nothing of it has changed.
// It is asked in the order of the walk.
func (e *earlier) same(r tree.Record) (old tree.Record, ok bool, err error) {
	if e == nil {
		return tree.Record{}, false, nil
	}
	for !e.end && (e.at.Path == "" || walkOrder(e.at.Path) < walkOrder(r.Path)) {
		next, err, more := e.next()
		if err != nil {
			return tree.Record{}, false, fmt.Errorf("read the snapshot before: %w", err)
		}
		e.at, e.end = next, !more
	}
	o := e.at
	ok = !e.end && o.Path == r.Path && o.Type == tree.File && o.Size == r.Size && o.Modified.Equal(r.Modified) && o.Changed.Equal(r.Changed) &&
		o.Changed.Before(e.Begun.Add(-settled)) && o.Pack < len(e.Packs) && !e.lost[o.Pack]
	return o, ok, nil
}

// asBefore is a file as the snapshot before has it, whatever it is now. It is asked of a file
// that same was asked for last.
func (e *earlier) asBefore(path string) (tree.Record, bool) {
	if e == nil || e.end {
		return tree.Record{}, false
	}
	o := e.at
	return o, o.Path == path && o.Type == tree.File && o.Pack < len(e.Packs) && !e.lost[o.Pack]
}

// walkOrder is a text that sorts as a walk goes: what is in a directory follows
// it at once.
func walkOrder(p string) string {
	if p == "." {
		return ""
	}
	return strings.ReplaceAll(p, "/", "\x00")
}

// readSnapshot reads a .snapshot.
func readSnapshot(ctx context.Context, store storage.Store, o storage.Object) (snapshot, error) {
	in := storage.NewReader(ctx, store, o, storage.ReadOptions{Attempts: 3})
	defer in.Close()
	s, err := parseSnapshot(in)
	if err != nil {
		return s, fmt.Errorf("read %s: %w", o.Key, err)
	}
	s.ID = snapshotKey.FindStringSubmatch(o.Key)[2]
	return s, nil
}

// manifestRecords streams the records of a manifest. One that does not end with
// the number of its records is damaged.
func manifestRecords(in io.Reader) iter.Seq2[tree.Record, error] {
	return func(yield func(tree.Record, error) bool) {
		b := bufio.NewReaderSize(in, 64<<10)
		for n := int64(0); ; n++ {
			text, err := readText(b)
			if err == nil && strings.HasPrefix(text, "end ") {
				if text != fmt.Sprintf("end %d", n) {
					yield(tree.Record{}, fmt.Errorf("%w: the manifest holds %d records, and its end says %.40q", storage.ErrCorrupt, n, text))
				}
				return
			}
			var r tree.Record
			if err = unexpected(err); err == nil {
				r, err = readRecord(text, b)
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}
