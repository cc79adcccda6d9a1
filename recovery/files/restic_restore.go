package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"comeback/recovery"
	"comeback/recovery/files/tree"
	"comeback/recovery/ledger"
)

// resticKind restores a snapshot with restic, which holds what it has written against
// its own digests. An interruption leaves a part, which is removed and restored anew.
type resticKind struct{ resticEngine }

func (resticKind) Name() string              { return "restic.restore" }
func (resticKind) Restart() recovery.Restart { return recovery.Repeat }

func (k resticKind) open(ctx context.Context, env recovery.Env, step recovery.Step) (*scratch, resticArgs, error) {
	var a resticArgs
	if err := step.Decode(&a); err != nil {
		return nil, a, err
	}
	h, err := env.Target(ctx, a.Target)
	s := &scratch{Place: tree.Place{Component: a.Component, What: "the snapshot " + a.Facts.Snapshot, Dir: h.Dir, Scratch: h.Scratch}, room: h.Room}
	return s, a, err
}

// Needs is where the repository is, and what opens it.
func (resticKind) Needs(step recovery.Step) ([]string, error) {
	var a resticArgs
	if err := step.Decode(&a); err != nil {
		return nil, err
	}
	at := a.Facts.Repository
	return []string{at.URL, at.Endpoint, at.Region, at.Profile, a.Password}, nil
}

// Do restores the tree and binds the component to it.
func (k resticKind) Do(ctx context.Context, env recovery.Env, step recovery.Step) (recovery.Outcome, error) {
	s, a, err := k.open(ctx, env, step)
	if err != nil {
		return recovery.Outcome{}, err
	}
	if err := s.Begin(); err != nil {
		return recovery.Outcome{}, err
	}
	r, err := k.repository(a.Facts.Repository, a.Facts.Prefix, a.Password, env.Secret)
	if err != nil {
		return recovery.Outcome{}, err
	}
	for _, dir := range []string{s.Tree(), s.Path("cache")} {
		if err := os.RemoveAll(dir); err != nil {
			return recovery.Outcome{}, fmt.Errorf("remove what an earlier attempt left: %w", err)
		}
	}
	l, _, err := ledger.Open[tree.Ended](s.Ledger(), "begun", ledger.Boot())
	if err != nil {
		return recovery.Outcome{}, err
	}
	if err := l.Close(); err != nil {
		return recovery.Outcome{}, err
	}
	o, err := k.restore(ctx, env, s, a, r)
	if err != nil {
		return recovery.Outcome{}, s.Failed(ctx, err)
	}
	if l, _, err = ledger.Open[tree.Ended](s.Ledger(), a.Facts.Snapshot, ledger.Boot()); err != nil {
		return recovery.Outcome{}, err
	}
	return o, errors.Join(l.Sync(), l.Add(tree.Ended{Whole: true}), l.Sync(), l.Close(), os.RemoveAll(s.Path("cache")))
}

// Revive proves by the ledger that the tree is still there and whole.
func (k resticKind) Revive(ctx context.Context, env recovery.Env, step recovery.Step, _ recovery.Outcome, rebooted bool) error {
	s, a, err := k.open(ctx, env, step)
	if err != nil {
		return err
	}
	return s.Standing(env, a.Facts.Snapshot, rebooted)
}

func (k resticKind) restore(ctx context.Context, env recovery.Env, s *scratch, a resticArgs, r resticRepo) (recovery.Outcome, error) {
	ask := func(ctx context.Context, out io.Writer, args ...string) error {
		c := recovery.Cmd{Path: r.program, Args: append(append(r.options[:len(r.options):len(r.options)], "--cache-dir", s.Path("cache")), args...), Dir: s.Dir, Env: r.environ, Stdout: out}
		err := env.Command(ctx, c)
		if err != nil && isWrongPassword(err.Error()) {
			return wrongPassword(r.password)
		}
		return err
	}
	env.Meter().Phase("ask restic how much it is", 0, recovery.NoUnit)
	size, err := k.fits(ctx, s, a.Facts, ask)
	if err != nil {
		return recovery.Outcome{}, err
	}
	env.Meter().Phase("restore with restic", size.Bytes, recovery.InBytes)
	writing, full := context.WithCancelCause(ctx)
	defer full(nil)
	end := s.watch(size.Bytes, env.Meter(), full)
	args := []string{"restore", a.Facts.Snapshot, "--target", s.Tree(), "--verify"}
	if a.Facts.Path != "/" {
		args = append(args, "--include", resticPattern(a.Facts.Path))
	}
	err = ask(writing, nil, args...)
	end()
	if cause := context.Cause(writing); err != nil && cause != nil && ctx.Err() == nil {
		err = cause
	}
	if err != nil {
		return recovery.Outcome{}, fmt.Errorf("restore %.8s with restic: %w", a.Facts.Snapshot, err)
	}
	root := filepath.Join(s.Tree(), a.Facts.Path)
	if info, err := os.Lstat(root); err != nil || !info.IsDir() {
		return recovery.Outcome{}, recovery.Errorf("write the path as the snapshot has it", "the snapshot %.8s has no directory %s", a.Facts.Snapshot, tree.Show(a.Facts.Path))
	}
	files, bytes, err := inTree(root)
	if err != nil {
		return recovery.Outcome{}, err
	}
	env.Meter().Set(min(bytes, size.Bytes))
	o := recovery.Outcome{
		Says: fmt.Sprintf("the snapshot %.8s of restic is restored: %s, %s", a.Facts.Snapshot, recovery.FormatCount(files, "file"), recovery.FormatBytes(bytes)),
		Facts: map[string]string{"backup": a.Facts.Snapshot, "form": "snapshot of restic", "taken": a.Taken.Says(),
			"files": strconv.FormatInt(files, 10), "bytes": strconv.FormatInt(bytes, 10)},
		Bindings: []recovery.Binding{{Component: a.Component, URL: (&url.URL{Scheme: "file", Path: root}).String(), Scratch: s.Scratch, Of: a.Facts.Path}},
		Reached: &recovery.Reached{Component: a.Component, Time: a.Taken.To, Evidence: []string{
			"restic has held each restored file against the digests in its repository"}},
	}
	foreign, err := k.owners(ctx, a.Facts, ask)
	if err != nil {
		return recovery.Outcome{}, err
	}
	foreign.Tell(&o)
	return o, tree.TellGrants(root, &o)
}

// resticPattern is a path as one of restic's patterns that matches nothing else.
func resticPattern(p string) string {
	var out []byte
	for i := range len(p) {
		switch p[i] {
		case '*', '?', '[', '\\', '$':
			out = append(out, '\\')
		}
		out = append(out, p[i])
	}
	return string(out)
}

// watch shows how much of a tree is written, of so many bytes, as restic before 0.16 does not
// tell, and says so where too little room is left. It looks less often the longer a look takes.
func (s *scratch) watch(total int64, meter recovery.Meter, full func(error)) (end func()) {
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for next := time.Now(); ; {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			if err := s.crowded(); err != nil {
				full(err)
			}
			begun := time.Now()
			if begun.Before(next) {
				continue
			}
			if _, bytes, err := inTree(s.Tree()); err == nil {
				meter.Set(min(bytes, total))
			}
			next = begun.Add(20 * time.Since(begun))
		}
	}()
	return func() {
		close(stop)
		<-ended
	}
}

// crowded refuses to go on where too little room is left. That it could not be told for once,
// as of a network's disk, ends nothing that has run for hours: it is looked at again.
func (s *scratch) crowded() error {
	if err := s.hasRoom(0); recovery.ExitOf(err) == recovery.Refused {
		return err
	}
	return nil
}

// inTree counts the files of a tree, hard links once.
func inTree(tree string) (files, bytes int64, err error) {
	seen := map[[2]uint64]bool{}
	err = filepath.WalkDir(tree, func(_ string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return nil // it was renamed meanwhile
		}
		if st := info.Sys().(*syscall.Stat_t); st.Nlink > 1 {
			inode := [2]uint64{uint64(st.Dev), st.Ino}
			if seen[inode] {
				return nil
			}
			seen[inode] = true
		}
		files++
		bytes += info.Size()
		return nil
	})
	return files, bytes, err
}
