package main

import (
	"context"
	"encoding/json"
	"fmt"

	"comeback/recovery"
	"comeback/recovery/rescue"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// chooseFlags are what a person wants of tables beyond what is done by itself.
func (o *rescuing) chooseFlags(f *pflag.FlagSet) {
	f.StringArrayVar(&o.into, "into", nil, "bring a table back into another one: `TABLE=NAME`, which is made if it is not there")
	f.StringArrayVar(&o.remove, "remove-added", nil, "remove what the transaction added to this `TABLE`")
	f.StringArrayVar(&o.overwrite, "overwrite", nil, "bring back rows of this `TABLE` that were changed since, too")
	f.StringArrayVar(&o.disable, "without-trigger", nil, "disable a trigger meanwhile: `TABLE.TRIGGER`; nobody else writes to the table then")
}

func (a *app) rescueChooseCommand() *cobra.Command {
	var o rescuing
	cmd := &cobra.Command{
		Use: "choose RUN", Short: "Choose anew what a rescue does, after a look at its preview", Args: oneArgument("RUN"), ValidArgsFunction: a.runArgument,
		Long: `Changes what a rescue that goes on would do: what is not given here is as if it had
never been. The copies stay; live is looked at again, and so has to be the preview.
It is an amendment of the plan: its digest is another one, and the name of the
database is typed for that.

Exit codes:
  0    chosen: the run looks at live again
  1    the run does not take it, or the connection to it failed
  2    the command is wrong, there is no such run, or it is no rescue
  3    refused: somebody else commands the run, it has brought the rows back already,
       or with --on the host shows another key than ssh knows
  4    the runner of the run is gone
  5    with --on: chosen, but what has ended there could not be brought home
  130  interrupted`,
		Example: `  comeback rescue choose 7c31 --overwrite orders
  comeback rescue choose 7c31 --without-trigger orders.audit --remove-added orders
  comeback rescue choose 7c31`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.rescueChoose(cmd.Context(), args[0], o) },
	}
	o.chooseFlags(cmd.Flags())
	return cmd
}

func (a *app) rescueChoose(ctx context.Context, run string, o rescuing) error {
	s, err := a.session(ctx, run, "plain")
	if err != nil {
		return err
	}
	state, err := s.State(ctx)
	if err != nil {
		return err
	}
	choices, err := o.chosen()
	if err != nil {
		return err
	}
	change, err := chooseAnew(&state, choices)
	if err != nil {
		return err
	}
	if err := s.Do(ctx, recovery.Command{Kind: recovery.DoAmend, By: a.operator(), Amend: &change}); err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.out, a.fromThere(fmt.Sprintf("run %s looks at live again; then: comeback rescue show %[1]s", run)))
	return err
}

// chooseAnew amends a rescue that has not changed anything yet.
func chooseAnew(s *recovery.State, choices []rescue.Chosen) (recovery.Amended, error) {
	change := recovery.Amended{Says: "choose anew what is brought back"}
	previews := false
	for i := range s.Steps {
		st := &s.Steps[i]
		step := st.Step
		switch st.Kind {
		case rescue.KindPreview, rescue.KindApply, rescue.KindCheck:
			if st.Kind == rescue.KindApply && (st.State == recovery.Done || st.State == recovery.Running) {
				return change, recovery.Errorf("take it back: comeback rescue undo "+s.Run, "run %s has brought the rows back already", s.Run).WithExit(recovery.Refused)
			}
			previews = previews || st.Kind == rescue.KindPreview
			var args rescue.Args
			if err := step.Decode(&args); err != nil {
				return change, err
			}
			args.Choices = choices
			b, err := json.Marshal(args)
			if err != nil {
				return change, fmt.Errorf("encode the choice: %w", err)
			}
			step.Args = b
		case recovery.KindTicks:
		default:
			continue
		}
		change.Steps = append(change.Steps, step)
	}
	if !previews {
		return change, usage("name a run of comeback rescue", "run %s is no rescue", s.Run)
	}
	return recovery.Amend(s.PlanSHA256, change)
}
