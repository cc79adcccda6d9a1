// Command comeback brings a system back from its backups, and rehearses that.
// This package is the wiring: what a command line means, whom a command asks and in which
// order, the words and the JSON for what comes of it, and the demo. What can be gone to and what
// is lost by it, what a check sees, what is kept of backups and of what a run has left, whose
// signature counts and what a run proves by it the packages under recovery decide, and what a
// runbook may do that nobody has named, runbooks.
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"comeback/recovery"
	"comeback/recovery/isolation"
	"comeback/recovery/runner"
	"comeback/recovery/schedule"
)

// version and commit are set by the linker; see the Makefile.
var version, commit = "", ""

func main() {
	isolation.Init()
	ignorePipes()
	os.Exit(int(program(os.Args[1:])))
}

// ignorePipes lets nobody's closed pipe end a run before it has cleaned up.
func ignorePipes() { signal.Ignore(syscall.SIGPIPE) }

// program carries out a command line in the surroundings of this process.
func program(args []string) recovery.Exit {
	if err := takeEnvironment(); err != nil {
		a := newApp()
		a.tell(err)
		return a.neverBegan(args, err)
	}
	ctx, stop := interruptible()
	defer stop()
	return newApp().run(ctx, args)
}

// takeEnvironment takes variables from the file that a job of cron names, if it is
// there. What it says counts, as with systemd.
func takeEnvironment() error {
	file := os.Getenv(schedule.EnvironmentVariable)
	if file == "" {
		return nil
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return recovery.Errorf("let the user of the job read it, or take "+schedule.EnvironmentVariable+" away", "read the variables: %w", err).WithExit(recovery.Usage)
	}
	for _, v := range schedule.Environment(string(text)) {
		name, value, _ := strings.Cut(v, "=")
		if err := os.Setenv(name, value); err != nil {
			return recovery.Errorf("mend its line in "+file, "take the variable %s: %w", name, err).WithExit(recovery.Usage)
		}
	}
	return nil
}

// interruptible is a context that ends with the first signal that asks the
// program to; its cause names the signal.
func interruptible() (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		for s := range signals {
			if s == syscall.SIGHUP {
				cancel(errHangUp)
				continue
			}
			cancel(fmt.Errorf("interrupted by %s", name(s)))
		}
	}()
	return ctx, func() { signal.Stop(signals); cancel(nil) }
}

func name(s os.Signal) string {
	if s == syscall.SIGINT {
		return "ctrl-c"
	}
	return "SIGTERM"
}

// errHangUp is the cause of a context that ended because the terminal did.
var errHangUp = errors.New("interrupted by the end of its terminal")

// run executes one command line and says what went wrong: one sentence with the
// cause, one with the next step.
func (a *app) run(ctx context.Context, args []string) recovery.Exit {
	told := a.keepsTold(args)
	err := a.execute(ctx, args)
	code, ended := recovery.ExitOf(err), (*exitError)(nil)
	switch {
	case err == nil || told.lost != nil && gone(err): // whoever went away has enough
		code = recovery.CameBack
	case errors.As(err, &ended):
		code = ended.code
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		code = recovery.Interrupted
		fallthrough
	default:
		err = interruptedBy(ctx, err)
		a.tell(err)
		if errors.Is(err, runner.ErrNoRun) {
			a.tellOverlooked()
		}
		a.tellJSON(args, err, code)
	}
	if told.lost != nil && !gone(told.lost) && !errors.Is(err, told.lost) {
		return a.notTold(args, told.lost, code)
	}
	return code
}

// interruptedBy says of an error that its context has ended what has ended that, where it is
// known: a person reads "interrupted by ctrl-c", and no word of the program's own.
func interruptedBy(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	if cause == nil || errors.Is(cause, context.Canceled) || !errors.Is(err, context.Canceled) {
		return err
	}
	return &recovery.Error{What: strings.ReplaceAll(err.Error(), context.Canceled.Error(), cause.Error()), Hint: recovery.HintOf(err), Exit: recovery.ExitOf(err), Err: err}
}

// neverBegan is the exit code of a command line that could not begin: that of the error,
// but for commands whose codes say something else.
func (a *app) neverBegan(args []string, err error) recovery.Exit {
	if cmd, _, unknown := a.root().Find(args); unknown == nil {
		if code := wrong(cmd); code != recovery.Usage {
			return code
		}
	}
	return recovery.ExitOf(err)
}

// tell says what went wrong, and what to do next.
func (a *app) tell(err error) {
	fmt.Fprintf(a.err, "comeback: %s\n", clean(a.said(err.Error())))
	if hint := recovery.HintOf(err); hint != "" {
		fmt.Fprintf(a.err, "  next: %s\n", clean(a.said(hint)))
	}
}

// tellOverlooked says that there may be runs which this user does not see.
func (a *app) tellOverlooked() {
	if err := a.overlooked(); err != nil {
		a.tell(err)
	}
}

// execute is the command that the arguments name; without any it is the console,
// which does not wait until all commands and their flags have been made.
func (a *app) execute(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return a.console(ctx, style{})
	}
	root := a.root()
	a.args = args
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	if err := root.ExecuteContext(ctx); err != nil {
		return err
	}
	return a.noHelp
}

// exitError ends the program with a code after everything was said.
type exitError struct{ code recovery.Exit }

func (e *exitError) Error() string { return fmt.Sprintf("exit %d", e.code) }

// build is what this binary was built from; "unknown" where nobody said.
func build() (v, c string) {
	v, c = version, commit
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && c == "" {
				c = s.Value
			}
		}
	}
	if v == "" {
		v = "unknown"
	}
	if c == "" {
		c = "unknown"
	}
	return v, c
}
