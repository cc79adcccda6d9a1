package runner_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"comeback/recovery"
	"comeback/recovery/isolation"
	"comeback/recovery/runner"
)

// TestMain lets the test binary be other processes: a runner that is killed, one
// that is launched, a front end of another user.
func TestMain(m *testing.M) {
	isolation.Init()
	dir := os.Getenv("RUNNER_TEST_DIR")
	switch role := os.Getenv("RUNNER_TEST_ROLE"); role {
	case "":
		os.Exit(m.Run())
	case "hold":
		os.Exit(play(holdIn(dir)))
	case "resume":
		_, err := runner.Resume(context.Background(), ticking(runner.Home{Dir: dir}, dir), "")
		os.Exit(play(err))
	case "resume, given to one":
		os.Exit(play(resumeGivenToOne(dir)))
	case "block":
		run, err := start(context.Background(), blocking(runner.Home{Dir: dir}, dir))
		if err == nil {
			_, err = run.Wait()
		}
		os.Exit(play(err))
	case "client":
		os.Exit(play(beClient(dir)))
	default: // as Launch started it: what it is, the act and the run
		os.Exit(play(beLaunched(dir, role)))
	}
}

// start prepares a run and begins it in this process.
func start(ctx context.Context, o runner.Options) (*runner.Run, error) {
	if err := runner.Prepare(o.Home, o.Plan, o.Runbook); err != nil {
		return nil, err
	}
	return runner.Begin(ctx, o)
}

func play(err error) int {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%v\n  next: %s\n", err, recovery.HintOf(err))
		return 1
	}
	return 0
}

// holdIn is a runner that says when its step is under way, and is killed.
func holdIn(dir string) error {
	h := newHold()
	run, err := start(context.Background(), options(runner.Home{Dir: dir}, filepath.Join(dir, "scratch"), h))
	if err != nil {
		return err
	}
	<-h.started
	fmt.Println("started")
	_, err = run.Wait()
	return err
}

// resumeGivenToOne goes on with such a run where a file server gives to nobody whatever is
// made there, and by whomever.
func resumeGivenToOne(dir string) error {
	runtime.LockOSThread()
	if err := errors.Join(unix.Setfsgid(nogroup), unix.Setfsuid(nobody)); err != nil {
		return err
	}
	_, err := runner.Resume(context.Background(), options(runner.Home{Dir: dir}, filepath.Join(dir, "scratch"), newHold()), "")
	return err
}

// beLaunched is what Launch starts.
func beLaunched(dir, role string) error {
	signal.Ignore(syscall.SIGPIPE, syscall.SIGHUP)
	switch role {
	case "silent":
		fmt.Fprintln(os.Stderr, "I say nothing")
		return nil
	case "mute": // until its launcher gives up, which closes what it speaks to
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	case "garbage":
		fmt.Println("Segmentation fault")
		return nil
	case "refuses":
		return runner.Say(os.Stdout, recovery.Errorf("ask ops1", "no, not now").WithExit(recovery.Refused))
	case "late": // it begins when nobody listens any more
		fifo, err := os.Open(filepath.Join(dir, "late"))
		if err != nil {
			return err
		}
		if _, err := io.ReadAll(fifo); err != nil {
			return err
		}
	}
	run, err := runner.Begin(context.Background(), ticking(runner.Home{Dir: dir}, dir))
	if say := runner.Say(os.Stdout, err); say != nil || err != nil {
		return fmt.Errorf("begin: %v, say: %v", err, say)
	}
	_, err = run.Wait()
	return err
}

// beClient holds on to a run and asks what it is told to ask, a line each.
func beClient(dir string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := (runner.Home{Dir: dir}).Dial(ctx, "7c31", runner.Viewer{Operator: "the president", Terminal: "test"})
	if err != nil {
		return err
	}
	defer c.Close()
	fmt.Println("you are", c.Hello.You)
	for _, kind := range strings.Fields(os.Getenv("RUNNER_TEST_ASK")) {
		err := c.Do(ctx, recovery.Command{Kind: recovery.CommandKind(strings.ReplaceAll(kind, "-", " ")), Step: "t", How: recovery.TickDone,
			By: "root", Text: "because"})
		fmt.Printf("%s: %v\n", kind, err)
	}
	s, err := c.State(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Println("lease", s.Lease)
	return err
}

// ticking are the options of a served run with two items to tick.
func ticking(home runner.Home, scratch string) runner.Options {
	o := options(home, scratch, hold{})
	o.Plan.Steps = []recovery.Step{recovery.NewStep("t", recovery.KindTicks, "look", recovery.TicksArgs{Items: []string{"one", "two"}})}
	o.Unattended, o.Serve = false, true
	return o
}

// blocking are the options of a recovery with a block that leaves a program, and one that
// waits for programs of its own, of which one has reset its environment, and that ends well
// when it is run again and the other is gone.
func blocking(home runner.Home, dir string) runner.Options {
	o := options(home, filepath.Join(dir, "scratch"), hold{})
	o.Plan.Mode = recovery.Recovery
	app := recovery.NewStep("app", recovery.KindShell, "start the application", recovery.ShellArgs{Name: "app", Interpreter: "bash", Set: map[string]string{"DIR": dir},
		Script: `set -m
sleep 600 >/dev/null 2>&1 &
echo $! >"$DIR/app"`})
	block := recovery.NewStep("block", recovery.KindShell, "run a block", recovery.ShellArgs{Name: "block", Set: map[string]string{"DIR": dir},
		Script: `if [ -e "$DIR/left" ]; then [ ! -e /proc/$(cat "$DIR/left") ] || grep -q ") Z " /proc/$(cat "$DIR/left")/stat; exit; fi
env -i sleep 600 &
echo $! >"$DIR/reset"
while grep -q . /proc/$!/environ; do :; done
sleep 600 &
echo $! >"$DIR/left.new" && mv "$DIR/left.new" "$DIR/left"
echo begun >"$DIR/begun"
wait`})
	block.After = []string{app.ID}
	o.Plan.Steps = []recovery.Step{app, block}
	return o
}

// serve starts such a run in this process; it has ended when the test has.
func serve(t *testing.T, o runner.Options) *runner.Run {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	run, err := start(ctx, o)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); run.Wait() })
	return run
}

func dial(t *testing.T, home runner.Home, operator string) *runner.Client {
	t.Helper()
	c, err := home.Dial(t.Context(), "7c31", runner.Viewer{Operator: operator, Terminal: "console"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// until follows a run until its state is as wanted.
func until(t *testing.T, s recovery.Session, want func(recovery.State) bool) recovery.State {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	state := recovery.NewState(s.Plan())
	for e, err := range s.Events(ctx, 1) {
		if err != nil {
			t.Fatalf("after event %d: %v", state.Seq, err)
		}
		if state = recovery.Fold(state, e); want(state) {
			return state
		}
	}
	t.Fatalf("it ended otherwise: %s %s", state.Result, state.Says)
	return state
}

func waiting(s recovery.State) bool { return len(s.Waits()) > 0 }
func over(s recovery.State) bool    { return s.Result != "" }

func tick(t *testing.T, s recovery.Session, by string) {
	t.Helper()
	until(t, s, waiting)
	for i := range 2 {
		if err := s.Do(t.Context(), recovery.Command{Kind: recovery.DoTick, Step: "t", Item: i, How: recovery.TickDone, By: by}); err != nil {
			t.Fatal(err)
		}
	}
}
