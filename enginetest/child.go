package enginetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"comeback/recovery"
	"comeback/storage"
	"comeback/storage/s3"
)

// Cut is where a runner dies, as if by kill -9. One of its fields is set.
type Cut struct {
	// Before and After are the number of an event in the journal: the runner
	// dies before it is written, when its act is done or not begun, or when
	// it is durable.
	Before, After uint64 `json:",omitempty"`
	// Bytes is how much comes from the copies before the runner dies.
	Bytes int64 `json:",omitempty"`
}

func (c Cut) String() string {
	switch {
	case c.Before > 0:
		return fmt.Sprintf("before event %d", c.Before)
	case c.After > 0:
		return fmt.Sprintf("after event %d", c.After)
	}
	return fmt.Sprintf("after %d bytes", c.Bytes)
}

// crashEnv names the file with what a process is to run and where it is to die.
const crashEnv = "COMEBACK_ENGINETEST_CRASH"

// crash is what a process that dies is told.
type crash struct {
	Place     place
	Component recovery.Component
	Point     recovery.Point
	Owner     recovery.User
	Environ   map[string]string
	// Copies are directories, or s3:// addresses, by the names of the copies.
	Copies map[string]string
	Cut    Cut
	First  recovery.RunResumed
}

// Main makes a test binary able to be a runner that dies. A TestMain calls it
// first, with the engine as its tests make it; in such a process it does not
// return.
func Main(engine func() recovery.Engine, releasers ...recovery.Releaser) {
	path := os.Getenv(crashEnv)
	if path == "" {
		return
	}
	fmt.Fprintln(os.Stderr, runUntilCut(path, engine(), releasers))
	os.Exit(1)
}

func runUntilCut(path string, engine recovery.Engine, releasers []recovery.Releaser) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var c crash
	if err := json.Unmarshal(b, &c); err != nil {
		return err
	}
	o := Options{Engine: engine, Component: c.Component, Point: c.Point, Releasers: releasers, Owner: c.Owner,
		Environ: c.Environ, Stores: map[string]storage.Store{},
		Probe: func(context.Context, recovery.Env) error { return errOutlived }}
	for name, dir := range c.Copies {
		if o.Stores[name], err = openCopy(dir); err != nil {
			return err
		}
	}
	r, err := openRig(o, c.Place)
	if err != nil {
		return err
	}
	var read atomic.Int64
	_, err = r.run(context.Background(), c.First, hooks{
		before: func(seq uint64) {
			if seq == c.Cut.Before {
				die()
			}
		},
		after: func(seq uint64) {
			if seq >= c.Cut.After && c.Cut.After > 0 {
				die()
			}
		},
		store: func(s storage.Store) storage.Store { return counted{s, &read, c.Cut.Bytes, die} },
	})
	return errors.Join(err, errOutlived)
}

// openCopy opens a directory, or a bucket of the server that the environment
// names.
func openCopy(place string) (storage.Store, error) {
	if strings.HasPrefix(place, "s3://") {
		return s3.Open(context.Background(), s3.Options{URL: place, PathStyle: true})
	}
	return storage.OpenDir(place)
}

// die is kill -9 by the process itself.
func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// counted is a store whose bytes are counted, and that does something when it
// has given so many; zero is never.
type counted struct {
	storage.Store
	read  *atomic.Int64
	after int64
	do    func()
}

func (c counted) Unwrap() storage.Store { return c.Store }

func (c counted) Open(ctx context.Context, o storage.Object, offset int64) (io.ReadCloser, error) {
	body, err := c.Store.Open(ctx, o, offset)
	if err != nil {
		return nil, err
	}
	return countedBody{body, c}, nil
}

func (c counted) OpenRange(ctx context.Context, o storage.Object, offset, to int64) (io.ReadCloser, error) {
	r, ok := storage.As[storage.Ranger](c.Store)
	if !ok {
		return nil, &storage.Error{Op: "open", Object: c.URL() + "/" + o.Key, Kind: storage.ErrConfig, Says: "it gives no ranges"}
	}
	body, err := r.OpenRange(ctx, o, offset, to)
	if err != nil {
		return nil, err
	}
	return countedBody{body, c}, nil
}

type countedBody struct {
	io.ReadCloser
	counted
}

func (b countedBody) Read(p []byte) (int, error) {
	if b.after > 0 {
		p = p[:min(len(p), 4096)] // so that it comes about at the right byte
	}
	n, err := b.ReadCloser.Read(p)
	if all := b.read.Add(int64(n)); b.after > 0 && all >= b.after && all-int64(n) < b.after {
		b.do()
	}
	return n, err
}

// errOutlived: the run had ended before the cut.
var errOutlived = errors.New("the run has ended before its runner died")

// dies runs the rig in a process of its own until that is cut off. The error is
// errOutlived where the run ended before.
func (r *rig) dies(ctx context.Context, cut Cut, copies map[string]string, first recovery.RunResumed) error {
	b, err := json.Marshal(crash{Place: r.place, Component: r.Component, Point: r.Point, Owner: r.Owner,
		Environ: r.Environ, Copies: copies, Cut: cut, First: first})
	if err != nil {
		return err
	}
	path := filepath.Join(r.Dir, "crash.json")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	var says strings.Builder
	runtime.LockOSThread() // which the child's death signal belongs to
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, exe)
	cmd.SysProcAttr, cmd.WaitDelay = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}, 10*time.Second
	cmd.Env = append(os.Environ(), crashEnv+"="+path)
	cmd.Stdout, cmd.Stderr = &says, &says
	err = cmd.Run()
	if cmd.ProcessState == nil {
		return fmt.Errorf("start the process that is to die: %w", err)
	}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGKILL && ctx.Err() == nil {
		return nil
	}
	return fmt.Errorf("the process that was to die: %w: %s", err, says.String())
}
