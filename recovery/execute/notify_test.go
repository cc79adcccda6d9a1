package execute_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/execute"
)

// calling is a run that waits for ticks and calls a person by a command, and tells when that
// call is over.
func calling(t *testing.T, words ...string) (*rig, <-chan struct{}) {
	over := make(chan struct{}, 16)
	return newRig(t, nil, func(p *recovery.Plan, o *execute.Options) {
		p.Notify = words
		p.Needs = map[string]string{"SHOP_KEY": "from the vault"}
		hears := o.Event
		o.Event = func(e recovery.Event) {
			if hears(e); e.Type == (recovery.Notified{}).EventType() {
				over <- struct{}{}
			}
		}
	}, ticks("one")), over
}

// called runs it, ticking when the call is over.
func called(t *testing.T, words ...string) (*rig, recovery.State) {
	t.Helper()
	r, over := calling(t, words...)
	r.environ["SHOP_KEY"] = "hunter2"
	go func() {
		select {
		case <-over:
		case <-t.Context().Done():
			return
		}
		if err := r.Do(recovery.Command{Kind: recovery.DoTick, Step: "t", How: recovery.TickDone, By: "ops1"}); err != nil {
			t.Error(err)
		}
	}()
	return r, r.run(t)
}

// The command is its words, no shell; what has happened is in its environment;
// it is run when the run waits and when it has ended.
func TestNotify(t *testing.T) {
	t.Setenv("SSH_AUTH_SOCK", "/tmp/agent")
	out := filepath.Join(t.TempDir(), "called")
	script := filepath.Join(t.TempDir(), "call")
	if err := os.WriteFile(script, []byte(`#!/bin/sh
{ echo "$# <$1> <$2>"; echo "$COMEBACK_EVENT|$COMEBACK_TEXT|$COMEBACK_RUN|$COMEBACK_SYSTEM|$COMEBACK_MODE|$SHOP_KEY|${SSH_AUTH_SOCK:-none}|$(pwd)"; } >>`+out+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	r, s := called(t, script, "$(touch /tmp/x); a b", "`id`")
	if s.Result != recovery.ResultPassed || len(s.Notifications) != 1 || s.Notifications[0].Error != "" || s.Notifications[0].About != "ticks: waits for ticks" {
		t.Errorf("ended as %s, %+v", s.Result, s.Notifications)
	}
	before, err := os.ReadFile(out)
	if err != nil || strings.Contains(string(before), "ended|") {
		t.Errorf("before the report is written it was called:\n%s%v", before, err)
	}
	r.CallEnded()
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	args := "2 <$(touch /tmp/x); a b> <`id`>\n"
	want := args + "waits|ticks: waits for ticks|7c31|shop|rehearsal|hunter2|none|/\n" +
		args + "ended|rehearsal of shop, run 7c31: " + s.Says + "|7c31|shop|rehearsal|hunter2|none|/\n"
	if string(b) != want {
		t.Errorf("called:\n%s", b)
	}
}

// A call that fails is told of, in its own words and without secrets; it harms
// nothing else.
func TestNotify_fails(t *testing.T) {
	for name, test := range map[string]struct {
		words []string
		want  string
	}{
		"not there":  {[]string{"/nonexistent/page"}, "no such file"},
		"in words":   {[]string{"/bin/sh", "-c", `echo "no route with $SHOP_KEY" >&2; exit 3`}, "/bin/sh: no route with [redacted] (exit status 3)"},
		"in silence": {[]string{"/bin/false"}, "/bin/false: exit status 1"},
	} {
		t.Run(name, func(t *testing.T) {
			r, s := called(t, test.words...)
			if s.Result != recovery.ResultPassed || len(s.Notifications) != 1 || !strings.Contains(s.Notifications[0].Error, test.want) {
				t.Errorf("ended as %s, %+v", s.Result, s.Notifications)
			}
			if strings.Contains(r.journal(t), "hunter2") {
				t.Error("a secret was recorded")
			}
		})
	}
}

// What a call leaves behind, as mailers do, is no failure of it.
func TestNotify_leavesSomethingBehind(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	t.Cleanup(func() {
		b, err := os.ReadFile(pids)
		if err != nil {
			t.Error(err)
		}
		for _, line := range strings.Fields(string(b)) {
			if pid, err := strconv.Atoi(line); err != nil || syscall.Kill(pid, syscall.SIGKILL) != nil {
				t.Errorf("process %s was not left behind: %v", line, err)
			}
		}
	})
	_, s := called(t, "/bin/sh", "-c", "sleep 60 & echo $! >>"+pids)
	if len(s.Notifications) != 1 || s.Notifications[0].Error != "" {
		t.Errorf("%+v", s.Notifications)
	}
}

// A call that hangs holds up neither the run nor, for long, its end.
func TestNotify_hangs(t *testing.T) {
	dir := t.TempDir()
	r, _ := calling(t, "/bin/sh", "-c", `[ $COMEBACK_EVENT = ended ] || { echo $$ >`+dir+`/pid; exec sleep 600; }`)
	go func() {
		<-r.waiting
		if err := r.Do(recovery.Command{Kind: recovery.DoTick, Step: "t", How: recovery.TickDone, By: "ops1"}); err != nil {
			t.Error(err)
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
	defer cancel()
	s, err := r.Run(ctx)
	if err != nil || s.Result != recovery.ResultPassed || len(s.Notifications) != 1 || !strings.Contains(s.Notifications[0].Error, "did not end in time") {
		t.Errorf("ended as %s: %s, %+v, %v", s.Result, s.Says, s.Notifications, err)
	}
	pid, err := os.ReadFile(filepath.Join(dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat"); err == nil && !strings.Contains(string(b), ") Z ") {
		t.Errorf("it is still there: %s", b)
	}
}
