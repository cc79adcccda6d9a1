package execute_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/execute"
	"comeback/recovery/journal"
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
	options := func(_ *recovery.Plan, o *execute.Options) {
		o.Unattended, o.Releasers = true, []recovery.Releaser{&things{}}
	}
	whole := newRig(t, kinds, after(t, options), steps...)
	whole.run(t)
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
		s, err := r.Run(t.Context())
		if err != nil || s.Result != recovery.ResultPassed || len(s.Held()) != 0 || len(s.Unknown) != 0 {
			t.Errorf("after %d entries: ended as %s: %s; held %v, unknown %v, %v", end, s.Result, s.Says, s.Held(), s.Unknown, err)
		}
		for _, id := range []string{"1", "2"} {
			if n := strings.Count(r.journal(t), `"step.finished/1","data":{"step":"`+id); n != 1 {
				t.Errorf("after %d entries: step %s ended well %d times", end, id, n)
			}
		}
		if _, err := os.Lstat(filepath.Dir(whole.Plan.Targets[0].Place)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("after %d entries: the scratch directory is still there", end)
		}
	}
}

func reappend(t *testing.T, j *journal.Journal, line []byte) {
	t.Helper()
	var e recovery.Event
	if err := json.Unmarshal(line, &e); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append(e); err != nil {
		t.Fatal(err)
	}
}

func resumed(t *testing.T, j *journal.Journal) {
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
