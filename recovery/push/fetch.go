package push

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"comeback/recovery"
	"comeback/recovery/pitr"
	"comeback/storage"
)

// Fetch brings a file of the log from the first copy that has it to a path, as
// restore_command asks for it: whole or not at all. found is false only where
// every copy is proven not to have it; a copy that could not be asked is an error.
//
// A copy that does not answer within Options.Wait holds up nobody: the next one is asked
// beside it, and for a minute it is asked last.
func Fetch(ctx context.Context, o Options, name, to string) (found bool, err error) {
	file, ok := pitr.ParseFileName(name)
	if !ok || file.Name() != name {
		return false, recovery.Errorf("it is for restore_command only: comeback wal fetch RUNBOOK %%f %%p", "%q is not a file of a server's log", name).WithExit(recovery.Usage)
	}
	o.Wait, o.Patience = cmp.Or(o.Wait, defaultWait), cmp.Or(o.Patience, silence)
	if o.Now == nil {
		o.Now = time.Now
	}
	marks := &spool{down: filepath.Join(o.Spool, "down")} // hints, where there are such
	copies := slices.Clone(o.Copies)
	last := func(c Copy) int {
		if marks.isDown(c.Name, o.Now()) {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(copies, func(a, b Copy) int { return cmp.Compare(last(a), last(b)) })
	ctx, cancel := context.WithCancel(ctx)
	f := &fetch{prefix: pitr.WALPrefix(o.Component), name: name, to: to}
	type answer struct {
		copy  string
		found bool
		err   error
	}
	answers := make(chan answer, len(copies))
	silent := map[string]bool{} // those that were asked and have not answered
	next := 0
	ask := func() {
		if next == len(copies) {
			return
		}
		c := copies[next]
		next++
		silent[c.Name] = true
		go func() {
			found, err := f.from(ctx, c)
			answers <- answer{c.Name, found, err}
		}()
	}
	defer func() {
		// Those that are still at it end, and remove what they have; who hangs is left.
		f.end()
		cancel()
		for late := time.NewTimer(time.Second); len(silent) > 0; {
			select {
			case a := <-answers:
				delete(silent, a.copy)
			case <-late.C:
				return
			}
		}
	}()
	var failed []error
	beside, patience := time.NewTicker(o.Wait), time.NewTimer(o.Patience)
	defer beside.Stop()
	defer patience.Stop()
	for ask(); len(silent) > 0; {
		select {
		case a := <-answers:
			delete(silent, a.copy)
			if a.found {
				marks.setUp(a.copy)
				return true, nil
			}
			if a.err != nil {
				marks.setDown(a.copy, o.Now())
				failed = append(failed, fmt.Errorf("%s: %w", a.copy, a.err))
			}
			ask()
		case <-beside.C:
			for c := range silent {
				marks.setDown(c, o.Now())
			}
			ask()
		case <-patience.C:
			for _, c := range slices.Sorted(maps.Keys(silent)) {
				failed = append(failed, fmt.Errorf("%s: it has not answered for %v", c, o.Patience))
			}
			return false, errors.Join(failed...)
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	return false, errors.Join(failed...)
}

// fetch is a file on its way from any of several copies.
type fetch struct {
	prefix, name, to string

	mu    sync.Mutex
	ended bool // it is there, or not wanted any more
}

// end keeps whoever comes later from putting anything in the file's place.
func (f *fetch) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
}

// from fetches it from a copy.
func (f *fetch) from(ctx context.Context, c Copy) (found bool, err error) {
	store, err := c.Open(ctx)
	if err != nil {
		return false, err
	}
	for o, err := range store.List(ctx, f.prefix+f.name) {
		if err != nil {
			return false, err
		}
		file, ok := pitr.ParseFileName(path.Base(o.Key))
		if ok && file.Name() == f.name && path.Dir(o.Key)+"/" == f.prefix {
			err := f.object(ctx, store, o, file.Packing)
			return err == nil, err
		}
	}
	return false, nil
}

// fetching begins the names of files that are being fetched.
const fetching = ".comeback-fetch-"

// object writes an object's content beside its place, and gives it its name when it is
// whole, unless another copy was faster. What a killed fetch has left there goes.
func (f *fetch) object(ctx context.Context, store storage.Store, o storage.Object, packing pitr.Packing) error {
	in, err := pitr.Unpacked(storage.NewReader(ctx, store, o, storage.ReadOptions{}), packing)
	if err != nil {
		return err
	}
	defer in.Close()
	sweepFetched(filepath.Dir(f.to))
	out, err := os.CreateTemp(filepath.Dir(f.to), fetching)
	if err != nil {
		return fmt.Errorf("fetch %s: %w", o.Key, err)
	}
	// Without the lock another fetch may remove it, and the rename fails.
	_ = unix.Flock(int(out.Fd()), unix.LOCK_EX)
	_, err = io.Copy(out, in)
	err = errors.Join(err, out.Sync())
	if err == nil {
		err = f.settle(out.Name())
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return errors.Join(fmt.Errorf("fetch %s: %w", o.Key, err), os.Remove(out.Name()))
	}
	return nil
}

// settle puts a whole file in its place.
func (f *fetch) settle(temp string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return context.Canceled
	}
	if err := os.Rename(temp, f.to); err != nil {
		return err
	}
	f.ended = true
	return nil
}

// sweepFetched removes the files that nobody is fetching any more. What cannot be
// removed disturbs nothing.
func sweepFetched(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // making one tells why
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), fetching) {
			continue
		}
		f, err := os.Open(filepath.Join(dir, e.Name()))
		if err != nil {
			continue
		}
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			_ = os.Remove(f.Name())
		}
		f.Close()
	}
}
