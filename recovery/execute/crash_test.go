package execute_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/execute"
	"comeback/recovery/journal/journaltest"
)

// Wherever the journal of a run ends, and however often that happened, the run
// comes to the same end, gives back everything and begins nothing twice that has
// ended well.
func TestResume_anywhere(t *testing.T) {
	claiming := kind{"claiming", func(ctx context.Context, e recovery.Env, s recovery.Step) (recovery.Outcome, error) {
		e.Meter().Log("at work")
		err := errors.Join(e.Claim(ctx, thing(s.ID)), e.Meter().Checkpoint(ctx, "half"))
		_, target := e.Target(ctx, "scratch/db")
		return recovery.Outcome{Says: "ok"}, errors.Join(err, target)
	}}
	one := step("1", "claiming")
	one.Writes = []recovery.TargetID{"scratch/db"}
	two := one
	two.ID, two.After = "2", []string{"t"}
	tick := ticks("a", "b")
	tick.After = []string{"1"}
	steps := []recovery.Step{one, tick, two}
	kinds := []recovery.Kind{cleaned{claiming}}
	for name, unattended := range map[string]bool{"unattended": true, "with a person who ticks": false} {
		t.Run(name, func(t *testing.T) {
			options := func(_ *recovery.Plan, o *execute.Options) {
				o.Unattended, o.Releasers = unattended, []recovery.Releaser{&things{}}
			}
			whole := newRig(t, kinds, after(t, options), steps...)
			whole.ticked(t)
			lines := bytes.SplitAfter([]byte(whole.journal(t)), []byte("\n"))
			for end := 1; end < len(lines)-1; end++ {
				r := newRig(t, kinds, func(p *recovery.Plan, o *execute.Options) {
					p.Targets = whole.Plan.Targets
					options(p, o)
					for _, line := range lines[:end] {
						reappend(t, o.Journal, line)
					}
					for range end % 3 { // it died at once, some times over
						resumed(t, o.Journal)
					}
					resumed(t, o.Journal)
				}, steps...)
				if s := r.ticked(t); s.Result != recovery.ResultPassed || len(s.Held()) != 0 || len(s.Unknown) != 0 {
					t.Errorf("after %d entries: ended as %s: %s; held %v, unknown %v", end, s.Result, s.Says, s.Held(), s.Unknown)
				}
				for _, id := range []string{"1", "t", "2"} {
					if n := strings.Count(r.journal(t), `"step.finished/1","data":{"step":"`+id); n != 1 {
						t.Errorf("after %d entries: step %s ended well %d times", end, id, n)
					}
				}
				if _, err := os.Lstat(filepath.Dir(whole.Plan.Targets[0].Place)); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("after %d entries: the scratch directory is still there", end)
				}
			}
		})
	}
}

// ticked runs it, and ticks what it asks for, as soon as it does.
func (r *rig) ticked(t *testing.T) recovery.State {
	t.Helper()
	tick := func() {
		s := r.State()
		for _, st := range s.Waits() {
			for i, item := range st.Ticks {
				if item.How != "" {
					continue
				}
				if err := r.Do(recovery.Command{Kind: recovery.DoTick, Step: st.ID, Item: i, How: recovery.TickDone, By: "ops1"}); err != nil {
					t.Error(err)
				}
			}
		}
	}
	ended := make(chan struct{})
	var ticking sync.WaitGroup
	ticking.Go(func() {
		for {
			tick()
			select {
			case <-r.waiting:
			case <-ended:
				return
			}
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	s, err := r.Run(ctx)
	close(ended)
	ticking.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Wherever the journal of a run ends in which something was found gone, everything that
// came after that is done again, and after it.
func TestResume_goneAnywhere(t *testing.T) {
	gone := living{kind{"server", ok}, func(context.Context, string, bool) error { return recovery.ErrGone }}
	approval := recovery.NewStep("a", recovery.KindApproval, "approve", recovery.ApprovalArgs{Role: "boss", Key: "k"})
	approval.After = []string{"2"}
	passes := step("5", "no", "1")
	passes.MayPass = true
	kinds := []recovery.Kind{gone, kind{"ok", ok}, kind{"no", func(context.Context, recovery.Env, recovery.Step) (recovery.Outcome, error) {
		return recovery.Outcome{}, errors.New("it does not hold")
	}}}
	steps := []recovery.Step{step("1", "server"), step("2", "ok", "1"), approval, step("4", "ok", "a"), passes, step("6", "ok", "5"), step("7", "ok")}
	whole := newRig(t, kinds, after(t, unattended, begun("7"), done("7"), begun("1"), done("1"), begun("2"), done("2"), begun("a"), done("a"), begun("4"), done("4"),
		begun("5"), recovery.StepFailed{Step: "5", Error: "it did not hold"}, recovery.Decided{Step: "5", Choice: recovery.ChooseContinue, Reason: "it need not"},
		begun("6"), done("6")), steps...)
	whole.run(t)
	lines := bytes.SplitAfter([]byte(whole.journal(t)), []byte("\n"))
	lost := 0
	for end, line := range lines {
		if !bytes.Contains(line, []byte(recovery.StepGone{}.EventType())) {
			continue
		}
		lost++
		r := newRig(t, kinds, func(_ *recovery.Plan, o *execute.Options) {
			o.Unattended = true
			for _, line := range lines[:end+1] {
				reappend(t, o.Journal, line)
			}
			resumed(t, o.Journal)
		}, steps...)
		s := r.run(t)
		for i := range s.Steps {
			st := &s.Steps[i]
			for _, id := range st.After {
				if before := s.Step(id); st.EndedSeq != 0 && st.EndedSeq < before.EndedSeq || before.State == recovery.FailedAt && st.State == recovery.Done {
					t.Errorf("after %d entries: step %s (%s) ended with event %d, and %s (%s), which it comes after, with %d", end+1, st.ID, st.State, st.EndedSeq, id, before.State, before.EndedSeq)
				}
			}
		}
		if s.Step("7").Attempts != 1 || s.Step("1").Attempts != 2 || s.Step("4").Attempts != 2 {
			t.Errorf("after %d entries: step 7, which comes after nothing, was tried %d times, 1 and 4 %d and %d times", end+1, s.Step("7").Attempts, s.Step("1").Attempts, s.Step("4").Attempts)
		}
	}
	if lost != 6 {
		t.Errorf("%d steps were lost, want 6", lost)
	}
}

func reappend(t *testing.T, j execute.Journal, line []byte) {
	t.Helper()
	var e recovery.Event
	if err := json.Unmarshal(line, &e); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append(e); err != nil {
		t.Fatal(err)
	}
}

func resumed(t *testing.T, j execute.Journal) {
	t.Helper()
	e, err := recovery.NewEvent(time.Now(), recovery.RunResumed{By: "ops1", BootID: "b1"})
	if err == nil {
		_, err = j.Append(e)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Where nothing can be recorded nothing more is done: what the run holds stays,
// so that it can be gone on with.
func TestRun_fullDisk(t *testing.T) {
	th := &things{}
	started, release := make(chan struct{}), make(chan struct{})
	hold := kind{"hold", func(ctx context.Context, e recovery.Env, s recovery.Step) (recovery.Outcome, error) {
		if err := e.Claim(ctx, thing("a")); err != nil {
			return recovery.Outcome{}, err
		}
		close(started)
		<-release
		return recovery.Outcome{}, e.Claim(ctx, thing("b"))
	}}
	r := newRig(t, []recovery.Kind{hold, th.noted("k")}, func(_ *recovery.Plan, o *execute.Options) {
		o.Unattended, o.Releasers = true, []recovery.Releaser{th}
	}, step("1", "hold"), step("2", "k", "1"))
	ended := make(chan error)
	go func() { _, err := r.Run(t.Context()); ended <- err }()
	<-started
	before := r.journal(t)
	var err error
	journaltest.LimitFileSize(t, int64(len(before))+10, func() { close(release); err = <-ended })
	if err == nil || recovery.HintOf(err) != "make room or repair the disk, then: comeback resume 7c31" || !strings.Contains(err.Error(), "file too large") {
		t.Errorf("%v, next %q", err, recovery.HintOf(err))
	}
	if th.said() != "" || r.journal(t) != before {
		t.Errorf("done all the same: %s", th.said())
	}
}
