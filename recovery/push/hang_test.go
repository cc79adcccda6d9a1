package push_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/push"
	"comeback/storage"
)

// hangs lets opening a copy never come to an end, as that of a directory on a mount
// whose server is gone: not even when nobody waits for it any more.
func hangs(t *testing.T, o *push.Options, copy int) {
	t.Helper()
	ended := make(chan struct{})
	t.Cleanup(func() { close(ended) })
	o.Copies = slices.Clone(o.Copies)
	o.Copies[copy].Open = func(context.Context) (storage.Store, error) {
		<-ended
		return nil, errors.New("the mount's server is gone")
	}
}

// soon is what f comes to; that it never ends fails the test.
func soon[T any](t *testing.T, what string, f func() (T, error)) (T, error) {
	t.Helper()
	type result struct {
		v   T
		err error
	}
	ended := make(chan result, 1)
	go func() {
		v, err := f()
		ended <- result{v, err}
	}()
	select {
	case r := <-ended:
		return r.v, r.err
	case <-time.After(2 * time.Minute): // only how long a failure takes
		t.Fatalf("%s does not end", what)
		panic("unreachable")
	}
}

// away takes a copy of a host away, and gives what brings it back.
func (h host) away(t *testing.T, copy string) (back func()) {
	t.Helper()
	rename := func(from, to string) {
		t.Helper()
		if err := os.Rename(filepath.Join(h.dir, from), filepath.Join(h.dir, to)); err != nil {
			t.Fatal(err)
		}
	}
	rename(copy, copy+" is away")
	return func() { t.Helper(); rename(copy+" is away", copy) }
}

// A copy that hangs when it is opened holds up nothing as long as the quorum does without
// it, wherever it stands and whatever waits for it; it is left alone then.
func TestPush_hangs(t *testing.T) {
	for copy, name := range []string{"nearby", "offsite"} {
		for _, waits := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", for which something waits"}[waits], func(t *testing.T) {
				h := newHost(t, 3)
				o := dirOptions(h.dir)
				o.Ahead = -1
				if waits {
					back := h.away(t, name)
					if _, err := push.Push(t.Context(), o, h.wal(h.names[0])); err != nil {
						t.Fatal(err)
					}
					back()
					o.Now = func() time.Time { return time.Now().Add(time.Hour) } // it is asked again
				}
				o.Wait = time.Nanosecond
				hangs(t, &o, copy)
				for _, segment := range h.names[1:] {
					pushed, err := soon(t, "the push", func() (push.Pushed, error) { return push.Push(t.Context(), o, h.wal(segment)) })
					if err != nil || !slices.Equal(pushed.Spooled, []string{name}) {
						t.Fatalf("%+v, %v", pushed, err)
					}
					if _, err := os.Stat(filepath.Join(o.Spool, "down", name)); err != nil {
						t.Errorf("it is not left alone: %v", err)
					}
				}
			})
		}
	}
}

// told is a copy that tells when it has been given something.
type told struct {
	storage.Store
	tell func()
}

func (s told) Put(ctx context.Context, key string, body io.Reader, o storage.PutOptions) (storage.Object, error) {
	object, err := s.Store.Put(ctx, key, body, o)
	s.tell()
	return object, err
}

// Where the quorum needs the copy that hangs, the push fails after a while, and says so;
// whoever catches up does, too, and brings what others lack all the same.
func TestPush_hangsNeeded(t *testing.T) {
	h := newHost(t, 2)
	o := dirOptions(h.dir)
	o.Ahead = -1
	if err := os.Mkdir(filepath.Join(h.dir, "third"), 0o700); err != nil {
		t.Fatal(err)
	}
	o.Copies = append(o.Copies, push.Copy{Name: "third", Open: func(context.Context) (storage.Store, error) { return storage.OpenDir(filepath.Join(h.dir, "third")) }})
	needed := o
	needed.Quorum, needed.Patience, needed.Wait = 3, time.Millisecond, time.Nanosecond
	hangs(t, &needed, 1)
	if _, err := soon(t, "the push", func() (push.Pushed, error) { return push.Push(t.Context(), needed, h.wal(h.names[0])) }); err == nil ||
		!strings.Contains(err.Error(), "the quorum is 3") || !strings.Contains(err.Error(), "offsite: it has not answered") {
		t.Errorf("the quorum needs it: %v", err)
	}
	offsite, third := h.away(t, "offsite"), h.away(t, "third")
	if _, err := push.Push(t.Context(), o, h.wal(h.names[1])); err != nil {
		t.Fatal(err)
	}
	offsite()
	third()
	catching := o
	catching.Wait = time.Nanosecond
	hangs(t, &catching, 1)
	// Nobody waits any longer when the other one has it.
	ctx, giveUp := context.WithCancelCause(t.Context())
	catching.Copies[2].Open = func(context.Context) (storage.Store, error) {
		s, err := storage.OpenDir(filepath.Join(h.dir, "third"))
		return told{s, func() { giveUp(errors.New("that is enough")) }}, err
	}
	if _, err := soon(t, "catching up", func() (int, error) { return push.CatchUp(ctx, catching) }); err == nil || !strings.Contains(err.Error(), "that is enough") {
		t.Errorf("a hanging copy: %v", err)
	}
	h.has(t, "third", h.names[1])
	// What it is still at is not begun again beside it.
	catching.Patience = time.Millisecond
	if _, err := soon(t, "catching up", func() (int, error) { return push.CatchUp(t.Context(), catching) }); err == nil || !strings.Contains(err.Error(), "something else is bringing it what it lacks") || recovery.HintOf(err) == "" {
		t.Errorf("a second time: %v", err)
	}
}

// slow is a copy that takes what it is given when it is let go on.
type slow struct {
	storage.Store
	at, on chan struct{}
}

func (s slow) Put(ctx context.Context, key string, body io.Reader, o storage.PutOptions) (storage.Object, error) {
	select {
	case s.at <- struct{}{}:
	case <-ctx.Done():
		return storage.Object{}, ctx.Err()
	}
	select {
	case <-s.on:
	case <-ctx.Done():
		return storage.Object{}, ctx.Err()
	}
	return s.Store.Put(ctx, key, body, o)
}

// While a slow copy is brought what it lacks, pushes go on: those that need it not.
func TestCatchUp_besidesPushes(t *testing.T) {
	h := newHost(t, 3)
	o := dirOptions(h.dir)
	o.Ahead = -1
	back := h.away(t, "offsite")
	if _, err := push.Push(t.Context(), o, h.wal(h.names[0])); err != nil {
		t.Fatal(err)
	}
	back()
	catching := o
	catching.Copies = slices.Clone(o.Copies)
	at, on := make(chan struct{}), make(chan struct{})
	catching.Copies[1].Open = func(context.Context) (storage.Store, error) {
		s, err := storage.OpenDir(filepath.Join(h.dir, "offsite"))
		return slow{s, at, on}, err
	}
	type result struct {
		n   int
		err error
	}
	ended := make(chan result, 1)
	go func() {
		n, err := push.CatchUp(t.Context(), catching)
		ended <- result{n, err}
	}()
	<-at
	for _, name := range h.names[1:] {
		// It is marked as down, so that it lacks this, too.
		if pushed, err := soon(t, "a push", func() (push.Pushed, error) { return push.Push(t.Context(), o, h.wal(name)) }); err != nil || !slices.Equal(pushed.Copies, []string{"nearby"}) {
			t.Errorf("beside catching up: %+v, %v", pushed, err)
		}
	}
	close(on)
	if r := <-ended; r.n != 1 || r.err != nil {
		t.Errorf("brought %+v", r)
	}
	h.has(t, "offsite", h.names[0])
	if n, err := push.CatchUp(t.Context(), o); n != 2 || err != nil {
		t.Errorf("brought %d of what came meanwhile, %v", n, err)
	}
}

// A copy that did not answer a moment ago is asked all the same where the others alone
// are not enough.
func TestPush_spare(t *testing.T) {
	h := newHost(t, 2)
	o := dirOptions(h.dir)
	o.Ahead = -1
	back := h.away(t, "offsite")
	if _, err := push.Push(t.Context(), o, h.wal(h.names[0])); err != nil {
		t.Fatal(err)
	}
	back()
	h.away(t, "nearby")
	if pushed, err := push.Push(t.Context(), o, h.wal(h.names[1])); err != nil || !slices.Equal(pushed.Copies, []string{"offsite"}) || !slices.Equal(pushed.Spooled, []string{"nearby"}) {
		t.Errorf("%+v, %v", pushed, err)
	}
	h.has(t, "offsite", h.names[1])
}

// Several bring the same at the same time, and pushes go on: everything comes everywhere,
// and what a runbook does not name is not forgotten when its segment is pushed once more.
func TestCatchUp_several(t *testing.T) {
	h := newHost(t, 12)
	o := dirOptions(h.dir)
	o.Ahead = -1
	for _, name := range []string{"third", "fourth"} {
		if err := os.Mkdir(filepath.Join(h.dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		o.Copies = append(o.Copies, push.Copy{Name: name, Open: func(context.Context) (storage.Store, error) { return storage.OpenDir(filepath.Join(h.dir, name)) }})
	}
	var back []func()
	for _, c := range o.Copies[1:] {
		back = append(back, h.away(t, c.Name))
	}
	for _, name := range h.names[:6] {
		if _, err := push.Push(t.Context(), o, h.wal(name)); err != nil {
			t.Fatal(err)
		}
	}
	named := o
	named.Copies = o.Copies[:3]
	if _, err := push.Push(t.Context(), named, h.wal(h.names[0])); err != nil {
		t.Fatal(err)
	}
	for _, b := range back {
		b()
	}
	var wait sync.WaitGroup
	for range 3 {
		wait.Go(func() {
			if _, err := push.CatchUp(t.Context(), o); err != nil {
				t.Error(err)
			}
		})
	}
	for _, name := range slices.Concat(h.names[6:], h.names[:3]) {
		if _, err := push.Push(t.Context(), o, h.wal(name)); err != nil {
			t.Error(err)
		}
	}
	wait.Wait()
	if _, err := push.CatchUp(t.Context(), o); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(filepath.Join(o.Spool, "out")); err != nil || len(left) > 0 {
		t.Errorf("left in the spool: %v, %v", left, err)
	}
	for _, c := range o.Copies {
		for _, name := range h.names {
			h.has(t, c.Name, name)
		}
	}
}

// A fault of ours in one copy ends neither the program nor the fetch.
func TestFetch_panics(t *testing.T) {
	h := newHost(t, 1)
	o := dirOptions(h.dir)
	o.Copies = slices.Clone(o.Copies)
	for i := range o.Copies {
		o.Copies[i].Open = func(context.Context) (storage.Store, error) { panic("oh") }
	}
	if found, err := push.Fetch(t.Context(), o, h.names[0], filepath.Join(t.TempDir(), "to")); found || err == nil || !strings.Contains(err.Error(), "internal error: oh") {
		t.Errorf("%v, %v", found, err)
	}
}

// A copy that never answers, the first one, costs a fetch a moment, and the next fetch
// nothing: what another copy has comes from there. What only it may have is neither found
// nor proven absent.
func TestFetch_hangs(t *testing.T) {
	h := newHost(t, 2)
	o := dirOptions(h.dir)
	o.Ahead = -1
	if _, err := push.Push(t.Context(), o, h.wal(h.names[0])); err != nil {
		t.Fatal(err)
	}
	hangs(t, &o, 0)
	var asked atomic.Int64
	hanging := o.Copies[0].Open
	o.Copies[0].Open = func(ctx context.Context) (storage.Store, error) {
		asked.Add(1)
		return hanging(ctx)
	}
	o.Wait = time.Millisecond
	to := filepath.Join(t.TempDir(), "RECOVERYXLOG")
	fetch := func(name string) (bool, error) {
		return soon(t, "fetching "+name, func() (bool, error) { return push.Fetch(t.Context(), o, name, to) })
	}
	for range 2 {
		if found, err := fetch(h.names[0]); !found || err != nil {
			t.Fatalf("%v, %v", found, err)
		}
		o.Wait = time.Hour // it is asked last now
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("it was asked %d times", n)
	}
	want, err := os.ReadFile(h.wal(h.names[0]))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(to); err != nil || !bytes.Equal(got, want) {
		t.Errorf("it is not what was pushed: %v", err)
	}
	o.Wait, o.Patience = time.Millisecond, time.Millisecond
	if found, err := fetch(h.names[1]); found || err == nil || !strings.Contains(err.Error(), o.Copies[0].Name+": it has not answered for 1ms") {
		t.Errorf("%v, %v", found, err)
	}
}
