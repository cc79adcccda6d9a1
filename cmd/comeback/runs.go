package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/aftermath"
	"comeback/recovery/filing"
	"comeback/recovery/runner"

	"github.com/spf13/cobra"
)

func (a *app) runsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "runs", Short: "List the runs on this host and where each stands", Args: noArguments,
		Long: `Lists every run of the state directory, the newest first: what goes on, what waits
for whom since when, what died and how to go on with it, what ended unsigned.

Exit codes:
  0    listed
  1    the list could not be written, or with --on the connection was lost
  2    the command is wrong, or the state directory or the host cannot be reached` + carriedExits,
		Example: "  comeback runs\n  comeback runs --on db1",
		RunE:    func(*cobra.Command, []string) error { return a.runs() },
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
	defer a.tellOverlooked()
	if len(runs) == 0 {
		fmt.Fprintf(a.out, "no runs in %s; the first could be: comeback rehearse RUNBOOK\n", home.Runs())
		return nil
	}
	fmt.Fprintf(a.out, "%-6s %-12s %-10s %-17s %-8s %s\n", "RUN", "SYSTEM", "MODE", "STARTED", "BY", "STATE")
	for _, r := range runs {
		if r.Problem != nil {
			fmt.Fprintf(a.out, "%-6s cannot be read: %s\n", clean(r.ID), clean(a.redact(r.Problem.Error())))
			continue
		}
		fmt.Fprintf(a.out, "%-6s %-12s %-10s %-17s %-8s %s\n", r.ID, clean(r.State.System), r.State.Mode,
			r.State.Started.Local().Format("2 Jan 2006 15:04"), clean(r.State.Operator), a.said(standsNow(r, runs)))
	}
	return nil
}

// standsNow says in a few words where a run stands, with what other runs have made of it.
func standsNow(r runner.Past, runs []runner.Past) string {
	says := standing(r)
	if by := aftermath.Undone(r, runs); by != nil {
		says += ", switched back by " + by.ID
	}
	return says + stillHolds(r, runs)
}

// stillHolds says that a run has ended and not everything that it made is gone; empty
// where nothing is left.
func stillHolds(r runner.Past, runs []runner.Past) string {
	if r.State.Result == "" || r.Plan.GivesBack != nil { // its parent tells of it
		return ""
	}
	h := aftermath.Held(r, runs)
	switch n := len(h.Still); {
	case n == 0:
		return ""
	case h.OfLive:
		return ", NOT ALL GIVEN BACK; comeback status " + r.ID
	case n == 1:
		return ", 1 claim not given back; " + stopLine(r)
	default:
		return fmt.Sprintf(", %d claims not given back; %s", n, stopLine(r))
	}
}

// standing says in a few words where a run stands.
func standing(r runner.Past) string {
	s := &r.State
	switch {
	case s.Result != "" && r.Signed:
		return strings.ToLower(r.Plan.Headline(s)) + ", report signed"
	case s.Result != "" && r.ReportSHA256 == "" && !r.Alive:
		return strings.ToLower(r.Plan.Headline(s)) + ", NO REPORT; comeback resume " + r.ID
	case s.Result != "" && !s.Watched:
		return strings.ToLower(r.Plan.Headline(s)) + ", unwatched, unsigned"
	case s.Result != "":
		return strings.ToLower(r.Plan.Headline(s)) + ", unsigned"
	case r.Died && s.Started.IsZero():
		return "DIED before it began; comeback resume " + r.ID
	case r.Died:
		return "DIED; comeback resume " + r.ID
	}
	return clean(s.Doing(time.Local))
}

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status RUN", Short: "Print one pasteable text about a run", Args: oneArgument("RUN"), ValidArgsFunction: a.runArgument,
		Long: `Prints what a run does, since when, until when, and what is lost by it: one text for
whoever asks, to be pasted into a chat or a mail. It holds no secret.

Exit codes:
  0    told
  1    the run cannot be read, or it could not be written
  2    the command is wrong, there is no such run, or the host cannot be reached` + carriedExits,
		Example: "  comeback status 7c31\n  comeback status 7c31 --on db1",
		RunE:    func(_ *cobra.Command, args []string) error { return a.status(args[0]) },
	}
}

func (a *app) status(id string) error {
	r, err := a.load(id)
	if err != nil {
		return err
	}
	runs, err := a.followed(r)
	if err != nil {
		return err
	}
	_, err = io.WriteString(a.out, a.statusOf(r, runs))
	return err
}

// lines makes text of several lines harmless for a terminal.
func lines(text string) string {
	parts := strings.Split(text, "\n")
	for i := range parts {
		parts[i] = clean(parts[i])
	}
	return strings.Join(parts, "\n")
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

// loadFrom reads the run of a directory, of this host or fetched, that must be readable.
func (a *app) loadFrom(dir string) (runner.Past, error) {
	home, err := a.home()
	if err != nil {
		return runner.Past{}, err
	}
	if filing.IsFetched(home, dir) {
		home = home.Filed()
	}
	r, err := home.Load(filepath.Base(dir))
	if err == nil {
		err = r.Problem
	}
	return r, err
}

func (a *app) stopCommand() *cobra.Command {
	var why string
	cmd := &cobra.Command{
		Use: "stop RUN", Short: "Stop a run, or clean up after one that died or has left something", Args: oneArgument("RUN"), ValidArgsFunction: a.runArgument,
		Long: `Asks a living run to stop and waits until it has cleaned up. Of a run that died
it gives back everything that was claimed, and writes its report. A recovery that
is stopped before its switch is open gives the old system back.

Of a run that has ended it gives back what could not be given back then, or was
kept with --keep: by a run of its own, a child of RUN. Where any of it was made of
what is live it leaves all of it, for people may have gone on there since. Secrets
that are needed and are not in the environment are asked for; where nobody can be
asked, nothing is begun.

Exit codes:
  0    it has ended, and everything was given back
  1    failed
  2    there is no such run, nothing of it is left, or a secret is missing
  3    refused: somebody else commands it or works on it, or what is left was live
  4    it is still stopping
  5    it has ended, and not everything could be cleaned up
  130  interrupted`,
		Example: "  comeback stop 7c31\n  comeback stop 7c31 --reason \"wrong backup\"",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.stop(cmd.Context(), args[0], why)
		},
	}
	cmd.Flags().StringVar(&why, "reason", "", "the `REASON`, for the report; with it a run that another operator commands is taken over first")
	return cmd
}

func (a *app) stop(ctx context.Context, id, why string) error {
	r, err := a.load(id)
	if err != nil {
		return err
	}
	say := &plainWriter{out: a.out, now: a.now, redact: a.said}
	switch {
	case r.State.Result != "" && (r.ReportSHA256 != "" || !r.Alive):
		return a.stopEnded(ctx, r, why, say)
	case r.Alive:
		return a.stopAlive(ctx, r, why, say)
	}
	if err := a.onItsHost(r, "comeback stop "); err != nil {
		return err
	}
	// What ends without them could not be given back.
	var claims []recovery.Resource
	for _, c := range r.State.Held() {
		claims = append(claims, c.Resource)
	}
	if _, err := a.askNeeds(ctx, a.heldNeeds(r, claims), id); err != nil {
		return err
	}
	o, err := a.runnerOptions(r.Plan, a.secrets.For(r.Plan.Needs))
	if err != nil {
		return err
	}
	o.Unattended = true
	if why == "" {
		why = "stopped after its runner had died"
	}
	// Giving back an exchange changes live: nobody else may be at work on it.
	hold, err := a.hold(ctx, o)
	if err != nil {
		return err
	}
	o.Hold = hold.Check
	run, err := runner.Resume(ctx, o, why)
	if err != nil {
		return errors.Join(err, hold.Release(context.WithoutCancel(ctx)))
	}
	told := say.follow(context.WithoutCancel(ctx), run)
	s, err := run.Wait()
	a.restores(o).End(context.WithoutCancel(ctx)) // as its runner would have
	if err = errors.Join(told, err, hold.Release(context.WithoutCancel(ctx))); err != nil {
		return err
	}
	say.line("", "%s: %s", r.Plan.Headline(&s), s.Says)
	say.line("", "report: %s", run.Dir())
	return a.tellHeld(say, r.Plan, &s)
}

// stopAlive asks the runner of a run to stop and waits for its end.
func (a *app) stopAlive(ctx context.Context, r runner.Past, why string, say *plainWriter) error {
	s, err := a.session(ctx, r.ID, "plain")
	if err != nil {
		return err
	}
	state, err := s.State(ctx)
	if err != nil {
		return err
	}
	if state.Lease != a.operator() {
		if why == "" {
			return recovery.Errorf(fmt.Sprintf("ask %s, or take the run over: comeback stop %s --reason WHY", state.Lease, r.ID),
				"refused: %s commands run %s", state.Lease, r.ID).WithExit(recovery.Refused)
		}
		if err := a.take(ctx, s, why); err != nil {
			return err
		}
	}
	if why == "" {
		why = "asked to by comeback stop"
	}
	if err := s.Do(ctx, recovery.Command{Kind: recovery.DoStop, By: a.operator(), Text: why}); err != nil {
		return err
	}
	say.line("", "asked run %s to stop", r.ID)
	for e, err := range s.Events(ctx, state.Seq+1) {
		if err != nil {
			if ctx.Err() != nil {
				return recovery.Errorf("look again with: comeback status "+r.ID, "run %s is still stopping", r.ID).WithExit(recovery.NotEnded)
			}
			return err
		}
		state = recovery.Fold(state, e)
		say.event(&state, e)
	}
	end, err := a.load(r.ID)
	if err != nil {
		return err
	}
	say.line("", "%s: %s", end.Plan.Headline(&end.State), end.State.Says)
	say.line("", "report: %s", end.Dir)
	return a.tellHeld(say, end.Plan, &end.State)
}
