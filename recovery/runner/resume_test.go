package runner_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"comeback/recovery"
	"comeback/recovery/journal"
	"comeback/recovery/plan"
	"comeback/recovery/runner"
)

// died is a state with a run whose runner died while it waited for ticks.
func died(t *testing.T) (runner.Options, string) {
	t.Helper()
	home := runner.Home{Dir: t.TempDir()}
	o := ticking(home, t.TempDir())
	o.Serve = false
	return o, dies(t, o)
}

// dies begins a run whose runner dies while it waits, and gives its journal.
func dies(t *testing.T, o runner.Options) (path string) {
	t.Helper()
	dead := o
	dead.Finish = func(string) error { return errors.New("it never came to that") }
	run := serve(t, dead)
	until(t, run, waiting)
	path = filepath.Join(o.Home.RunDir("7c31"), journal.Name)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Do(t.Context(), recovery.Command{Kind: recovery.DoStop, By: "ops1", Text: "-"}); err != nil {
		t.Fatal(err)
	}
	run.Wait()
	rewrite(t, path, b) // as it was when it died
	return path
}

func rewrite(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A run is gone on with from every state in which a journal can be left.
func TestResume(t *testing.T) {
	for name, test := range map[string]struct {
		damage        func([]byte) []byte
		interruptions int
	}{
		"whole":        {func(b []byte) []byte { return b }, 1},
		"torn":         {func(b []byte) []byte { return append(bytes.Clone(b), `{"seq":4,"prev":"`...) }, 1},
		"first torn":   {func(b []byte) []byte { return b[:20] }, 0},
		"empty":        {func([]byte) []byte { return nil }, 0},
		"not written":  {nil, 0},
		"only started": {func(b []byte) []byte { return b[:bytes.IndexByte(b, '\n')+1] }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			o, path := died(t)
			if test.damage == nil {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			} else {
				rewrite(t, path, test.damage(read(t, path)))
			}
			o.Operator = "ops2"
			run, err := runner.Resume(t.Context(), o, "")
			if err != nil {
				t.Fatal(err)
			}
			tick(t, run, "ops2")
			s, err := run.Wait()
			if err != nil || s.Result != recovery.ResultPassed || len(s.Interruptions) != test.interruptions || s.Lease != "ops2" || len(s.Unknown) != 0 {
				t.Errorf("ended as %s, interruptions %v, lease %s, unknown %v, %v", s.Result, s.Interruptions, s.Lease, s.Unknown, err)
			}
			if _, err := journal.Read(path, o.Plan.Runbook.SHA256); err != nil {
				t.Error(err)
			}
		})
	}
}

// What a block of a recovery had started does not go on beside the block that is run again,
// although its runner was killed where it stood; what one had started that was done does. Where nobody can tell, the run is not resumed.
func TestResume_blocks(t *testing.T) {
	dir, pids := blocked(t)
	_, err := runner.Resume(t.Context(), blocking(runner.Home{Dir: dir}, dir), "")
	if kill := fmt.Sprintf("kill -9 %d;", pids["reset"]); err == nil || recovery.ExitOf(err) != recovery.Refused || !strings.Contains(err.Error(), "sleep (process") || !strings.Contains(recovery.HintOf(err), kill) {
		t.Errorf("beside one of which nobody can tell: %v (%s)", err, recovery.HintOf(err))
	}
	if err := syscall.Kill(pids["reset"], syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	run, err := runner.Resume(t.Context(), blocking(runner.Home{Dir: dir}, dir), "")
	if err != nil {
		t.Fatal(err)
	}
	if s, err := run.Wait(); err != nil || s.Step("block").State != recovery.Done {
		t.Errorf("ended as %s: %s %s, %v", s.Result, s.Says, s.Step("block").Error, err)
	}
	if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pids["app"])); err != nil || strings.Contains(string(stat), ") Z ") {
		t.Errorf("what a block had started that was done has been ended: %s, %v", stat, err)
	}
}

// A run that is stopped runs no block again: what nobody can tell of does not keep it from
// giving back what it holds, and is told.
func TestResume_stopped(t *testing.T) {
	dir, pids := blocked(t)
	home := runner.Home{Dir: dir}
	run, err := runner.Resume(t.Context(), blocking(home, dir), "enough")
	if err != nil {
		t.Fatal(err)
	}
	s, err := run.Wait()
	if err != nil || s.Result != recovery.ResultInterrupted {
		t.Errorf("ended as %s: %s, %v", s.Result, s.Says, err)
	}
	if text := string(read(t, filepath.Join(home.RunDir(s.Run), journal.Name))); !strings.Contains(text, fmt.Sprintf("it has left sleep (process %d)", pids["reset"])) {
		t.Errorf("the journal does not tell what was left:\n%s", text)
	}
}

// blocked is a run whose runner has died, and what its blocks have started: app, of one that
// had ended; left, of one that was under way; and reset, of which nobody can tell.
func blocked(t *testing.T) (dir string, pids map[string]int) {
	t.Helper()
	dir = t.TempDir()
	begun := filepath.Join(dir, "begun")
	if err := unix.Mkfifo(begun, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{"RUNNER_TEST_ROLE=block", "RUNNER_TEST_DIR=" + dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // as Launch does
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if said := read(t, begun); string(said) != "begun\n" {
		t.Errorf("the block said %q", said)
	}
	pids = map[string]int{}
	for _, name := range []string{"app", "left", "reset"} {
		pid, err := strconv.Atoi(strings.TrimSpace(string(read(t, filepath.Join(dir, name)))))
		if err != nil {
			t.Fatal(err)
		}
		pids[name] = pid
		t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	for name, pid := range pids {
		if err := syscall.Kill(pid, 0); err != nil {
			t.Fatalf("%s is gone with its runner already: %v", name, err)
		}
	}
	return dir, pids
}

// Hosts that share a state directory take up, and stop, what each of them has begun: what another
// one has restored seems to be gone here. A host that was renamed since it was started is the same.
func TestResume_anotherHost(t *testing.T) {
	for name, test := range map[string]struct{ was, stop, command string }{
		"resumed":                 {was: "another boot", command: "comeback resume 7c31"},
		"stopped":                 {was: "another boot", stop: "enough", command: "comeback stop 7c31"},
		"a boot that is not told": {command: "comeback resume 7c31"},
	} {
		t.Run(name, func(t *testing.T) {
			o, path := died(t)
			rebooted(t, path, o.Plan.Runbook.SHA256, test.was)
			before := read(t, path)
			o.Host = "db2"
			_, err := runner.Resume(t.Context(), o, test.stop)
			if recovery.ExitOf(err) != recovery.Refused || !strings.Contains(err.Error(), "was carried out on db1, what it has made is there, and this is db2") || !strings.HasPrefix(recovery.HintOf(err), "on db1: "+test.command+"; ") {
				t.Errorf("%v (%s)", err, recovery.HintOf(err))
			}
			if !bytes.Equal(before, read(t, path)) {
				t.Error("the journal was changed")
			}
			o.Host = "db1" // after a reboot
			run, err := runner.Resume(t.Context(), o, "enough")
			if err != nil {
				t.Fatal(err)
			}
			run.Wait()
		})
	}
	o, _ := died(t)
	o.Host = "renamed"
	run, err := runner.Resume(t.Context(), o, "enough")
	if err != nil {
		t.Fatal(err)
	}
	run.Wait()
}

// rebooted writes a journal anew, as of another boot of its host.
func rebooted(t *testing.T, path, runbook, boot string) {
	t.Helper()
	events, err := journal.Read(path, runbook)
	if err == nil {
		err = os.Remove(path)
	}
	if err != nil {
		t.Fatal(err)
	}
	j, err := journal.Create(path, runbook)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		var err error
		p, _ := e.Payload()
		if started, ok := p.(recovery.RunStarted); ok {
			started.BootID = boot
			e, err = recovery.NewEvent(e.At, started)
		}
		if err == nil {
			_, err = j.Append(e)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

// What is damaged otherwise is refused, by its place, and left as it is.
func TestResume_damaged(t *testing.T) {
	for name, test := range map[string]struct {
		file   string
		damage func([]byte) []byte
		want   string
	}{
		"changed":      {journal.Name, func(b []byte) []byte { return bytes.Replace(b, []byte("ops1"), []byte("ops2"), 1) }, "line 2"},
		"line missing": {journal.Name, func(b []byte) []byte { return b[bytes.IndexByte(b, '\n')+1:] }, "line 1"},
		"other plan":   {"plan.json", func(b []byte) []byte { return bytes.Replace(b, []byte(`"two"`), []byte(`"2"`), 1) }, "plan.json is not what run 7c31 began with"},
	} {
		t.Run(name, func(t *testing.T) {
			o, path := died(t)
			changed := filepath.Join(filepath.Dir(path), test.file)
			rewrite(t, changed, test.damage(read(t, changed)))
			before := read(t, path)
			if _, err := runner.Resume(t.Context(), o, ""); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v", err)
			}
			if !bytes.Equal(before, read(t, path)) {
				t.Error("the journal was changed")
			}
		})
	}
}

// Of several who begin or take up a run at once one does, and people who look
// at it keep nobody from it.
func TestResume_race(t *testing.T) {
	for range 10 {
		o, path := died(t)
		looking := make(chan struct{})
		var look, race sync.WaitGroup
		for range 2 {
			look.Go(func() {
				for {
					select {
					case <-looking:
						return
					default:
						if p, err := o.Home.Load("7c31"); err != nil || p.Problem != nil {
							t.Errorf("%v %v", err, p.Problem)
						}
					}
				}
			})
		}
		runs, errs := make([]*runner.Run, 4), make([]error, 4)
		for i := range runs {
			race.Go(func() { runs[i], errs[i] = runner.Resume(t.Context(), o, "") })
		}
		race.Wait()
		close(looking)
		look.Wait()
		won := 0
		for i, run := range runs {
			if run == nil {
				if recovery.ExitOf(errs[i]) != recovery.Refused || recovery.HintOf(errs[i]) == "" {
					t.Errorf("the loser: %v", errs[i])
				}
				continue
			}
			won++
			tick(t, run, "ops1")
			if s, err := run.Wait(); err != nil || s.Result != recovery.ResultPassed {
				t.Errorf("ended as %s, %v", s.Result, err)
			}
		}
		if won != 1 {
			t.Errorf("%d won", won)
		}
		if _, err := journal.Read(path, o.Plan.Runbook.SHA256); err != nil {
			t.Error(err)
		}
	}
}

// Of several who prepare or begin the same run one does.
func TestPrepare_race(t *testing.T) {
	o := ticking(runner.Home{Dir: t.TempDir()}, t.TempDir())
	count := func(do func() error) (won int) {
		var race sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			race.Go(func() { errs[i] = do() })
		}
		race.Wait()
		for _, err := range errs {
			if err == nil {
				won++
			}
		}
		return won
	}
	if n := count(func() error { return runner.Prepare(o.Home, o.Plan, o.Runbook) }); n != 1 {
		t.Errorf("%d prepared it", n)
	}
	runs := make(chan *runner.Run, 8)
	if n := count(func() error {
		run, err := runner.Begin(t.Context(), o)
		if err == nil {
			runs <- run
		}
		return err
	}); n != 1 {
		t.Errorf("%d began it", n)
	}
	run := <-runs
	tick(t, run, "ops1")
	run.Wait()
}

// Runs of a system that are planned at once have numbers of their own.
func TestPrepare_numbers(t *testing.T) {
	home := runner.Home{Dir: t.TempDir()}
	var plans []*recovery.Plan
	for _, id := range []string{"7c31", "7c32", "7c33"} {
		o := ticking(home, t.TempDir())
		p := *o.Plan
		p.Run = id
		plans = append(plans, &p)
	}
	var all sync.WaitGroup
	errs := make([]error, len(plans))
	for i, p := range plans {
		all.Go(func() { errs[i] = runner.Prepare(home, p, ticking(home, "").Runbook) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	var numbers []int
	for _, p := range plans {
		recorded, err := home.Look(p.Run)
		if err != nil || recorded.Plan.Number != p.Number {
			t.Errorf("run %s is recorded as another number than it was given: %v", p.Run, err)
		}
		numbers = append(numbers, p.Number)
	}
	slices.Sort(numbers)
	if first := numbers[0]; !slices.Equal(numbers, []int{first, first + 1, first + 2}) {
		t.Errorf("the numbers are %v", numbers)
	}
}

// A run follows the report that there is when it is recorded, whatever there was when it was
// planned: that of a run that has ended since, or as it has become since.
func TestPrepare_previous(t *testing.T) {
	for name, planned := range map[string]string{"it ended since": "", "it was changed since": "as it was"} {
		t.Run(name, func(t *testing.T) {
			home := runner.Home{Dir: t.TempDir()}
			o := ticking(home, t.TempDir())
			first, second := *o.Plan, *o.Plan
			second.Run = "7c32"
			if err := runner.Prepare(home, &first, o.Runbook); err != nil {
				t.Fatal(err)
			}
			write := func(report string) {
				for name, content := range map[string]string{"report.json": report, "SHA256SUMS": "sums"} {
					if err := os.WriteFile(filepath.Join(home.RunDir(first.Run), name), []byte(content), 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
			if planned != "" {
				write(planned)
			}
			history, err := home.History(o.Plan.System)
			if err != nil {
				t.Fatal(err)
			}
			second.Number, second.Previous = history.Number, history.Previous
			write("as it is")
			if err := runner.Prepare(home, &second, o.Runbook); err != nil {
				t.Fatal(err)
			}
			recorded, err := home.Look(second.Run)
			if err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf("%x", sha256.Sum256([]byte("as it is"))); recorded.Plan.Number != first.Number+1 || recorded.Plan.Previous != want || history.Previous == want {
				t.Errorf("number %d follows %q, want %d and %q", recorded.Plan.Number, recorded.Plan.Previous, first.Number+1, want)
			}
		})
	}
}

// A preparation that was cut off counts as nothing.
func TestPrepare_cutOff(t *testing.T) {
	o := ticking(runner.Home{Dir: t.TempDir()}, t.TempDir())
	draft := filepath.Join(o.Home.Runs(), ".7c31")
	if err := os.MkdirAll(draft, 0o700); err != nil {
		t.Fatal(err)
	}
	b, err := plan.Encode(o.Plan)
	if err != nil {
		t.Fatal(err)
	}
	rewrite(t, filepath.Join(draft, "plan.json"), b[:len(b)/2])
	if runs, err := o.Home.List(); err != nil || len(runs) != 0 {
		t.Errorf("%d runs, %v", len(runs), err)
	}
	if _, err := o.Home.Load("7c31"); recovery.ExitOf(err) != recovery.Usage {
		t.Errorf("Load: %v", err)
	}
	if err := runner.Prepare(o.Home, o.Plan, o.Runbook); recovery.ExitOf(err) != recovery.Refused {
		t.Errorf("Prepare: %v", err)
	}
}

// A run that died between its end and its report gets it; what it had left of
// its life goes.
func TestResume_afterTheEnd(t *testing.T) {
	for name, take := range map[string]func(runner.Options) error{
		"resume":   func(o runner.Options) error { _, err := runner.Resume(t.Context(), o, ""); return err },
		"conclude": runner.Conclude,
	} {
		t.Run(name, func(t *testing.T) {
			o := ticking(runner.Home{Dir: t.TempDir()}, t.TempDir())
			dead := o
			dead.Finish = nil
			run := serve(t, dead)
			tick(t, run, "ops1")
			run.Wait()
			if err := os.MkdirAll(o.Home.LiveDir("7c31"), 0o700); err != nil {
				t.Fatal(err)
			}
			// The report was cut off: SHA256SUMS is written last.
			rewrite(t, filepath.Join(o.Home.RunDir("7c31"), "report.json"), []byte("{"))
			if p, err := o.Home.Load("7c31"); err != nil || p.ReportSHA256 != "" {
				t.Errorf("half a report counts as one: %v", err)
			}
			if err := take(o); name == "resume" && (err == nil || !strings.Contains(err.Error(), "has ended already")) || name == "conclude" && err != nil {
				t.Errorf("%v", err)
			}
			if p, err := o.Home.Load("7c31"); err != nil || p.ReportSHA256 == "" {
				t.Errorf("no report: %v", err)
			}
			if _, err := os.Lstat(o.Home.LiveDir("7c31")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("something is left of its life: %v", err)
			}
		})
	}
}

// What interrupted steps had begun to write is told of, once.
func TestResume_leftovers(t *testing.T) {
	o, path := died(t)
	dir := filepath.Join(filepath.Dir(path), "artifacts")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	rewrite(t, filepath.Join(dir, "db.copy.log"), []byte("half a li"))
	run, err := runner.Resume(t.Context(), o, "")
	if err != nil {
		t.Fatal(err)
	}
	tick(t, run, "ops1")
	run.Wait()
	events, err := journal.Read(path, o.Plan.Runbook.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	var told []recovery.Artifact
	for _, e := range events {
		if p, _ := e.Payload(); p != nil {
			if r, ok := p.(recovery.RunResumed); ok {
				told = append(told, r.Artifacts...)
			}
		}
	}
	if len(told) != 1 || told[0].Name != "db.copy.log" || told[0].Size != 9 || len(told[0].SHA256) != 64 {
		t.Errorf("told of %+v", told)
	}
}

// Where nobody can be asked, a run that is to change live is not taken up when its name would
// not count: that would be refused only at the switch, after all the work before it.
func TestResume_name(t *testing.T) {
	home := runner.Home{Dir: t.TempDir()}
	o := ticking(home, t.TempDir())
	o.Plan.Mode, o.Plan.Confirm = recovery.Recovery, "db1/shop"
	o.Plan.Targets = append(o.Plan.Targets, recovery.Target{ID: "live/db", Name: "db1/shop", Place: "/srv/pg/shop"})
	switches := recovery.Step{ID: "switch", Kind: "test.hold", Says: "switch", After: []string{"t"}, Writes: []recovery.TargetID{"live/db"}}
	o.Plan.Steps = append(o.Plan.Steps, switches)
	o.Serve, o.Confirmed = false, "db1/shop"
	path := dies(t, o)
	before := read(t, path)
	o.Confirmed, o.Unattended = "", true
	for name, c := range map[string]struct {
		operator, confirmed, stop string
		taken                     bool
	}{
		"by another":                {operator: "ops2"},
		"by another who types it":   {operator: "ops2", confirmed: "db1/shop", taken: true},
		"by who typed it":           {operator: "ops1", taken: true},
		"by another, to be stopped": {operator: "ops2", stop: "enough", taken: true},
	} {
		t.Run(name, func(t *testing.T) {
			o := o
			o.Operator, o.Confirmed = c.operator, c.confirmed
			run, err := runner.Resume(t.Context(), o, c.stop)
			if taken := err == nil; taken != c.taken {
				t.Fatalf("taken up %v, want %v: %v", taken, c.taken, err)
			}
			if c.taken {
				run.Wait()
				rewrite(t, path, before)
				return
			}
			if recovery.ExitOf(err) != recovery.Refused || !strings.Contains(recovery.HintOf(err), "--confirm db1/shop") {
				t.Errorf("%v (%s)", err, recovery.HintOf(err))
			}
			if !bytes.Equal(before, read(t, path)) {
				t.Error("the journal was changed")
			}
		})
	}
}
