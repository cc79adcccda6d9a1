package walg_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/recovery/pitr/pitrtest"
	"comeback/recovery/pitr/walg/walgtest"
)

// What a runner that is to die is told: the program, and the part of a backup that the
// storage holds back.
const (
	doomedProgramEnv = "COMEBACK_WALG_TEST_PROGRAM"
	doomedPartEnv    = "COMEBACK_WALG_TEST_PART"
)

// doomed is the engine of a runner that dies, as if by kill -9, when WAL-G has come to the
// part that is held back.
func doomed() recovery.Engine {
	go func() {
		f, err := os.OpenFile(os.Getenv(doomedPartEnv), os.O_WRONLY, 0) // returns when WAL-G reads it
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		defer f.Close()
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}()
	return engineOf(os.Getenv(doomedProgramEnv), walgtest.Key)
}

// heldBack is a part of a backup of which the storage gives nothing, so that WAL-G waits for
// it in the middle of a restore, with all that comes before written.
type heldBack struct {
	path, aside string
	// config is the storage's configuration, with which nothing else restores.
	config string
	// reading gives the end that nobody writes to, when WAL-G has come to it.
	reading chan *os.File
}

// holdBack holds back the delta backup's part in a storage: WAL-G has restored the full
// backup then, with a control file of its own.
func (s *source) holdBack(t *testing.T, dir string) *heldBack {
	t.Helper()
	all, err := filepath.Glob(s.Path(dir + "/basebackups_005/base_*_D_*/tar_partitions/part_*.lz4"))
	if err != nil || len(all) == 0 {
		t.Fatalf("the parts of the delta backup: %q, %v", all, err)
	}
	h := &heldBack{path: all[0], aside: s.Path("aside-" + dir), config: s.Path(dir + ".json"), reading: make(chan *os.File, 1)}
	err = errors.Join(os.Rename(h.path, h.aside), syscall.Mkfifo(h.path, 0o644))
	if err == nil && s.Owner.UID >= 0 {
		err = os.Lchown(h.path, s.Owner.UID, s.Owner.GID)
	}
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		f, err := os.OpenFile(h.path, os.O_WRONLY, 0)
		if err != nil {
			t.Error(err)
		}
		h.reading <- f
	}()
	return h
}

// give ends the holding back, when nobody waits for it any more.
func (h *heldBack) give(f *os.File) error {
	const aMinute = 60_000
	gone := []unix.PollFd{{Fd: int32(f.Fd())}} // POLLERR is always told
	if n, err := unix.Poll(gone, aMinute); n != 1 || gone[0].Revents&unix.POLLERR == 0 {
		return fmt.Errorf("WAL-G lives on and reads: %v", err)
	}
	return errors.Join(f.Close(), os.Remove(h.path), os.Rename(h.aside, h.path))
}

// A restore that is cut off in the middle of backup-fetch, because its runner dies or WAL-G
// does, has left a data directory of which a part is older than the rest. WAL-G does not
// live on to write into it, what is half there goes, and the next attempt ends in the same
// data as one that was not cut off.
func TestSurvive(t *testing.T) {
	s := theShop(t)
	prepared := func(t *testing.T) (*heldBack, enginetest.Crash) {
		dir, c := s.damaged(t)
		store := s.Store(t, dir)
		p := pitrtest.Resolved(t, s.engine(""), pitrtest.Surveyed(t, s.engine(""), c, store), store, fmt.Sprintf("before-xid:%d", s.Incident))
		var got outcome
		o := s.options(c, p, store, &got)
		look := o.Probe
		return s.holdBack(t, dir), enginetest.Crash{Options: o, Copies: map[string]string{"nearby": s.Path(dir)},
			Digest: func(ctx context.Context, env recovery.Env) (string, error) {
				err := look(ctx, env)
				return got.data, err
			}}
	}
	t.Run("the runner is killed", func(t *testing.T) {
		held, crash := prepared(t)
		t.Setenv(doomedProgramEnv, s.Program)
		t.Setenv(doomedPartEnv, held.path)
		crash.Cuts = []enginetest.Cut{{Bytes: math.MaxInt64}} // by itself it would not die
		var left fs.FileInfo
		crash.Between = func(_ int, scratch string) (err error) {
			left, err = os.Stat(filepath.Join(scratch, "data/PG_VERSION"))
			if err != nil {
				return fmt.Errorf("WAL-G was not in the middle: %w", err)
			}
			return held.give(<-held.reading)
		}
		end := crash.Whole(t, s.Before)
		if step := end.Step("copy"); step.Attempts != 2 || left == nil {
			t.Errorf("the copy was done %d times, %+v was there", step.Attempts, left)
		}
	})
	t.Run("WAL-G is killed", func(t *testing.T) {
		held, crash := prepared(t)
		killed := make(chan error, 1)
		go func() {
			f := <-held.reading
			killed <- errors.Join(killFetch(held.config), held.give(f))
		}()
		crash.Answer = func(st recovery.StepState) recovery.Choice {
			if err := <-killed; err != nil || st.ID != "copy" || st.Attempts > 1 {
				t.Errorf("the step %s failed: %s, %v", st.ID, st.Error, err)
				return recovery.ChooseStop
			}
			close(killed)
			return recovery.ChooseRetry
		}
		end := crash.Whole(t, s.Before)
		if step := end.Step("copy"); step.Attempts != 2 {
			t.Errorf("the copy was done %d times", step.Attempts)
		}
	})
}

// killFetch kills the WAL-G that restores with a configuration.
func killFetch(config string) error {
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return err
	}
	for _, path := range all {
		line, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(line, []byte("\x00backup-fetch\x00")) || !bytes.Contains(line, []byte("\x00--config="+config+"\x00")) {
			continue // it has ended, or is another's
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		return errors.Join(err, syscall.Kill(pid, syscall.SIGKILL))
	}
	return fmt.Errorf("no WAL-G restores with %s", config)
}
