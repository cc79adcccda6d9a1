package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/report"
)

// A run waits for a second person's signature over its plan, and for conditions;
// it calls a person whenever it waits for one, and when it has ended.
func TestRun_waits(t *testing.T) {
	l, r := theShop(t), newRig(t)
	calls := filepath.Join(t.TempDir(), "calls")
	page := filepath.Join(t.TempDir(), "page")
	if err := os.WriteFile(page, []byte("#!/bin/sh\nprintf '%s|%s|%s|%s\\n' \"$1\" \"$COMEBACK_EVENT\" \"$COMEBACK_RUN\" \"$COMEBACK_TEXT\" >> "+calls+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	lead := filepath.Join(t.TempDir(), "lead")
	key, err := report.CreateKey(lead, "lead")
	if err != nil {
		t.Fatal(err)
	}
	public, err := os.ReadFile(lead + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	book := runbook(t, fmt.Sprintf("{url: %q}", l.CopyURL()), l.atDump, `
## Wait

`+"```sql\n-- wait: the orders are there\n-- on: database\n-- expect: > 0\n-- every: 1s\n-- timeout: 1m\nselect count(*) from orders;\n```\n\n```sh\n# wait: a moment\n# in: both\n# every: 1s\n# timeout: 1m\ntrue\n```\n"+`
## Approve

`+"```yaml\napprove: lead\n```\n")
	text, err := os.ReadFile(book)
	if err != nil {
		t.Fatal(err)
	}
	front := fmt.Sprintf("rto: 30m\npeople:\n  - {role: lead, reach: \"#incidents\", key: %q}\nnotify: [%q, \"a b\"]\n", strings.TrimSpace(string(public)), page)
	if err := os.WriteFile(book, []byte(strings.Replace(string(text), "rto: 30m\n", front, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	s := r.attended(t, book, l.dump)
	id := s.Plan().Run
	untilState(t, s, func(s *recovery.State) bool {
		w := s.Waits()
		return len(w) == 1 && w[0].WaitsFor == recovery.WaitApproval
	})
	stranger := filepath.Join(t.TempDir(), "stranger")
	if _, err := report.CreateKey(stranger, "stranger"); err != nil {
		t.Fatal(err)
	}
	if got := r.run(t.Context(), "approve", id, "--key", stranger); got.code == recovery.CameBack {
		t.Errorf("a stranger approved: %s", got.out)
	}
	r.environ["USER"] = "lead" // who does not command the run
	if got := r.run(t.Context(), "approve", id, "--key", lead); got.code != recovery.CameBack || !strings.Contains(got.out, key.Fingerprint) {
		t.Errorf("exit %d, %s%s", got.code, got.out, got.err)
	}
	state := untilEnd(t, s)
	if state.Result != recovery.ResultPassed || len(state.Approvals) != 1 || state.Approvals[0].PlanSHA256 != state.PlanSHA256 {
		t.Errorf("ended as %s %s, approvals %+v", state.Result, state.Says, state.Approvals)
	}
	b, err := os.ReadFile(calls)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"a b|waits|" + id + "|", "waits for approval", "a b|ended|" + id + "|rehearsal of shop, run " + id + ": every step done"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("the calls do not hold %q:\n%s", want, b)
		}
	}
	if got := r.run(t.Context(), "report", "show", id); !strings.Contains(got.out, key.Fingerprint) || !strings.Contains(got.out, "lead") {
		t.Errorf("the report does not tell who approved:\n%s", got.out)
	}
}

// Front ends come and go all the time while a run goes on; it does not notice,
// and what it does is what it does unwatched.
func TestRun_comingAndGoing(t *testing.T) {
	l, r := theShop(t), newRig(t)
	way := ways(l)["log"]
	book := runbook(t, fmt.Sprintf("{url: %q}", l.CopyURL()), way.want, "")
	s := r.attended(t, book, way.to)
	id := s.Plan().Run
	a := r.app(nil, nil)
	home, err := a.home()
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	came := make(chan int)
	go func() {
		n := 0
		defer func() { came <- n }()
		for {
			select {
			case <-over:
				return
			case <-time.After(5 * time.Millisecond): // the run has to get on, too
			}
			ctx, leave := context.WithCancel(context.Background())
			c, err := home.Dial(ctx, id, a.viewer("test"))
			if err == nil {
				n++
				c.Samples(ctx)
				for range c.Events(ctx, 1) { // the first, and away
					break
				}
				if n%3 == 0 { // one that never reads
					go func() {
						for range c.Events(ctx, 1) {
							<-over
						}
					}()
				}
			}
			leave()
		}
	}()
	state := untilEnd(t, s)
	close(over)
	if n := <-came; n < 10 {
		t.Errorf("only %d came: the test sees nothing", n)
	}
	if state.Result != recovery.ResultPassed || len(state.Interruptions) != 0 || len(state.Notes) != 0 {
		t.Errorf("ended as %s %s, %+v", state.Result, state.Says, state.Interruptions)
	}
	if got := r.run(t.Context(), "report", "show", id); !strings.Contains(got.out, "REHEARSED, EVERY CHECK HELD") {
		t.Errorf("the report:\n%s", got.out)
	}
}

// Consoles are killed and attached throughout a run; each shows where it stands.
func TestConsole_againAndAgain(t *testing.T) {
	r, dir, s := waiting(t)
	id := filepath.Base(r.only(t))
	for i := range 5 {
		s.cmd.Process.Signal([]os.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGHUP}[i%3])
		s.ends()
		s = openTerminal(t, r, dir, 80+10*i, 24+4*i, "attach", id)
		s.shows("WAITS FOR YOU", "Somebody has looked")
	}
	s.press(" ")
	s.shows("REHEARSED, BUT NOTHING WAS CHECKED")
	s.press("q")
	s.ends()
	if state := r.stateOf(t, id); state.Result != recovery.ResultPassed || len(state.Interruptions) != 0 {
		t.Errorf("ended as %s, %+v", state.Result, state.Interruptions)
	}
}
