package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/recovery/check"
	"comeback/recovery/runner"

	"github.com/spf13/cobra"
)

// checkAsked is what `comeback check` was asked for.
type checkAsked struct {
	runbook  string
	json     bool
	noCanary bool
	// prometheus is a file for metrics.
	prometheus string
	// assign is a finding's number or id, which gets an owner and a due date.
	assign, owner, due string
}

func (a *app) checkCommand() *cobra.Command {
	var o checkAsked
	cmd := &cobra.Command{
		Use: "check RUNBOOK", Short: "Would the copies save the system tonight?",
		Long: `Looks at every component in every copy, at the live servers and at the reports of
earlier runs, and says what is not as the runbook owes it: missing, too old, with a
gap, much smaller than before, never restored, not locked, too slow. Each finding says
what to do.

It reads, and stores two objects of its own in each copy (--no-canary leaves that out):
the runbook, where it is not there yet, so that the copy alone is enough to begin with;
and a canary, which it then tries to delete for good with this host's credentials: run
it where production runs, as production's user. Where the copy does not let the canary
go, it stays, and is tried again the next time.
` + inCopyHelp + `
Exit codes, as monitoring has them:
  0    yes, without a finding
  1    yes, but there are findings
  2    no: a component could not be brought back
  3    not known: the copies could not be judged, or the check itself failed, also
       because its command line or runbook is wrong, its host does not
       answer, or it was interrupted`,
		Example: `  comeback check shop.md
  comeback check shop.md --json
  comeback check s3://shop-backups-offsite/shop --no-canary
  comeback check shop.md --assign 2 --owner dba --due 2026-12-24`,
		Args: oneArgument("RUNBOOK"), ValidArgsFunction: runbookArgument,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.runbook = args[0]
			return a.check(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.json, "json", false, "print the whole assessment as JSON")
	f.BoolVar(&o.noCanary, "no-canary", false, "store nothing: do not try whether backups can be deleted, and do not put the runbook there")
	f.StringVar(&o.prometheus, "prometheus", "", "write metrics for Prometheus's textfile collector into this `FILE`, too")
	a.signersFlag(cmd)
	f.StringVar(&o.assign, "assign", "", "give a `FINDING`, by its number or id, an --owner or a --due date")
	f.StringVar(&o.owner, "owner", "", "`WHO` sees to the finding that --assign names")
	f.StringVar(&o.due, "due", "", "until which `DATE`, like 2026-12-24")
	return cmd
}

// monitored gives every failure of the command monitoring's code: of its flags, its
// arguments and, where it is carried out on another host, of the way there.
func monitored(cmd *cobra.Command) {
	run, args, flags := cmd.RunE, cmd.Args, cmd.FlagErrorFunc()
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return checkFailed(interruptedBy(cmd.Context(), run(cmd, args)))
	}
	cmd.Args = func(cmd *cobra.Command, given []string) error { return checkFailed(args(cmd, given)) }
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return checkFailed(flags(cmd, err)) })
}

// checkFailed gives the failure of the check itself monitoring's code, as it does to a code
// of another table, which a check on another host may have ended with.
func checkFailed(err error) error {
	var ended *exitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &ended):
		if ended.code > recovery.CheckUnknown {
			return &exitError{recovery.CheckUnknown}
		}
		return err
	}
	failed := &recovery.Error{What: err.Error(), Hint: recovery.HintOf(err), Exit: recovery.CheckUnknown, Err: err}
	if errors.Is(err, context.Canceled) {
		failed.Err = nil // of other commands it has a code of its own
	}
	return failed
}

func (a *app) check(ctx context.Context, o checkAsked) error {
	if o.assign == "" && (o.owner != "" || o.due != "") {
		return usage("add --assign with the finding's number", "--owner and --due need a finding")
	}
	if o.assign != "" && o.owner == "" && o.due == "" {
		return usage("add --owner WHO, --due DATE or both", "--assign %s does not say to whom, nor until when", o.assign)
	}
	b, _, err := a.open(ctx, o.runbook)
	if err != nil {
		return err
	}
	w := a.waits(true)
	defer w.end()
	// The home screen of consoles tells what this check has found.
	assessment, err := a.assess(ctx, b, !o.noCanary, w, (&desk{app: a}).checked)
	w.end()
	if err != nil {
		return err
	}
	if o.assign != "" {
		if err := a.assign(b, &assessment, o); err != nil {
			return err
		}
	}
	var errMetrics error // told when the page is
	if o.prometheus != "" {
		errMetrics = writeMetrics(o.prometheus, assessment)
	}
	if o.json {
		enc := json.NewEncoder(a.out)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(assessment); err != nil && !gone(err) { // the answer is the exit code, too
			return fmt.Errorf("print the assessment: %w", err)
		}
	} else {
		for _, line := range assessment.Lines(checkWidth, a.now().Location()) {
			fmt.Fprintln(a.out, clean(line))
		}
		fmt.Fprintln(a.out)
		for _, line := range assessment.ProofLines(checkWidth, a.now().Location()) {
			fmt.Fprintln(a.out, clean(line))
		}
	}
	if errMetrics != nil && assessment.Exit() != recovery.CheckCritical {
		return errMetrics
	}
	if errMetrics != nil { // the answer counts for more
		a.tell(errMetrics)
	}
	if code := assessment.Exit(); code != recovery.CheckOK {
		return &exitError{code}
	}
	return nil
}

// checkWidth is that of the page that check prints.
const checkWidth = 80

// assess gathers and judges, remembers what was found, and takes secrets out of
// what is said. It hands the assessment to keep, where that is not nil. That this host
// cannot keep it, or cannot read what it has kept, is a finding.
func (a *app) assess(ctx context.Context, b *book, canary bool, w *waits, keep func(*book, catalogue.Catalogue, *recovery.Assessment) error) (recovery.Assessment, error) {
	e, err := a.gather(ctx, b, canary, w)
	if err == nil {
		err = context.Cause(ctx) // what was not looked at any more is not missing
	}
	if err != nil {
		return recovery.Assessment{}, err
	}
	home, err := a.home()
	if err != nil {
		return recovery.Assessment{}, err
	}
	e.State = home.Dir
	known, err := readFindings(home, b.System)
	if err != nil {
		e.Unkept = append(e.Unkept, err)
	}
	e.Assigned, e.First = known.Assigned, known.First
	assessment := a.judge(e)
	if err == nil { // what somebody has to look at is not written over
		known.First = map[string]time.Time{}
		for _, f := range assessment.Findings {
			known.First[f.ID] = f.Since
		}
		if err := known.write(home, b.System); err != nil {
			e.Unkept = append(e.Unkept, err)
		}
	}
	if keep != nil {
		if err := keep(b, e.Catalogue, &assessment); err != nil {
			e.Unkept = append(e.Unkept, err)
		}
	}
	if len(e.Unkept) > 0 {
		assessment = a.judge(e)
	}
	return assessment, nil
}

// judge judges, and takes secrets out of what is said.
func (a *app) judge(e check.Evidence) recovery.Assessment {
	assessment := check.Judge(e)
	for i := range assessment.Findings {
		f := &assessment.Findings[i]
		f.Says, f.Do = a.redact(f.Says), a.redact(f.Do)
	}
	for i := range assessment.Digits {
		for k, text := range assessment.Digits[i].Evidence {
			assessment.Digits[i].Evidence[k] = a.redact(text)
		}
	}
	return assessment
}

// findings is what is remembered of the findings of a system.
type findings struct {
	Assigned map[string]check.Assigned `json:"assigned,omitempty"`
	// First is when a finding was first seen, of those that the last check had.
	First map[string]time.Time `json:"first,omitempty"`
}

func findingsFile(home runner.Home, system string) string {
	return filepath.Join(home.Dir, "findings", system+".json")
}

func readFindings(home runner.Home, system string) (findings, error) {
	f := findings{Assigned: map[string]check.Assigned{}}
	b, err := os.ReadFile(findingsFile(home, system))
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return findings{}, fmt.Errorf("read what was found before: %w", err)
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return findings{}, recovery.Errorf("remove the file", "read what was found before: %s: %w", findingsFile(home, system), err)
	}
	if f.Assigned == nil {
		f.Assigned = map[string]check.Assigned{}
	}
	return f, nil
}

func (f findings) write(home runner.Home, system string) error {
	b, err := json.MarshalIndent(f, "", "  ")
	if err == nil {
		err = home.WriteFile(findingsFile(home, system), append(b, '\n'))
	}
	if err != nil {
		return fmt.Errorf("keep what was found: %w", err)
	}
	return nil
}

// assign gives a finding its owner and its due date, and remembers them.
func (a *app) assign(b *book, assessment *recovery.Assessment, o checkAsked) error {
	i := slices.IndexFunc(assessment.Findings, func(f recovery.Judgement) bool { return f.ID == o.assign })
	if i < 0 {
		var n int
		if _, err := fmt.Sscanf(o.assign, "%d", &n); err != nil || n < 1 || n > len(assessment.Findings) {
			return usage("give a finding's number, or its id as --json prints it", "there is no finding %q", o.assign)
		}
		i = n - 1
	}
	f := &assessment.Findings[i]
	if o.owner != "" {
		f.Owner = o.owner
	}
	if o.due != "" {
		due, err := day(o.due, a.now().Location())
		if err != nil {
			return usage("write it like 2026-12-24", "the due date is %q", o.due)
		}
		f.Due = due
	}
	home, err := a.home()
	if err != nil {
		return err
	}
	known, err := readFindings(home, b.System)
	if err != nil {
		return err
	}
	known.Assigned[f.ID] = check.Assigned{Owner: f.Owner, Due: f.Due}
	return known.write(home, b.System)
}
