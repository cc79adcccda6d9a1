package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"comeback/recovery"
	"comeback/recovery/runner"

	"github.com/spf13/cobra"
)

func (a *app) runsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "runs", Short: "List the runs on this host and where each stands", Args: noArguments, Example: "  comeback runs",
		RunE: func(*cobra.Command, []string) error { return a.runs() },
	}
}

func (a *app) runs() error {
	home, err := a.home()
	if err != nil {
		return err
	}
	runs, err := home.List()
	if err != nil {
		return err
	}
	if len(runs) == 0 {
		fmt.Fprintf(a.out, "no runs in %s; the first could be: comeback rehearse RUNBOOK\n", home.Runs())
		return nil
	}
	fmt.Fprintf(a.out, "%-6s %-12s %-10s %-17s %-8s %s\n", "RUN", "SYSTEM", "MODE", "STARTED", "BY", "STATE")
	for _, r := range runs {
		if r.Problem != nil {
			fmt.Fprintf(a.out, "%-6s cannot be read: %v\n", r.ID, r.Problem)
			continue
		}
		fmt.Fprintf(a.out, "%-6s %-12s %-10s %-17s %-8s %s\n", r.ID, clean(r.State.System), r.State.Mode,
			r.State.Started.Local().Format("2 Jan 2006 15:04"), clean(r.State.Operator), standing(r))
	}
	return nil
}

// standing says in a few words where a run stands.
func standing(r runner.Past) string {
	s := &r.State
	switch waits := s.Waits(); {
	case s.Result != "" && r.Signed:
		return strings.ToLower(ending(s.Result, s.Mode)) + ", report signed"
	case s.Result != "":
		return strings.ToLower(ending(s.Result, s.Mode)) + ", unsigned"
	case !r.Alive:
		return "DIED; clean up with: comeback stop " + r.ID
	case len(waits) > 0:
		return fmt.Sprintf("WAITS for %s since %s", waits[0].WaitsFor, waits[0].WaitsSince.Local().Format("15:04"))
	}
	return "running"
}

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status RUN", Short: "Print one pasteable text about a run", Args: oneArgument("RUN"), ValidArgsFunction: a.runArgument,
		Example: "  comeback status 7c31",
		RunE:    func(_ *cobra.Command, args []string) error { return a.status(args[0]) },
	}
}

func (a *app) status(id string) error {
	r, err := a.load(id)
	if err != nil {
		return err
	}
	s := &r.State
	fmt.Fprintf(a.out, "%s of %s, run %s: %s\n", s.Mode, s.System, s.Run, standing(r))
	fmt.Fprintf(a.out, "moment   %s\n", clean(r.Plan.Moment.String()))
	end := a.now()
	if !s.Ended.IsZero() {
		end = s.Ended
	}
	fmt.Fprintf(a.out, "started  %s by %s on %s, %s ago\n", s.Started.Local().Format(time.RFC3339), clean(s.Operator), clean(s.Host), recovery.FormatSpan(a.now().Sub(s.Started)))
	for i, st := range s.Stages {
		took := ""
		if !st.Started.IsZero() {
			until := end
			if !st.Ended.IsZero() {
				until = st.Ended
			}
			took = recovery.FormatSpan(until.Sub(st.Started))
		}
		fmt.Fprintf(a.out, "%2d %-30s %-12s %7s\n", i+1, clean(st.Name), st.State, took)
	}
	for i := range s.Steps {
		if st := &s.Steps[i]; st.State == recovery.FailedAt {
			fmt.Fprintf(a.out, "FAILED   %s: %s\n", st.Says, clean(st.Error))
		}
	}
	held, total := s.Checks()
	fmt.Fprintf(a.out, "checks   %d of %d held\n", held, total)
	if s.Result != "" {
		fmt.Fprintf(a.out, "result   %s: %s\n", ending(s.Result, s.Mode), clean(s.Says))
	}
	fmt.Fprintf(a.out, "live     untouched: a rehearsal writes to scratch only\n")
	return nil
}

// load reads a run that must be readable.
func (a *app) load(id string) (runner.Past, error) {
	home, err := a.home()
	if err != nil {
		return runner.Past{}, err
	}
	r, err := home.Load(id)
	if err == nil {
		err = r.Problem
	}
	return r, err
}

func (a *app) stopCommand() *cobra.Command {
	return &cobra.Command{
		Use: "stop RUN", Short: "Stop a run, or clean up after one that died", Args: oneArgument("RUN"), ValidArgsFunction: a.runArgument,
		Long: `Asks a living run to stop and waits until it has cleaned up. Of a run that died
it gives back everything that was claimed, and writes its report.
` + exitCodes,
		Example: "  comeback stop 7c31",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.stop(cmd.Context(), args[0]) },
	}
}

func (a *app) stop(ctx context.Context, id string) error {
	r, err := a.load(id)
	if err != nil {
		return err
	}
	say := &plainWriter{out: a.out, now: a.now, redact: a.redact}
	if r.Alive && r.State.Result == "" {
		return a.stopAlive(ctx, r, say)
	}
	o, err := a.runnerOptions(r.Plan, a.secrets.For(r.Plan.Needs))
	if err != nil {
		return err
	}
	o.Unattended = true
	run, err := runner.End(ctx, o, "stopped after its runner had died")
	if err != nil {
		return err
	}
	say.follow(run)
	s, err := run.Wait()
	if err != nil {
		return err
	}
	say.line("", "%s: %s", ending(s.Result, s.Mode), s.Says)
	say.line("", "report: %s", run.Dir())
	if len(s.Held()) > 0 {
		return &exitError{recovery.WithExceptions}
	}
	return nil
}

// stopAlive asks the process of a run to stop and waits for its end.
func (a *app) stopAlive(ctx context.Context, r runner.Past, say *plainWriter) error {
	pid := r.State.PID
	if pid <= 0 {
		return recovery.Errorf("stop it from its own terminal", "run %s does not say which process it is", r.ID)
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return recovery.Errorf("stop it as the user who started it", "ask run %s (process %d) to stop: %w", r.ID, pid, err)
	}
	say.line("", "asked run %s (process %d) to stop", r.ID, pid)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		now, err := a.load(r.ID)
		if err != nil {
			return err
		}
		if now.State.Result != "" && !now.Alive {
			say.line("", "%s: %s", ending(now.State.Result, now.State.Mode), now.State.Says)
			say.line("", "report: %s", filepath.Clean(now.Dir))
			return nil
		}
		if !now.Alive {
			return recovery.Errorf("try again: comeback stop "+r.ID, "run %s died before it had cleaned up", r.ID)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return recovery.Errorf("look again with: comeback status "+r.ID, "run %s is still stopping", r.ID).WithExit(recovery.NotEnded)
		}
	}
}
