package main

import (
	"context"
	"fmt"
	"os"

	"comeback/recovery"
	"comeback/tui"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

func (a *app) terminalCommand() *cobra.Command {
	return &cobra.Command{
		Use: "terminal RUN", Short: "Talk with a program of a run that wants a person's terminal", Args: oneArgument("RUN"), ValidArgsFunction: a.runArgument,
		Long: `Gives this terminal to the program of the step that waits for one (# terminal: yes
in a shell block). ctrl-] leaves it; the program goes on, and whoever asks next
goes on with it. What the program shows is recorded, what is typed is not.

Exit codes:
  0    left, or the program has ended
  1    the connection to the run failed
  2    no program of the run wants a terminal, or this is none
  3    refused: somebody else commands the run, or with --on the host shows another
       key than ssh knows
  4    the runner of the run is gone
  5    with --on: left, but what has ended there could not be brought home
  130  interrupted`,
		Example: "  comeback terminal 7c31",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.terminal(cmd.Context(), args[0]) },
	}
}

func (a *app) terminal(ctx context.Context, id string) error {
	in, ok := a.in.(*os.File)
	out, too := a.out.(*os.File)
	if !ok || !too || !term.IsTerminal(int(in.Fd())) || !term.IsTerminal(int(out.Fd())) {
		return usage("use it on a terminal", "standard input and output are no terminal")
	}
	s, err := a.session(ctx, id, "terminal")
	if err != nil {
		return err
	}
	seats, ok := s.(recovery.Seats)
	if !ok {
		return usage("see where it stands: comeback status "+id, "no program of run %s wants a terminal", id)
	}
	state, err := s.State(ctx)
	if err != nil {
		return err
	}
	step, ok := talking(&state)
	if !ok {
		return usage("see where it stands: comeback status "+id, "no program of run %s wants a terminal", id)
	}
	columns, rows, err := term.GetSize(int(out.Fd()))
	if err != nil {
		return fmt.Errorf("measure this terminal: %w", err)
	}
	t, err := seats.Terminal(ctx, step.ID, recovery.Screen{Columns: columns, Rows: rows, Term: a.getenv("TERM")})
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { t.Close() })()
	return tui.Talk(step.Says, t, in, out)
}

// talking is the step whose program wants a terminal, or has one.
func talking(s *recovery.State) (*recovery.StepState, bool) {
	for i := range s.Steps {
		st := &s.Steps[i]
		if st.WaitsFor == recovery.WaitTerminal {
			return st, true
		}
		var args recovery.ShellArgs
		if st.Kind == recovery.KindShell && st.State == recovery.Running && st.Decode(&args) == nil && args.Terminal {
			return st, true
		}
	}
	return nil, false
}
