package main

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"comeback/recovery"
)

// A terminal that goes away, or a console that is killed, ends the viewer and
// nothing else: attaching shows the same screen, and the run goes on from there.
func TestConsole_outlived(t *testing.T) {
	for name, end := range map[string]func(s *terminal){
		"hang-up": func(s *terminal) { s.tty.Close() },
		"kill -9": func(s *terminal) { s.cmd.Process.Signal(syscall.SIGKILL) },
		"SIGTERM": func(s *terminal) { s.cmd.Process.Signal(syscall.SIGTERM) },
	} {
		t.Run(name, func(t *testing.T) {
			r, dir, s := waiting(t)
			id := filepath.Base(r.only(t))
			pid := r.stateOf(t, id).PID
			s.settles()
			before := s.text()
			end(s)
			if code := s.ends(); name != "kill -9" && code != int(recovery.NotEnded) {
				t.Errorf("exit %d", code)
			}
			if got := r.run(t.Context(), "runs"); !strings.Contains(got.out, "WAITS for ticks of ops1 since ") {
				t.Errorf("runs: %s", got.out)
			}
			s = openTerminal(t, r, dir, 80, 24, "attach")
			s.shows("WAITS FOR YOU", "Somebody has looked")
			s.until("it was\n"+still(before), func() bool { return still(s.text()) == still(before) })
			s.press(" ")
			s.shows("REHEARSED, BUT NOTHING WAS CHECKED")
			s.press("q")
			if code := s.ends(); code != int(recovery.CameBack) {
				t.Errorf("exit %d\n%s", code, s.text())
			}
			if got := r.stateOf(t, id); got.PID != pid || len(got.Interruptions) != 0 {
				t.Errorf("the runner was %d and is %d, interruptions %v", pid, got.PID, got.Interruptions)
			}
		})
	}
}

// Whose runner dies under the console is told how to go on when they leave it, and so is
// the program that started it: the run has not ended.
func TestConsole_runnerDies(t *testing.T) {
	for name, way := range map[string]func(t *testing.T) (*rig, *terminal){
		"screens": func(t *testing.T) (*rig, *terminal) {
			r, _, s := waiting(t)
			return r, s
		},
		"line by line": func(t *testing.T) (*rig, *terminal) {
			r := newRig(t)
			c := converse(t, r, filepath.Dir(filesBook(t, somebodyLooks)), "rehearse", "shop.md", "--to", "pages.tar", "--plain")
			c.isTold("PLAN", "start the rehearsal")
			c.answers("start")
			c.isTold("WAITS FOR YOU", "1 [ ] Somebody has looked")
			return r, c.terminal
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, s := way(t)
			id := filepath.Base(r.only(t))
			if err := syscall.Kill(r.stateOf(t, id).PID, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			s.shows("LOST")
			if name == "screens" {
				s.press("q")
			} else {
				s.press("quit\n")
			}
			if code := s.ends(); code != int(recovery.NotEnded) || !strings.Contains(s.text(), "comeback resume "+id) {
				t.Errorf("exit %d\n%s", code, s.text())
			}
			if got := r.run(t.Context(), "stop", id); got.code != recovery.CameBack {
				t.Errorf("stop: exit %d\n%s%s", got.code, got.out, got.err)
			}
		})
	}
}

// still is a screen without the parts that move with the clock: the first line
// and every number.
func still(screen string) string {
	_, rest, _ := strings.Cut(screen, "\n")
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return '0'
		}
		return r
	}, rest)
}

// A front end without a terminal is only a viewer too: killed, it leaves the
// run; asked to end, it asks the run to.
func TestRehearse_frontEnds(t *testing.T) {
	book := filesBook(t, "\n## Wait\n\n```sh\n# run: take long\n# in: both\n# timeout: 5m\nsleep 300\n```\n")
	t.Run("killed", func(t *testing.T) {
		r := newRig(t)
		front := r.process(t, "rehearse", book, "--json", "--to", "pages.tar")
		front.until(`"step":"2.1.run"`)
		front.signal(syscall.SIGKILL)
		front.ends()
		id := filepath.Base(r.only(t))
		if got := r.run(t.Context(), "runs"); !strings.Contains(got.out, "running, stage 2 of 2") {
			t.Errorf("runs: %s", got.out)
		}
		again := r.process(t, "attach", id, "--plain")
		again.until("take long")
		if got := r.run(t.Context(), "stop", id, "--reason", "enough"); got.code != recovery.CameBack || !strings.Contains(got.out, "gone: directory") {
			t.Errorf("stop: exit %d %s%s", got.code, got.out, got.err)
		}
		if got := r.run(t.Context(), "runs"); !strings.Contains(got.out, "interrupted, unsigned") {
			t.Errorf("watched to its end: %s", got.out)
		}
		if code, said := again.ends(); code != int(recovery.Interrupted) || !strings.Contains(said, "INTERRUPTED: stopped: enough") {
			t.Errorf("the attached one: exit %d, %s", code, said)
		}
	})
	for name, s := range map[string]syscall.Signal{"ctrl-c": syscall.SIGINT, "SIGTERM": syscall.SIGTERM} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			front := r.process(t, "rehearse", book, "--plain", "--to", "pages.tar")
			front.until("[2 Wait] run: take long")
			front.signal(s)
			if code, said := front.ends(); code != int(recovery.Interrupted) || !strings.Contains(said, "interrupted by "+name) {
				t.Errorf("exit %d, %s", code, said)
			}
		})
	}
	t.Run("hang-up", func(t *testing.T) {
		r := newRig(t)
		front := r.process(t, "rehearse", book, "--plain", "--to", "pages.tar")
		front.until("[2 Wait] run: take long")
		front.signal(syscall.SIGHUP)
		id := filepath.Base(r.only(t))
		if code, said := front.ends(); code != int(recovery.NotEnded) || !strings.Contains(said, "comeback attach "+id) {
			t.Errorf("exit %d, %s", code, said)
		}
		if got := r.run(t.Context(), "stop", id); got.code != recovery.CameBack {
			t.Errorf("stop: exit %d %s%s", got.code, got.out, got.err)
		}
	})
}

// Only who holds the lease commands; everybody may note; it can be taken over
// with a reason, and all of it is told.
func TestRun_lease(t *testing.T) {
	r, dir, _ := waiting(t)
	id := filepath.Base(r.only(t))
	r.environ["USER"] = "ops2"
	if got := r.run(t.Context(), "stop", id); got.code != recovery.Refused || !strings.Contains(got.err, "ops1 commands run "+id) || !strings.Contains(got.err, "--reason") {
		t.Errorf("exit %d, %s", got.code, got.err)
	}
	s := openTerminal(t, r, dir, 80, 24, "attach", id, "--take-over", "ops1 is on the train")
	s.shows("WAITS FOR YOU", "Somebody has looked")
	s.press(" ")
	s.shows("REHEARSED, BUT NOTHING WAS CHECKED")
	s.press("q")
	s.ends()
	got := r.run(t.Context(), "report", "show", id)
	for _, want := range []string{"ops1 is on the train", "ops2"} {
		if !strings.Contains(got.out, want) {
			t.Errorf("the report does not tell %q:\n%s", want, got.out)
		}
	}
	state := r.stateOf(t, id)
	if state.Operator != "ops1" || state.Lease != "ops2" || state.Step("2.1.ticks").Ticks[0].By != "ops2" {
		t.Errorf("operator %s, lease %s", state.Operator, state.Lease)
	}
}
