package execute

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"comeback/recovery"
	"comeback/storage"
)

// env is one attempt's way to the world.
type env struct {
	x         *Executor
	step      recovery.Step
	meter     *meter
	mu        sync.Mutex
	artifacts []recovery.Artifact
}

func (e *env) Store(ctx context.Context, copy string) (storage.Store, error) {
	return e.x.store(ctx, copy)
}

func (e *env) Meter() recovery.Meter { return e.meter }

func (e *env) Now() time.Time { return e.x.Now() }

func (e *env) Secret(text string) (string, error) { return e.x.Secrets.Expand(text) }

func (e *env) Binding(component string) (recovery.Binding, bool) {
	s := e.x.State()
	b, ok := s.Binding(component)
	if ok && e.x.Plan.Mode == recovery.Rehearsal && !b.Scratch {
		return recovery.Binding{}, false
	}
	return b, ok
}

// Before are the steps that this one comes after.
func (e *env) Before() []recovery.StepState {
	s := e.x.State()
	var before []recovery.StepState
	for _, id := range e.step.After {
		if st := s.Step(id); st != nil {
			before = append(before, *st)
		}
	}
	return before
}

func (e *env) Claim(_ context.Context, r recovery.Resource) error {
	e.x.mu.Lock()
	defer e.x.mu.Unlock()
	if slices.ContainsFunc(e.x.state.Held(), func(c recovery.ClaimState) bool {
		return c.Kind == r.Kind && c.ID == r.ID && maps.Equal(c.Details, r.Details)
	}) {
		return nil
	}
	if (r.Kind.Exchanges() || r.Kind.Opens()) && e.x.state.OpenedWith(e.step) {
		return nil // the system is the new one, and nothing of it is given back
	}
	return e.x.recordLocked(recovery.ClaimMade{Step: e.step.ID, Resource: r})
}

// Target makes a scratch target's directory on first use. The run's own scratch
// directory is claimed before it is made; a path that exists and was never
// claimed belongs to somebody else and is refused.
func (e *env) Target(ctx context.Context, id recovery.TargetID) (recovery.Handle, error) {
	t, err := e.x.target(id)
	if err != nil {
		return recovery.Handle{}, err
	}
	if !slices.Contains(e.step.Writes, id) {
		return recovery.Handle{}, recovery.Errorf("report this as a bug", "step %s may not write to %s: its plan does not say so", e.step.ID, id).WithExit(recovery.Refused)
	}
	if !t.Scratch {
		return e.live(ctx, t)
	}
	root := filepath.Dir(t.Place)
	// The look comes before the claims are read: another step of the run may
	// claim and make it between the two.
	_, missing := os.Lstat(root)
	s := e.x.State()
	claimed := slices.ContainsFunc(s.Held(), func(c recovery.ClaimState) bool { return c.Kind == recovery.Directory && c.ID == root })
	if missing == nil && !claimed {
		return recovery.Handle{}, recovery.Errorf("move it away, or choose another place with --scratch",
			"%s exists and is not of this run", root).WithExit(recovery.Refused)
	}
	if err := e.Claim(ctx, recovery.Resource{Kind: recovery.Directory, ID: root}); err != nil {
		return recovery.Handle{}, err
	}
	// Neither is of the user that servers run as, who goes through them to what steps give
	// him: programs of a restored database put nothing else in the place of what lies there.
	if err := e.makeDir(root, 0o711, -1); err != nil {
		return recovery.Handle{}, err
	}
	if err := e.makeDir(t.Place, 0o710, e.x.Owner.GID); err != nil {
		return recovery.Handle{}, err
	}
	room, err := e.x.roomIn(t)
	if err != nil {
		return recovery.Handle{}, err
	}
	return recovery.Handle{Dir: t.Place, Scratch: true, Owner: e.x.Owner, Target: t, Room: room}, nil
}

// makeDir creates a directory of the run's own, 0700. Where servers run as another user that
// user goes through it, by the mode and the group, and changes nothing of what lies in it. It
// inherits nothing from the one that it lies in, and what is restored there nothing from it.
func (e *env) makeDir(dir string, mode fs.FileMode, group int) error {
	err := os.Mkdir(dir, 0o700)
	made := err == nil
	if made || errors.Is(err, fs.ErrExist) { // the making may have been cut off
		err = disinherit(dir)
	}
	if err == nil && !made {
		made, err = e.theirs(dir)
	}
	if err == nil && made && e.x.Owner.UID >= 0 {
		if err = os.Lchown(dir, os.Geteuid(), group); err == nil {
			err = os.Chmod(dir, mode) // whatever the umask
		}
	}
	if err != nil {
		return recovery.Errorf("choose another place with --scratch", "create the scratch directory: %w", err)
	}
	return nil
}

// theirs reports whether a directory belongs to the user that servers run as: earlier
// versions have given targets away.
func (e *env) theirs(dir string) (bool, error) {
	if e.x.Owner.UID < 0 {
		return false, nil
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return false, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == e.x.Owner.UID, nil
}

// disinherit takes from a directory of the run's own the access control lists that it has of
// its parent's default one: all that is made in it would have them, too.
func disinherit(dir string) error {
	for _, name := range []string{"system.posix_acl_default", "system.posix_acl_access"} {
		err := unix.Lremovexattr(dir, name)
		if err != nil && !errors.Is(err, unix.ENODATA) && !errors.Is(err, unix.ENOTSUP) {
			return fmt.Errorf("take %s from %s: %w", name, dir, err)
		}
	}
	return nil
}

// Artifact creates a file in the run's directory.
func (e *env) Artifact(name string) (io.WriteCloser, error) {
	if name == "" || filepath.Base(name) != name || strings.HasPrefix(name, ".") {
		return nil, fmt.Errorf("create artifact %q: not a plain file name", name)
	}
	a, err := createArtifact(e.x.Dir, name)
	if err != nil {
		return nil, err
	}
	a.done = func(r recovery.Artifact) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.artifacts = append(e.artifacts, r)
	}
	return a, nil
}

// artifact is a file under artifacts/ that knows its digest.
type artifact struct {
	name string
	file *os.File
	sum  hash.Hash
	size int64
	done func(recovery.Artifact)
}

func createArtifact(dir, name string) (*artifact, error) {
	if err := os.MkdirAll(filepath.Join(dir, recovery.ArtifactsDir), 0o700); err != nil {
		return nil, fmt.Errorf("create artifact: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, recovery.ArtifactsDir, name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create artifact: %w", err)
	}
	return &artifact{name: name, file: f, sum: sha256.New()}, nil
}

func (a *artifact) Write(b []byte) (int, error) {
	n, err := a.file.Write(b)
	a.sum.Write(b[:n])
	a.size += int64(n)
	return n, err
}

// Path is where the file lies.
func (a *artifact) Path() string { return a.file.Name() }

// Close makes the file durable and reports its digest.
func (a *artifact) Close() error {
	err := errors.Join(a.file.Sync(), a.file.Close())
	if err != nil {
		return fmt.Errorf("write artifact %s: %w", a.name, err)
	}
	if a.done != nil {
		a.done(a.record())
	}
	return nil
}

func (a *artifact) record() recovery.Artifact {
	return recovery.Artifact{Name: a.name, Size: a.size, SHA256: hex.EncodeToString(a.sum.Sum(nil))}
}
