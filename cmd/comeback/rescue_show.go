package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"comeback/recovery"
	"comeback/recovery/rescue"
	"comeback/recovery/runner"

	"github.com/spf13/cobra"
)

func (a *app) rescueShowCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "show RUN", Short: "Show what a rescue would do, with some of the rows", Args: oneArgument("RUN"), ValidArgsFunction: a.runArgument,
		Long: `Shows the preview of a rescue that goes on: for each table how many rows would be
inserted, updated and removed, what is in conflict, which triggers fire, what is
locked; and some rows of each kind. Rows are shown here and nowhere else: they
stand in no journal and no report.

Exit codes:
  0    shown
  1    the preview cannot be read, or could not be written
  2    the command is wrong, there is no such run, or it is no rescue
  3    refused: there is no preview yet, or not any more; or with --on the host shows
       another key than ssh knows
  5    with --on: shown, but what has ended there could not be brought home
  130  interrupted`,
		Example: "  comeback rescue show 7c31",
		RunE:    func(_ *cobra.Command, args []string) error { return a.rescueShow(args[0], asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) rescueShow(run string, asJSON bool) error {
	r, err := a.load(run)
	if err != nil {
		return err
	}
	p, err := previewOf(r)
	if err != nil {
		return err
	}
	if asJSON {
		samples := map[string][]rescue.Sample{}
		for _, t := range p.Tables {
			samples[t.Table.String()] = t.Samples
		}
		return a.printJSON(map[string]any{"preview": p, "samples": samples})
	}
	_, err = io.WriteString(a.out, a.previewText(r.ID, p))
	return err
}

// previewText is a preview as people read it, with some of the rows.
func (a *app) previewText(run string, p rescue.Preview) string {
	var b strings.Builder
	fmt.Fprintf(&b, "run %s, into %s\n\n", run, clean(p.Database))
	for _, line := range p.Lines() {
		fmt.Fprintln(&b, a.redact(clean(line)))
	}
	for i := range p.Tables {
		a.writeSamples(&b, &p.Tables[i])
	}
	return b.String()
}

// Rows is the preview of a rescue with some of its rows.
func (d *desk) Rows(_ context.Context, run string) (string, error) {
	r, err := d.app.load(run)
	if err != nil {
		return "", err
	}
	p, err := previewOf(r)
	if err != nil {
		return "", err
	}
	return d.app.previewText(r.ID, p), nil
}

// previewOf reads the preview that a run has made.
func previewOf(r runner.Past) (rescue.Preview, error) {
	i := slices.IndexFunc(r.Plan.Steps, func(s recovery.Step) bool { return s.Kind == rescue.KindPreview })
	if i < 0 {
		return rescue.Preview{}, usage("name a run of comeback rescue", "run %s is no rescue", r.ID)
	}
	var args rescue.Args
	if err := r.Plan.Steps[i].Decode(&args); err != nil {
		return rescue.Preview{}, err
	}
	j := slices.IndexFunc(r.Plan.Targets, func(t recovery.Target) bool { return t.ID == args.Scratch })
	if j < 0 {
		return rescue.Preview{}, fmt.Errorf("find the preview of run %s: its plan has no target %s", r.ID, args.Scratch)
	}
	p, ok, err := rescue.LoadPreview(r.Plan.Targets[j].Place)
	if err != nil || ok {
		return p, err
	}
	if r.State.Result != "" {
		return p, recovery.Errorf("its counts stand in the report: comeback report show "+r.ID, "run %s has ended, and its rows are gone", r.ID).WithExit(recovery.Refused)
	}
	return p, recovery.Errorf("look again when it is there; comeback status "+r.ID+" tells how far it is", "run %s has no preview yet", r.ID).WithExit(recovery.Refused)
}

// writeSamples writes rows of each kind, a line for every version of a row.
func (a *app) writeSamples(out *strings.Builder, t *rescue.TablePreview) {
	what := ""
	var table [][]string
	flush := func() {
		if len(table) > 1 {
			fmt.Fprintf(out, "\n%s, %s:\n", clean(t.Table.String()), what)
			for _, line := range columns(table, nil) {
				fmt.Fprintln(out, a.redact("  "+line))
			}
		}
	}
	samples := slices.Clone(t.Samples)
	slices.SortStableFunc(samples, func(x, y rescue.Sample) int { return strings.Compare(x.What, y.What) })
	for _, s := range samples {
		if s.What != what {
			flush()
			what, table = s.What, [][]string{append([]string{""}, s.Names...)}
		}
		for _, v := range []struct {
			says   string
			values []*string
		}{{"before", s.Before}, {"after", s.After}, {"live", s.Live}} {
			row := []string{v.says}
			if v.values == nil {
				table = append(table, append(row, "(no such row)"))
				continue
			}
			for _, value := range v.values {
				row = append(row, cell(value))
			}
			table = append(table, row)
		}
	}
	flush()
}

// widest is how much of a value is shown.
const widest = 40

func cell(value *string) string {
	if value == nil {
		return "NULL"
	}
	if r := []rune(*value); len(r) > widest {
		return string(r[:widest-1]) + "…"
	}
	return *value
}

func (a *app) rescueUndoCommand() *cobra.Command {
	var o request
	var leave bool
	cmd := &cobra.Command{
		Use: "undo RUN", Short: "Take a rescue back", Args: oneArgument("RUN"), ValidArgsFunction: a.runArgument,
		Long: `Takes back what a rescue did, by the script that it wrote before: inserted rows are
removed, updated ones get back what they had. It is a run of its own. Where rows
were changed since, nothing is done, or with --leave-changed the rest.

The script is an artifact of the rescue; psql can run it, too.
` + exitCodes,
		Example: `  comeback rescue undo 7c31
  comeback rescue undo 7c31 --plain --confirm db1/shop`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.rescueUndo(cmd.Context(), args[0], o, leave) },
	}
	f := cmd.Flags()
	confirmFlag(f, &o.confirm, "the live database")
	f.BoolVar(&leave, "leave-changed", false, "leave rows alone that were changed since the rescue, and take the rest back")
	f.BoolVar(&o.dryRun, "dry-run", false, "print the plan as JSON and do nothing")
	runFlags(f, &o.key, &o.plain, &o.json)
	asksNothing(f)
	return cmd
}

func (a *app) rescueUndo(ctx context.Context, run string, o request, leave bool) error {
	r, err := a.load(run)
	if err != nil {
		return err
	}
	p, b, err := a.planUndo(ctx, r, leave)
	if err != nil {
		return err
	}
	if o.dryRun {
		return a.printPlan(p)
	}
	if !o.plain && !o.json && a.interactive() {
		return a.consoleRun(ctx, b, p, o)
	}
	say := &plainWriter{out: a.out, now: a.now, redact: a.said}
	if o.json {
		say.out = a.err
	}
	return a.runPlanned(ctx, b, p, o, say)
}
