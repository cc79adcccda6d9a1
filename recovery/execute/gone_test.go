package execute_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"comeback/recovery"
	"comeback/recovery/room"
)

// A step that finds what it builds on lost makes it again without asking, a few
// times; then it is a failure like any other.
func TestRun_foundGone(t *testing.T) {
	for name, test := range map[string]struct {
		lost int32 // how often it is found lost
		want recovery.Result
		made int32
	}{
		"once":   {1, recovery.ResultPassed, 2},
		"always": {100, recovery.ResultFailed, 3},
	} {
		t.Run(name, func(t *testing.T) {
			var made, found atomic.Int32
			gone := fmt.Errorf("the cluster is damaged: %w", recovery.ErrGone)
			first := living{kind{"make", func(context.Context, recovery.Env, recovery.Step) (recovery.Outcome, error) {
				made.Add(1)
				return recovery.Outcome{Says: "made"}, nil
			}}, func(context.Context, string, bool) error { return gone }}
			second := kind{"use", func(context.Context, recovery.Env, recovery.Step) (recovery.Outcome, error) {
				if found.Add(1) <= test.lost {
					return recovery.Outcome{}, gone
				}
				return recovery.Outcome{Says: "used"}, nil
			}}
			s := newRig(t, []recovery.Kind{first, second}, unattended, step("a", "make"), step("b", "use", "a")).run(t)
			if s.Result != test.want || made.Load() != test.made {
				t.Errorf("ended as %s, %s; made %d times", s.Result, s.Says, made.Load())
			}
		})
	}
}

// What an earlier attempt has left in the target is room that the next one has.
func TestGuard_roomOfAnotherAttempt(t *testing.T) {
	free, _, err := room.Free(os.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var tried atomic.Int32
	fill := kind{"fill", func(ctx context.Context, e recovery.Env, s recovery.Step) (recovery.Outcome, error) {
		h, err := e.Target(ctx, s.Writes[0])
		if err != nil {
			return recovery.Outcome{}, err
		}
		if tried.Add(1) > 1 {
			return recovery.Outcome{Says: "went on"}, nil
		}
		f, err := os.Create(filepath.Join(h.Dir, "half"))
		if err != nil {
			return recovery.Outcome{}, err
		}
		defer f.Close()
		if err := unix.Fallocate(int(f.Fd()), 0, 0, free/4); err != nil {
			return recovery.Outcome{}, err
		}
		return recovery.Outcome{}, errors.New("the network failed")
	}}
	s := step("a", "fill")
	s.Writes = []recovery.TargetID{"scratch/db"}
	// It fits once, and would not fit twice but for what lies there already.
	s.Guards = []recovery.Guard{{Kind: recovery.GuardRoom, Target: "scratch/db", Bytes: free - free/8}}
	r := newRig(t, []recovery.Kind{fill}, nil, s)
	go func() {
		<-r.waiting
		_ = r.Do(recovery.Command{Kind: recovery.DoDecide, Step: "a", Choice: recovery.ChooseRetry, By: "ops1"})
		<-r.waiting // refused again: nobody answers twice
		_ = r.Do(recovery.Command{Kind: recovery.DoStop, Text: "refused twice", By: "ops1"})
	}()
	if s := r.run(t); s.Result != recovery.ResultPassed {
		t.Errorf("ended as %s: %s", s.Result, s.Says)
	}
}
