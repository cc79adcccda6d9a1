package execute_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/execute"
	"comeback/storage"
)

// Credentials that have expired, and a secret that is missing, are waits. What
// is typed in stands in no file of the run.
func TestWait_credentials(t *testing.T) {
	const secret = "hunter2-typed-in"
	var r *rig
	opened := 0
	use := kind{"use", func(ctx context.Context, e recovery.Env, _ recovery.Step) (recovery.Outcome, error) {
		if _, err := e.Store(ctx, "offsite"); err != nil {
			return recovery.Outcome{}, recovery.Errorf("log in again: aws sso login", "open the copy: %w", err)
		}
		v, err := e.Secret("key ${SHOP_KEY}")
		if err != nil {
			return recovery.Outcome{}, err
		}
		e.Meter().Log("it is " + v)
		return recovery.Outcome{Says: v}, e.Meter().Checkpoint(ctx, v)
	}}
	r = newRig(t, []recovery.Kind{use}, func(p *recovery.Plan, o *execute.Options) {
		p.Copies = []recovery.Copy{{Name: "offsite", URL: "s3://x"}}
		o.OpenStore = func(context.Context, recovery.Copy) (storage.Store, error) {
			if opened++; opened == 1 {
				return nil, fmt.Errorf("get object: %w", storage.ErrExpired)
			}
			return nil, nil
		}
	}, step("1", "use"))
	do := func(c recovery.Command) {
		t.Helper()
		c.By = "ops1"
		if err := r.Do(c); err != nil {
			t.Errorf("%s: %v", c.Kind, err)
		}
	}
	go func() {
		w := <-r.waiting
		if w.For != recovery.WaitCredentials || !strings.Contains(w.Cause, "expired") || w.Hint != "log in again: aws sso login" {
			t.Errorf("waits %+v", w)
		}
		do(recovery.Command{Kind: recovery.DoDecide, Step: "1", Choice: recovery.ChooseRetry})
		if w = <-r.waiting; w.For != recovery.WaitCredentials || !strings.Contains(w.Cause, "SHOP_KEY") || !strings.Contains(w.Hint, "vault, path shop/key") {
			t.Errorf("waits %+v", w)
		}
		if r.Do(recovery.Command{Kind: recovery.DoSecret, By: "ops1", Name: "SHOP_KEY"}) == nil {
			t.Error("an empty secret was taken")
		}
		do(recovery.Command{Kind: recovery.DoSecret, Name: "SHOP_KEY", Value: secret})
		do(recovery.Command{Kind: recovery.DoDecide, Step: "1", Choice: recovery.ChooseRetry})
	}()
	if s := r.run(t); s.Result != recovery.ResultPassed || s.Step("1").Attempts != 3 {
		t.Errorf("ended as %s: %s", s.Result, s.Says)
	}
	err := filepath.WalkDir(r.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if strings.Contains(string(b), secret) {
			t.Errorf("the secret stands in %s", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A copy that has refused who asked is opened again for the attempt that a person asks for:
// they may have put other keys into the profile. Those of the environment stay, which is said.
func TestWait_denied(t *testing.T) {
	opened, used := 0, 0
	use := kind{"use", func(ctx context.Context, e recovery.Env, _ recovery.Step) (recovery.Outcome, error) {
		if _, err := e.Store(ctx, "offsite"); err != nil {
			return recovery.Outcome{}, err
		}
		if used++; opened == 1 {
			return recovery.Outcome{}, recovery.Errorf("see who asks", "copy it: %w", &storage.Error{Op: "get", Object: "s3://x/a", Kind: storage.ErrDenied})
		}
		return recovery.Outcome{}, nil
	}}
	r := newRig(t, []recovery.Kind{use}, func(p *recovery.Plan, o *execute.Options) {
		p.Copies = []recovery.Copy{{Name: "offsite", URL: "s3://x"}}
		o.OpenStore = func(context.Context, recovery.Copy) (storage.Store, error) { opened++; return nil, nil }
	}, step("1", "use"))
	r.environ["AWS_ACCESS_KEY_ID"] = "AKIAEXAMPLE"
	hint := make(chan string, 1)
	go func() {
		if w := <-r.waiting; w.For != recovery.WaitDecision {
			t.Errorf("it waits for %s", w.For)
		}
		s := r.State()
		hint <- s.Step("1").Hint
		if err := r.Do(recovery.Command{Kind: recovery.DoDecide, Step: "1", Choice: recovery.ChooseRetry, By: "ops1"}); err != nil {
			t.Error(err)
		}
		select {
		case <-r.waiting: // it was asked as before
			if err := r.Do(recovery.Command{Kind: recovery.DoStop, By: "ops1"}); err != nil {
				t.Error(err)
			}
		case <-t.Context().Done():
		}
	}()
	if s := r.run(t); s.Result != recovery.ResultPassed || opened != 2 || used != 2 {
		t.Errorf("ended as %s: %s; opened %d times, used %d times", s.Result, s.Says, opened, used)
	}
	if says := <-hint; !strings.HasPrefix(says, "see who asks; the keys are those of the environment") || !strings.Contains(says, "comeback resume 7c31") {
		t.Errorf("it says %q", says)
	}
}

// Nobody there: what would wait for credentials fails with the same words.
func TestWait_credentialsUnattended(t *testing.T) {
	s := newRig(t, []recovery.Kind{kind{"use", func(_ context.Context, e recovery.Env, _ recovery.Step) (recovery.Outcome, error) {
		_, err := e.Secret("${SHOP_KEY}")
		return recovery.Outcome{}, err
	}}}, unattended, step("1", "use")).run(t)
	if s.Result != recovery.ResultFailed || !strings.Contains(s.Step("1").Hint, "vault, path shop/key") {
		t.Errorf("ended as %s: %s, next %s", s.Result, s.Says, s.Step("1").Hint)
	}
}

// A value that does not open what it was given for is waited for, and the right one can be
// given; where nobody is there it fails with the same words.
func TestWait_unfit(t *testing.T) {
	const wrong, right = "hunter1-the-wrong-one", "hunter2-the-right-one"
	use := kind{"use", func(_ context.Context, e recovery.Env, _ recovery.Step) (recovery.Outcome, error) {
		v, err := e.Secret("${SHOP_KEY}")
		if err == nil && v != right {
			unfit := recovery.Errorf("give ${SHOP_KEY} the right key, then try again", "read with %s: ${SHOP_KEY} does not open it", v).WithExit(recovery.Refused)
			unfit.Err = recovery.ErrUnfit
			err = fmt.Errorf("restore: %w", unfit)
		}
		return recovery.Outcome{Says: "read with " + v}, err
	}}
	says := func(cause, hint string) bool {
		return cause == "restore: read with [redacted]: ${SHOP_KEY} does not open it" && hint == "give ${SHOP_KEY} the right key, then try again"
	}
	r := newRig(t, []recovery.Kind{use}, nil, step("1", "use"))
	r.environ["SHOP_KEY"] = wrong
	go func() {
		w := <-r.waiting
		if w.For != recovery.WaitCredentials || !says(w.Cause, w.Hint) {
			t.Errorf("waits %+v", w)
		}
		for _, c := range []recovery.Command{{Kind: recovery.DoSecret, Name: "SHOP_KEY", Value: right}, {Kind: recovery.DoDecide, Step: "1", Choice: recovery.ChooseRetry}} {
			c.By = "ops1"
			if err := r.Do(c); err != nil {
				t.Errorf("%s: %v", c.Kind, err)
			}
		}
	}()
	if s := r.run(t); s.Result != recovery.ResultPassed || s.Step("1").Attempts != 2 {
		t.Errorf("ended as %s: %s", s.Result, s.Says)
	}
	if j := r.journal(t); strings.Contains(j, wrong) || strings.Contains(j, right) || !strings.Contains(j, "SHOP_KEY") {
		t.Errorf("the journal is %s", j)
	}
	r = newRig(t, []recovery.Kind{use}, unattended, step("1", "use"))
	r.environ["SHOP_KEY"] = wrong
	if s := r.run(t); s.Result != recovery.ResultRefused || !says(s.Step("1").Error, s.Step("1").Hint) {
		t.Errorf("nobody there: ended as %s: %s", s.Result, s.Says)
	}
}

// approving is a run that waits for an approval before its step; a signature is
// good if it names the key and the digest.
func approving(t *testing.T, mode recovery.Mode, th *things) *rig {
	a := recovery.NewStep("a", recovery.KindApproval, "approve", recovery.ApprovalArgs{Role: "approver", Key: "key1"})
	a.MayPass = true
	return newRig(t, []recovery.Kind{th.noted("k")}, func(p *recovery.Plan, o *execute.Options) {
		after(t, nil)(p, o)
		p.Mode = mode
		o.VerifyApproval = func(key, plan, signature string) (string, error) {
			if signature != key+" signs "+plan {
				return "", recovery.Errorf("sign this plan", "the signature is of another key or plan")
			}
			return "SHA256:xyz", nil
		}
	}, a, step("1", "k", "a"))
}

func TestWait_approval(t *testing.T) {
	approve := func(signature string) recovery.Command {
		return recovery.Command{Kind: recovery.DoApprove, Step: "a", By: "ops1", Signature: signature}
	}
	t.Run("good and bad", func(t *testing.T) {
		r := approving(t, recovery.Recovery, &things{})
		go func() {
			<-r.waiting
			for _, bad := range []recovery.Command{approve("key2 signs " + plan1), approve("key1 signs bb22"), approve(""),
				{Kind: recovery.DoDecide, Step: "a", Choice: recovery.ChooseRetry, By: "ops1"},
				{Kind: recovery.DoDecide, Step: "a", Choice: recovery.ChooseContinue, By: "ops1"},
				{Kind: recovery.DoTick, Step: "a", How: recovery.TickTalkedThrough, By: "ops1"},
				{Kind: recovery.DoApprove, Step: "1", By: "ops1", Signature: "key1 signs " + plan1}} {
				if r.Do(bad) == nil {
					t.Errorf("taken: %+v", bad)
				}
			}
			if err := r.Do(approve("key1 signs " + plan1)); err != nil {
				t.Error(err)
			}
		}()
		s := r.run(t)
		if s.Result != recovery.ResultPassed || len(s.Approvals) != 1 || s.Approvals[0].Fingerprint != "SHA256:xyz" || s.Approvals[0].PlanSHA256 != plan1 {
			t.Errorf("ended as %s: %s, approvals %+v", s.Result, s.Says, s.Approvals)
		}
	})
	t.Run("the plan is amended meanwhile", func(t *testing.T) {
		r := approving(t, recovery.Recovery, &things{})
		go func() {
			<-r.waiting
			a, err := recovery.Amend(plan1, recovery.Amended{Says: "other data", Steps: []recovery.Step{step("1", "k", "a")}})
			if err != nil {
				t.Error(err)
			}
			if err := r.Do(recovery.Command{Kind: recovery.DoAmend, Amend: &a, By: "ops1"}); err != nil {
				t.Error(err)
			}
			if r.Do(approve("key1 signs "+plan1)) == nil {
				t.Error("an approval of the plan before was taken")
			}
			if r.Do(recovery.Command{Kind: recovery.DoAmend, Amend: &a, By: "ops1"}) == nil {
				t.Error("an amendment of the plan before was taken")
			}
			s := r.State()
			if err := r.Do(approve("key1 signs " + s.PlanSHA256)); err != nil {
				t.Error(err)
			}
		}()
		if s := r.run(t); s.Result != recovery.ResultPassed || len(s.Amendments) != 1 || len(s.Unknown) != 0 {
			t.Errorf("ended as %s: %s, unknown %v", s.Result, s.Says, s.Unknown)
		}
	})
	t.Run("talked through in a rehearsal", func(t *testing.T) {
		r := approving(t, recovery.Rehearsal, &things{})
		go func() {
			<-r.waiting
			if err := r.Do(recovery.Command{Kind: recovery.DoTick, Step: "a", How: recovery.TickTalkedThrough, By: "ops1"}); err != nil {
				t.Error(err)
			}
		}()
		if s := r.run(t); s.Result != recovery.ResultPassed || s.Step("a").Outcome.Says != "talked through by ops1" || len(s.Approvals) != 0 {
			t.Errorf("ended as %s: %+v", s.Result, s.Step("a").Outcome)
		}
	})
	t.Run("the glass is broken", func(t *testing.T) {
		r := approving(t, recovery.Recovery, &things{})
		go func() {
			<-r.waiting
			if err := r.Do(recovery.Command{Kind: recovery.DoDecide, Step: "a", Choice: recovery.ChooseContinue, Text: "nobody answers", By: "ops1"}); err != nil {
				t.Error(err)
			}
		}()
		if s := r.run(t); s.Exit != recovery.WithExceptions || !strings.Contains(s.Says, "nobody answers") || s.Step("1").State != recovery.Done {
			t.Errorf("ended as %s: %s", s.Result, s.Says)
		}
	})
}

// What is under way, and what the plan does not have, cannot be changed; a
// reason that holds a secret does not break the plan's digest.
func TestAmend(t *testing.T) {
	started, release := make(chan struct{}), make(chan struct{})
	hold := kind{"hold", func(ctx context.Context, e recovery.Env, _ recovery.Step) (recovery.Outcome, error) {
		if _, err := e.Secret("${SHOP_KEY}"); err != nil {
			return recovery.Outcome{}, err
		}
		close(started)
		<-release
		return recovery.Outcome{}, nil
	}}
	optional, ended := step("2", "ok", "1"), step("0", "ok")
	optional.MayPass, ended.MayPass = true, true
	r := newRig(t, []recovery.Kind{hold, kind{"ok", ok}}, after(t, nil), ended, step("1", "hold", "0"), optional, step("3", "ok", "1"))
	r.environ["SHOP_KEY"] = "hunter2"
	go func() {
		<-started
		amend := func(a recovery.Amended) error {
			a, err := recovery.Amend(plan1, a)
			if err != nil {
				return err
			}
			return r.Do(recovery.Command{Kind: recovery.DoAmend, Amend: &a, By: "ops1"})
		}
		live := step("2", "ok")
		live.Writes = []recovery.TargetID{"live/db"}
		for name, a := range map[string]recovery.Amended{
			"step under way":      {Says: "x", Redo: []string{"1"}},
			"skip without why":    {Says: "x", Why: " ", Skip: []string{"2"}},
			"skip what is needed": {Says: "x", Why: "y", Skip: []string{"3"}},
			"skip what is done":   {Says: "x", Why: "y", Skip: []string{"0"}},
			"unknown to skip":     {Says: "x", Why: "y", Skip: []string{"9"}},
			"unknown to redo":     {Says: "x", Redo: []string{"9"}},
			"unknown kind":        {Says: "x", Steps: []recovery.Step{step("4", "teleport")}},
			"live":                {Says: "x", Steps: []recovery.Step{live}},
			"says nothing":        {Redo: []string{"2"}},
		} {
			if amend(a) == nil {
				t.Errorf("%s: taken", name)
			}
		}
		if err := amend(recovery.Amended{Says: "leave 2 out", Why: "hunter2 does not work", Skip: []string{"2"}}); err != nil {
			t.Error(err)
		}
		close(release)
	}()
	s := r.run(t)
	if s.Result != recovery.ResultExceptions || s.Step("2").State != recovery.Skipped || len(s.Unknown) != 0 || strings.Contains(r.journal(t), "hunter2") {
		t.Errorf("ended as %s: %s; unknown %v", s.Result, s.Says, s.Unknown)
	}
}

// Immediately before a step that changes live it is asked whether the target is
// still held; steps into scratch are not.
func TestHold(t *testing.T) {
	live, scratch := step("2", "k", "1"), step("1", "k")
	live.Writes, scratch.Writes = []recovery.TargetID{"live/db"}, []recovery.TargetID{"scratch/db"}
	th := &things{}
	asked := 0
	s := newRig(t, []recovery.Kind{th.noted("k")}, func(p *recovery.Plan, o *execute.Options) {
		p.Mode, o.Unattended = recovery.Recovery, true
		confirmedBefore(t, p, o, "db1/shop", "ops1", time.Now())
		o.Hold = func(context.Context) error {
			asked++
			return recovery.Errorf("wait for it", "run 9d02 holds shop").WithExit(recovery.Refused)
		}
	}, scratch, live).run(t)
	if s.Exit != recovery.Refused || !strings.Contains(s.Says, "9d02") || th.said() != "did 1" || asked != 1 {
		t.Errorf("ended as %s: %s; %s; asked %d times", s.Result, s.Says, th.said(), asked)
	}
}

// A run that is ending takes notes, of the outage, too, by whom they are, and no decisions.
func TestDo_whileEnding(t *testing.T) {
	var r *rig
	blocked, release := make(chan struct{}), make(chan struct{})
	claim := kind{"claim", func(ctx context.Context, e recovery.Env, _ recovery.Step) (recovery.Outcome, error) {
		return recovery.Outcome{}, errors.Join(e.Claim(ctx, thing("a")), errors.New("no"))
	}}
	s1 := step("1", "claim")
	s1.MayPass = true
	r = newRig(t, []recovery.Kind{claim}, func(_ *recovery.Plan, o *execute.Options) {
		o.Releasers = []recovery.Releaser{slowly{func() { close(blocked); <-release }}}
	}, s1)
	go func() {
		w := <-r.waiting
		if err := r.Do(recovery.Command{Kind: recovery.DoDecide, Step: w.Step, Choice: recovery.ChooseStop, By: "ops1"}); err != nil {
			t.Error(err)
		}
		<-blocked
		if r.Do(recovery.Command{Kind: recovery.DoDecide, Step: "1", Choice: recovery.ChooseContinue, Text: "fine", By: "ops1"}) == nil {
			t.Error("a decision was taken while the run cleans up")
		}
		if err := r.Do(recovery.Command{Kind: recovery.DoNote, Text: "hm", By: "ops2"}); err != nil {
			t.Error(err)
		}
		if err := r.Do(recovery.Command{Kind: recovery.DoOutage, Outage: recovery.OutageNoted{How: "unknown", By: "somebody"}, By: "ops2"}); err != nil {
			t.Error(err)
		}
		close(release)
	}()
	if s := r.run(t); s.Result != recovery.ResultFailed || len(s.Notes) != 1 || s.Outage.By != "ops2" {
		t.Errorf("ended as %s: %s", s.Result, s.Says)
	}
}

// What is decided when every step has ended is carried out or refused, also while the end
// waits for a call.
func TestDo_afterTheLastStep(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "answered")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	answer := func() {
		if f, err := os.OpenFile(fifo, os.O_WRONLY, 0); err != nil { // waits for who reads it
			t.Error(err)
		} else {
			f.Close()
		}
	}
	th, last := &things{}, ticks("one")
	last.After = []string{"1"}
	r := newRig(t, []recovery.Kind{th.noted("k")}, func(p *recovery.Plan, _ *execute.Options) {
		p.Notify = []string{"/bin/cat", fifo}
	}, step("1", "k"), last)
	amended := 0
	go func() {
		<-r.waiting
		if err := r.Do(recovery.Command{Kind: recovery.DoTick, Step: "t", How: recovery.TickDone, By: "ops1"}); err != nil {
			t.Error(err)
		}
		for t.Context().Err() == nil {
			a, err := recovery.Amend(r.State().PlanSHA256, recovery.Amended{Says: "again", Redo: []string{"1"}})
			if err != nil {
				t.Error(err)
			}
			if r.Do(recovery.Command{Kind: recovery.DoAmend, Amend: &a, By: "ops1"}) != nil {
				break
			}
			amended++
			for s := r.State(); s.Result == "" && s.Step("1").State != recovery.Done && t.Context().Err() == nil; s = r.State() {
				runtime.Gosched()
			}
		}
		if r.Do(recovery.Command{Kind: recovery.DoStop, By: "ops1"}) == nil {
			t.Error("a run whose every step has ended was stopped")
		}
		answer()
		answer() // that the run has ended is told as well
	}()
	s := r.run(t)
	if want := "did 1" + strings.Repeat(", did 1", amended); s.Result != recovery.ResultPassed || th.said() != want {
		t.Errorf("ended as %s: %s; %s, amended %d times", s.Result, s.Says, th.said(), amended)
	}
}

type slowly struct{ before func() }

func (slowly) Resource() recovery.ResourceKind                    { return "thing" }
func (s slowly) Release(context.Context, recovery.Resource) error { s.before(); return nil }

// Steps side by side that make the run's scratch directory at once get on.
func TestEnv_Target_sideBySide(t *testing.T) {
	for range 30 {
		var steps []recovery.Step
		for i := range 6 {
			s := step(fmt.Sprint(i), "use")
			s.Writes = []recovery.TargetID{"scratch/db"}
			steps = append(steps, s)
		}
		var all sync.WaitGroup
		all.Add(len(steps))
		use := kind{"use", func(ctx context.Context, e recovery.Env, _ recovery.Step) (recovery.Outcome, error) {
			all.Done()
			all.Wait()
			_, err := e.Target(ctx, "scratch/db")
			return recovery.Outcome{}, err
		}}
		if s := newRig(t, []recovery.Kind{use}, unattended, steps...).run(t); s.Result != recovery.ResultPassed || len(s.Claims) != 1 {
			t.Fatalf("ended as %s: %s; claims %+v", s.Result, s.Says, s.Claims)
		}
	}
}

// A weak password that is part of a name breaks no name.
func TestSecrets_weak(t *testing.T) {
	th := &things{}
	leak := kind{"database.copy", func(ctx context.Context, e recovery.Env, _ recovery.Step) (recovery.Outcome, error) {
		url, err := e.Secret("${SHOP_KEY}")
		if err != nil {
			return recovery.Outcome{}, err
		}
		_, err = e.Target(ctx, "scratch/db")
		return recovery.Outcome{Says: "read from " + url}, err
	}}
	s := step("database.copy", "database.copy")
	s.Writes = []recovery.TargetID{"scratch/db"}
	r := newRig(t, []recovery.Kind{leak, th.noted("comeback")}, unattended, s, step("comeback", "comeback", "database.copy"))
	r.environ["SHOP_KEY"] = "postgres://database:comeback@db1/shop"
	got := r.run(t)
	if got.Result != recovery.ResultPassed || th.said() != "did comeback" || len(got.Unknown) != 0 {
		t.Errorf("ended as %s: %s; %s, unknown %v", got.Result, got.Says, th.said(), got.Unknown)
	}
	if _, err := os.Lstat(filepath.Join(r.scratch, "comeback-7c31")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the scratch directory is still there")
	}
	if strings.Contains(r.journal(t), "read from postgres") {
		t.Error("the secret was recorded")
	}
}

// A copy that was being opened when a secret was given is opened again for whoever comes
// later.
func TestEnv_Store_newSecret(t *testing.T) {
	opening, given := make(chan struct{}), make(chan struct{})
	opened := 0
	use := kind{"use", func(ctx context.Context, e recovery.Env, _ recovery.Step) (recovery.Outcome, error) {
		_, err := e.Store(ctx, "offsite")
		return recovery.Outcome{}, err
	}}
	r := newRig(t, []recovery.Kind{use}, after(t, func(p *recovery.Plan, o *execute.Options) {
		p.Copies = []recovery.Copy{{Name: "offsite", URL: "s3://x"}}
		o.OpenStore = func(context.Context, recovery.Copy) (storage.Store, error) {
			if opened++; opened == 1 {
				close(opening)
				<-given
			}
			return nil, nil
		}
	}), step("1", "use"), step("2", "use", "1"), step("3", "use", "2"))
	go func() {
		<-opening
		if err := r.Do(recovery.Command{Kind: recovery.DoSecret, By: "ops1", Name: "SHOP_KEY", Value: "new"}); err != nil {
			t.Error(err)
		}
		close(given)
	}()
	if s := r.run(t); s.Result != recovery.ResultPassed || opened != 2 {
		t.Errorf("ended as %s: %s, opened %d times", s.Result, s.Says, opened)
	}
}
