package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/postgres"
	"comeback/recovery/runner"
	"comeback/recovery/verify"

	"github.com/spf13/cobra"
)

// looking is what `comeback look` was asked for.
type looking struct {
	run, sql   string
	component  string
	live, json bool
	timeout    time.Duration
}

func (a *app) lookCommand() *cobra.Command {
	var o looking
	cmd := &cobra.Command{
		Use:   "look RUN [SQL]",
		Short: "Look at what a run has restored, without changing it",
		Long: `Asks the restored copy of a run that goes on one query that only reads, and
prints the result. Without a query it lists the tables with their rows: a number
with ~ is the server's estimate. With --live the live database's stand beside
them, and what differs is marked with *.

A run that was begun with --look pauses before the copy is opened: look at it,
then tick the item to go on, or choose another moment in the console. A later
one goes on from there; an earlier one begins again.

Exit codes:
  0    looked
  1    the copy cannot be asked, or what it answers could not be written
  2    the command, the query or its environment is wrong, or there is no such run
  3    refused: nothing is there to be looked at, not yet or not any more; or with --on
       the host shows another key than ssh knows
  5    with --on: looked, but what has ended there could not be brought home
  130  interrupted`,
		Example: `  comeback look 7c31
  comeback look 7c31 --live
  comeback look 7c31 "select count(*) from carts"`,
		Args: func(cmd *cobra.Command, args []string) error {
			switch len(args) {
			case 2:
				return nil
			case 0, 1:
				return oneArgument("RUN")(cmd, args)
			}
			return usage("write: comeback look RUN \"select 1\"", "comeback look takes one RUN and one query, in quotes, and not %d words", len(args))
		},
		ValidArgsFunction: a.runArgument,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.run = args[0]
			if len(args) == 2 {
				o.sql = args[1]
			}
			return a.look(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.component, "component", "", "look at this `COMPONENT` (default the one that decides the moment)")
	f.BoolVar(&o.live, "live", false, "count the rows of the live database, too; it is only read")
	f.BoolVar(&o.json, "json", false, "print JSON")
	f.DurationVar(&o.timeout, "timeout", time.Minute, "how `LONG` the query, or all counts together, may take")
	return cmd
}

func (a *app) look(ctx context.Context, o looking) error {
	if o.timeout <= 0 {
		return usage("give for example --timeout 5m", "--timeout %s leaves no time", o.timeout)
	}
	r, err := a.load(o.run)
	if err != nil {
		return err
	}
	if o.component == "" {
		o.component = r.Plan.Moment.Anchor
	}
	b, err := restoredCopy(r, o.component)
	if err == nil {
		err = endedWithRun(ctx, r, b)
	}
	if err != nil {
		return err
	}
	if o.sql == "" {
		return a.lookAtTables(ctx, r, b.URL, o)
	}
	if o.live {
		return usage("leave out --live, or the query", "a query is asked of the restored copy only")
	}
	result, err := verify.Look(ctx, o.component, b.URL, o.sql, o.timeout)
	if err != nil {
		return err
	}
	return a.printResult(result, o.json)
}

// restoredCopy finds where a run's component can be asked now.
func restoredCopy(r runner.Past, component string) (recovery.Binding, error) {
	refused := func(hint, format string, args ...any) (recovery.Binding, error) {
		return recovery.Binding{}, recovery.Errorf(hint, format, args...).WithExit(recovery.Refused)
	}
	s := &r.State
	if !slices.ContainsFunc(r.Plan.Components, func(c recovery.Component) bool { return c.Name == component }) {
		return recovery.Binding{}, usage("choose one that the runbook has", "run %s has no component %q", r.ID, component)
	}
	switch {
	case s.Result != "" && len(s.Held()) == 0:
		return refused("rehearse again, with --look to stop before the end", "run %s has ended and given back what it had restored", r.ID)
	case s.Result == "" && !r.Alive:
		return refused("take it up again: comeback resume "+r.ID, "the runner of run %s died, and its servers with it", r.ID)
	}
	b, ok := s.Binding(component)
	switch {
	case !ok:
		return refused("look again when it is there; comeback status "+r.ID+" tells how far it is", "run %s has not restored %s yet", r.ID, component)
	case !strings.HasPrefix(b.URL, "postgres://"):
		return refused("look into "+strings.TrimPrefix(b.URL, "file://"), "%s is not a database", component)
	}
	return b, nil
}

// endedWithRun refuses a scratch server of this host once its run has ended: it has ended,
// too, and of what was kept only the files are there. Nil where the server is another one,
// or was started on them by hand.
func endedWithRun(ctx context.Context, r runner.Past, b recovery.Binding) error {
	if r.State.Result == "" {
		return nil
	}
	u, err := url.Parse(b.URL)
	if err != nil {
		return fmt.Errorf("look at %s: %w", b.Component, err)
	}
	socket := u.Query().Get("host")
	for _, c := range r.State.Held() {
		if c.Kind != recovery.Cluster || socket == "" || c.Details["socket"] != socket {
			continue
		}
		conn, err := postgres.ConnectLive(ctx, b.URL)
		if err == nil {
			return conn.Close(ctx)
		}
		return recovery.Errorf(fmt.Sprintf("start it on them, as their owner: pg_ctl -D %s -w start, then look again; comeback stop %s ends it and removes them", c.ID, r.ID),
			"run %s has ended, and its server of %s with it; of what was kept only files are left, if they were not given back since", r.ID, b.Component).WithExit(recovery.Refused)
	}
	return nil
}

// printResult prints the rows of a query as a table, or as JSON.
func (a *app) printResult(r verify.Result, asJSON bool) error {
	if asJSON {
		rows := r.Rows
		if rows == nil {
			rows = [][]*string{}
		}
		return a.printJSON(map[string]any{"columns": r.Names, "rows": rows, "more": r.More})
	}
	table := [][]string{r.Names}
	for _, row := range r.Rows {
		var cells []string
		for _, v := range row {
			if v == nil {
				cells = append(cells, "NULL")
			} else {
				cells = append(cells, *v)
			}
		}
		table = append(table, cells)
	}
	for _, line := range columns(table, nil) {
		fmt.Fprintln(a.out, a.redact(line))
	}
	says := "(" + recovery.FormatCount(len(r.Rows), "row") + ")"
	switch {
	case r.More:
		says = fmt.Sprintf("(the first %d rows, there are more)", len(r.Rows))
	case len(r.Rows) == 1:
		says = "(1 row)"
	}
	_, err := fmt.Fprintln(a.out, says)
	return err
}

func (a *app) printJSON(v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode what was found: %w", err)
	}
	_, err = fmt.Fprintln(a.out, a.redact(string(b)))
	return err
}

// columns lays out cells beside each other, those of some columns to the right.
func columns(table [][]string, right []int) []string {
	var widths []int
	for _, row := range table {
		for i, cell := range row {
			if row[i] = clean(cell); i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], len([]rune(row[i])))
		}
	}
	var lines []string
	for _, row := range table {
		var b strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-len([]rune(cell)))
			if slices.Contains(right, i) {
				cell = pad + cell
			} else {
				cell += pad
			}
			b.WriteString(cell + "  ")
		}
		lines = append(lines, strings.TrimRight(b.String(), " "))
	}
	return lines
}
