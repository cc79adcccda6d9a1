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
	if err := fetchable(o.Component, name); err != nil {
		return false, err
	}
	o.Wait, o.Patience = cmp.Or(o.Wait, defaultWait), cmp.Or(o.Patience, silence)
	if o.Now == nil {
		o.Now = time.Now
	}
	ctx, cancel := context.WithCancel(ctx)
	a := newAsking(o, name, to)
	defer a.leave(cancel)
	look := time.NewTicker(min(o.Wait, o.Patience))
	defer look.Stop()
	for a.ask(ctx); len(a.silent) > 0; {
		select {
		case r := <-a.replies:
			if a.take(r) {
				return true, nil
			}
			a.ask(ctx)
		case <-look.C:
			if a.look(ctx) {
				return false, errors.Join(a.failed...)
			}
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	return false, a.none()
}

// fetchable refuses what is no name of a file of the log, and a log that others keep.
func fetchable(c recovery.Component, name string) error {
	if _, ok := walfile.Parse(name); !ok {
		return recovery.Errorf("it is for restore_command only: comeback wal fetch RUNBOOK %f %p", "%q is not a file of a server's log", name).WithExit(recovery.Usage)
	}
	if c.With != "" && c.With != pitr.Name {
		return recovery.Errorf("use the restore_command of that program", "the log of %s lies in a form that comeback wal fetch does not read, because the component says `with: %s`", c.Name, c.With)
	}
	return nil
}

// asking is a fetch on its way through the copies.
type asking struct {
	*fetch
	wait, patience time.Duration
	// left are the copies that were not asked yet, silent those that were and have not
	// answered.
	left    []Copy
	silent  map[string]bool
	replies chan reply
	failed  []error
	holds   bool // one of them holds log
}

// reply is what came of asking a copy.
type reply struct {
	copy string
	had
	err error
}

// newAsking has those copies last that did not answer a moment ago.
func newAsking(o Options, name, to string) *asking {
	a := &asking{wait: o.Wait, patience: o.Patience, left: slices.Clone(o.Copies), silent: map[string]bool{}, replies: make(chan reply, len(o.Copies)),
		fetch: &fetch{component: o.Component, system: systemOf(to), name: name, to: to, marks: hints(o.Spool), now: o.Now, heard: map[string]time.Time{}}}
	last := func(c Copy) int {
		if a.marks != nil && a.marks.isDown(c.Name, a.now()) {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(a.left, func(b, c Copy) int { return cmp.Compare(last(b), last(c)) })
	return a
}

// ask asks the next copy, if there is one.
func (a *asking) ask(ctx context.Context) {
	if len(a.left) == 0 {
		return
	}
	c := a.left[0]
	a.left = a.left[1:]
	a.silent[c.Name] = true
	a.hears(c.Name)
	go func() {
		r := reply{copy: c.Name}
		defer func() {
			if p := recover(); p != nil { // the end of the process would be the end of the log for PostgreSQL
				r.had, r.err = nothing, fmt.Errorf("internal error: %v", p)
			}
			a.replies <- r
		}()
		r.had, r.err = a.from(ctx, c)
	}()
}

// take notes what a copy has answered, and reports whether the file is there.
func (a *asking) take(r reply) (found bool) {
	delete(a.silent, r.copy)
	a.holds = a.holds || r.had != nothing
	if r.had == theFile {
		if a.marks != nil {
			a.marks.setUp(r.copy)
		}
		return true
	}
	if r.err != nil {
		a.quiet(r.copy)
		a.failed = append(a.failed, fmt.Errorf("%s: %w", r.copy, r.err))
	}
	return false
}

// look asks the next copy where nothing comes of those before, and reports whether there
// is nothing left to wait for. As long as bytes come from one of them, no other is asked
// for them.
func (a *asking) look(ctx context.Context) (over bool) {
	if len(a.left) > 0 && a.silentFor(a.silent, a.wait) {
		for c := range a.silent {
			a.quiet(c)
		}
		a.ask(ctx)
	}
	if len(a.left) > 0 || !a.silentFor(a.silent, a.patience) {
		return false
	}
	for _, c := range slices.Sorted(maps.Keys(a.silent)) {
		a.failed = append(a.failed, fmt.Errorf("%s: it has not answered for %v", c, a.patience))
	}
	return true
}

// quiet has a copy asked last for a minute.
func (a *asking) quiet(copy string) {
	if a.marks != nil {
		a.marks.setDown(copy, a.now())
	}
}

// none says why no copy that has answered has the file; nil is that all are proven not to
// have it, and one of them has log.
func (a *asking) none() error {
	if len(a.failed) == 0 && !a.holds {
		a.forget()
		return recovery.Errorf("let the component's setting `wal` be where the log lies", "no copy holds any log of %s", a.component.Name)
	}
	return errors.Join(a.failed...)
}

// leave ends those that are still at it, which remove what they have; who hangs is left.
func (a *asking) leave(cancel func()) {
	a.end()
	cancel()
	for late := time.NewTimer(time.Second); len(a.silent) > 0; {
		select {
		case r := <-a.replies:
			delete(a.silent, r.copy)
		case <-late.C:
			return
		}
	}
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

// hearing is a copy of which each object that is listed, and each answer about one, is heard.
type hearing struct {
	storage.Store
	heard func()
}

func (h hearing) Unwrap() storage.Store { return h.Store }

func (h hearing) Stat(ctx context.Context, key string) (storage.Object, error) {
	defer h.heard()
	return h.Store.Stat(ctx, key)
}

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
