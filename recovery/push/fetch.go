package push

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"comeback/recovery"
	"comeback/recovery/pitr"
	"comeback/recovery/pitr/walfile"
	"comeback/storage"
)

// Fetch brings a file of the log from the first copy that has it to a path, as
// restore_command asks for it: whole or not at all. It looks where comeback pushes the log
// and, where it is not there, wherever a survey finds log. found is false only where
// every copy is proven not to have it, and one of them has log; a copy that could not be
// asked is an error.
//
// A copy of which nothing comes for Options.Wait holds up nobody: the next one is asked
// beside it, and for a minute it is asked last. Where nothing comes of any for
// Options.Patience it is an error.
func Fetch(ctx context.Context, o Options, name, to string) (found bool, err error) {
	if _, ok := walfile.Parse(name); !ok {
		return false, recovery.Errorf("it is for restore_command only: comeback wal fetch RUNBOOK %f %p", "%q is not a file of a server's log", name).WithExit(recovery.Usage)
	}
	o.Wait, o.Patience = cmp.Or(o.Wait, defaultWait), cmp.Or(o.Patience, silence)
	if o.Now == nil {
		o.Now = time.Now
	}
	if w := o.Component.With; w != "" && w != pitr.Name {
		return false, recovery.Errorf("use the restore_command of that program", "the log of %s lies in a form that comeback wal fetch does not read, because the component says `with: %s`", o.Component.Name, w)
	}
	copies, marks := slices.Clone(o.Copies), hints(o.Spool)
	last := func(c Copy) int {
		if marks != nil && marks.isDown(c.Name, o.Now()) {
			return 1
		}
		return 0
	}
	quiet := func(copy string) {
		if marks != nil {
			marks.setDown(copy, o.Now())
		}
	}
	slices.SortStableFunc(copies, func(a, b Copy) int { return cmp.Compare(last(a), last(b)) })
	ctx, cancel := context.WithCancel(ctx)
	f := &fetch{component: o.Component, system: systemOf(to), name: name, to: to, marks: marks, now: o.Now, heard: map[string]time.Time{}}
	type answer struct {
		copy string
		had
		err error
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
		f.hears(c.Name)
		go func() {
			a := answer{copy: c.Name}
			defer func() {
				if p := recover(); p != nil { // the end of the process would be the end of the log for PostgreSQL
					a.had, a.err = nothing, fmt.Errorf("internal error: %v", p)
				}
				answers <- a
			}()
			a.had, a.err = f.from(ctx, c)
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
	holds := false // one of them holds log
	look := time.NewTicker(min(o.Wait, o.Patience))
	defer look.Stop()
	for ask(); len(silent) > 0; {
		select {
		case a := <-answers:
			delete(silent, a.copy)
			holds = holds || a.had != nothing
			if a.had == theFile {
				if marks != nil {
					marks.setUp(a.copy)
				}
				return true, nil
			}
			if a.err != nil {
				quiet(a.copy)
				failed = append(failed, fmt.Errorf("%s: %w", a.copy, a.err))
			}
			ask()
		case <-look.C:
			// As long as bytes come from one of them, no other is asked for them.
			if f.silentFor(silent, o.Wait) && next < len(copies) {
				for c := range silent {
					quiet(c)
				}
				ask()
			}
			if next == len(copies) && f.silentFor(silent, o.Patience) {
				for _, c := range slices.Sorted(maps.Keys(silent)) {
					failed = append(failed, fmt.Errorf("%s: it has not answered for %v", c, o.Patience))
				}
				return false, errors.Join(failed...)
			}
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	if len(failed) == 0 && !holds {
		f.forget()
		return false, recovery.Errorf("let the component's setting `wal` be where the log lies", "no copy holds any log of %s", o.Component.Name)
	}
	return false, errors.Join(failed...)
}

// had is what a copy had of the log.
type had uint8

const (
	nothing had = iota
	otherFiles
	theFile
)

// fetch is a file on its way from any of several copies.
type fetch struct {
	component recovery.Component
	// system is the identifier of the cluster that asks, empty where it is not known.
	system, name, to string
	marks            *spool // nil where there is no place for them
	now              func() time.Time

	mu    sync.Mutex
	ended bool                 // it is there, or not wanted any more
	heard map[string]time.Time // when a copy was asked, or something came from it
	noted []string             // the notes of where the log of copies lies
}

// hints are the marks of copies that did not answer a moment ago, beside those of pushes;
// nil where there is no place for them.
func hints(dir string) *spool {
	if dir == "" {
		return nil
	}
	s := &spool{down: filepath.Join(dir, "fetch-down")}
	if os.MkdirAll(s.down, 0o700) != nil {
		return nil
	}
	return s
}

// hears notes that something came from a copy.
func (f *fetch) hears(copy string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.heard[copy] = time.Now()
}

// silentFor reports whether nothing has come from any of some copies for a while.
func (f *fetch) silentFor(copies map[string]bool, d time.Duration) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range copies {
		if time.Since(f.heard[c]) < d {
			return false
		}
	}
	return true
}

// end keeps whoever comes later from putting anything in the file's place.
func (f *fetch) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
}

// from fetches it from a copy: from where comeback pushes it to, else from any other place
// in which a survey finds log of this cluster.
func (f *fetch) from(ctx context.Context, c Copy) (had, error) {
	store, err := c.Open(ctx)
	if err != nil {
		return nothing, err
	}
	heard := func() { f.hears(c.Name) }
	store = hearing{store, heard}
	file, found, err := pitr.Pushed(f.component).FindFile(ctx, store, f.name)
	if err != nil {
		return nothing, err
	}
	places := 1
	if !found {
		if file, found, places, err = f.elsewhere(ctx, c.Name, store); err != nil {
			return nothing, err
		}
	}
	switch {
	case found:
		if err := f.object(ctx, store, file.Object(), file.Packing, func(int) { heard() }); err != nil {
			return otherFiles, err
		}
		return theFile, nil
	case places > 0:
		return otherFiles, nil
	}
	return nothing, nil
}

// hearing is a copy of which each object that is listed is heard.
type hearing struct {
	storage.Store
	heard func()
}

func (h hearing) Unwrap() storage.Store { return h.Store }

func (h hearing) List(ctx context.Context, prefix string) iter.Seq2[storage.Object, error] {
	return func(yield func(storage.Object, error) bool) {
		for o, err := range h.Store.List(ctx, prefix) {
			h.heard()
			if !yield(o, err) {
				return
			}
		}
	}
}

// fetching begins the names of files that are being fetched.
const fetching = ".comeback-fetch-"

// object writes an object's content beside its place, and gives it its name when it is
// whole, unless another copy was faster. What a killed fetch has left there goes.
func (f *fetch) object(ctx context.Context, store storage.Store, o storage.Object, packing pitr.Packing, came func(n int)) error {
	in, err := pitr.Unpacked(storage.NewReader(ctx, store, o, storage.ReadOptions{Progress: came}), packing)
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
